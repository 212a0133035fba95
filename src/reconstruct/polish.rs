//! Single codes moved by a step where that lowers the output error.

use super::{Statistics, Term};

/// Most passes over a row; nearly all gain comes from the first two.
const PASSES: usize = 6;

/// Moves codes of one row of one term, up or down by one, as long as each move lowers `(t - a q) H (t - a q)^T`, the scale kept.
/// Returns whether anything moved.
pub fn polish(statistics: &Statistics, target: &[f64], term: Term, codes: &mut [i32]) -> bool {
    let metric = &statistics.metric;
    let mut pull = vec![0.0; target.len()];
    for (column, (&goal, &code)) in target.iter().zip(codes.iter()).enumerate() {
        let difference = goal - term.scale * f64::from(code);
        pull.iter_mut().zip(metric.col_as_slice(column)).for_each(|(sum, entry)| *sum += difference * entry);
    }
    let mut moved = false;
    for _ in 0..PASSES {
        let mut any = false;
        for column in 0..codes.len() {
            // The step of least error is the ratio; half of it decides whether a whole step gains.
            let wanted = (pull[column] / (term.scale * metric[(column, column)])).round_ties_even();
            if wanted == 0.0 || !wanted.is_finite() {
                continue;
            }
            let code =
                (f64::from(codes[column]) + wanted).clamp(f64::from(term.lo), f64::from(term.hi)) as i32;
            let step = f64::from(code - codes[column]);
            if step != 0.0 {
                let change = step * term.scale;
                pull.iter_mut()
                    .zip(metric.col_as_slice(column))
                    .for_each(|(sum, entry)| *sum -= change * entry);
                codes[column] = code;
                any = true;
            }
        }
        moved |= any;
        if !any {
            break;
        }
    }
    moved
}

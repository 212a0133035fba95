//! Single codes moved by a step where that lowers the output error.

use super::{Statistics, Term};

/// Most passes over a row; nearly all gain comes from the first two.
const PASSES: usize = 6;

/// Moves codes of one row of one term, up or down by one, as long as each move lowers `(t - a q) H (t - a q)^T`, the scale kept.
/// `through` is `H t`, `product` is `H q` and stays so. Returns whether anything moved.
pub fn polish(
    statistics: &Statistics,
    through: &[f64],
    term: Term,
    codes: &mut [i32],
    product: &mut [f64],
) -> bool {
    let metric = &statistics.metric;
    let mut moved = false;
    for _ in 0..PASSES {
        let mut any = false;
        for column in 0..codes.len() {
            // The step of least error is the ratio; half of it decides whether a whole step gains.
            let pull = through[column] - term.scale * product[column];
            let wanted = (pull / (term.scale * metric[(column, column)])).round_ties_even();
            if wanted == 0.0 || !wanted.is_finite() {
                continue;
            }
            let code =
                (f64::from(codes[column]) + wanted).clamp(f64::from(term.lo), f64::from(term.hi)) as i32;
            let step = f64::from(code - codes[column]);
            if step != 0.0 {
                product
                    .iter_mut()
                    .zip(metric.col_as_slice(column))
                    .for_each(|(sum, entry)| *sum += step * entry);
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

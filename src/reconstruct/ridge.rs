//! How far weights may follow the samples: cross-validated between two halves of them.
//!
//! With `c = W D + residual` the output error that moving a row of weights by `v` takes away is `2 c v^T - v H v^T`. The samples give
//! `c` with noise, and where there are more features than samples say much of, `v = c (H + d)^-1` fits that noise. So `v` is
//! found on one half, what it takes away is measured on the other, and `d` is the damping that takes away most.

use faer::linalg::matmul::matmul;
use faer::prelude::*;
use faer::{Accum, Mat, Par, Side};

/// Dampings that are tried, as parts of the mean diagonal, and which of them first.
const DAMPINGS: [f64; 7] = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
const FIRST: usize = 3;
/// Rows that decide; one damping holds for all.
const ROWS: usize = 64;
/// All samples have half the noise of one half of them, and need half the damping.
const OF_WHOLE: f64 = 0.5;

/// What one half of the samples says.
pub(super) struct Half {
    /// `H`, without damping.
    pub metric: Mat<f64>,
    /// `c`, `[rows, features]`.
    pub pull: Mat<f64>,
}

/// Which of `count` rows decide.
pub(super) fn rows(count: usize) -> Vec<usize> {
    let taken = count.min(ROWS);
    (0..taken).map(|at| at * count / taken).collect()
}

/// The damping for all samples, as a part of the mean diagonal, `typical`; `None` where moving takes nothing away.
pub(super) fn damping([first, second]: &[Half; 2], typical: f64) -> Option<f64> {
    let mut known = [None; DAMPINGS.len()];
    let mut gain = |at: usize| {
        *known[at].get_or_insert_with(|| {
            let damping = DAMPINGS[at] * typical;
            taken_away(first, second, damping) + taken_away(second, first, damping)
        })
    };
    let mut at = FIRST;
    // Uphill; a damping that does harm is too weak.
    let up = gain(at + 1) > gain(at) || gain(at) <= 0.0;
    while let Some(next) =
        if up { Some(at + 1) } else { at.checked_sub(1) }.filter(|&next| next < DAMPINGS.len())
    {
        if gain(next) <= gain(at) && gain(at) > 0.0 {
            break;
        }
        at = next;
    }
    (gain(at) > 0.0).then(|| OF_WHOLE * DAMPINGS[at])
}

/// The output error that moves found on one half take away on the other; negative where they add to it.
fn taken_away(found: &Half, judge: &Half, damping: f64) -> f64 {
    let features = found.metric.nrows();
    let mut held = found.metric.clone();
    (0..features).for_each(|at| held[(at, at)] += damping);
    let Ok(held) = held.llt(Side::Lower) else { return f64::NEG_INFINITY };
    let moves = held.solve(found.pull.transpose());
    let mut through = Mat::zeros(features, moves.ncols());
    matmul(&mut through, Accum::Replace, &judge.metric, &moves, 1.0, Par::Seq);
    let each = |row: usize, at: usize| moves[(at, row)] * (2.0 * judge.pull[(row, at)] - through[(at, row)]);
    let sum: f64 = (0..moves.ncols()).map(|row| (0..features).map(|at| each(row, at)).sum::<f64>()).sum();
    if sum.is_finite() { sum } else { f64::NEG_INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1.
    fn number(seed: u64) -> f64 {
        let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn half(noise: f64, seed: u64) -> Half {
        let metric = Mat::from_fn(20, 20, |row, column| if row == column { 1.0 } else { 0.1 });
        let pull = Mat::from_fn(8, 20, |row, at| {
            let place = (row * 20 + at) as u64;
            number(place) + noise * number(1000 * seed + place)
        });
        Half { metric, pull }
    }

    #[test]
    fn halves_that_agree_are_followed_and_noise_is_not() {
        assert_eq!(damping(&[half(0.0, 1), half(0.0, 2)], 1.0), Some(0.5 * 0.03));
        let some = damping(&[half(1.0, 1), half(1.0, 2)], 1.0).unwrap();
        let more = damping(&[half(2.0, 1), half(2.0, 2)], 1.0).unwrap();
        assert!(0.015 < some && some < more, "{some} {more}");
        let mut opposed = [half(0.0, 1), half(0.0, 1)];
        opposed[1].pull *= Scale(-1.0);
        assert_eq!(damping(&opposed, 1.0), None);
    }

    #[test]
    fn what_is_no_number_moves_nothing() {
        for broken in [0.0, f64::NAN, f64::INFINITY] {
            let halves =
                [1, 2].map(|seed| Half { pull: Mat::from_fn(8, 20, |_, _| broken), ..half(0.0, seed) });
            assert_eq!(damping(&halves, 1.0), None);
        }
        assert_eq!(rows(0), Vec::<usize>::new());
        assert_eq!(rows(3), [0, 1, 2]);
        let many = rows(1000);
        assert!(many.len() == ROWS && many.windows(2).all(|pair| pair[0] < pair[1]) && many[63] < 1000);
    }
}

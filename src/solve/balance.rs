//! Rounding that needs no data: where a kernel's rounding errors add up, a few elements are rounded the
//! other way, those that lose least by it, until the sum is at most half a step. Inputs of like
//! sign, as behind a Relu, then meet an error that cancels (after SQuant, Guo et al., ICLR 2022).

use crate::mmse::Grid;

/// Re-rounds `codes` of one output channel, made from `values` at `scale`: first each run of
/// `plane` neighbours, the elements that meet the same input channel, then the whole.
pub(super) fn balance(values: &[f32], scale: f32, grid: Grid, plane: usize, codes: &mut [i32]) {
    let steps: Vec<f64> = values.iter().map(|&value| f64::from(value) / f64::from(scale)).collect();
    let plane = plane.clamp(1, values.len().max(1));
    if plane > 1 {
        for (steps, codes) in steps.chunks(plane).zip(codes.chunks_mut(plane)) {
            settle(steps, grid, codes, &mut (0..steps.len()).collect::<Vec<_>>());
        }
    }
    // One element of each run at most, so that no run's sum is spoilt by more than a step.
    let sum: f64 = steps.iter().zip(codes.iter()).map(|(step, &code)| step - f64::from(code)).sum();
    let mut candidates: Vec<usize> = (0..steps.len().div_ceil(plane))
        .filter_map(|run| {
            let range = run * plane..steps.len().min((run + 1) * plane);
            let gain = |at: usize| (steps[at] - f64::from(codes[at])) * sum.signum();
            range
                .filter(|&at| movable(codes[at], sum, grid))
                .max_by(|&one, &other| gain(one).total_cmp(&gain(other)))
        })
        .collect();
    settle(&steps, grid, codes, &mut candidates);
}

fn movable(code: i32, sum: f64, grid: Grid) -> bool {
    if sum > 0.0 { code < grid.hi() } else { code > grid.lo() }
}

/// Moves as many of `candidates` by one code as the sum of errors has whole steps.
fn settle(steps: &[f64], grid: Grid, codes: &mut [i32], candidates: &mut [usize]) {
    let error = |at: usize, codes: &[i32]| steps[at] - f64::from(codes[at]);
    let sum: f64 = (0..steps.len()).map(|at| error(at, codes)).sum();
    let direction = sum.signum();
    candidates.sort_by(|&one, &other| {
        (direction * error(other, codes)).total_cmp(&(direction * error(one, codes)))
    });
    // Rounding again what was rounded towards the sum already would cost more than it mends.
    let wanted: Vec<usize> = candidates
        .iter()
        .copied()
        .filter(|&at| movable(codes[at], sum, grid) && direction * error(at, codes) > 0.0)
        .take(sum.abs().round() as usize)
        .collect();
    for at in wanted {
        codes[at] += direction as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f32], codes: &[i32]) -> f64 {
        values.iter().zip(codes).map(|(&value, &code)| f64::from(value) - f64::from(code)).sum()
    }

    #[test]
    fn errors_of_one_sign_cancel() {
        let values = [0.4, 1.4, 2.4, -0.6, 3.3];
        let mut codes = vec![0, 1, 2, -1, 3];
        balance(&values, 1.0, Grid::signed(4), 5, &mut codes);
        assert!(sum(&values, &codes).abs() <= 0.5, "{codes:?}");
        assert_eq!(codes.iter().zip([0, 1, 2, -1, 3]).filter(|(one, other)| **one != *other).count(), 2);
    }

    proptest! {
        #[test]
        fn codes_stay_on_the_grid_within_one_step(values in prop::collection::vec(-6.4f32..6.4, 1..60), plane in 1usize..10) {
            let mut before = Vec::new();
            crate::mmse::encode(&values, 1.0, Grid::signed(4), &mut before);
            let mut codes = before.clone();
            balance(&values, 1.0, Grid::signed(4), plane, &mut codes);
            prop_assert!(codes.iter().zip(&before).all(|(one, other)| (one - other).abs() <= 2 && (-8..=7).contains(one)));
            prop_assert!(sum(&values, &codes).abs() <= sum(&values, &before).abs().max(0.5) + 1e-9 || plane > 1);
        }
    }
}

//! Values to codes at a known scale.

use super::Grid;

/// Added to and taken from a number below 2^51 in magnitude, leaves its nearest integer, ties to even: the sum has no
/// bits left for a fraction. Unlike `round_ties_even` it needs no call on processors without a rounding instruction.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Nearest integer of `x`, ties to even, for `|x| < 2^51`.
pub(super) fn nearest(x: f64) -> f64 {
    (x + ROUNDER) - ROUNDER
}

/// The code nearest to `value / scale`, ties to even, clipped to the grid; 0 for NaN and for a scale that is not above 0.
fn code(value: f32, scale: f64, grid: Grid) -> f64 {
    let ratio = f64::from(value) / scale;
    if ratio.is_nan() || scale <= 0.0 {
        return 0.0;
    }
    nearest(ratio.max(f64::from(grid.lo())).min(f64::from(grid.hi())))
}

/// Replaces `codes` by the code of each value: nearest to `value / scale`, ties to even, clipped to the grid.
///
/// The quotient is taken in f64. Total: NaN gives 0, an infinity the end of the grid, and a scale that is NaN, zero or
/// negative gives 0 everywhere. `codes` ends up as long as `values`; each code is effective (add the zero point to store it).
pub fn encode(values: &[f32], scale: f32, grid: Grid, codes: &mut Vec<i32>) {
    let scale = f64::from(scale);
    codes.clear();
    codes.extend(values.iter().map(|&value| code(value, scale, grid) as i32));
}

/// Sum of `w (x - scale * q)^2` in f64, `q` as [`encode`] gives it; in the square of the values' unit.
///
/// `weights`, where given, pairs with `values`; a value past its end weighs nothing. NaN or infinite values or weights
/// make the result NaN or infinite.
pub fn error_at(values: &[f32], weights: Option<&[f64]>, scale: f32, grid: Grid) -> f64 {
    let scale = f64::from(scale);
    let error = |value: f32| {
        let code = code(value, scale, grid);
        let distance = f64::from(value) - if code == 0.0 { 0.0 } else { scale * code };
        distance * distance
    };
    match weights {
        None => values.iter().map(|&value| error(value)).sum(),
        Some(weights) => values.iter().zip(weights).map(|(&value, &weight)| weight * error(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(values: &[f32], scale: f32, grid: Grid) -> Vec<i32> {
        let mut codes = vec![99; 3];
        encode(values, scale, grid, &mut codes);
        codes
    }

    #[test]
    fn ties_go_to_even_and_ends_clip() {
        let values = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 7.5, 100.0, -100.0, 1.499_999_9];
        assert_eq!(codes(&values, 1.0, Grid::signed(4)), [0, 2, 2, 0, -2, -2, 7, 7, -8, 1]);
        assert_eq!(codes(&[-3.0, 3.0, 15.5], 1.0, Grid::offset(4, 0)), [0, 3, 15]);
    }

    #[test]
    fn every_input_has_a_code() {
        let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -f32::MAX, 1e-45];
        assert_eq!(codes(&values, f32::MIN_POSITIVE, Grid::signed(4)), [0, 7, -8, 7, -8, 0]);
        for scale in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY, -0.0] {
            assert_eq!(codes(&values, scale, Grid::signed(4)), [0; 6], "{scale}");
        }
        assert_eq!(codes(&values, f32::INFINITY, Grid::signed(4)), [0; 6]);
        assert_eq!(codes(&[], 1.0, Grid::signed(4)), [0; 0]);
    }

    #[test]
    fn error_is_the_weighted_squared_distance() {
        let (values, weights) = ([0.25, -1.0, 9.0], [2.0, 1.0, 0.5]);
        assert_eq!(error_at(&values, None, 1.0, Grid::signed(4)), 0.0625 + 4.0);
        assert_eq!(error_at(&values, Some(&weights), 1.0, Grid::signed(4)), 0.125 + 2.0);
        assert_eq!(error_at(&values, Some(&weights[..1]), 1.0, Grid::signed(4)), 0.125);
        assert_eq!(error_at(&values, None, f32::INFINITY, Grid::signed(4)), 82.0625);
    }
}

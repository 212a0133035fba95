//! What a search answers, and the functions that need no scratch of their own.

use super::samples::Samples;
use super::{Grid, Search};

/// The values cannot be fitted: the first one that is NaN or infinite, or whose weight is NaN, infinite, negative or
/// missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotFinite {
    /// Its place among the values.
    pub index: usize,
}

impl std::fmt::Display for NotFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "value {} is not finite, or its weight is not a finite number of at least 0", self.index)
    }
}

impl std::error::Error for NotFinite {}

/// A scale for a set of values, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// What one code step is worth, in the values' unit; always a normal number above 0.
    pub scale: f32,
    /// The codes it was chosen for.
    pub grid: Grid,
    /// Sum of `w (x - scale * q)^2` over nearest codes `q`, at this very f32 scale.
    pub error: f64,
    /// Sum of `w x^2`: the error of answering 0 everywhere.
    pub energy: f64,
}

impl Fit {
    /// `error / energy`, from 0 up; 0 when there is nothing to represent.
    pub fn relative_error(&self) -> f64 {
        if self.energy > 0.0 { self.error / self.energy } else { 0.0 }
    }

    /// Signal to quantization noise, `10 log10(energy / error)` in dB; infinite when the error is 0.
    pub fn sqnr_db(&self) -> f64 {
        if self.error > 0.0 { 10.0 * (self.energy / self.error).log10() } else { f64::INFINITY }
    }
}

/// The scale of least `sum w (x - scale * q)^2` over all scales and codes of `grid`, exactly; see [`Search::fit`].
///
/// # Errors
/// [`NotFinite`] names the first value that has no place in such a sum.
pub fn fit(values: &[f32], weights: Option<&[f64]>, grid: Grid) -> Result<Fit, NotFinite> {
    Search::new().fit(values, weights, grid)
}

/// The best of [`fit`] over several grids, the first among equals; see [`Search::fit_best`].
///
/// # Errors
/// [`NotFinite`] names the first value that has no place in such a sum.
pub fn fit_best(values: &[f32], weights: Option<&[f64]>, grids: &[Grid]) -> Result<Fit, NotFinite> {
    Search::new().fit_best(values, weights, grids)
}

/// The naive baseline: the smallest scale at which nothing clips, `max(max / hi, min / lo)`, and its unweighted error.
///
/// Values on a side the grid lacks cannot be helped and do not count. Scale 1 when no value asks for any.
///
/// # Errors
/// [`NotFinite`] names the first NaN or infinite value.
pub fn fit_min_max(values: &[f32], grid: Grid) -> Result<Fit, NotFinite> {
    let mut samples = Samples::default();
    samples.load(values, None)?;
    let scale = match samples.reach(grid) {
        reach if reach > 0.0 => round_up(reach),
        _ => 1.0,
    };
    Ok(samples.judge(scale, grid))
}

/// The smallest normal f32 that is not below `scale`.
fn round_up(scale: f64) -> f32 {
    let near = (scale as f32).max(f32::MIN_POSITIVE);
    if f64::from(near) < scale { near.next_up().min(f32::MAX) } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_max_clips_nothing_and_no_smaller_scale_would() {
        let values = [0.3f32, -1.7, 1.1];
        let fit = fit_min_max(&values, Grid::signed(4)).unwrap();
        assert!(f64::from(fit.scale) * 8.0 >= f64::from(1.7f32));
        assert!(f64::from(fit.scale.next_down()) * 8.0 < f64::from(1.7f32));
        let unsigned = fit_min_max(&values, Grid::offset(4, 0)).unwrap();
        assert_eq!(unsigned.scale, 1.1f32 / 15.0);
        assert!(unsigned.error > 1.7f64.powi(2) - 1e-6);
    }

    #[test]
    fn min_max_has_an_answer_for_everything_finite() {
        let grid = Grid::signed(4);
        assert_eq!(fit_min_max(&[], grid).unwrap().scale, 1.0);
        assert_eq!(fit_min_max(&[0.0, -0.0], grid).unwrap().scale, 1.0);
        assert_eq!(fit_min_max(&[-3.0], Grid::offset(4, 0)).unwrap().scale, 1.0);
        assert_eq!(fit_min_max(&[1e-45], grid).unwrap().scale, f32::MIN_POSITIVE);
        let huge = fit_min_max(&[f32::MAX, -f32::MAX], Grid::new(-1, 1).unwrap()).unwrap();
        assert_eq!((huge.scale, huge.error), (f32::MAX, 0.0));
        assert_eq!(fit_min_max(&[1.0, f32::INFINITY], grid), Err(NotFinite { index: 1 }));
    }

    #[test]
    fn ratios_of_nothing_are_defined() {
        let fit = |error, energy| Fit { scale: 1.0, grid: Grid::signed(4), error, energy };
        assert_eq!((fit(0.0, 0.0).relative_error(), fit(0.0, 0.0).sqnr_db()), (0.0, f64::INFINITY));
        assert_eq!((fit(1.0, 100.0).relative_error(), fit(1.0, 100.0).sqnr_db()), (0.01, 20.0));
    }
}

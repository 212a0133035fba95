//! Scale and zero point for activations, from a histogram.

use super::outline::Outline;
use super::samples::Samples;
use super::{Fit, Grid, Histogram, MultiRangeFit, Search};

/// A scale and a zero point for the values of a histogram, and what they cost on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeFit {
    /// What one code step is worth, in the values' unit; always a normal number above 0.
    pub scale: f32,
    /// The unsigned stored code, `0..=2^bits-1`, that means 0. Signed codes take `2^(bits-1)` off codes and zero point.
    pub zero_point: i32,
    /// Sum of squared errors over all counted values, each taken to lie at the centre of its bin; zeros cost nothing.
    pub error: f64,
    /// Sum of squares of the same values.
    pub energy: f64,
}

/// Widest grid searched exactly; the steps of wider ones are finer than the histogram's bins or near it.
const EXACT_BITS: u32 = 8;
/// Widest grid of which every zero point is searched.
const ALL_ZERO_POINTS_BITS: u32 = 4;
/// For wider grids, bins times zero points that are searched; beyond it, only the zero points that an [`Outline`] ranks
/// best, of which the first two or three nearly always hold the answer. This many keep a fit within about 5 ms.
const EXACT_WORK: usize = 24_000;
/// What setting out on a walk costs, in bins.
const WALK_OVERHEAD: usize = 60;
/// Zero points searched in any case.
const FEWEST_ZERO_POINTS: usize = 6;

/// The scale and integer zero point of least squared error over `h`, for codes of `bits` bits (held to 2..=16).
///
/// Zero is always represented exactly, as padding needs. The zero point is 0 when no value is negative, and else
/// `2^bits - 1` when none is positive. At up to 4 bits this is the exact optimum over the histogram. At up to 8 it is the
/// exact best scale of every zero point or, when bins are many, of those that a model of the error ranks best (clipping
/// as it is, rounding as `scale^2 / 12` a value). Above 8 bits scale and zero point come from the model, unless the plain
/// range does better. Where nothing but zeros was counted the scale is 1.
pub fn fit_range(h: &Histogram, bits: u32) -> RangeFit {
    let bits = bits.clamp(2, 16);
    let top = Grid::offset(bits, 0).hi();
    let (min, max) = (h.min().unwrap_or(0.0), h.max().unwrap_or(0.0));
    if min >= 0.0 {
        fit_zero_points(h, bits, 0, 0)
    } else if max <= 0.0 {
        fit_zero_points(h, bits, top, top)
    } else {
        fit_zero_points(h, bits, 0, top)
    }
}

/// [`fit_range`] with the zero point in the middle, at `2^(bits-1)`, whatever the values are.
pub fn fit_range_symmetric(h: &Histogram, bits: u32) -> RangeFit {
    let bits = bits.clamp(2, 16);
    let middle = 1i32 << (bits - 1);
    fit_zero_points(h, bits, middle, middle)
}

/// The naive baseline: the smallest scale at which nothing clips, from the smallest to the largest value and 0, with the
/// zero point nearest to where 0 then falls, or where `symmetric` in the middle; as one term. Scale 1 where nothing but zeros
/// was counted.
pub fn fit_range_min_max(h: &Histogram, bits: u32, symmetric: bool) -> MultiRangeFit {
    let bits = bits.clamp(2, 16);
    let top = f64::from(Grid::offset(bits, 0).hi());
    let (min, max) = (f64::from(h.min().unwrap_or(0.0).min(0.0)), f64::from(h.max().unwrap_or(0.0).max(0.0)));
    let middle = ((top + 1.0) / 2.0).floor();
    let step = if symmetric { (max / (top - middle)).max(-min / middle) } else { (max - min) / top };
    let scale = if step > 0.0 { (step as f32).max(f32::MIN_POSITIVE) } else { 1.0 };
    let lowest = (-min / f64::from(scale)).round_ties_even().clamp(0.0, top);
    let zero = if symmetric { middle } else { lowest };
    let (mut error, mut energy) = (0.0, 0.0);
    for (centre, count) in h.bins() {
        let code = (centre / f64::from(scale)).round_ties_even().clamp(-zero, top - zero);
        error += count as f64 * (centre - code * f64::from(scale)).powi(2);
        energy += count as f64 * centre * centre;
    }
    MultiRangeFit { terms: vec![(scale, zero as i32)], error, energy }
}

/// The best fit among the zero points `first..=last`.
fn fit_zero_points(h: &Histogram, bits: u32, first: i32, last: i32) -> RangeFit {
    let mut search = Search::new();
    let heaviest = h.bins().map(|(_, count)| count).max().unwrap_or(1);
    let bins = h.bins().map(|(centre, count)| (centre, count as f64));
    let samples = search.samples_mut();
    samples.load_weighted(bins, heaviest as f64);
    let fit = if bits > EXACT_BITS {
        by_outline(samples, bits, first, last)
    } else {
        let grids = worth_a_walk(samples, bits, first, last);
        search.best_of(&grids)
    };
    RangeFit { scale: fit.scale, zero_point: -fit.grid.lo(), error: fit.error, energy: fit.energy }
}

/// The grids of the zero points `first..=last`, or of the likeliest where they are more than is affordable.
fn worth_a_walk(samples: &Samples, bits: u32, first: i32, last: i32) -> Vec<Grid> {
    let mut grids: Vec<Grid> = (first..=last).map(|zero| Grid::offset(bits, zero)).collect();
    let affordable = (EXACT_WORK / (samples.len() + WALK_OVERHEAD)).max(FEWEST_ZERO_POINTS);
    if bits > ALL_ZERO_POINTS_BITS && grids.len() > affordable {
        let outline = Outline::of(samples);
        let mut ranked: Vec<(f64, Grid)> =
            grids.iter().map(|&grid| (outline.best_scale(samples.reach(grid), grid).1, grid)).collect();
        ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
        ranked.truncate(affordable);
        grids = ranked.into_iter().map(|(_, grid)| grid).collect();
    }
    grids
}

/// The fit that the outline likes best or the one in which nothing clips, whichever is better in truth.
fn by_outline(samples: &Samples, bits: u32, first: i32, last: i32) -> Fit {
    let outline = Outline::of(samples);
    let (down, up) = (samples.negative.largest, samples.positive.largest);
    let (scale, grid, plain) = if first < last {
        let (scale, grid) = outline.best_range(down, up, bits);
        let zero = f64::from(last) * down / (down + up);
        (scale, grid, Grid::offset(bits, zero.round() as i32))
    } else {
        let grid = Grid::offset(bits, first);
        (outline.best_scale(samples.reach(grid), grid).0, grid, grid)
    };
    let judge = |scale: f64, grid: Grid| {
        let scale = if scale > 0.0 { (scale as f32).max(f32::MIN_POSITIVE) } else { 1.0 };
        samples.judge(scale, grid)
    };
    let (chosen, unclipped) = (judge(scale, grid), judge(samples.reach(plain), plain));
    if unclipped.error < chosen.error { unclipped } else { chosen }
}

//! The exact optimum over scales, by walking the breakpoints.

use super::samples::{Samples, Side};
use super::{Fit, Grid, NotFinite};

/// Finds scales of least squared error, and keeps its buffers from one call to the next: one for each thread, one call
/// for each kernel.
///
/// As the inverse scale `t` grows from 0, a value's nearest code steps to `k` at `t = (k - 1/2) / |x|`, until the grid
/// ends. With `A = sum w |x| k` and `B = sum w k^2` over the codes of the moment, the best scale for them is `A / B` and
/// their error is `sum w x^2 - A^2 / B`; the joint optimum's codes are among those met on the way. A step adds `w |x|` to
/// `A` and `w (2k - 1)` to `B`, so the walk sees every candidate at the price of its steps.
///
/// Nothing needs to be sorted to find most of the way uninteresting. Steps are summed into buckets of `t`. All steps of
/// a bucket that starts at `t0` raise `B` by at least `2 t0` times what they add to `A`, and `(A + a)^2 / (B + 2 t0 a)` is
/// convex in `a`: inside the bucket, `A^2 / B` exceeds neither its value at the start nor this bound at the end. Only
/// buckets whose bound exceeds the best value at any border are walked step by step.
#[derive(Clone, Debug, Default)]
pub struct Search {
    samples: Samples,
    /// What the steps of each bucket add to A and B.
    buckets: Vec<[f64; 2]>,
    /// Whether a bucket must be walked.
    open: Vec<bool>,
    /// The steps of the open buckets.
    steps: Vec<Step>,
    candidates: Vec<Candidate>,
}

/// One breakpoint: where it lies (whole part: its bucket) and what it adds.
#[derive(Clone, Copy, Debug)]
struct Step {
    place: f64,
    add: [f64; 2],
}

/// The best codes met on one grid's walk.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Place among the caller's grids.
    index: usize,
    sums: Sums,
}

/// `A = sum w |x| k` and `B = sum w k^2` of some codes.
#[derive(Clone, Copy, Debug)]
struct Sums {
    a: f64,
    b: f64,
}

/// Codes that are all 0: they gain nothing.
const NOTHING: Sums = Sums { a: 0.0, b: 0.0 };

impl Sums {
    fn plus(self, add: [f64; 2]) -> Self {
        Self { a: self.a + add[0], b: self.b + add[1] }
    }

    /// `A^2 / B`: how much of the energy these codes explain.
    fn gain(self) -> f64 {
        if self.b > 0.0 { self.a / self.b * self.a } else { 0.0 }
    }
}

/// A stretch of the inverse scale, cut into buckets.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: f64,
    /// Buckets to a unit of inverse scale.
    density: f64,
    buckets: usize,
}

/// Relative rounding error that sums and bounds may carry, with room to spare.
const SLACK: f64 = 1e-12;
/// Stretch of the first window. The walk starts at half the inverse scale at which clipping begins (see [`start_of`]),
/// so this takes it a little beyond that point.
const FIRST_STRETCH: f64 = 2.6;
/// Stretch of each further window, after which the walk looks whether clipping has decided the matter.
const NEXT_STRETCH: f64 = 1.3;
/// Error relative to energy below which rounding of the f32 scale itself is most of the error, so that neighbouring
/// scales are tried too.
const NEARLY_EXACT: f64 = 1e-9;

impl Search {
    /// A search with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scale of least `sum w (x - scale * q)^2` over all scales and all codes `q` of `grid`.
    ///
    /// `weights` pairs with `values`; without it every value weighs 1. The optimum is exact in f64 and its scale then
    /// rounded to f32, not below the smallest normal number. Where every scale serves equally (no values, only zeros, all
    /// of them on a side the grid lacks) the scale is 1. Where every weight is 0 the scale is the unweighted one and error
    /// and energy are 0. Sums beyond f64 are given as its largest number. Time `O(n)` in the number of values, for a few
    /// steps each.
    ///
    /// # Errors
    /// [`NotFinite`] names the first value that has no place in such a sum.
    pub fn fit(&mut self, values: &[f32], weights: Option<&[f64]>, grid: Grid) -> Result<Fit, NotFinite> {
        self.fit_best(values, weights, &[grid])
    }

    /// The best of [`Search::fit`] over `grids`, the first among equals (to 12 digits of the error); `Grid::signed(4)`
    /// stands in for an empty list.
    ///
    /// Cheaper than a fit for each: the values are prepared once, and a grid is abandoned as soon as its clipping
    /// exceeds what another one has reached.
    ///
    /// # Errors
    /// [`NotFinite`] names the first value that has no place in such a sum.
    pub fn fit_best(
        &mut self,
        values: &[f32],
        weights: Option<&[f64]>,
        grids: &[Grid],
    ) -> Result<Fit, NotFinite> {
        self.samples.load(values, weights)?;
        Ok(self.best_of(grids))
    }

    /// The samples to search; for callers that have f64 values.
    pub(super) fn samples_mut(&mut self) -> &mut Samples {
        &mut self.samples
    }

    /// The best fit of the loaded samples.
    pub(super) fn best_of(&mut self, grids: &[Grid]) -> Fit {
        self.candidates.clear();
        let mut best = NOTHING;
        // The grid whose ends divide as the values do is likely the best, and a good first answer shortens the others.
        let (up, down) = (self.samples.positive.largest, self.samples.negative.largest);
        let likely = match grids {
            [] | [_] => 0,
            _ => {
                let tilt = |grid: &Grid| (f64::from(grid.hi()) * down + f64::from(grid.lo()) * up).abs();
                (0..grids.len()).min_by(|&a, &b| tilt(&grids[a]).total_cmp(&tilt(&grids[b]))).unwrap_or(0)
            }
        };
        let others = (0..grids.len()).filter(|&index| index != likely);
        for index in std::iter::once(likely).chain(others) {
            let Some(&grid) = grids.get(index) else { break };
            let sums = self.walk(grid, best);
            if sums.b > 0.0 {
                self.candidates.push(Candidate { index, sums });
                if sums.gain() > best.gain() {
                    best = sums;
                }
            }
        }
        let enough = best.gain() - SLACK * self.samples.energy;
        self.candidates.retain(|candidate| candidate.sums.gain() >= enough);
        self.candidates.sort_unstable_by_key(|candidate| candidate.index);
        let mut answer: Option<Fit> = None;
        for candidate in &self.candidates {
            let Some(&grid) = grids.get(candidate.index) else { continue };
            let fit = round(&self.samples, candidate.sums.a / candidate.sums.b, grid);
            if answer.is_none_or(|answer| fit.error < answer.error * (1.0 - SLACK)) {
                answer = Some(fit);
            }
        }
        answer.unwrap_or_else(|| self.samples.judge(1.0, grids.first().copied().unwrap_or(Grid::signed(4))))
    }

    /// The sums of the best codes of `grid`, or any lesser ones where nothing on `grid` gains more than `best`.
    fn walk(&mut self, grid: Grid, best: Sums) -> Sums {
        let Some(mut start) = start_of(&self.samples, grid) else { return NOTHING };
        let energy = self.samples.energy;
        let mut own = NOTHING;
        let mut bar = best;
        let mut stretch = FIRST_STRETCH;
        let buckets = bucket_count(self.samples.len(), grid);
        loop {
            let allowed = energy - bar.gain() + SLACK * energy;
            if self.samples.clipped(1.0 / start, grid) > allowed {
                return own;
            }
            let end = start * stretch;
            let window = Window { start, density: buckets as f64 / (end - start), buckets };
            let (found, more) = self.walk_window(grid, window, bar);
            if found.gain() > own.gain() {
                own = found;
            }
            if found.gain() > bar.gain() {
                bar = found;
            }
            if !more || !end.is_finite() {
                return own;
            }
            start = end;
            stretch = NEXT_STRETCH;
        }
    }

    /// The best sums within a window, where they exceed `bar`, and whether steps are left beyond it.
    fn walk_window(&mut self, grid: Grid, window: Window, bar: Sums) -> (Sums, bool) {
        self.buckets.clear();
        self.buckets.resize(window.buckets, [0.0; 2]);
        let mut first = NOTHING;
        let mut more = false;
        for (side, limit) in self.samples.sides(grid) {
            let (sums, left) = window.fill(side, limit, &mut self.buckets);
            first = first.plus([sums.a, sums.b]);
            more |= left;
        }
        let best = self.best_border(first);
        let high = if best.gain() > bar.gain() { best } else { bar };
        let Some((from, to)) = self.open_buckets(first, window, high) else { return (best, more) };
        self.steps.clear();
        for (side, limit) in self.samples.sides(grid) {
            window.gather(side, limit, (from, to), &self.open, &mut self.steps);
        }
        self.steps.sort_unstable_by(|one, other| one.place.total_cmp(&other.place));
        (self.best_inside(first, best), more)
    }

    /// The best sums at the borders of buckets.
    fn best_border(&self, first: Sums) -> Sums {
        let (mut sums, mut best) = (first, first);
        for &add in &self.buckets {
            sums = sums.plus(add);
            // A^2 / B compared without dividing.
            if sums.a * sums.a * best.b > best.a * best.a * sums.b || best.b == 0.0 {
                best = sums;
            }
        }
        best
    }

    /// Marks the buckets that may hold more than `bar`; the first and last of them.
    fn open_buckets(&mut self, first: Sums, window: Window, bar: Sums) -> Option<(usize, usize)> {
        self.open.clear();
        self.open.resize(window.buckets, false);
        let mut range = None;
        let mut sums = first;
        let needed = bar.gain() * (1.0 - SLACK);
        for (index, (&add, open)) in self.buckets.iter().zip(&mut self.open).enumerate() {
            let start = window.start + index as f64 / window.density;
            let end = sums.a + add[0];
            if add[0] > 0.0 && end * end > needed * (sums.b + 2.0 * start * add[0]) {
                *open = true;
                range = Some((range.map_or(index, |(from, _)| from), index));
            }
            sums = sums.plus(add);
        }
        range
    }

    /// The best sums inside the open buckets, whose steps are in order; `best` if none exceeds it.
    fn best_inside(&self, first: Sums, mut best: Sums) -> Sums {
        let mut steps = self.steps.iter().peekable();
        let mut border = first;
        for (index, (&add, &open)) in self.buckets.iter().zip(&self.open).enumerate() {
            if open {
                let mut sums = border;
                while let Some(step) = steps.next_if(|step| step.place as usize <= index) {
                    sums = sums.plus(step.add);
                    if sums.a * sums.a * best.b > best.a * best.a * sums.b || best.b == 0.0 {
                        best = sums;
                    }
                }
            }
            border = border.plus(add);
        }
        best
    }
}

impl Window {
    /// Adds the steps of `side` that fall into the window to `buckets`; the sums of those before it, and whether any are
    /// left after it.
    fn fill(self, side: &Side, limit: u32, buckets: &mut [[f64; 2]]) -> (Sums, bool) {
        let mut before = NOTHING;
        let mut more = false;
        let limit = f64::from(limit);
        let values = side.magnitudes.iter().zip(&side.inverses).zip(&side.weights);
        for ((&magnitude, &inverse), &weight) in values {
            let mut code = self.code_before(magnitude, limit);
            let moment = weight * magnitude;
            before.a += moment * code;
            before.b += weight * code * code;
            let (pace, offset) = self.pace(inverse);
            while code < limit {
                let place = (code + 0.5) * pace - offset;
                let Some(bucket) = buckets.get_mut(place as usize) else { break };
                bucket[0] += moment;
                bucket[1] += weight * (2.0 * code + 1.0);
                code += 1.0;
            }
            more |= code < limit;
        }
        (before, more)
    }

    /// Collects the steps of `side` in open buckets from `from` to `to`. Places are computed as in [`Window::fill`], so
    /// that a step is found in the bucket it was summed into.
    fn gather(
        self,
        side: &Side,
        limit: u32,
        (from, to): (usize, usize),
        open: &[bool],
        steps: &mut Vec<Step>,
    ) {
        let limit = f64::from(limit);
        // Half a bucket early: the exact place decides.
        let early = self.start + (from as f64 - 0.5) / self.density;
        let values = side.magnitudes.iter().zip(&side.inverses).zip(&side.weights);
        for ((&magnitude, &inverse), &weight) in values {
            let (pace, offset) = self.pace(inverse);
            let mut code = self.code_before(magnitude, limit).max((early * magnitude - 0.5).floor());
            while code < limit {
                let place = (code + 0.5) * pace - offset;
                let bucket = place as usize;
                if bucket > to {
                    break;
                }
                if open.get(bucket) == Some(&true) {
                    steps.push(Step { place, add: [weight * magnitude, weight * (2.0 * code + 1.0)] });
                }
                code += 1.0;
            }
        }
    }

    /// The code of a value where the window starts.
    fn code_before(self, magnitude: f64, limit: f64) -> f64 {
        f64::from((self.start * magnitude + 0.5).min(limit) as i32)
    }

    /// Step `k` of a value lies at `(k - 1/2) * pace - offset` buckets from the start.
    fn pace(self, inverse: f64) -> (f64, f64) {
        (inverse * self.density, self.start * self.density)
    }
}

/// The inverse scale at which the first code passes half its limit; `None` when no value has a code but 0.
///
/// Below it all codes could be doubled and the scale halved at the same error, so the optimum is met above it too.
fn start_of(samples: &Samples, grid: Grid) -> Option<f64> {
    let mut start = f64::INFINITY;
    for (side, limit) in samples.sides(grid) {
        if limit > 0 && side.largest > 0.0 {
            start = start.min((f64::from(limit / 2) + 0.5) / side.largest);
        }
    }
    (start < f64::INFINITY).then_some(start)
}

/// How many buckets a window gets: enough that few steps share one, not so many that scanning them costs more than the
/// steps, nor that they leave the fast memory.
fn bucket_count(values: usize, grid: Grid) -> usize {
    let steps = values.saturating_mul(grid.levels() as usize) / 16;
    steps.clamp(32, 2048)
}

/// The fit at the f32 nearest to `scale`.
fn round(samples: &Samples, scale: f64, grid: Grid) -> Fit {
    let near = (scale as f32).max(f32::MIN_POSITIVE);
    let mut fit = samples.judge(near, grid);
    if fit.error > 0.0 && fit.error < NEARLY_EXACT * fit.energy {
        let (down, up) = (near.next_down(), near.next_up());
        for near in [down.next_down(), down, up, up.next_up()] {
            if near.is_normal() {
                let other = samples.judge(near, grid);
                if other.error < fit.error {
                    fit = other;
                }
            }
        }
    }
    fit
}

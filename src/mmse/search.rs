//! The exact optimum over scales, by walking the breakpoints.

use super::samples::Samples;
use super::window::{NOTHING, Step, Sums, Window};
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

/// The best codes met on one grid's walk.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Place among the caller's grids.
    index: usize,
    sums: Sums,
}

/// Relative rounding error that sums and bounds may carry, with room to spare.
const SLACK: f64 = 1e-12;
/// Ratio of the scales that are tried to set the walk's first mark, and how many at most.
const TRIAL_RATIO: f64 = 0.8;
const TRIALS: usize = 20;
/// Error over the least one so far at which trials stop.
const TRIAL_PATIENCE: f64 = 1.3;
/// Stretches of the inverse scale by which the end of the walk is looked for.
const END_STRETCHES: [f64; 3] = [1.5, 1.2, 1.07];
/// Largest stretch of one window.
const WINDOW_STRETCH: f64 = 16.0;
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
            let sums = self.walk(grid, best.gain());
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

    /// The sums of the best codes of `grid`, or any lesser ones where nothing on `grid` gains as much as `bar`.
    fn walk(&mut self, grid: Grid, mut bar: f64) -> Sums {
        let Some((mut start, last)) = walk_range(&self.samples, grid) else { return NOTHING };
        if bar <= 0.0 {
            bar = first_mark(&self.samples, grid);
        }
        let Some(last) = self.end_of_walk(grid, start, last, bar) else { return NOTHING };
        let buckets = bucket_count(self.samples.len(), grid);
        let mut best = NOTHING;
        loop {
            let end = last.min(start * WINDOW_STRETCH);
            let window = Window { start, density: buckets as f64 / (end - start), buckets };
            let found = self.walk_window(grid, window, bar);
            if found.gain() > best.gain() {
                best = found;
                bar = bar.max(best.gain());
            }
            if end >= last {
                return best;
            }
            start = end;
        }
    }

    /// Where clipping alone costs more than `bar` leaves, at most `last`; `None` if it does so at `start` already.
    fn end_of_walk(&self, grid: Grid, start: f64, last: f64, bar: f64) -> Option<f64> {
        let energy = self.samples.energy;
        let allowed = energy - bar + SLACK * energy;
        let lost = |inverse: f64| self.samples.clipped(1.0 / inverse, grid) > allowed;
        if lost(start) {
            return None;
        }
        let mut reached = start;
        for stretch in END_STRETCHES {
            while reached < last && !lost(reached * stretch) {
                reached *= stretch;
            }
        }
        Some(last.min(reached * END_STRETCHES[2]))
    }

    /// The best sums within a window, exactly where they exceed `bar`.
    fn walk_window(&mut self, grid: Grid, window: Window, bar: f64) -> Sums {
        self.buckets.clear();
        self.buckets.resize(window.buckets, [0.0; 2]);
        let mut first = NOTHING;
        for (side, limit) in self.samples.sides(grid) {
            let before = window.fill(side, limit, &mut self.buckets);
            first = first.plus([before.a, before.b]);
        }
        let best = self.best_border(first);
        let Some(range) = self.open_buckets(first, window, bar.max(best.gain())) else { return best };
        self.steps.clear();
        for (side, limit) in self.samples.sides(grid) {
            window.gather(side, limit, range, &self.open, &mut self.steps);
        }
        self.steps.sort_unstable_by(|one, other| one.place.total_cmp(&other.place));
        self.best_inside(first, best)
    }

    /// The best sums at the borders of buckets.
    fn best_border(&self, first: Sums) -> Sums {
        let (mut sums, mut best) = (first, first);
        for &add in &self.buckets {
            sums = sums.plus(add);
            if sums.exceeds(best) {
                best = sums;
            }
        }
        best
    }

    /// Marks the buckets that may hold more than `bar`; the first and last of them.
    fn open_buckets(&mut self, first: Sums, window: Window, bar: f64) -> Option<(usize, usize)> {
        self.open.clear();
        self.open.resize(window.buckets, false);
        let mut range = None;
        let mut sums = first;
        let needed = bar * (1.0 - SLACK);
        let width = 1.0 / window.density;
        for (index, (&add, open)) in self.buckets.iter().zip(&mut self.open).enumerate() {
            let start = window.start + index as f64 * width;
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
                while let Some(step) = steps.next_if(|step| step.bucket <= index) {
                    sums = sums.plus(step.add);
                    if sums.exceeds(best) {
                        best = sums;
                    }
                }
            }
            border = border.plus(add);
        }
        best
    }
}

/// The inverse scales between which the walk goes; `None` when no value has a code but 0.
///
/// It starts where the first code passes half its limit: below, all codes could be doubled and the scale halved at the
/// same error, so the optimum is met above too. It ends after the last step.
fn walk_range(samples: &Samples, grid: Grid) -> Option<(f64, f64)> {
    let (mut start, mut last) = (f64::INFINITY, 0.0f64);
    for (side, limit) in samples.sides(grid) {
        if limit > 0 && side.largest > 0.0 {
            start = start.min((f64::from(limit / 2) + 0.5) / side.largest);
            last = last.max(f64::from(limit) / side.smallest);
        }
    }
    (start < last).then_some((start, last))
}

/// What the best of a few scales gains, from the largest sensible one down.
fn first_mark(samples: &Samples, grid: Grid) -> f64 {
    let mut scale = samples.reach(grid);
    let mut best = (f64::INFINITY, scale);
    for _ in 0..TRIALS {
        let error = samples.glance(scale, grid);
        if error < best.0 {
            best = (error, scale);
        } else if error > TRIAL_PATIENCE * best.0 {
            break;
        }
        scale *= TRIAL_RATIO;
    }
    samples.energy - samples.error(best.1, grid)
}

/// How many buckets a window gets: enough that few steps share one, not so many that scanning them costs more than the
/// steps, nor that they leave the fast memory.
fn bucket_count(values: usize, grid: Grid) -> usize {
    let levels = grid.levels() as usize;
    (values.saturating_mul(levels) / 64).clamp(levels.clamp(16, 1024), 2048)
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

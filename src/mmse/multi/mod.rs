//! Several low-precision terms for the same values.

mod ladder;
mod sums;
mod values;

use self::ladder::Ladder;
use self::sums::{Coder, Comb, Sums, group_len};
use self::values::Values;
use super::{Grid, NotFinite, Search};

pub use self::sums::encode_multi;

/// Most terms whose codes are chosen together, and most combinations of their codes.
const GROUP: usize = 3;
const MOST_SUMS: u64 = 4096;

/// First ratios of the scales of a term and the next, over the number of the latter's codes. One is the plain grid of
/// twice the bits. With an odd number of codes to skip the terms interleave like the marks of a vernier: sums lie close
/// together near 0 and far apart near the ends, as values do; the longer their tails, the smaller the best ratio.
const RATIOS: [f64; 10] = [
    1.0,
    1.0 / 3.0,
    17.0 / 32.0,
    1.0 / 5.0,
    1.0 / 7.0,
    1.0 / 9.0,
    11.0 / 128.0,
    1.0 / 11.0,
    1.0 / 13.0,
    15.0 / 208.0,
];
/// How many of these are tried for three terms, whose 4096 sums take their time and are close enough on any.
const FEW_RATIOS: usize = 3;
/// Ratio of neighbouring first scales, and how many from the one at which nothing clips down.
const SHRINK: f64 = 0.93;
const SHRINKS: usize = 8;
/// Error over the least one so far at which smaller scales are not tried.
const PATIENCE: f64 = 2.0;
/// Starts that are followed, besides the greedy one.
const STARTS: usize = 3;
/// Most steps of the alternation, and the share of the error that a step must gain for another one: on the way to
/// choose between starts and grids, and at the end.
const STEPS: usize = 40;
const COARSE: f64 = 1e-3;
const FINE: f64 = 1e-5;
/// Sets of grids whose ladders are kept.
const KEPT: usize = 16;

/// One of several tensors whose sum stands for the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// What one code step is worth, in the values' unit; from a fit always a normal number above 0.
    pub scale: f32,
    /// The codes it was chosen for.
    pub grid: Grid,
}

/// Terms for a set of values, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiFit {
    /// At least one; the order is the one that [`encode_multi`] needs, and says nothing about their scales.
    pub terms: Vec<Term>,
    /// Sum of `w (x - sum_j scale_j q_j)^2` over the codes of [`encode_multi`], at these very f32 scales.
    pub error: f64,
    /// Sum of `w x^2`: the error of answering 0 everywhere.
    pub energy: f64,
}

impl MultiFit {
    /// `error / energy`, from 0 up; 0 when there is nothing to represent.
    pub fn relative_error(&self) -> f64 {
        if self.energy > 0.0 { self.error / self.energy } else { 0.0 }
    }

    /// Signal to quantization noise, `10 log10(energy / error)` in dB; infinite when the error is 0.
    pub fn sqnr_db(&self) -> f64 {
        if self.error > 0.0 { 10.0 * (self.energy / self.error).log10() } else { f64::INFINITY }
    }
}

/// Finds scales for several terms, the "multiple low-precision tensors" of Choukroun et al. (arXiv 1902.06822), and
/// keeps its buffers from one call to the next: one for each thread, one call for each kernel.
///
/// Given codes, the scales of least squared error are a linear problem of as many unknowns as there are terms; given
/// scales, each value's codes are those of the nearest sum. Doing one after the other never loses, and ends in a local
/// optimum, which one depends on where it started. Starts are the greedy answer (the exact best single term, then the best
/// for what it leaves) and ratios of scales known to serve well, each at the best of a few sizes. The grids are those of
/// the greedy answer; then each term's is exchanged for every other.
#[derive(Clone, Debug, Default)]
pub struct MultiSearch {
    search: Search,
    values: Values,
    sums: Sums,
    ladder: Ladder,
    /// The ladders of the first ratios, for some sets of grids.
    ladders: Vec<Vec<Ladder>>,
}

/// Scales and grids on their way, and their error in the search's unit.
type Candidate = (f64, Vec<Comb>);

impl MultiSearch {
    /// A search with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scales and grids for `terms` terms (at least 1) of small `sum w (x - sum_j scale_j q_j)^2`, each grid one of `grids`
    /// ([`Grid::signed`] of 4 bits stands in for an empty list).
    ///
    /// `weights` pairs with `values`; without it every value weighs 1. One term is the exact optimum of
    /// [`Search::fit_best`]. Of more the optimum is not known; the answer never costs more than the greedy one, nor than
    /// fewer terms of it. For two 4-bit terms the error is, on average, a few percent above that of an alternation from
    /// a thousand starts for kernels of 100 to 5000 bell-shaped values, half above it for nine, three times it for four,
    /// where either is less than a millionth of the energy. Terms beyond those that [`encode_multi`] chooses together are
    /// fitted to what these leave. The order of the values does not matter. Where every weight is 0 the values count as
    /// if unweighted, but error and energy are 0. Time `O(n log n)`, for some 100 looks at the values.
    ///
    /// # Errors
    /// [`NotFinite`] names the first value that has no place in such a sum.
    pub fn fit(
        &mut self,
        values: &[f32],
        weights: Option<&[f64]>,
        grids: &[Grid],
        terms: usize,
    ) -> Result<MultiFit, NotFinite> {
        self.search.samples_mut().load(values, weights)?;
        let grids = if grids.is_empty() { &[Grid::signed(4)] } else { grids };
        let samples = self.search.samples_mut();
        let unit = samples.unit();
        let negative = samples.negative.pairs().map(|(magnitude, weight)| (-magnitude, weight));
        self.values.load(negative.chain(samples.positive.pairs()));
        let (pairs, energy) = (self.values.pairs().to_vec(), self.values.energy());
        let mut best = self.grouped(&pairs, grids, terms.max(1));
        let mut error = error_of(&pairs, &best);
        if best.len() > GROUP {
            let greedy = self.greedy(&pairs, grids, best.len());
            let other = error_of(&pairs, &greedy);
            if other < error {
                (best, error) = (greedy, other);
            }
        }
        let outside = |sum: f64| (sum * unit).min(f64::MAX);
        Ok(MultiFit { terms: best, error: outside(error), energy: outside(energy) })
    }

    /// Terms for `pairs`, as many at a time as are chosen together.
    fn grouped(&mut self, pairs: &[(f64, f64)], grids: &[Grid], terms: usize) -> Vec<Term> {
        let levels = grids.iter().map(|grid| grid.levels()).max().unwrap_or(2);
        let mut rest = pairs.to_vec();
        let mut all = Vec::new();
        while all.len() < terms {
            let count = group_len(std::iter::repeat_n(levels, terms - all.len()));
            let group = self.group(&rest, grids, count);
            leave(&mut rest, &group);
            all.extend(group);
        }
        all
    }

    /// The exact best term for `pairs`, the exact best for what it leaves, and so on.
    fn greedy(&mut self, pairs: &[(f64, f64)], grids: &[Grid], terms: usize) -> Vec<Term> {
        let mut rest = pairs.to_vec();
        let mut all = Vec::new();
        for _ in 0..terms {
            self.search.samples_mut().load_weighted(rest.iter().copied(), 1.0);
            let fit = self.search.best_of(grids);
            let term = Term { scale: fit.scale, grid: fit.grid };
            leave(&mut rest, &[term]);
            all.push(term);
        }
        all
    }

    /// `terms` terms, at most [`GROUP`], that are chosen together.
    fn group(&mut self, pairs: &[(f64, f64)], grids: &[Grid], terms: usize) -> Vec<Term> {
        let greedy = self.greedy(pairs, grids, terms);
        if terms == 1 {
            return greedy;
        }
        self.values.load(pairs.iter().copied().filter(|&(value, _)| value != 0.0));
        let combs: Vec<Comb> = greedy.iter().map(|&term| Comb::of(term)).collect();
        let mut best = self.alternate(combs.clone(), COARSE);
        for (_, start) in self.starts(&combs) {
            let other = self.alternate(start, COARSE);
            best = if other.0 < best.0 { other } else { best };
        }
        for place in 0..terms {
            for grid in grids {
                let mut other = best.1.clone();
                let (lo, hi) = (f64::from(grid.lo()), f64::from(grid.hi()));
                if let Some(comb) = other.get_mut(place)
                    && (comb.lo, comb.hi) != (lo, hi)
                {
                    *comb = Comb { lo, hi, ..*comb };
                    let other = self.alternate(other, COARSE);
                    best = if other.0 < best.0 { other } else { best };
                }
            }
        }
        let (_, best) = self.alternate(best.1, FINE);
        let best: Option<Vec<Term>> = best.into_iter().map(term).collect();
        best.filter(|best| error_of(pairs, best) < error_of(pairs, &greedy)).unwrap_or(greedy)
    }

    /// The most promising scales for the grids of `combs`, of different ratios.
    fn starts(&mut self, combs: &[Comb]) -> Vec<Candidate> {
        let (values, ends) = (&self.values, self.values.ends());
        let (mut starts, mut solved) = (Vec::new(), Vec::new());
        for ladder in ladders(&mut self.ladders, combs) {
            let mut best: Candidate = (f64::INFINITY, Vec::new());
            let mut unit = reach(ladder.combs(), ends);
            for _ in 0..SHRINKS {
                let moments = values.climb(ladder, unit);
                solved.clear();
                solved.extend(ladder.combs().iter().map(|comb| Comb { scale: comb.scale * unit, ..*comb }));
                if moments.solve(&mut solved) {
                    let error = moments.error(values.energy(), &solved);
                    if error < best.0 {
                        best.0 = error;
                        best.1.clone_from(&solved);
                    } else if error > PATIENCE * best.0 {
                        break;
                    }
                }
                unit *= SHRINK;
            }
            if !best.1.is_empty() {
                starts.push(best);
            }
        }
        starts.sort_by(|one, other| one.0.total_cmp(&other.0));
        starts.truncate(STARTS);
        starts
    }

    /// Codes for scales and scales for codes in turn, until a step gains less than its share of the error; the best met.
    fn alternate(&mut self, mut combs: Vec<Comb>, share: f64) -> Candidate {
        let mut best: Candidate = (f64::INFINITY, combs.clone());
        for _ in 0..STEPS {
            let moments = self.values.moments(&combs, &mut self.sums, &mut self.ladder);
            let error = moments.error(self.values.energy(), &combs);
            let done = error > best.0 * (1.0 - share);
            if error < best.0 {
                best.0 = error;
                best.1.clone_from(&combs);
            }
            if done || !moments.solve(&mut combs) {
                break;
            }
        }
        best
    }
}

/// The ladders of the first ratios for the grids of `combs`, the last term's scale being 1.
fn ladders<'a>(kept: &'a mut Vec<Vec<Ladder>>, combs: &[Comb]) -> &'a [Ladder] {
    let ends = |comb: &Comb| (comb.lo, comb.hi);
    let fits = |ladders: &Vec<Ladder>| {
        ladders.first().is_some_and(|ladder| ladder.combs().iter().map(ends).eq(combs.iter().map(ends)))
    };
    if let Some(place) = kept.iter().position(fits) {
        return kept.get(place).map_or(&[], Vec::as_slice);
    }
    if kept.len() >= KEPT {
        kept.clear();
    }
    let ratios = if combs.len() > 2 { FEW_RATIOS } else { RATIOS.len() };
    let ladder = |&ratio: &f64| {
        let mut unit = 1.0;
        let mut combs = combs.to_vec();
        for comb in combs.iter_mut().rev() {
            comb.scale = unit;
            unit *= ratio * (comb.hi - comb.lo + 1.0);
        }
        let mut ladder = Ladder::default();
        ladder.set(&combs);
        ladder
    };
    kept.push(RATIOS.iter().take(ratios).map(ladder).collect());
    kept.last().map_or(&[], Vec::as_slice)
}

/// What the scales of `combs` must be multiplied by for nothing between `ends` to clip that has a code at all.
fn reach(combs: &[Comb], (min, max): (f64, f64)) -> f64 {
    let sum = |pick: fn(&Comb) -> f64| -> f64 { combs.iter().map(|comb| comb.scale * pick(comb)).sum() };
    let ratio = |end: f64, sum: f64| if sum == 0.0 { 0.0 } else { (end / sum).max(0.0) };
    let reach = ratio(min, sum(|comb| comb.lo)).max(ratio(max, sum(|comb| comb.hi)));
    if reach > 0.0 { reach } else { 1.0 }
}

/// The term with its scale rounded; `None` if that leaves the normal numbers.
fn term(comb: Comb) -> Option<Term> {
    let scale = comb.scale as f32;
    let grid = Grid::new(comb.lo as i32, comb.hi as i32)?;
    scale.is_normal().then_some(Term { scale, grid })
}

/// Takes off each value what its codes stand for.
fn leave(pairs: &mut [(f64, f64)], terms: &[Term]) {
    let coder = Coder::new(terms);
    pairs.iter_mut().for_each(|(value, _)| *value = coder.code(*value, |_, _| {}));
}

/// Squared error of `terms`.
fn error_of(pairs: &[(f64, f64)], terms: &[Term]) -> f64 {
    let coder = Coder::new(terms);
    pairs.iter().map(|&(value, weight)| weight * coder.code(value, |_, _| {}).powi(2)).sum()
}

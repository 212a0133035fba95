//! Values to the nearest of the sums that several scaled codes can form.

use super::{GROUP, MOST_SUMS, Term};
use crate::mmse::encode::nearest;

/// Scale and codes of one term, as the sums need them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comb {
    pub(super) scale: f64,
    pub(super) lo: f64,
    pub(super) hi: f64,
}

impl Comb {
    /// A term without a usable scale has only the code 0.
    pub(super) fn of(term: Term) -> Self {
        let scale = f64::from(term.scale);
        if scale > 0.0 && scale < f64::INFINITY {
            Self { scale, lo: f64::from(term.grid.lo()), hi: f64::from(term.grid.hi()) }
        } else {
            Self { scale: 1.0, lo: 0.0, hi: 0.0 }
        }
    }

    /// The codes from the lowest up.
    pub(super) fn codes(self) -> impl Iterator<Item = f64> {
        (self.lo as i32..=self.hi as i32).map(f64::from)
    }
}

/// Terms that are chosen together: the sums of all but the last, whose code then follows by rounding.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// The sums of all terms but the last, in the order of the codes, the first term's counting most.
    outer: Vec<f64>,
    /// The codes of each outer sum, and 0 for the last term.
    codes: Vec<[f64; GROUP]>,
    /// Place of the last term among the codes, its scale, the reciprocal of that, its ends.
    last: usize,
    scale: f64,
    inverse: f64,
    ends: [f64; 2],
    /// The smallest and the largest sum.
    reach: [f64; 2],
}

impl Sums {
    /// Turns into the sums of `combs`, of which there are from 1 to [`GROUP`].
    pub(super) fn set(&mut self, combs: &[Comb]) {
        let Some((last, outer)) = combs.split_last() else { return };
        self.outer.clear();
        self.codes.clear();
        self.outer.push(0.0);
        self.codes.push([0.0; GROUP]);
        for (place, comb) in outer.iter().enumerate() {
            let known = self.outer.len();
            for index in 0..known {
                let (sum, mut codes) = (self.outer[index], self.codes[index]);
                for code in comb.codes() {
                    codes[place] = code;
                    self.outer.push(sum + comb.scale * code);
                    self.codes.push(codes);
                }
            }
            self.outer.drain(..known);
            self.codes.drain(..known);
        }
        self.last = outer.len();
        self.scale = last.scale;
        self.inverse = 1.0 / last.scale;
        self.ends = [last.lo, last.hi];
        let end = |pick: fn(&Comb) -> f64| combs.iter().map(|comb| comb.scale * pick(comb)).sum();
        self.reach = [end(|comb| comb.lo), end(|comb| comb.hi)];
    }

    /// The codes of the sum nearest to `value`, the first in order among equals, and that sum. `value` is not NaN.
    pub(super) fn nearest(&self, value: f64) -> ([f64; GROUP], f64) {
        // What lies beyond all sums is nearest to the outermost; held to it, no digit of a distance is lost.
        let value = value.max(self.reach[0]).min(self.reach[1]);
        let [lo, hi] = self.ends;
        let mut best = (f64::INFINITY, 0);
        for (place, &sum) in self.outer.iter().enumerate() {
            let rest = value - sum;
            let distance = (rest - self.scale * nearest((rest * self.inverse).max(lo).min(hi))).abs();
            best = if distance < best.0 { (distance, place) } else { best };
        }
        let sum = self.outer.get(best.1).copied().unwrap_or(0.0);
        let mut codes = self.codes.get(best.1).copied().unwrap_or([0.0; GROUP]);
        let code = nearest(((value - sum) * self.inverse).max(lo).min(hi));
        codes[self.last] = code;
        (codes, sum + self.scale * code)
    }
}

/// How many terms, from the first on, are chosen together, given how many codes each has.
pub(super) fn group_len(levels: impl Iterator<Item = u32>) -> usize {
    let mut sums = 1u64;
    let fitting = levels.take(GROUP).take_while(|&levels| {
        sums = sums.saturating_mul(u64::from(levels));
        sums <= MOST_SUMS
    });
    fitting.count().max(1)
}

/// Any number of terms, group after group.
pub(super) struct Coder {
    /// The sums of each group and how many terms they have.
    groups: Vec<(Sums, usize)>,
}

impl Coder {
    pub(super) fn new(terms: &[Term]) -> Self {
        let mut groups = Vec::new();
        let mut others = terms;
        while !others.is_empty() {
            let (group, rest) = others.split_at(group_len(others.iter().map(|term| term.grid.levels())));
            let combs: Vec<Comb> = group.iter().map(|&term| Comb::of(term)).collect();
            let mut sums = Sums::default();
            sums.set(&combs);
            groups.push((sums, group.len()));
            others = rest;
        }
        Self { groups }
    }

    /// Hands the code of each term to `take`; what the codes leave of `value`.
    pub(super) fn code(&self, value: f64, mut take: impl FnMut(usize, f64)) -> f64 {
        let (mut rest, mut place) = (value, 0);
        for (sums, terms) in &self.groups {
            let (codes, sum) = sums.nearest(rest);
            rest -= sum;
            codes.iter().take(*terms).for_each(|&code| {
                take(place, code);
                place += 1;
            });
        }
        rest
    }
}

/// Replaces `codes` by one row for each term: the codes whose sum `scale_1 q_1 + scale_2 q_2 + ...` is nearest to each
/// value.
///
/// The first terms, up to three and as long as their codes have at most 4096 combinations (two or three 4-bit terms), are
/// chosen together: exactly, in f64, over all combinations. Terms beyond these code what they leave, in groups by the same
/// rule. Among equally near sums the first in the order of the codes is taken, the first term's counting most. Total: NaN
/// gets the code 0 throughout, an infinity the end of every grid, and a term whose scale is not a finite number above 0
/// the code 0.
pub fn encode_multi(values: &[f32], terms: &[Term], codes: &mut Vec<Vec<i32>>) {
    codes.resize_with(terms.len(), Vec::new);
    for row in codes.iter_mut() {
        row.clear();
        row.resize(values.len(), 0);
    }
    let coder = Coder::new(terms);
    for (place, &value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        coder.code(f64::from(value), |term, code| {
            if let Some(slot) = codes.get_mut(term).and_then(|row| row.get_mut(place)) {
                *slot = code as i32;
            }
        });
    }
}

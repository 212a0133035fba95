//! Values in order, and what the codes nearest to them add up to.

use super::GROUP;
use super::ladder::Ladder;
use super::sums::{Comb, Sums};

/// Values from which on the borders between sums are looked for among the values, rather than each value among the sums.
const MANY: usize = 100;
/// Share of a term's own sum that the other terms must leave for the normal equations to be solved.
const SINGULAR: f64 = 1e-10;

/// Values with their weights, from the smallest up.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pairs: Vec<(f64, f64)>,
    /// Sum of `w x^2`.
    energy: f64,
    /// Sums of `w` and `w x` over the values before each place.
    before: Vec<[f64; 2]>,
    /// How many values lie in lower cells, for each of some cells of equal width.
    index: Vec<u32>,
    density: f64,
}

impl Values {
    /// Takes in values with weights above 0, in any order.
    pub(super) fn load(&mut self, pairs: impl Iterator<Item = (f64, f64)>) {
        self.pairs.clear();
        self.pairs.extend(pairs);
        self.pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        self.energy = self.pairs.iter().map(|&(value, weight)| weight * value * value).sum();
        self.before.clear();
        self.index.clear();
        if self.pairs.len() < MANY {
            return;
        }
        let mut sums = [0.0; 2];
        self.before.push(sums);
        for &(value, weight) in &self.pairs {
            sums = [sums[0] + weight, sums[1] + weight * value];
            self.before.push(sums);
        }
        let (first, last) = self.ends();
        let cells = self.pairs.len() * 2;
        self.density = if last > first { cells as f64 / (last - first) } else { 0.0 };
        for (place, &(value, _)) in self.pairs.iter().enumerate() {
            let cell = ((value - first) * self.density) as usize;
            if cell >= self.index.len() {
                self.index.resize(cell + 1, place as u32);
            }
        }
    }

    pub(super) fn pairs(&self) -> &[(f64, f64)] {
        &self.pairs
    }

    pub(super) fn energy(&self) -> f64 {
        self.energy
    }

    /// The smallest and the largest value; zeros when there is none.
    pub(super) fn ends(&self) -> (f64, f64) {
        let value = |pair: Option<&(f64, f64)>| pair.map_or(0.0, |pair| pair.0);
        (value(self.pairs.first()), value(self.pairs.last()))
    }

    /// How many values lie below `edge`. A value's cell rises with it, so that only values of the same cell need a look.
    fn below(&self, edge: f64) -> usize {
        let cell = (edge - self.ends().0) * self.density;
        if cell < 0.0 {
            return 0;
        }
        let count = |cell: usize| self.index.get(cell).map_or(self.pairs.len(), |&count| count as usize);
        let (start, end) = (count(cell as usize), count((cell as usize).saturating_add(1)));
        let same = self.pairs.get(start..end).unwrap_or_default();
        start + same.partition_point(|pair| pair.0 < edge)
    }

    /// What the codes nearest on `ladder`, its sums `unit` times as large, add up to.
    pub(super) fn climb(&self, ladder: &Ladder, unit: f64) -> Moments {
        let mut moments = Moments { terms: ladder.combs().len(), ..Moments::default() };
        if self.before.is_empty() {
            let inverse = 1.0 / unit;
            for &(value, weight) in &self.pairs {
                moments.add(ladder.codes(ladder.nearest(value * inverse)), weight, weight * value);
            }
            return moments;
        }
        let (mut from, mut start) = (0, [0.0; 2]);
        let edges = ladder.middles().iter().map(|&middle| self.below(middle * unit));
        for (rung, to) in edges.chain(std::iter::once(self.pairs.len())).enumerate() {
            if to > from
                && let Some(&end) = self.before.get(to)
            {
                moments.add(ladder.codes(rung), end[0] - start[0], end[1] - start[1]);
                (from, start) = (to, end);
            }
        }
        moments
    }

    /// What the codes nearest at the scales of `combs` add up to.
    pub(super) fn moments(&self, combs: &[Comb], sums: &mut Sums, ladder: &mut Ladder) -> Moments {
        if !self.before.is_empty() {
            ladder.set(combs);
            return self.climb(ladder, 1.0);
        }
        let mut moments = Moments { terms: combs.len(), ..Moments::default() };
        sums.set(combs);
        for &(value, weight) in &self.pairs {
            moments.add(sums.nearest(value).0, weight, weight * value);
        }
        moments
    }
}

/// What the fit of scales to given codes needs: `sum w q_i q_j` (for `j <= i`) and `sum w x q_i`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    terms: usize,
    gram: [[f64; GROUP]; GROUP],
    dot: [f64; GROUP],
}

impl Moments {
    /// Counts values of one set of codes: the sums of their weights and of their weighted values.
    fn add(&mut self, codes: [f64; GROUP], weight: f64, moment: f64) {
        for one in 0..self.terms {
            self.dot[one] += moment * codes[one];
            for other in 0..=one {
                self.gram[one][other] += weight * codes[one] * codes[other];
            }
        }
    }

    /// Squared error of these codes at the scales of `combs`, for values of this energy.
    pub(super) fn error(&self, energy: f64, combs: &[Comb]) -> f64 {
        let mut error = energy;
        for one in 0..self.terms {
            let scale = combs[one].scale;
            error += scale * (scale * self.gram[one][one] - 2.0 * self.dot[one]);
            for (with, product) in combs.iter().zip(self.gram[one]).take(one) {
                error += 2.0 * scale * with.scale * product;
            }
        }
        error
    }

    /// Moves the scales to those of least squared error for these codes. Where that is not one answer, or not all of it
    /// above 0, each scale in turn moves to its best for the others. False if a scale is not above 0 then either.
    pub(super) fn solve(&self, combs: &mut [Comb]) -> bool {
        if let Some(scales) = self.solved() {
            combs.iter_mut().zip(scales).for_each(|(comb, scale)| comb.scale = scale);
            return true;
        }
        for one in 0..self.terms {
            let others: f64 = (0..self.terms)
                .filter(|&other| other != one)
                .map(|other| combs[other].scale * self.gram[one.max(other)][one.min(other)])
                .sum();
            if self.gram[one][one] > 0.0 {
                combs[one].scale = (self.dot[one] - others) / self.gram[one][one];
            }
        }
        combs.iter().all(|comb| comb.scale > 0.0)
    }

    /// The answer of the normal equations, by Cholesky's method; `None` where they have no clear one above 0.
    fn solved(&self) -> Option<[f64; GROUP]> {
        let mut root = [[0.0f64; GROUP]; GROUP];
        let mut scales = [0.0; GROUP];
        for one in 0..self.terms {
            for other in 0..=one {
                let known: f64 = (0..other).map(|k| root[one][k] * root[other][k]).sum();
                let rest = self.gram[one][other] - known;
                root[one][other] = if one != other {
                    rest / root[other][other]
                } else if rest > SINGULAR * self.gram[one][one] {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
            let known: f64 = (0..one).map(|k| root[one][k] * scales[k]).sum();
            scales[one] = (self.dot[one] - known) / root[one][one];
        }
        for one in (0..self.terms).rev() {
            let known: f64 = (one + 1..self.terms).map(|k| root[k][one] * scales[k]).sum();
            scales[one] = (scales[one] - known) / root[one][one];
        }
        scales.iter().take(self.terms).all(|&scale| scale > 0.0).then_some(scales)
    }
}

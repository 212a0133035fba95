//! The numbers of one search, laid out for it.

use super::encode::nearest;
use super::{Fit, Grid, NotFinite};

/// Values that are enough to tell a good scale from a bad one.
const GLANCE: usize = 256;

/// The values of one sign: their magnitudes, reciprocals and weights side by side. Zeros and values that weigh nothing
/// are left out: no scale changes what they cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) magnitudes: Vec<f64>,
    pub(super) inverses: Vec<f64>,
    pub(super) weights: Vec<f64>,
    /// Largest magnitude, 0 when there is none.
    pub(super) largest: f64,
    /// Smallest magnitude, 0 when there is none.
    pub(super) smallest: f64,
}

impl Side {
    fn clear(&mut self) {
        self.magnitudes.clear();
        self.inverses.clear();
        self.weights.clear();
        self.largest = 0.0;
        self.smallest = 0.0;
    }

    fn push(&mut self, magnitude: f64, weight: f64) {
        self.smallest = if self.magnitudes.is_empty() { magnitude } else { self.smallest.min(magnitude) };
        self.magnitudes.push(magnitude);
        self.inverses.push(1.0 / magnitude);
        self.weights.push(weight);
        self.largest = self.largest.max(magnitude);
    }

    /// Magnitudes and weights.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.magnitudes.iter().copied().zip(self.weights.iter().copied())
    }

    /// Sum of `cost(magnitude, weight)`, in four running sums that the processor need not wait for one after another.
    /// Of every `stride` groups of four values one is looked at; 1 for all.
    fn sum(&self, stride: usize, cost: impl Fn(f64, f64) -> f64) -> f64 {
        let (magnitudes, rest) = self.magnitudes.as_chunks::<4>();
        let (weights, rest_weights) = self.weights.as_chunks::<4>();
        let mut sums = [0.0; 4];
        let mut add = |magnitudes: &[f64; 4], weights: &[f64; 4]| {
            for lane in 0..4 {
                sums[lane] += cost(magnitudes[lane], weights[lane]);
            }
        };
        if stride > 1 {
            magnitudes.iter().zip(weights).step_by(stride).for_each(|(m, w)| add(m, w));
        } else {
            magnitudes.iter().zip(weights).for_each(|(m, w)| add(m, w));
        }
        let rest: f64 =
            rest.iter().zip(rest_weights).map(|(&magnitude, &weight)| cost(magnitude, weight)).sum();
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
    }

    /// Squared error with codes `0..=limit` nearest at `scale`.
    fn error(&self, stride: usize, scale: f64, limit: f64) -> f64 {
        self.sum(stride, |magnitude, weight| {
            let distance = magnitude - scale * nearest((magnitude / scale).min(limit));
            weight * distance * distance
        })
    }

    /// Squared error of what lies beyond `edge`.
    fn clipped(&self, edge: f64) -> f64 {
        if self.largest <= edge {
            return 0.0;
        }
        self.sum(1, |magnitude, weight| {
            let beyond = (magnitude - edge).max(0.0);
            weight * beyond * beyond
        })
    }
}

/// Values with weights, by sign.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    pub(super) positive: Side,
    pub(super) negative: Side,
    /// Sum of `w x^2` over both sides, in the search's own unit of weight.
    pub(super) energy: f64,
    /// What the search's unit of weight is worth to the caller.
    unit: f64,
}

impl Samples {
    /// Takes `values` in. Where every weight is zero the values are kept as if unweighted, but cost nothing.
    pub(super) fn load(&mut self, values: &[f32], weights: Option<&[f64]>) -> Result<(), NotFinite> {
        let Some(weights) = weights else {
            self.start(1.0);
            for (index, &value) in values.iter().enumerate() {
                if !value.is_finite() {
                    return Err(NotFinite { index });
                }
                self.push(f64::from(value), 1.0);
            }
            return Ok(());
        };
        let mut heaviest = 0.0f64;
        for (index, &value) in values.iter().enumerate() {
            match weights.get(index) {
                Some(&weight) if value.is_finite() && weight.is_finite() && weight >= 0.0 => {
                    if value != 0.0 {
                        heaviest = heaviest.max(weight);
                    }
                }
                _ => return Err(NotFinite { index }),
            }
        }
        if heaviest == 0.0 {
            self.load(values, None)?;
            self.unit = 0.0;
            return Ok(());
        }
        self.load_weighted(
            values.iter().zip(weights).map(|(&value, &weight)| (f64::from(value), weight)),
            heaviest,
        );
        Ok(())
    }

    /// Takes in pairs of a finite value, no larger than an f32, and a finite weight from 0 to `heaviest`.
    pub(super) fn load_weighted(&mut self, pairs: impl Iterator<Item = (f64, f64)>, heaviest: f64) {
        // A power of two near the heaviest weight: no digit is lost, and no square of a weighted sum can overflow.
        let unit = f64::from_bits(heaviest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
        self.start(unit);
        for (value, weight) in pairs {
            let weight = weight / unit;
            if weight > 0.0 {
                self.push(value, weight);
            }
        }
    }

    fn start(&mut self, unit: f64) {
        self.positive.clear();
        self.negative.clear();
        self.energy = 0.0;
        self.unit = unit;
    }

    fn push(&mut self, value: f64, weight: f64) {
        if value > 0.0 {
            self.positive.push(value, weight);
        } else if value < 0.0 {
            self.negative.push(-value, weight);
        }
        self.energy += weight * value * value;
    }

    /// How many values any scale could serve.
    pub(super) fn len(&self) -> usize {
        self.positive.weights.len() + self.negative.weights.len()
    }

    /// The two sides, each with the largest code magnitude that `grid` offers it.
    pub(super) fn sides(&self, grid: Grid) -> [(&Side, u32); 2] {
        [(&self.positive, grid.hi().unsigned_abs()), (&self.negative, grid.lo().unsigned_abs())]
    }

    /// The smallest scale at which nothing clips that has a code at all; 0 when nothing has.
    pub(super) fn reach(&self, grid: Grid) -> f64 {
        let reach =
            |(side, limit): (&Side, u32)| if limit == 0 { 0.0 } else { side.largest / f64::from(limit) };
        let [positive, negative] = self.sides(grid);
        reach(positive).max(reach(negative))
    }

    /// The part of the error at `scale` that clipping alone causes; it never falls as the scale does.
    pub(super) fn clipped(&self, scale: f64, grid: Grid) -> f64 {
        self.sides(grid).iter().map(|(side, limit)| side.clipped(scale * f64::from(*limit))).sum()
    }

    /// Squared error at `scale > 0` with nearest codes, in the search's unit.
    pub(super) fn error(&self, scale: f64, grid: Grid) -> f64 {
        self.sides(grid).iter().map(|(side, limit)| side.error(1, scale, f64::from(*limit))).sum()
    }

    /// [`Samples::error`] of some hundred of the values, to compare scales with.
    pub(super) fn glance(&self, scale: f64, grid: Grid) -> f64 {
        let stride = (self.len() / GLANCE).max(1);
        self.sides(grid).iter().map(|(side, limit)| side.error(stride, scale, f64::from(*limit))).sum()
    }

    /// The fit that `scale` is, in the caller's unit.
    pub(super) fn judge(&self, scale: f32, grid: Grid) -> Fit {
        let outside = |sum: f64| (sum * self.unit).min(f64::MAX);
        Fit { scale, grid, error: outside(self.error(f64::from(scale), grid)), energy: outside(self.energy) }
    }

    /// What the search's unit of weight is worth to the caller.
    pub(super) fn unit(&self) -> f64 {
        self.unit
    }
}

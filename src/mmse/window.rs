//! Codes on their way: a stretch of inverse scales, the steps of the codes in it, and their sums.

use super::encode::nearest;
use super::samples::Side;

/// Added to a number from 0 to 2^32, leaves its nearest integer in the lowest bits.
const INTEGER: f64 = 4_503_599_627_370_496.0;

/// One breakpoint: where it lies and what it adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// In buckets from the start of its window.
    pub(super) place: f64,
    pub(super) bucket: usize,
    pub(super) add: [f64; 2],
}

/// `A = sum w |x| k` and `B = sum w k^2` of some codes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) a: f64,
    pub(super) b: f64,
}

/// Codes that are all 0: they gain nothing.
pub(super) const NOTHING: Sums = Sums { a: 0.0, b: 0.0 };

impl Sums {
    pub(super) fn plus(self, add: [f64; 2]) -> Self {
        Self { a: self.a + add[0], b: self.b + add[1] }
    }

    /// Whether these codes gain more; compared without dividing.
    pub(super) fn exceeds(self, other: Self) -> bool {
        self.a * self.a * other.b > other.a * other.a * self.b || other.b == 0.0
    }

    /// `A^2 / B`: how much of the energy these codes explain.
    pub(super) fn gain(self) -> f64 {
        if self.b > 0.0 { self.a / self.b * self.a } else { 0.0 }
    }
}

/// A stretch of the inverse scale, cut into buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: f64,
    /// Buckets to a unit of inverse scale.
    pub(super) density: f64,
    pub(super) buckets: usize,
}

impl Window {
    /// Adds the steps of `side` that fall into the window to `buckets`; the sums of those before it.
    pub(super) fn fill(self, side: &Side, limit: u32, buckets: &mut [[f64; 2]]) -> Sums {
        let mut before = NOTHING;
        let limit = f64::from(limit);
        let (end, offset) = (buckets.len() as f64, self.start * self.density);
        let values = side.magnitudes.iter().zip(&side.inverses).zip(&side.weights);
        for ((&magnitude, &inverse), &weight) in values {
            let mut code = nearest((self.start * magnitude).min(limit));
            let moment = weight * magnitude;
            before.a += moment * code;
            before.b += weight * code * code;
            let pace = inverse * self.density;
            while code < limit {
                let place = (code + 0.5) * pace - offset;
                if place >= end {
                    break;
                }
                if let Some(bucket) = buckets.get_mut(bucket_of(place)) {
                    bucket[0] += moment;
                    bucket[1] += weight * (2.0 * code + 1.0);
                }
                code += 1.0;
            }
        }
        before
    }

    /// Collects the steps of `side` in open buckets from `from` to `to`. Places are computed as in [`Window::fill`], so
    /// that a step is found in the bucket it was summed into.
    pub(super) fn gather(
        self,
        side: &Side,
        limit: u32,
        (from, to): (usize, usize),
        open: &[bool],
        steps: &mut Vec<Step>,
    ) {
        let limit = f64::from(limit);
        // Half a bucket early and late: the exact bucket decides.
        let early = self.start.max(self.start + (from as f64 - 0.5) / self.density);
        let (end, offset) = ((open.len() as f64).min(to as f64 + 1.5), self.start * self.density);
        let values = side.magnitudes.iter().zip(&side.inverses).zip(&side.weights);
        for ((&magnitude, &inverse), &weight) in values {
            let mut code = nearest((early * magnitude).min(limit));
            let pace = inverse * self.density;
            while code < limit {
                let place = (code + 0.5) * pace - offset;
                if place >= end {
                    break;
                }
                let bucket = bucket_of(place);
                if open.get(bucket) == Some(&true) {
                    steps.push(Step {
                        place,
                        bucket,
                        add: [weight * magnitude, weight * (2.0 * code + 1.0)],
                    });
                }
                code += 1.0;
            }
        }
    }
}

/// The bucket of a place below 2^32: its whole part, up to rounding at a border, and 0 for what rounding put before 0.
fn bucket_of(place: f64) -> usize {
    ((place - 0.5).max(0.0) + INTEGER).to_bits() as u32 as usize
}

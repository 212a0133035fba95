//! What a model's own parameters say of its activations.

use std::collections::BTreeMap;

/// Mean and variance of each channel of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// Mean, one a channel.
    pub mean: Vec<f64>,
    /// Variance, as many.
    pub variance: Vec<f64>,
}

impl Channels {
    /// Whether there are any, all are finite, and no variance is negative.
    pub fn is_sound(&self) -> bool {
        let finite = |all: &[f64]| all.iter().all(|value| value.is_finite());
        !self.mean.is_empty()
            && self.mean.len() == self.variance.len()
            && finite(&self.mean)
            && finite(&self.variance)
            && self.variance.iter().all(|&variance| variance >= 0.0)
    }

    /// The sum with an independent value; `None` where there are not as many channels.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let add =
            |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one + other).collect();
        (self.mean.len() == other.mean.len()).then(|| Self {
            mean: add(&self.mean, &other.mean),
            variance: add(&self.variance, &other.variance),
        })
    }

    /// These for `count` elements, as many in a row of each channel; `None` where that does not come out even.
    pub fn spread(&self, count: usize) -> Option<Self> {
        let length = self.mean.len();
        if length == 0 || !count.is_multiple_of(length) {
            return None;
        }
        let repeat =
            |all: &[f64]| all.iter().flat_map(|&value| std::iter::repeat_n(value, count / length)).collect();
        Some(Self { mean: repeat(&self.mean), variance: repeat(&self.variance) })
    }
}

/// Statistics by the name of the value.
pub type Expected = BTreeMap<String, Channels>;

//! How a plan was found that keeps a budget.

use serde::Serialize;

use super::{Doubt, Loss};
use crate::options::Budget;

/// What was tried for a budget, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budgeted {
    /// The limits.
    pub asked: Budget,
    /// Whether the plan keeps all of them, as far as the samples say.
    pub met: bool,
    /// Why the float model's answers on these samples say nothing, so that no limit on their loss can be kept.
    pub doubts: Vec<Doubt>,
    /// Samples that were held back to judge plans, and not calibrated on then.
    pub held_back: usize,
    /// Steps from the plan asked for to one in which everything is float, the one that gains most for its bytes first. Where the
    /// plan asked for is too large, they begin at one in which weights have as few bits as the file can hold.
    pub steps: usize,
    /// How many of them were taken.
    pub taken: usize,
    /// The plans that were tried, in order.
    pub trials: Vec<Trial>,
    /// What stands in the way of less loss: decisions and their share in the noise, the largest first. Empty where the budget
    /// is kept.
    pub in_the_way: Vec<(String, f64)>,
    /// How many labelled samples could show that the limit on the drop is kept, where those held back cannot.
    pub needed: Option<usize>,
    /// How many samples could show that the limit on the agreement is kept, where those held back cannot.
    pub needed_for_agreement: Option<usize>,
}

/// A plan that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Steps taken.
    pub taken: usize,
    /// Whether the samples held back were used in making it, as the last plans do.
    pub all_samples: bool,
    /// Bytes of the file that it would make.
    pub bytes: u64,
    /// Bits a float parameter.
    pub effective_bits: f64,
    /// How far its outputs are from the float network's.
    pub loss: Loss,
    /// The drop of top-1 that errors as large as its lead one to expect, in points.
    pub expected_drop: Option<f64>,
    /// What the drop is at most, in points, at 95 % confidence.
    pub drop_bound: Option<f64>,
    /// The share of samples with the same class that errors as large as its lead one to expect, where the first output has
    /// class scores.
    pub expected_agreement: Option<f64>,
    /// Whether it keeps the budget.
    pub kept: bool,
}

impl Budgeted {
    /// The plan that was taken: as it was tried without the samples held back, if it was, so that these say something of it.
    pub fn judged(&self) -> Option<&Trial> {
        let taken = || self.trials.iter().rev().filter(|trial| trial.taken == self.taken);
        taken().find(|trial| !trial.all_samples).or_else(|| taken().next())
    }
}

impl Trial {
    /// Whether its file keeps the limits on sizes.
    pub fn fits(&self, budget: &Budget) -> bool {
        budget.max_bytes.is_none_or(|most| self.bytes <= most)
            && budget.max_bits.is_none_or(|most| self.effective_bits <= most)
    }
}

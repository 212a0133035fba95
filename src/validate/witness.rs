//! Who sees the outputs that both models give.

use std::fmt;
use std::sync::Arc;

use crate::runtime::Output;

/// What both models give for one sample.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The place of the sample among those that both models run on.
    pub sample: usize,
    /// Its class indices; none where the samples have no labels.
    pub labels: &'s [i64],
    /// The outputs of the float model, in the order of its graph.
    pub float: &'s [Output],
    /// Those of the quantized one.
    pub quantized: &'s [Output],
}

/// Sees the outputs of both models, for a figure of merit of a program's own.
pub trait Witness: Send + Sync {
    /// Sees those of one sample: each once, in their order, one after another. Where the work has to be done anew, on other samples, it
    /// begins again with sample 0.
    fn saw(&self, seen: &Seen);
}

/// A witness, or none.
#[derive(Clone, Default)]
pub struct Watch(pub Option<Arc<dyn Witness>>);

impl Watch {
    /// Nobody watches.
    pub const NOBODY: Self = Self(None);

    /// Tells the witness, where there is one.
    pub fn tell(&self, seen: &Seen) {
        if let Some(witness) = &self.0 {
            witness.saw(seen);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Watch(a witness)" } else { "Watch(nobody)" })
    }
}

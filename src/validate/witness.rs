//! Who sees the outputs that both models give.

use std::fmt;
use std::sync::Arc;

use crate::runtime::Output;

/// What both models give for one sample.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The place of the sample among those that both models run on.
    pub sample: usize,
    /// What a person calls it: its file, or its place in its file.
    pub name: &'s str,
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

/// Witnesses, or none.
#[derive(Clone, Default)]
pub struct Watch(Vec<Arc<dyn Witness>>);

impl Watch {
    /// Nobody watches.
    pub const NOBODY: Self = Self(Vec::new());

    /// Takes one more.
    pub fn add(&mut self, witness: Arc<dyn Witness>) {
        self.0.push(witness);
    }

    /// Whether there is a witness.
    pub fn is_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Tells all witnesses.
    pub fn tell(&self, seen: &Seen) {
        self.0.iter().for_each(|witness| witness.saw(seen));
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Watch({} witnesses)", self.0.len())
    }
}

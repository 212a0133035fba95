//! What a runtime will not take of a model.

use std::path::PathBuf;

use serde::Serialize;

/// One objection of a target to one node, or to the model as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The node, or its first output where it has no name; empty for the model as a whole.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// The tensor concerned; empty where it is none in particular.
    pub tensor: String,
    /// What is not taken, and what would be.
    pub problem: String,
    /// Whether the target refuses it; otherwise it runs, but in float or, where that is said, with sums that may saturate.
    pub refused: bool,
    /// Whether it runs in integers whose sums may saturate.
    pub saturates: bool,
}

/// A model held against a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The model.
    pub input: PathBuf,
    /// The target's name.
    pub target: String,
    /// How many reads of quantized constants and activations were looked at.
    pub quantized: usize,
    /// What breaks the definitions of operators, then what the target objects to: each in graph order, the model as a whole first.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether the target refuses anything, or computes something else: sums that saturate.
    pub fn has_objections(&self) -> bool {
        self.findings.iter().any(|finding| finding.refused || finding.saturates)
    }
}

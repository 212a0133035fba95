//! What stands against taking the figures of a judgement for what they seem to be.

use serde::Serialize;

use super::second::{Parting, Unjudged};
use crate::plan::decision::Overlap;

/// One reason not to trust the figures of a judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// The float model is right hardly more often than guessing is.
    Chance {
        /// Share of the labelled rows on which the float model is right.
        float_top1: f64,
        /// Share on which guessing is right: one over the number of classes.
        chance: f64,
        /// Labelled rows.
        rows: usize,
    },
    /// The float model's outputs are the same on all samples, and the samples are not.
    Alike {
        /// Samples.
        samples: usize,
    },
    /// Outputs of the float model hold NaN, which is compared with nothing.
    NotANumber {
        /// Samples on which they do.
        samples: usize,
        /// Samples in all.
        of: usize,
    },
    /// The labels were not used: the first output is no row of class scores for each of them.
    Unscored {
        /// The first output.
        output: String,
        /// Its dimensions on the first such sample.
        dims: Vec<usize>,
        /// Labels of that sample.
        labels: usize,
    },
    /// There are fewer class folders than classes, so that their order may not be the classes' order.
    FewerFolders {
        /// Class folders.
        folders: usize,
        /// Classes of the first output.
        classes: usize,
    },
    /// Class folders are numbered by the numbers in their names, and sorting the names as text gives another order.
    OrderOfFolders {
        /// A folder, and one behind it that sorted text puts in front of it.
        folders: [String; 2],
    },
    /// What comes last in the model was not run, and values in front of it were judged.
    Edge {
        /// These values.
        values: Vec<String>,
        /// Why the rest was not run.
        reason: String,
    },
    /// Samples that were left out.
    LeftOut {
        /// Which, and why.
        samples: Vec<Flawed>,
        /// Samples in all.
        of: usize,
    },
    /// Samples that the quantized file was calibrated on.
    Calibrated(Overlap),
    /// Two runtimes do not agree.
    JudgesPart {
        /// The runtimes, in the order of the values.
        judges: [String; 2],
        /// In which figures.
        partings: Vec<Parting>,
    },
    /// A runtime computes something else from the written file with its optimizations than without.
    OptimizationsPart {
        /// The runtime.
        judge: String,
        /// In which figures: with optimizations, and without.
        partings: Vec<Parting>,
    },
    /// A second runtime was asked and could not judge.
    NoSecond(Unjudged),
    /// A second runtime could not run the written file without its optimizations.
    NotUnoptimized(Unjudged),
}

impl Doubt {
    /// Whether the figures say nothing at all, since the float model's outputs say nothing.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Chance { .. } | Self::Alike { .. })
    }
}

/// A sample that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flawed {
    /// Which one, as in "sample 3", counted from 0 in its file.
    pub sample: String,
    /// The input.
    pub input: String,
    /// What it holds: NaN, or an infinite value.
    pub holds: String,
}

//! What stands against taking the figures of a judgement for what they seem to be.

use serde::{Deserialize, Serialize};

use super::second::{Parting, Unjudged};
use crate::plan::decision::Overlap;

/// One reason not to trust the figures of a judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        /// Whether a preset or a preprocess file says what pixels become.
        preprocessed: bool,
    },
    /// The float model's outputs are the same on all samples, and the samples are not.
    Alike {
        /// Samples.
        samples: usize,
        /// Whether a preset or a preprocess file says what pixels become.
        preprocessed: bool,
    },
    /// Outputs of the float model hold NaN, which is compared with nothing.
    NotANumber {
        /// Samples on which they do.
        samples: usize,
        /// Samples in all.
        of: usize,
        /// Whether a preset or a preprocess file says what pixels become.
        preprocessed: bool,
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
    /// Samples that were not used, since the model computes out of all proportion to its size.
    Excessive {
        /// Samples that were used.
        used: usize,
        /// Samples in all.
        of: usize,
        /// What a run computes.
        reason: String,
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

/// What a [`Doubt`] is about; as JSON its `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// The float model is hardly better than guessing.
    Chance,
    /// The float model's outputs are the same on all samples.
    Alike,
    /// The float model gives NaN.
    NotANumber,
    /// The labels were not used.
    Unscored,
    /// There are fewer class folders than classes.
    FewerFolders,
    /// Class folders sort one way by number and another way as text.
    OrderOfFolders,
    /// The end of the model was not run.
    Edge,
    /// Samples were left out.
    LeftOut,
    /// Samples were not used, since the model computes out of all proportion to its size.
    Excessive,
    /// The file was calibrated on samples that judge it.
    Calibrated,
    /// Two runtimes do not agree.
    JudgesPart,
    /// A runtime does not agree with itself without its optimizations.
    OptimizationsPart,
    /// A second runtime could not judge.
    NoSecond,
    /// A second runtime could not run the file without its optimizations.
    NotUnoptimized,
}

impl Doubt {
    /// What it is about.
    pub fn kind(&self) -> DoubtKind {
        match self {
            Self::Chance { .. } => DoubtKind::Chance,
            Self::Alike { .. } => DoubtKind::Alike,
            Self::NotANumber { .. } => DoubtKind::NotANumber,
            Self::Unscored { .. } => DoubtKind::Unscored,
            Self::FewerFolders { .. } => DoubtKind::FewerFolders,
            Self::OrderOfFolders { .. } => DoubtKind::OrderOfFolders,
            Self::Edge { .. } => DoubtKind::Edge,
            Self::LeftOut { .. } => DoubtKind::LeftOut,
            Self::Excessive { .. } => DoubtKind::Excessive,
            Self::Calibrated(_) => DoubtKind::Calibrated,
            Self::JudgesPart { .. } => DoubtKind::JudgesPart,
            Self::OptimizationsPart { .. } => DoubtKind::OptimizationsPart,
            Self::NoSecond(_) => DoubtKind::NoSecond,
            Self::NotUnoptimized(_) => DoubtKind::NotUnoptimized,
        }
    }

    /// Whether the figures say nothing at all, since the float model's outputs say nothing.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Chance { .. } | Self::Alike { .. })
    }
}

/// A sample that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flawed {
    /// Which one, as in "sample 3", counted from 0 in its file.
    pub sample: String,
    /// The input.
    pub input: String,
    /// What it holds: NaN, or an infinite value.
    pub holds: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_called_what_json_calls_it() {
        let why = || Unjudged { judge: "onnxruntime".into(), reason: "not found".into() };
        let overlap = Overlap { samples: 1, of: 2, exact: true };
        let judges = ["tract".into(), "onnxruntime".into()];
        let doubts = [
            Doubt::Chance { float_top1: 0.1, chance: 0.1, rows: 10, preprocessed: true },
            Doubt::Alike { samples: 2, preprocessed: false },
            Doubt::NotANumber { samples: 1, of: 2, preprocessed: false },
            Doubt::Unscored { output: "y".into(), dims: vec![1], labels: 1 },
            Doubt::FewerFolders { folders: 1, classes: 2 },
            Doubt::OrderOfFolders { folders: ["2".into(), "10".into()] },
            Doubt::Edge { values: Vec::new(), reason: "unknown".into() },
            Doubt::LeftOut { samples: Vec::new(), of: 2 },
            Doubt::Excessive { used: 1, of: 2, reason: "much".into() },
            Doubt::Calibrated(overlap),
            Doubt::JudgesPart { judges, partings: Vec::new() },
            Doubt::OptimizationsPart { judge: "onnxruntime".into(), partings: Vec::new() },
            Doubt::NoSecond(why()),
            Doubt::NotUnoptimized(why()),
        ];
        for doubt in doubts {
            assert_eq!(json!(doubt)["kind"], json!(doubt.kind()));
        }
    }
}

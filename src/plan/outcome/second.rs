//! What another runtime says of the same files.

use serde::{Deserialize, Serialize};

use super::{OutputError, Score};

/// What was measured in one runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Right answers, where there are labels.
    pub scores: Option<Score>,
    /// Share of samples on which both models choose the same class.
    pub agreement: Option<f64>,
    /// The outputs, in graph order.
    pub outputs: Vec<OutputError>,
}

/// The opinion of a second runtime, which ran the float file and the written one as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// The runtime, with its version where that is known.
    pub judge: String,
    /// What it says.
    #[serde(flatten)]
    pub opinion: Opinion,
}

/// Whether a second runtime could judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Opinion {
    /// It ran both files.
    Validated(Box<Measured>),
    /// It could not.
    NotValidated {
        /// Why.
        reason: String,
    },
}

/// What a second runtime measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Both files with the optimizations that it uses unless told otherwise.
    #[serde(flatten)]
    pub figures: Figures,
    /// The written file without any; `None` where that could not be run.
    pub unoptimized: Option<Figures>,
}

/// A judge that could not judge, where another did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unjudged {
    /// The runtime.
    pub judge: String,
    /// Why.
    pub reason: String,
}

/// What two judgements are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// SQNR of an output, in dB; `None` where it is equal to the float model's.
    Sqnr,
    /// Values of an output that are no longer finite.
    Broken,
    /// Share of samples on which both models choose the same class.
    Agreement,
    /// Share of labelled samples on which the float model is right.
    FloatTop1,
    /// Share of labelled samples on which the quantized model is right.
    QuantizedTop1,
}

/// A figure in which two judgements differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parting {
    /// Which figure.
    pub measure: Measure,
    /// The output that it is of, where it is of one.
    pub output: Option<String>,
    /// Its two values.
    pub values: [Option<f64>; 2],
}

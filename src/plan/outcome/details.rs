//! What a report shows of single layers beside the decisions: histograms, scales, errors step by step, noise on its way through the
//! network. It is gathered where somebody asks for a report that holds it, in memory that does not grow with the model's tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bins of a histogram.
pub const BINS: usize = 64;
/// ScaleList of one tensor that are listed, at most.
pub const MOST_SCALES: usize = 256;

/// What is known of the layers of one conversion, by tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Details {
    /// Of weights.
    pub weights: BTreeMap<String, WeightDetails>,
    /// Of activations.
    pub activations: BTreeMap<String, ActivationDetails>,
    /// How many samples both networks ran on, layer by layer; 0 where they did not.
    pub samples: usize,
}

/// How many values lie in each of [`BINS`] bins of equal width.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Where the first bin begins.
    pub low: f64,
    /// Where the last one ends.
    pub high: f64,
    /// The counts.
    pub counts: Vec<u64>,
}

/// The scales of one tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleList {
    /// How many there are.
    pub count: usize,
    /// In order, where there are at most [`MOST_SCALES`]; otherwise so many quantiles, from the least to the largest.
    pub values: Vec<f32>,
    /// Whether these are quantiles.
    pub quantiles: bool,
}

/// A step of the search for codes and scales of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolveStep {
    /// ScaleList of least error of the weights, nearest codes.
    Nearest,
    /// Codes chosen one after another, each making up for the errors before.
    Compensated,
    /// ScaleList refitted to these codes.
    Refitted,
    /// Single codes moved once more.
    Moved,
}

/// The error of a layer's output after a step, as a share of the output's energy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepError {
    /// After which step.
    pub step: SolveStep,
    /// Squared error over squared output.
    pub error: f64,
}

/// What is known of one weight tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightDetails {
    /// The weights in steps of their scale, so that the codes less the zero point are the integers.
    pub histogram: Counts,
    /// The least and the largest code less its zero point.
    pub codes: (i32, i32),
    /// Share of the weights beyond the codes of their group; `None` where a second tensor takes up what is left.
    pub clipped: Option<f64>,
    /// The scales of the first tensor.
    pub scales: ScaleList,
    /// The error of the layer's output step by step, where codes were chosen for that.
    pub steps: Vec<StepError>,
    /// SQNR of the layer's output where only its own weights are quantized, in dB, by the last of these steps.
    pub own_db: Option<f64>,
    /// SQNR of its input in the quantized network, in dB.
    pub input_db: Option<f64>,
    /// SQNR of its output in the quantized network, in dB.
    pub output_db: Option<f64>,
    /// SQNR by the noise that the layer adds, in dB: that of its own weights, or what its output has more than its input, where that is
    /// more. It tells of activations too.
    pub added_db: Option<f64>,
    /// Its place among all layers, the one that adds most noise being 1.
    pub rank: usize,
}

/// What is known of one activation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActivationDetails {
    /// The values seen in calibration.
    pub histogram: Counts,
    /// The least and the largest value that the codes stand for.
    pub chosen: (f64, f64),
    /// Share of the values beyond these.
    pub clipped: f64,
}

/// Something to try next, by a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Why it may help, in a sentence.
    pub reason: String,
    /// What to set, as the library calls it, and to what; a value that is empty is a switch. Nothing where another subcommand is meant.
    pub settings: Vec<(String, String)>,
    /// Whether to rank layers with these settings instead of a conversion.
    pub ranks: bool,
    /// The arguments of `fourbit`; empty where nobody knows those of the conversion.
    pub command: Vec<String>,
}

/// A sample for which both models choose another class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differing {
    /// What a person calls it: its file, or its place.
    pub name: String,
    /// The row of its batch.
    pub row: usize,
    /// Its label, if it has one.
    pub label: Option<i64>,
    /// The classes that the float and the quantized model choose.
    pub classes: [usize; 2],
    /// How far the score of that class is above the next one, in either.
    pub margins: [f64; 2],
    /// The picture, as a `data:` address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Its place among the samples that were run.
    #[serde(skip)]
    pub at: usize,
}

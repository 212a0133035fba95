//! Several conversions of one model, side by side.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// What differs between conversions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The conversions, in the order in which they were given.
    pub sides: Vec<Side>,
    /// Weights and quantized activations that at least one of them has, weights first, in the order of the network.
    pub rows: Vec<DifferenceRow>,
    /// The first model beside each of the others, where models were run.
    pub between: Vec<Between>,
    /// What a person should know of the comparison.
    pub notes: Vec<String>,
}

/// One of several conversions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The file.
    pub file: String,
    /// What kind of file that is.
    pub kind: SideKind,
    /// By what it was made, where the file says so.
    pub tool: Option<String>,
    /// The float model's file name, where it is known.
    pub subject: Option<String>,
    /// `w4a8` and the like.
    pub precision: Option<String>,
    /// Size of the float model, in bytes.
    pub bytes_before: Option<u64>,
    /// Size of the quantized model, in bytes.
    pub bytes: Option<u64>,
    /// Bits that stand for one float parameter in the file.
    pub bits: Option<f64>,
    /// Quantized weights, quantized activations, and weights that stayed float.
    pub counts: [usize; 3],
    /// Where calibration samples came from, and how many were used.
    pub calibration: Option<(String, usize)>,
    /// How it compares with the float model.
    pub verdict: Option<Verdict>,
}

/// What a conversion is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideKind {
    /// A model.
    #[default]
    Model,
    /// A report as JSON.
    Report,
    /// A plan.
    Plan,
}

/// A tensor in all conversions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DifferenceRow {
    /// Whether it is an activation.
    pub is_activation: bool,
    /// The tensor, as the first conversion that has it calls it.
    pub tensor: String,
    /// The node that reads it.
    pub layer: String,
    /// That node's operator.
    pub operator: String,
    /// What each conversion does with it; `None` where it has nothing of the kind.
    pub cells: Vec<Option<Treated>>,
    /// Whether they do not all do the same.
    pub differs: bool,
}

/// What one conversion does with a tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Treated {
    /// Type of the codes and which of them share a scale, or `float`.
    pub form: String,
    /// SQNR of the tensor in dB, where it is known and there is noise.
    pub sqnr_db: Option<f64>,
    /// SQNR by the noise that the layer adds to the network, in dB.
    pub added_db: Option<f64>,
    /// The reason that was given.
    pub reason: Option<String>,
}

impl Treated {
    /// The form of a tensor that stayed float.
    pub const FLOAT: &str = "float";
}

/// Two models on the same samples; the first one stands in the place of the float model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Between {
    /// Their places among the conversions.
    pub sides: [usize; 2],
    /// How they compare.
    pub verdict: Verdict,
}

impl Difference {
    /// How much the noise of a row differs between conversions: the largest distance in dB of what is known of each, of the noise that the
    /// layer adds or else of the tensor's.
    pub fn distance(row: &DifferenceRow) -> Option<f64> {
        let all = |of: fn(&Treated) -> Option<f64>| -> Option<Vec<f64>> {
            row.cells.iter().map(|cell| cell.as_ref().and_then(of)).collect()
        };
        let ratios = all(|cell| cell.added_db).or_else(|| all(|cell| cell.sqnr_db))?;
        let (least, most) = ratios
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &it| (least.min(it), most.max(it)));
        Some(most - least).filter(|distance| distance.is_finite())
    }
}

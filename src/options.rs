//! What a person can ask for, as plain data with its defaults.

mod budget;
mod code_type;
mod dual;
mod globs;
mod layers;
mod nbits;
mod opset;
mod placement;
mod precision;
mod preprocessing;
mod storage;
mod targets;
mod widths;

use std::fmt;
use std::str::FromStr;

pub use budget::Budget;
pub use code_type::{CodeType, HELD};
pub use dual::{DUAL_THRESHOLD, Dual, Keys};
pub use globs::Globs;
pub use layers::{Cause, LayerRule, Lift};
pub use nbits::{NBITS_BLOCKS, fits_nbits};
pub use opset::{LEAST_OPSET, NEWEST_OPSET, OPSET_HALF, Opset};
pub use placement::{Bias, Placement};
pub use precision::Precision;
pub use preprocessing::{LARGEST_PIXEL, Preprocessing, PreprocessingBase, Preset, Resize, of_bytes};
pub use storage::Storage;
pub use targets::{
    Blocks, Case, Contrib, Form, GENERIC, Scales as ScaleForms, Standing, TARGETS, Target, Usual, Wishes,
    names as target_names,
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How many weights share one scale, as asked for; what a tensor gets of it, on an axis of its own, is a
/// [`Partition`](crate::plan::Partition).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    /// The whole tensor.
    Tensor,
    /// The kernel of one output channel: the finest partition that costs an integer dot product
    /// nothing (section 3 of the paper).
    #[default]
    Channel,
    /// So many neighbours along the input channels of one output channel; at least 1.
    Block(usize),
}

impl FromStr for Granularity {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_prefix("per-").unwrap_or(&lower);
        let size = plain.strip_prefix("block:").and_then(|size| size.parse().ok()).filter(|&size| size > 0);
        match (plain, size) {
            ("tensor", _) => Ok(Self::Tensor),
            ("channel", _) => Ok(Self::Channel),
            (_, Some(size)) => Ok(Self::Block(size)),
            _ => {
                let remedy = "choose tensor, channel, or block:N with N from 1 up, as in block:32";
                Err(Error::options(format!("unknown granularity {name:?}"), remedy))
            }
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor => formatter.pad("tensor"),
            Self::Channel => formatter.pad("channel"),
            Self::Block(size) => formatter.pad(&format!("block:{size}")),
        }
    }
}

/// What becomes of the first and last layers: of their weights and of the activations that they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// 4 bits.
    Four,
    /// 8 bits.
    Eight,
    /// They stay float.
    Float,
}

impl Edges {
    /// Type of codes at an end of the graph where it is `inside` elsewhere; what is float elsewhere stays so.
    pub fn code_type(self, inside: Option<CodeType>) -> Option<CodeType> {
        let bits = match self {
            Self::Four => 4,
            Self::Eight => 8,
            Self::Float => return None,
        };
        inside.map(|inside| inside.with_bits(bits))
    }
}

impl FromStr for Edges {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "4" => Ok(Self::Four),
            "8" => Ok(Self::Eight),
            "float" => Ok(Self::Float),
            _ => Err(Error::options(
                format!("unknown width {name:?} of first and last layers"),
                "choose 4, 8 or float",
            )),
        }
    }
}

/// How quantized weights are written in the model: one tensor, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// The tensors are dequantized and added, and one operator reads the sum; a single one is dequantized.
    #[default]
    Sum,
    /// The operator is repeated on the same input, once a tensor, and the products are added: two integer kernels.
    Branches,
    /// One tensor; the operators that read it become onnxruntime's MatMulNBits.
    #[serde(rename = "matmul-nbits")]
    MatMulNBits,
}

impl Spelling {
    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Branches => "branches",
            Self::MatMulNBits => "matmul-nbits",
        }
    }
}

/// How scales are chosen before anything is judged by outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scales {
    /// Least mean squared error.
    #[default]
    Mmse,
    /// The smallest at which nothing clips: what is to be compared with.
    MinMax,
}

/// How weights are judged by the output of their layer, on samples, or without them on inputs as they are assumed to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compensation {
    /// Not at all: each weight is rounded for itself.
    None,
    /// Codes as without, scales refitted to the layer's output on the inputs that the quantized layers before it give: the
    /// paper's "OMSE + opt".
    Scales,
    /// Each layer on the inputs that the float network gives it.
    Layerwise,
    /// Each layer on the inputs that the quantized layers before it really give.
    #[default]
    Sequential,
}

/// Weights with fewer elements stay float unless asked otherwise: their codes, scale, zero point
/// and node take about as many bytes as they save.
pub const MIN_ELEMENTS: usize = 16;

/// Bytes of float weights from which a model is not run unless somebody asks for it: on samples that were found, and on made-up
/// ones, which tell little.
pub const LARGE: u64 = 1 << 30;
/// Bytes of float weights from which a model without samples is not run unless somebody asks for it.
pub const LARGE_WITHOUT_SAMPLES: u64 = 256 << 20;

/// The opset in which INT4 enters DequantizeLinear.
pub const OPSET: i64 = 21;

/// Everything that shapes a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Type of the codes of weights; `None` leaves them float.
    pub weights: Option<CodeType>,
    /// Type of the codes of activations; `None` leaves them float.
    pub activations: Option<CodeType>,
    /// To which opset the model is brought.
    pub opset: Opset,
    /// How codes are stored.
    pub storage: Storage,
    /// Partition of the weights.
    pub granularity: Granularity,
    /// Where activations are quantized.
    pub placement: Placement,
    /// How biases beside quantized inputs are stored.
    pub bias: Bias,
    /// Whether zero points of weights are all 0.
    pub symmetric_weights: bool,
    /// Whether zero points of activations are all 0.
    pub symmetric_activations: bool,
    /// Whether 8-bit weights use all codes, also where kernels of the target may saturate.
    pub full_range: bool,
    /// Whether all weights have the bits asked for. Otherwise single tensors get 8, which bring much of the noise and few of the
    /// bytes, as long as the file grows by no more than 5 %; a budget decides on the bits itself.
    pub strict_bits: bool,
    /// The runtime that the file is meant for.
    pub target: &'static Target,
    /// Whether 4-bit weights of matrix products are written as onnxruntime's MatMulNBits, where they fit that.
    pub matmul_nbits: bool,
    /// First and last layers; `None` for [`Options::edges`] to choose.
    pub edges: Option<Edges>,
    /// Which layers' weights become the sum of two tensors.
    pub dual: Dual,
    /// What is different for single layers; of several rules that match, the last one that says anything of a thing
    /// decides it.
    pub layers: Vec<LayerRule>,
    /// Globs over tensor and node names: if any are given, only what matches is quantized.
    pub include: Vec<String>,
    /// Globs over tensor and node names: what matches stays float.
    pub exclude: Vec<String>,
    /// Operators whose weights are quantized; empty means all that are known.
    pub op_types: Vec<String>,
    /// Smallest number of elements worth quantizing.
    pub min_elements: usize,
    /// Whether the mean error that weight rounding puts on each output channel is corrected: by
    /// rounding a few elements of each kernel the other way, and by the biases where means are known; and
    /// whether these are rounded to what an integer accumulator holds.
    pub bias_correction: bool,
    /// Whether codes are chosen for the layer's output.
    pub compensation: Compensation,
    /// How scales are chosen.
    pub scales: Scales,
    /// What the conversion may cost: single layers get finer forms until it keeps to that.
    pub budget: Budget,
}

impl Default for Options {
    fn default() -> Self {
        Self::new(Precision::default())
    }
}

impl Options {
    /// The defaults at a precision.
    pub fn new(precision: Precision) -> Self {
        Self {
            weights: precision.weights,
            activations: precision.activations,
            opset: Opset::default(),
            storage: Storage::default(),
            granularity: Granularity::default(),
            placement: Placement::default(),
            bias: Bias::default(),
            symmetric_weights: false,
            symmetric_activations: false,
            full_range: false,
            strict_bits: false,
            target: &GENERIC,
            matmul_nbits: false,
            edges: None,
            dual: Dual::default(),
            layers: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            op_types: Vec::new(),
            min_elements: MIN_ELEMENTS,
            bias_correction: true,
            compensation: Compensation::default(),
            scales: Scales::default(),
            budget: Budget::default(),
        }
    }

    /// What becomes of first and last layers: as asked, or else 8 bits where activations have 4, at which these layers
    /// lose most; `None` where they are like all others.
    pub fn edges(&self) -> Option<Edges> {
        let four = self.activations.is_some_and(|code_type| code_type.bits() == 4);
        self.edges.or(four.then_some(Edges::Eight))
    }

    /// Blocks of weights, where any layer is asked to have them.
    pub fn blocks(&self) -> Option<Granularity> {
        let rules = self.layers.iter().filter_map(|rule| rule.granularity);
        std::iter::once(self.granularity)
            .chain(rules)
            .find(|granularity| matches!(granularity, Granularity::Block(_)))
    }

    /// Whether any layer's weights may be quantized.
    pub fn quantizes_weights(&self) -> bool {
        self.weights.is_some() || self.layers.iter().any(|rule| matches!(rule.weights, Some(Some(_))))
    }

    /// Whether any activation may be quantized.
    pub fn quantizes_activations(&self) -> bool {
        self.activations.is_some() || self.layers.iter().any(|rule| matches!(rule.activations, Some(Some(_))))
    }

    /// The precision these options amount to.
    pub fn precision(&self) -> Precision {
        Precision { weights: self.weights, activations: self.activations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_return() {
        for name in ["tensor", "channel", "block:1", "block:128"] {
            assert_eq!(name.parse::<Granularity>().unwrap().to_string(), name);
        }
        for name in ["block", "block:", "block:0", "block:-1", "block:1.5", "kernel", ""] {
            let error = name.parse::<Granularity>().unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")) && error.contains("block:N"), "{error}");
        }
        for (name, granularity) in [
            ("per-channel", Granularity::Channel),
            ("Tensor", Granularity::Tensor),
            ("BLOCK:32", Granularity::Block(32)),
        ] {
            assert_eq!(name.parse::<Granularity>().unwrap(), granularity);
        }
        assert_eq!("FLOAT".parse::<Edges>().unwrap(), Edges::Float);
    }
}

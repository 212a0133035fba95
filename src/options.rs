//! What a person can ask for, as plain data with its defaults.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a tensor's codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Signed, -8..=7, two to a byte.
    Int4,
    /// Unsigned, 0..=15, two to a byte.
    Uint4,
    /// Signed, -128..=127.
    Int8,
    /// Unsigned, 0..=255.
    Uint8,
}

impl Storage {
    /// Bits a code.
    pub fn bits(self) -> u32 {
        match self {
            Self::Int4 | Self::Uint4 => 4,
            Self::Int8 | Self::Uint8 => 8,
        }
    }

    /// Whether codes below zero exist.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Int4 | Self::Int8)
    }

    /// The smallest and the largest code.
    pub fn range(self) -> (i32, i32) {
        let half = 1 << (self.bits() - 1);
        if self.is_signed() { (-half, half - 1) } else { (0, 2 * half - 1) }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int4 => "int4",
            Self::Uint4 => "uint4",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// How many weights share one scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// The whole tensor.
    Tensor,
    /// The kernel of one output channel: the finest partition that costs an integer dot product
    /// nothing (section 3 of the paper).
    #[default]
    Channel,
}

/// How the sum of several quantized tensors is written in the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// The dequantized tensors are added, and one operator reads the sum.
    #[default]
    Sum,
    /// The operator is repeated on the same input, once a tensor, and the products are added: two integer kernels.
    Branches,
}

impl Spelling {
    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Branches => "branches",
        }
    }
}

/// How weights are judged by the output of their layer, on samples, or without them on inputs as they are assumed to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compensation {
    /// Not at all: each weight is rounded for itself.
    None,
    /// Each layer on the inputs that the float network gives it.
    Layerwise,
    /// Each layer on the inputs that the quantized layers before it really give.
    #[default]
    Sequential,
}

/// The width of weights and activations, as in `w4a8`; `None` leaves them float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Storage of weights.
    pub weights: Option<Storage>,
    /// Storage of activations.
    pub activations: Option<Storage>,
}

impl Precision {
    /// The names that [`Precision::from_str`] takes.
    pub const NAMES: [&'static str; 4] = ["w4", "w4a8", "w8", "w8a8"];
}

impl Default for Precision {
    fn default() -> Self {
        Self { weights: Some(Storage::Int4), activations: Some(Storage::Uint8) }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let (weights, activations) = match name {
            "w4" => (Storage::Int4, None),
            "w4a8" => (Storage::Int4, Some(Storage::Uint8)),
            "w8" => (Storage::Int8, None),
            "w8a8" => (Storage::Int8, Some(Storage::Uint8)),
            _ => {
                let remedy = format!("choose one of {}", Self::NAMES.join(", "));
                return Err(Error::options(format!("unknown precision {name:?}"), remedy));
            }
        };
        Ok(Self { weights: Some(weights), activations })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |letter, storage: Option<Storage>| storage.map(|storage| format!("{letter}{}", storage.bits()));
        let name: String =
            [part('w', self.weights), part('a', self.activations)].into_iter().flatten().collect();
        formatter.pad(if name.is_empty() { "float" } else { &name })
    }
}

/// Weights with fewer elements stay float unless asked otherwise: their codes, scale, zero point
/// and node take about as many bytes as they save.
pub const MIN_ELEMENTS: usize = 16;

/// The opset in which INT4 enters DequantizeLinear.
pub const OPSET: i64 = 21;

/// Everything that shapes a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Storage of weights; `None` leaves them float.
    pub weights: Option<Storage>,
    /// Storage of activations; `None` leaves them float.
    pub activations: Option<Storage>,
    /// Partition of the weights.
    pub granularity: Granularity,
    /// Globs over tensor and node names: if any are given, only what matches is quantized.
    pub include: Vec<String>,
    /// Globs over tensor and node names: what matches stays float.
    pub exclude: Vec<String>,
    /// Operators whose weights are quantized; empty means all that are known.
    pub op_types: Vec<String>,
    /// Smallest number of elements worth quantizing.
    pub min_elements: usize,
    /// Whether the mean error that weight rounding puts on each output channel is corrected: by
    /// rounding a few elements of each kernel the other way, and with samples by the biases too.
    pub bias_correction: bool,
    /// Whether codes are chosen for the layer's output.
    pub compensation: Compensation,
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
            granularity: Granularity::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            op_types: Vec::new(),
            min_elements: MIN_ELEMENTS,
            bias_correction: true,
            compensation: Compensation::default(),
        }
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
    fn precision_names_return() {
        for name in Precision::NAMES {
            assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
        }
        assert!("w3".parse::<Precision>().unwrap_err().to_string().contains("w4a8"));
    }
}

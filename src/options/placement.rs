//! Where activations are quantized, and the form of biases beside them.

use serde::{Deserialize, Serialize};

/// Which values get a QuantizeLinear/DequantizeLinear pair, where activations are quantized at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The inputs of quantized layers: nothing else is rounded.
    #[default]
    Inputs,
    /// Also what an Add or Concat takes beside the output of a quantized layer, so that a runtime can add it while it
    /// writes that output.
    Joins,
    /// Also the outputs of quantized layers, and both sides of the operators behind them that have integer kernels. What the
    /// model gives back stays float.
    Outputs,
    /// Also what the model gives back, where such an operator makes it.
    Everywhere,
}

/// How the bias of a layer is stored whose weights and input are both quantized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bias {
    /// As FLOAT.
    #[default]
    Float,
    /// As INT32 in steps of input scale times weight scale, behind a DequantizeLinear.
    Int32,
}

impl Placement {
    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Joins => "joins",
            Self::Outputs => "outputs",
            Self::Everywhere => "everywhere",
        }
    }
}

impl Bias {
    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int32 => "int32",
        }
    }
}

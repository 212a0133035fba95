//! What is inside a model.

use serde::Serialize;

use crate::plan::site::Skip;

/// One tensor of weights that could be quantized, or is already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteRow {
    /// The initializer.
    pub tensor: String,
    /// The operator that reads it.
    pub operator: String,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// The axis of output channels, if there is one.
    pub axis: Option<usize>,
    /// How many nodes read it.
    pub readers: usize,
    /// Bytes it takes in the file.
    pub bytes: u64,
    /// The type of its codes, where it is quantized already.
    #[serde(rename = "storage")]
    pub code_type: Option<String>,
    /// How many neighbours share a scale, where it is quantized by block.
    pub block: Option<u64>,
    /// The float value that stands for it in the graph: the initializer, or what decodes it.
    pub value: String,
    /// The nodes that read that value, or their first outputs where they have no names.
    pub nodes: Vec<String>,
}

/// An activation that is quantized already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivationRow {
    /// The value in front of its QuantizeLinear.
    pub tensor: String,
    /// The type of its codes.
    #[serde(rename = "storage")]
    pub code_type: String,
    /// The nodes that read it when it is float again.
    pub nodes: Vec<String>,
}

/// What is inside a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// Its size, side files included.
    pub bytes: u64,
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of the standard operators.
    pub opset: i64,
    /// Who wrote it.
    pub producer: String,
    /// With what fourbit quantized it, where the file says so.
    pub quantized_by: Option<String>,
    /// `w4a8` and the like, where fourbit quantized it.
    pub precision: Option<String>,
    /// The inputs: name, element type, shape.
    pub inputs: Vec<String>,
    /// The outputs: name, element type, shape.
    pub outputs: Vec<String>,
    /// Operators, with how many nodes each.
    pub operators: Vec<(String, usize)>,
    /// Number of parameters.
    pub parameters: u64,
    /// Bits that stand for one of them: codes, scales, zero points and what is float, all counted; `None` without parameters.
    pub effective_bits: Option<f64>,
    /// Weights that can be quantized.
    pub sites: Vec<SiteRow>,
    /// Activations that are quantized already.
    pub activations: Vec<ActivationRow>,
    /// What stays as it is, and why.
    pub skips: Vec<Skip>,
    /// What tract cannot run.
    pub faults: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

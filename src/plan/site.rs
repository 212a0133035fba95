//! Places in a model where a tensor may be quantized.

mod spatial;

use serde::{Deserialize, Serialize};

use super::float::Float;
use super::partition::Partition;
use super::reason::Why;
use crate::onnx::proto::NodeProto;
use crate::onnx::{node_label, operator_label};

pub use spatial::{Spatial, Window};

/// One input slot of one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Read {
    /// The node's name, or its first output where it has none.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// Position of the node in the prepared graph; of a node inside others, that of the outermost.
    pub at: usize,
    /// Input slot.
    pub slot: usize,
    /// For a node inside others, the way down: the attribute that holds a graph, and the position of the next node in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<(String, usize)>,
}

impl Read {
    /// Input `slot` of `node`, which stands at `at` in the prepared graph.
    pub fn new(node: &NodeProto, at: usize, slot: usize) -> Self {
        Self { node: node_label(node).into(), operator: operator_label(node), at, slot, within: Vec::new() }
    }

    /// Whether the node is one of the main graph, not of a graph inside another node.
    pub fn is_outer(&self) -> bool {
        self.within.is_empty()
    }
}

/// Whether a convolution with weights of `dims` in `groups` has one input and one output channel a group.
pub fn is_depthwise(dims: &[i64], groups: i64) -> bool {
    dims.get(..2) == Some(&[groups, 1])
}

/// How a reader multiplies with the weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// Weights `[out, in / groups, k...]`.
    Conv(Spatial),
    /// Weights `[in, out / groups, k...]`.
    ConvTranspose(Spatial),
    /// Weights `[in, out]`, or `[..., out, in]` where transposed. The rows of the input are columns
    /// where `input_transposed`.
    Matrix {
        /// Gemm's transB; so lie the weights of a left factor, and those of recurrent nodes.
        transposed: bool,
        /// Gemm's transA.
        input_transposed: bool,
        /// Gemm's alpha.
        alpha: f32,
        /// Gemm's beta, which scales the bias.
        beta: f32,
    },
    /// No product whose input could be looked at: such weights are judged by themselves.
    Other(Work),
}

impl Kernel {
    /// What an error of the product is in parts of the bias, which Gemm scales too: `alpha / beta`.
    pub fn bias_factor(&self) -> f64 {
        match self {
            Self::Matrix { alpha, beta, .. } => f64::from(*alpha) / f64::from(*beta),
            Self::Conv(_) | Self::ConvTranspose(_) | Self::Other(_) => 1.0,
        }
    }
}

/// How much is multiplied with weights of which no more is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing: a table that is looked up.
    None,
    /// All of them once for each row of the reader's input, as a recurrent node does at each step.
    Steps,
    /// Not known.
    Unknown,
}

/// Whether a layer stands at an end of the graph; there may be several at either end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// No other layer's weights lie between the graph's inputs and it.
    pub first: bool,
    /// No other layer's weights lie between it and the graph's outputs.
    pub last: bool,
}

impl Place {
    /// Whether it is first or last.
    pub fn is_edge(self) -> bool {
        self.first || self.last
    }
}

/// The activation that a node multiplies with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The value.
    pub value: String,
    /// The input slot of the node that takes it.
    pub slot: usize,
}

/// Where a node takes a bias, in one of its inputs or in an Add behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BiasSlot {
    /// The slot.
    pub read: Read,
    /// The constant there; `None` where the slot is free.
    pub tensor: Option<String>,
}

/// One node that reads constant weights, and what it does with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    /// The slot that takes the weights.
    pub read: Read,
    /// How it multiplies with them.
    pub kernel: Kernel,
    /// The activation that it multiplies with; `None` where there is none to look at.
    pub operand: Option<Operand>,
    /// The nodes between the weights and it, by position, which only lay them out or cast them.
    pub chain: Vec<usize>,
    /// Where its bias is or could be; `None` where the graph offers no place for one.
    pub bias: Option<BiasSlot>,
}

impl Reader {
    /// The activation that it multiplies with.
    pub fn input(&self) -> Option<&str> {
        self.operand.as_ref().map(|operand| operand.value.as_str())
    }
}

/// Constant weights that may be quantized: one tensor, all its readers.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSite {
    /// The initializer.
    pub tensor: String,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// The element type that its readers get: that of the initializer, or that to which all of them cast it.
    pub float: Float,
    /// The element type of the initializer.
    pub stored: Float,
    /// Whether its opset takes no scales of that type, so that they are FLOAT, with a Cast behind them.
    pub wide_scales: bool,
    /// One scale a kernel; `None` where readers disagree on what a kernel is.
    pub by_kernel: Option<Partition>,
    /// The axis of input channels, along which blocks lie; `None` where readers disagree.
    pub input_axis: Option<usize>,
    /// Whether it stands at an end of the graph.
    pub place: Place,
    /// Who multiplies with it; at least one.
    pub readers: Vec<Reader>,
    /// Who reads them as mere numbers, such as a ReduceSum, a subgraph or the caller: what the codes stand for, where they are quantized.
    pub others: Option<String>,
    /// Multiplications of one run over all readers, where a run showed their inputs' sizes.
    pub macs: Option<u64>,
}

impl WeightSite {
    /// The slots that take the weights, in the order of the readers.
    pub fn reads(&self) -> impl Iterator<Item = &Read> + Clone {
        self.readers.iter().map(|reader| &reader.read)
    }

    /// The activations that readers multiply with, those that can be looked at, in the order of the readers.
    pub fn inputs(&self) -> impl Iterator<Item = &str> + Clone {
        self.readers.iter().filter_map(Reader::input)
    }

    /// Number of weights.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product::<i64>().unsigned_abs()
    }

    /// Bytes that they take as they are.
    pub fn bytes(&self) -> u64 {
        self.stored.bytes() * self.elements()
    }

    /// The type of its scales, where that can hold them.
    pub fn scale_float(&self) -> Float {
        if self.wide_scales { Float::Float } else { self.float.of_scale() }
    }
}

/// An activation that may be quantized: one tensor, the reads that take the low-bit form.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationSite {
    /// The tensor.
    pub tensor: String,
    /// Its element type.
    pub float: Float,
    /// Whether its opset takes no scales of that type, so that they are FLOAT, between Casts.
    pub wide_scales: bool,
    /// Who reads it.
    pub reads: Vec<Read>,
    /// Who else reads the low-bit form where there is one.
    pub followers: Vec<Read>,
    /// Elements in one run, where a run showed them.
    pub elements: Option<u64>,
    /// What makes it, as far as that decides whether it is quantized.
    pub origin: Origin,
    /// Whether the model gives it back, and in the low-bit form.
    pub returned: bool,
}

impl ActivationSite {
    /// Position of the first node that reads the low-bit form; behind all where only the model's caller does.
    pub fn first(&self) -> usize {
        self.all_reads().map(|read| read.at).min().unwrap_or(usize::MAX)
    }

    /// Layers and others.
    pub fn all_reads(&self) -> impl Iterator<Item = &Read> {
        self.reads.iter().chain(&self.followers)
    }

    /// The operator that a report names with it.
    pub fn operator(&self) -> &str {
        self.all_reads().next().map_or("", |read| &read.operator)
    }
}

/// What makes an activation, as far as that decides whether it is quantized where no layer asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Layers ask for it; what makes it does not matter.
    Any,
    /// The layer whose node stands at this position, perhaps with a Relu or Clip behind it: where that is computed in
    /// integers, so is its output.
    Layer(usize),
    /// An operator that runs in integers where all of these are low-bit.
    Operator(Vec<String>),
    /// An operator that only moves values of this one: what comes out has the same scale.
    Moved(String),
}

/// A tensor or node left as it is, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skip {
    /// Initializer, activation, or node.
    pub name: String,
    /// The operator that reads it.
    pub operator: String,
    /// Dimensions, where they are known.
    pub dims: Vec<i64>,
    /// Bytes it takes in the file; 0 for what is not stored.
    pub bytes: u64,
    /// Why it stays.
    pub reason: Keep,
}

/// Reasons to leave a tensor as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The options say that this kind of tensor stays float.
    FloatAsked,
    /// It stays float for the reason given.
    FloatBecause(Why),
    /// The options name it, its node or its operator, or do not include it.
    Excluded,
    /// Fewer elements than worth it.
    Small {
        /// The smallest number worth it.
        least: usize,
        /// Bytes that quantizing it would have saved.
        #[serde(default)]
        saves: u64,
    },
    /// A bias: added after the accumulation, kept in full precision.
    Bias,
    /// A bias that is stored as INT32.
    IntegerBias,
    /// A constant that is no factor of a product (slopes, means, axes, tables ...).
    NotAFactor,
    /// The operator reads weights, but fourbit has no rule for it.
    NoRule,
    /// The element type is none that could be quantized there.
    ElementType(String),
    /// A constant factor in a place that no rule covers.
    Place(String),
    /// Somebody else reads it too: so in plans of versions that left such weights float.
    AlsoReadBy(String),
    /// A caller may replace the value.
    CallersDefault,
    /// NaN or infinity among the values.
    NotFinite(usize),
    /// Both factors are activations.
    NoConstantFactor,
    /// Its weights stay float, so nothing is gained.
    WeightsKept,
    /// The operator that reads it computes in float all the same.
    FloatOperator,
    /// What makes it computes in float, and no layer reads it.
    MadeInFloat,
    /// Calibration could not see it.
    OutOfReach(String),
    /// The activation never had a finite value, or none at all, on the samples.
    NoStatistics,
    /// Already quantized.
    Quantized,
}

impl std::fmt::Display for Keep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FloatBecause(why) => write!(formatter, "float {why}"),
            Self::FloatAsked => formatter.write_str("float, as requested"),
            Self::Excluded => formatter.write_str("excluded by the options"),
            Self::Small { least, saves: 0 } => {
                write!(formatter, "fewer than {least} elements; quantizing saves nothing")
            }
            Self::Small { least, saves } => {
                write!(formatter, "fewer than {least} elements; quantizing would save {saves} bytes")
            }
            Self::Bias => formatter.write_str("bias, kept in full precision"),
            Self::IntegerBias => formatter.write_str("bias, as INT32 in steps of the integer accumulator"),
            Self::NotAFactor => {
                formatter.write_str("constant, but not a weight of Conv, MatMul, Gemm or the like")
            }
            Self::NoRule => formatter.write_str("no rule for this operator's weights"),
            Self::ElementType(name) => write!(formatter, "element type {name}, which is not quantized here"),
            Self::Place(place) => formatter.write_str(place),
            Self::AlsoReadBy(reader) => write!(formatter, "also read by {reader}"),
            Self::CallersDefault => formatter.write_str("a graph input, so a caller may replace it"),
            Self::NotFinite(at) => write!(formatter, "element {at} is not finite"),
            Self::NoConstantFactor => formatter.write_str("activation x activation (attention and the like)"),
            Self::MadeInFloat => formatter.write_str("its producer computes in float"),
            Self::FloatOperator => formatter.write_str("its consumer computes in float in any case"),
            Self::OutOfReach(why) => write!(formatter, "calibration cannot reach it: {why}"),
            Self::WeightsKept => formatter.write_str("the weights of its consumer stay float"),
            Self::NoStatistics => formatter.write_str("no finite value on the calibration samples"),
            Self::Quantized => formatter.write_str("already quantized"),
        }
    }
}

/// Everything that could be quantized in a model, and everything that cannot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// Weights, in graph order of their first reader.
    pub weights: Vec<WeightSite>,
    /// Activations, in graph order of their first reader.
    pub activations: Vec<ActivationSite>,
    /// The rest, by name.
    pub skips: Vec<Skip>,
}

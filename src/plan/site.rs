//! Places in a model where a tensor may be quantized.

use serde::{Deserialize, Serialize};

/// One input slot of one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Read {
    /// The node's name, or its first output where it has none.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// Position of the node in the prepared graph.
    pub at: usize,
    /// Input slot.
    pub slot: usize,
}

/// How a sliding operator's kernel meets its input: what decides which elements of the input
/// one kernel element is multiplied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spatial {
    /// Kernel size an axis.
    pub kernel: Vec<usize>,
    /// Stride an axis.
    pub strides: Vec<usize>,
    /// Dilation an axis.
    pub dilations: Vec<usize>,
    /// Padding before each axis; for ConvTranspose what is cropped.
    pub begin: Vec<usize>,
    /// Padding after each axis.
    pub end: Vec<usize>,
    /// Padding that depends on the input size: `Some(true)` for SAME_UPPER, `Some(false)` for
    /// SAME_LOWER.
    pub same_upper: Option<bool>,
    /// Added to the output size of ConvTranspose an axis.
    pub output_padding: Vec<usize>,
    /// Number of groups.
    pub groups: usize,
}

impl Spatial {
    /// What is added before and after axis `at` of an input that is `input` long there; for ConvTranspose what is cropped.
    pub fn padding(&self, at: usize, input: usize, transposed: bool) -> (usize, usize) {
        let (stride, reach) = (self.strides[at], (self.kernel[at].max(1) - 1) * self.dilations[at] + 1);
        match self.same_upper {
            Some(upper) if !transposed => {
                let total = ((input.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(input);
                let small = total / 2;
                if upper { (small, total - small) } else { (total - small, small) }
            }
            Some(upper) => {
                let full = (input.max(1) - 1) * stride + self.output_padding[at] + reach;
                let total = full.saturating_sub(input * stride);
                let small = total / 2;
                if upper { (small, total - small) } else { (total - small, small) }
            }
            _ => (self.begin[at], self.end[at]),
        }
    }
}

/// How a reader multiplies with the weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// Weights `[out, in / groups, k...]`.
    Conv(Spatial),
    /// Weights `[in, out / groups, k...]`.
    ConvTranspose(Spatial),
    /// Weights `[in, out]`, or `[out, in]` where transposed. The rows of the input are columns
    /// where `input_transposed`.
    Matrix {
        /// Gemm's transB.
        transposed: bool,
        /// Gemm's transA.
        input_transposed: bool,
        /// Gemm's alpha.
        alpha: f32,
        /// Gemm's beta, which scales the bias.
        beta: f32,
    },
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

/// Constant weights that may be quantized: one tensor, all its readers.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSite {
    /// The initializer.
    pub tensor: String,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// The axis of output channels; `None` where readers disagree, or there is but one scale.
    pub axis: Option<usize>,
    /// The axis of input channels, along which blocks lie; `None` where readers disagree.
    pub input_axis: Option<usize>,
    /// Whether it stands at an end of the graph.
    pub place: Place,
    /// Who reads it.
    pub reads: Vec<Read>,
    /// How each reader multiplies, in the order of `reads`.
    pub kernels: Vec<Kernel>,
    /// The activation each reader multiplies with.
    pub inputs: Vec<String>,
    /// For each reader the bias that is added to its product: the read that takes it, and the
    /// tensor if there is one already. `None` where the graph offers no place for one.
    pub biases: Vec<Option<(Read, Option<String>)>>,
    /// Multiplications of one run over all readers, where a run showed their inputs' sizes.
    pub macs: Option<u64>,
}

/// An activation that may be quantized: one tensor, the reads that take the low-bit form.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationSite {
    /// The tensor.
    pub tensor: String,
    /// Who reads it.
    pub reads: Vec<Read>,
    /// Elements in one run, where a run showed them.
    pub elements: Option<u64>,
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
    FloatBecause(String),
    /// The options name it, its node or its operator, or do not include it.
    Excluded,
    /// Fewer elements than worth it.
    Small {
        /// The smallest number worth it.
        least: usize,
    },
    /// A bias: added after the accumulation, kept in full precision.
    Bias,
    /// A constant that is no factor of a product (slopes, means, axes, tables ...).
    NotAFactor,
    /// The operator reads weights, but fourbit has no rule for it.
    NoRule,
    /// The element type is not FLOAT.
    ElementType(String),
    /// A constant factor in a place that no rule covers.
    Place(String),
    /// Somebody else reads it too.
    AlsoReadBy(String),
    /// A caller may replace the value.
    CallersDefault,
    /// NaN or infinity among the values.
    NotFinite(usize),
    /// Both factors are activations.
    NoConstantFactor,
    /// Its weights stay float, so nothing is gained.
    WeightsKept,
    /// The activation never had a finite value, or none at all, on the samples.
    NoStatistics,
    /// Already quantized.
    Quantized,
}

impl std::fmt::Display for Keep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FloatBecause(why) => write!(formatter, "float {why}"),
            Self::FloatAsked => formatter.write_str("float was asked for"),
            Self::Excluded => formatter.write_str("excluded by the options"),
            Self::Small { least } => write!(formatter, "fewer than {least} elements"),
            Self::Bias => formatter.write_str("bias, kept in float"),
            Self::NotAFactor => formatter.write_str("not the weights of a product"),
            Self::NoRule => formatter.write_str("no rule for this operator's weights"),
            Self::ElementType(name) => write!(formatter, "element type {name}, only FLOAT is quantized"),
            Self::Place(place) => formatter.write_str(place),
            Self::AlsoReadBy(reader) => write!(formatter, "also read by {reader}"),
            Self::CallersDefault => formatter.write_str("a graph input, so a caller may replace it"),
            Self::NotFinite(at) => write!(formatter, "element {at} is not finite"),
            Self::NoConstantFactor => formatter.write_str("both factors are activations"),
            Self::WeightsKept => formatter.write_str("the weights it meets stay float"),
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

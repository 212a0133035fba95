//! Why tensors are quantized as they are, as data. `words.rs` words it; plan files carry these words.

mod words;

use std::cmp::Ordering;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::options::{CodeType, Lift};

/// All that led to a decision, in the order in which it is told. Files carry the words alone: what is read is one [`Reason::Told`],
/// which equals what was written.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Vec<Reason>);

impl Reasons {
    /// Adds one to the end.
    pub fn push(&mut self, reason: Reason) {
        self.0.push(reason);
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Reason> {
        self.0.iter()
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        Self(reasons.into_iter().collect())
    }
}

/// One thing that led to a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Words read from a file.
    Told(String),
    /// What scales and codes of the weights were chosen for.
    Criterion(Criterion),
    /// Which weights share a scale.
    Sharing(Sharing),
    /// Another type of codes than for all, or `None` for float.
    Type(Option<CodeType>, Why),
    /// Weights as the sum of two tensors, or an activation rounded twice.
    TwoTerms(TwoTerms),
    /// The layer is not judged by its output, which would take too much memory.
    TooLarge,
    /// Codes of fewer bits than their type has, so that no products saturate on the target.
    Held,
    /// All codes, as asked for, though products can saturate on the target.
    FullRange,
    /// The extra code of a signed type of so many bits is on the better side of zero.
    BetterSide(u32),
    /// The best of so many zero points.
    BestZeroPoint(usize),
    /// Rounding errors made up for by other codes of the layer, judged on these inputs.
    Compensated(Met),
    /// Scales refitted to the output of the layer.
    Refitted,
    /// Rounding errors that cancel one another in each kernel, or in each block.
    Cancelled {
        /// In each block.
        blocks: bool,
    },
    /// Stored as INT8, as operators that unpack fewer bits would take more bytes than these save.
    TooSmall,
    /// Written as MatMulNBits.
    NBits,
    /// Not written so, though that was asked for, because of a second term.
    NotNBitsOfTwo,
    /// Not written so, though that was asked for: why, as [`NBits`](crate::plan::NBits) words it.
    NotNBits(String),
    /// Scales in FLOAT, which the type named cannot hold.
    WideScales(String),
    /// The scale of an activation in FLOAT.
    WideScale,
    /// Also dequantized for the node named.
    AlsoReadBy(String),
    /// Scales found on a sample of the weights.
    Sampled,
    /// A bias in steps of the accumulator.
    Bias {
        /// Stored as INT32.
        int32: bool,
    },
    /// The range of an activation by calibration samples.
    Calibrated {
        /// All of it, and not the one of least error.
        min_max: bool,
    },
    /// The scale of the activation named, which is the same values.
    MovedFrom(String),
    /// Quantized between operators that compute in integers.
    BetweenIntegers,
    /// A scale at which saturation does what a Clip did.
    WithinClip,
    /// Channels count by what their errors do to the output.
    ChannelsWeighted,
    /// The readers ask for several types; the widest is taken.
    Widest,
    /// The output of the model stays float.
    FloatOutput(Why),
}

/// What scales and codes of weights are chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Least error of the layer's output.
    Output,
    /// The least squared error of the weights, which is found exactly.
    Exact,
    /// A small squared error of the weights, by a search.
    Searched,
    /// Nothing clips.
    MinMax,
}

/// Which weights share a scale, and why, where it is not as asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Sharing {
    /// All.
    Tensor,
    /// Those of a kernel.
    Kernel,
    /// Those of a block.
    Block,
    /// All, since readers have their output channels on different axes.
    ReadersDiffer,
    /// Those of several kernels: blocks would fit, and the opset has none.
    SeveralKernels,
    /// Those of a kernel with a single input channel, which cannot be cut into blocks.
    OneInputChannel,
    /// Those of a kernel: blocks were asked for, and the opset has none.
    NoBlocks,
    /// Those of a block of another size than asked for.
    BlockOf(usize, Why),
    /// Those of a kernel, where blocks or the tensor were asked for.
    KernelOnly(Why),
}

/// Why something has two terms.
#[derive(Clone, Debug, PartialEq)]
pub enum TwoTerms {
    /// It was named.
    Asked,
    /// So has everything.
    All,
    /// A budget is kept so.
    Lifted(Lift),
    /// The relative squared error that one term leaves is above a threshold.
    Above {
        /// The error.
        loses: f64,
        /// The threshold.
        threshold: f64,
    },
    /// The relative squared error that one term leaves is among the largest, up to a share of all weights.
    Share {
        /// The error.
        loses: f64,
        /// The share, of 1.
        share: f64,
    },
}

/// The inputs on which the output of a layer is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Those that the quantized layers before it give.
    Quantized,
    /// Those of the float network.
    Float,
    /// Assumed from means and variances of a batch normalisation.
    Normalised,
    /// Assumed to be as usual.
    Usual,
}

/// Why one layer is other than the rest.
#[derive(Clone, Debug)]
pub enum Why {
    /// Words read from a file.
    Told(String),
    /// A person's rule.
    Rule,
    /// A budget is kept so.
    Lifted(Lift),
    /// It is a first layer of the graph.
    First,
    /// It is a last one.
    Last,
    /// What the target takes, as [`Target::obstacle`](crate::options::Target::obstacle) words it.
    Target(String),
    /// The target named takes no activations of this type.
    NoActivations(&'static str, CodeType),
    /// The layer is written as two products, whose sum is made in float.
    Split,
}

/// What files carry as words, and what is the same where the words are.
macro_rules! told {
    ($($kind:ty, $told:expr);*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map($told)
            }
        }

        impl PartialEq for $kind {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $kind {}

        impl PartialOrd for $kind {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $kind {
            fn cmp(&self, other: &Self) -> Ordering {
                self.to_string().cmp(&other.to_string())
            }
        }
    )*};
}

told!(Reasons, |words| Self(vec![Reason::Told(words)]); Why, Self::Told);

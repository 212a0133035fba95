//! Words that options take as values.

use clap::ValueEnum;

use crate::options;

/// Types of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Weights {
    /// Signed, 2 bits
    Int2,
    /// Unsigned with a zero point, 2 bits
    Uint2,
    /// Signed, 3 bits
    Int3,
    /// Unsigned with a zero point, 3 bits
    Uint3,
    /// Signed, 4 bits
    Int4,
    /// Unsigned with a zero point, 4 bits
    Uint4,
    /// Signed, 5 bits
    Int5,
    /// Unsigned with a zero point, 5 bits
    Uint5,
    /// Signed, 6 bits
    Int6,
    /// Unsigned with a zero point, 6 bits
    Uint6,
    /// Signed, 8 bits
    Int8,
    /// Not quantized
    Float,
}

/// Types of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Activations {
    /// Not quantized
    Float,
    /// Unsigned with a zero point, 8 bits
    Uint8,
    /// Signed, 8 bits
    Int8,
    /// Unsigned with a zero point, 4 bits
    Uint4,
    /// Signed, 4 bits
    Int4,
    /// Signed, 16 bits
    Int16,
}

/// How codes of fewer than eight bits are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StorageArg {
    /// INT4 and UINT4 behind DequantizeLinear, the standard's own form: small; onnxruntime unpacks it in every run; opset 21
    Packed,
    /// One code to a byte of INT8, for older runtimes and integer kernels: twice as large; opset 13
    Int8,
    /// INT4 and UINT4 behind Cast: small, and unpacked once, while the runtime loads the file; opset 21, onnxruntime 1.23
    Cast,
    /// Several codes to a byte of UINT8 behind basic operators: small, and unpacked once, while a runtime that folds constants
    /// loads the file; opset 7, also 2, 3, 5 and 6 bits
    Bytes,
}

/// Which activations are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    /// Inputs of quantized layers
    Inputs,
    /// Also residual and concat inputs: what is added to or concatenated with outputs of quantized layers
    Joins,
    /// Also outputs of quantized layers, and activations between operators with integer kernels
    Outputs,
    /// Also graph outputs
    Everywhere,
}

/// How biases are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bias {
    /// FLOAT, as they are
    Float,
    /// INT32; the scale is input scale times weight scale
    Int32,
}

/// How scales are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scales {
    /// Least squared error
    Mmse,
    /// The smallest scale that clips nothing, for comparison
    MinMax,
}

/// How weights are judged by the output of their layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compensation {
    /// Round to nearest (fastest)
    None,
    /// Round to nearest, then refit the scales to the layer's output
    Scales,
    /// Optimise each layer's output on float inputs
    Layerwise,
    /// Optimise each layer's output on inputs from the already quantized layers (best)
    Sequential,
}

impl Weights {
    /// The library's word; `None` for float.
    pub fn code_type(self) -> Option<options::CodeType> {
        match self {
            Self::Int2 => Some(options::CodeType::Int2),
            Self::Uint2 => Some(options::CodeType::Uint2),
            Self::Int3 => Some(options::CodeType::Int3),
            Self::Uint3 => Some(options::CodeType::Uint3),
            Self::Int4 => Some(options::CodeType::Int4),
            Self::Uint4 => Some(options::CodeType::Uint4),
            Self::Int5 => Some(options::CodeType::Int5),
            Self::Uint5 => Some(options::CodeType::Uint5),
            Self::Int6 => Some(options::CodeType::Int6),
            Self::Uint6 => Some(options::CodeType::Uint6),
            Self::Int8 => Some(options::CodeType::Int8),
            Self::Float => None,
        }
    }
}

impl Activations {
    /// The library's word; `None` for float.
    pub fn code_type(self) -> Option<options::CodeType> {
        match self {
            Self::Uint8 => Some(options::CodeType::Uint8),
            Self::Int8 => Some(options::CodeType::Int8),
            Self::Uint4 => Some(options::CodeType::Uint4),
            Self::Int4 => Some(options::CodeType::Int4),
            Self::Int16 => Some(options::CodeType::Int16),
            Self::Float => None,
        }
    }
}

macro_rules! same_words {
    ($($mine:ident => $theirs:ident { $($word:ident),* })*) => {$(
        impl From<$mine> for options::$theirs {
            fn from(word: $mine) -> Self {
                match word {
                    $($mine::$word => Self::$word,)*
                }
            }
        }
    )*};
}

same_words! {
    StorageArg => Storage { Packed, Int8, Cast, Bytes }
    Placement => Placement { Inputs, Joins, Outputs, Everywhere }
    Bias => Bias { Float, Int32 }
    Scales => Scales { Mmse, MinMax }
    Compensation => Compensation { None, Scales, Layerwise, Sequential }
}

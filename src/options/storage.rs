//! How codes lie in the file.

use serde::{Deserialize, Serialize};

use super::CodeType;

/// How many bits a 4-bit code takes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Four: two codes to a byte.
    #[default]
    Packed,
    /// Eight: the same codes less their zero points, one to a byte, for runtimes that know no 4-bit types or have kernels
    /// for eight bits only. 4-bit activations are held to sixteen values by a Clip.
    Int8,
}

impl Storage {
    /// Whether it has a form for codes of weights of this many bits.
    pub fn holds(self, bits: u32) -> bool {
        match self {
            Self::Packed => matches!(bits, 4 | 8),
            Self::Int8 => bits <= 8,
        }
    }

    /// The type in which codes of weights of type `code_type` stand in the file.
    pub fn of_weights(self, code_type: CodeType) -> CodeType {
        if self == Self::Int8 && code_type.bits() < 8 { CodeType::Int8 } else { code_type }
    }

    /// The type in which codes of an activation of type `code_type` stand in the file.
    pub fn of_activation(self, code_type: CodeType) -> CodeType {
        if self == Self::Int8 { code_type.with_bits(code_type.bits().max(8)) } else { code_type }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Int8 => "int8",
        }
    }
}

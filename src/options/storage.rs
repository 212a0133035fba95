//! How codes lie in the file.

use serde::{Deserialize, Serialize};

use super::CodeType;

/// How codes of fewer than eight bits stand in the file, and by what a runtime unpacks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// INT4 and UINT4, two codes to a byte, behind DequantizeLinear: the standard's own form, for runtimes with kernels for it.
    /// onnxruntime dequantizes such weights in every run.
    #[default]
    Packed,
    /// One code less its zero point to a byte, for runtimes that know no 4-bit types or have kernels for eight bits only.
    /// 4-bit activations are held to sixteen values by a Clip.
    Int8,
    /// INT4 and UINT4, which Cast unpacks; other widths as with [`Storage::Bytes`]. A runtime that folds constants does that once,
    /// while it loads the file. Activations as with [`Storage::Int8`].
    Cast,
    /// Several codes to a byte of UINT8, unpacked by operators that every runtime has (Cast, Mul, Floor, Sub, Reshape), from
    /// opset 7 on. A runtime that folds constants does that once, while it loads the file. Activations as with
    /// [`Storage::Int8`].
    Bytes,
}

impl Storage {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Packed, Self::Int8, Self::Cast, Self::Bytes];

    /// Whether weights have codes of so many bits in it.
    pub fn holds(self, bits: u32) -> bool {
        match self {
            Self::Packed => matches!(bits, 4 | 8),
            _ => (2..=8).contains(&bits),
        }
    }

    /// Whether ordinary operators unpack the codes, so that what meets a layer is float, or codes of eight bits.
    pub fn unpacks(self) -> bool {
        matches!(self, Self::Cast | Self::Bytes)
    }

    /// Whether products may be MatMulNBits, which packs two codes to a byte itself.
    pub fn has_nbits(self) -> bool {
        self != Self::Int8
    }

    /// Whether activations have codes of eight bits, whatever their range.
    pub fn widens_activations(self) -> bool {
        self != Self::Packed
    }

    /// The type in which codes of weights of type `code_type` meet DequantizeLinear.
    pub fn of_weights(self, code_type: CodeType) -> CodeType {
        if self != Self::Packed && code_type.bits() < 8 { CodeType::Int8 } else { code_type }
    }

    /// The type in which codes of an activation of type `code_type` stand in the file.
    pub fn of_activation(self, code_type: CodeType) -> CodeType {
        if self.widens_activations() { code_type.with_bits(code_type.bits().max(8)) } else { code_type }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Int8 => "int8",
            Self::Cast => "cast",
            Self::Bytes => "bytes",
        }
    }
}

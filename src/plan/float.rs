//! The float types in which weights are stored.

use serde::{Deserialize, Serialize};

use crate::onnx::Dtype;

/// A float element type, in ONNX's own spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Float {
    /// 32 bits.
    #[default]
    Float,
    /// IEEE half precision.
    Float16,
    /// The upper half of 32 bits.
    Bfloat16,
    /// 64 bits.
    Double,
}

impl Float {
    /// The type with ONNX's number `code`, if it is one of these.
    pub fn of(code: i32) -> Option<Self> {
        [Self::Float, Self::Float16, Self::Bfloat16, Self::Double]
            .into_iter()
            .find(|float| float.dtype() as i32 == code)
    }

    /// ONNX's element type.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Float => Dtype::Float,
            Self::Float16 => Dtype::Float16,
            Self::Bfloat16 => Dtype::Bfloat16,
            Self::Double => Dtype::Double,
        }
    }

    /// The type of the scale over codes of such values: FLOAT16 where the values are, since DequantizeLinear-21 gives what its
    /// scale is; FLOAT for BFLOAT16, which would keep eight bits of it, and for DOUBLE, which no scale may be.
    pub fn of_scale(self) -> Self {
        match self {
            Self::Float16 => Self::Float16,
            _ => Self::Float,
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Float => 4,
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Double => 8,
        }
    }

    /// The nearest value that this type can hold, ties to even.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::Float | Self::Double => value,
            Self::Float16 => half::f16::from_f32(value).to_f32(),
            Self::Bfloat16 => half::bf16::from_f32(value).to_f32(),
        }
    }

    /// The nearest scale above zero that this type can hold; of one too large the largest.
    pub fn round_scale(self, scale: f32) -> f32 {
        let (least, most) = match self {
            Self::Float | Self::Double => return scale,
            Self::Float16 => (half::f16::MIN_POSITIVE_SUBNORMAL.to_f32(), half::f16::MAX.to_f32()),
            Self::Bfloat16 => (half::bf16::MIN_POSITIVE_SUBNORMAL.to_f32(), half::bf16::MAX.to_f32()),
        };
        self.round(scale).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_stay_above_zero_and_finite() {
        assert_eq!(Float::Float16.round_scale(1e-12), half::f16::MIN_POSITIVE_SUBNORMAL.to_f32());
        assert_eq!(Float::Float16.round_scale(1e9), 65504.0);
        assert_eq!(Float::Float16.round_scale(0.1), half::f16::from_f32(0.1).to_f32());
        assert_eq!(Float::Double.round_scale(1e-12), 1e-12);
        assert_eq!(Float::of(Dtype::Bfloat16 as i32), Some(Float::Bfloat16));
        assert_eq!(Float::of(Dtype::Int8 as i32), None);
    }
}

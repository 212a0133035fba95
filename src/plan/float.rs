//! The float types in which weights are stored.

use serde::{Deserialize, Serialize};

use crate::onnx::Dtype;
use crate::options::OPSET_HALF;

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

    /// Whether QuantizeLinear and DequantizeLinear of `opset` do not know scales of this type.
    pub fn is_new_to(self, opset: i64) -> bool {
        matches!(self, Self::Float16 | Self::Bfloat16) && opset < OPSET_HALF
    }

    /// Whether this type can hold `scale` about as well as other numbers: near zero there are fewer of them, and far away none.
    pub fn holds(self, scale: f32) -> bool {
        let moved = match self {
            Self::Float | Self::Double => return true,
            // Twice of what a normal number moves by, at most.
            Self::Float16 => 1.0 / 1024.0,
            Self::Bfloat16 => 1.0 / 128.0,
        };
        (self.round_scale(scale) - scale).abs() <= scale.abs() * moved
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
        assert!(Float::Float16.holds(0.1) && Float::Float16.holds(7e-5) && Float::Float.holds(1e-30));
        assert!(!Float::Float16.holds(1e-7) && !Float::Float16.holds(1e6));
        assert!(Float::Float16.is_new_to(17) && !Float::Float16.is_new_to(19) && !Float::Float.is_new_to(10));
        assert_eq!(Float::of(Dtype::Bfloat16 as i32), Some(Float::Bfloat16));
        assert_eq!(Float::of(Dtype::Int8 as i32), None);
    }
}

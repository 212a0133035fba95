//! What becomes of an activation.

use serde::{Deserialize, Serialize};

use crate::options::CodeType;
use crate::plan::float::Float;
use crate::plan::reason::Reasons;
use crate::plan::site::Read;

/// A QuantizeLinear/DequantizeLinear pair: `x = scale * (code - zero_point)`. With a second term, what the first pair
/// leaves goes through another: `x = Q1(x) + Q2(x - Q1(x))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationDecision {
    /// The tensor.
    pub tensor: String,
    /// Its element type.
    #[serde(default)]
    pub float: Float,
    /// Whether scales are FLOAT, and a Cast leads to and from a type that could not hold them, or that the operators do not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wide_scales: bool,
    /// Who reads the low-bit form.
    pub reads: Vec<Read>,
    /// Whether the model gives it back under the tensor's name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// One pair, or two.
    pub terms: Vec<ActivationTerm>,
    /// Smallest and largest value seen on the calibration samples.
    pub range: (f32, f32),
    /// Signal to quantization noise on the calibration samples, in dB; `None` where there is no
    /// noise.
    pub sqnr_db: Option<f64>,
    /// Why this treatment.
    pub reason: Reasons,
}

/// One QuantizeLinear/DequantizeLinear pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationTerm {
    /// Type of the codes.
    #[serde(rename = "storage")]
    pub code_type: CodeType,
    /// The scale.
    pub scale: f32,
    /// The zero point, in the range of the code type.
    pub zero_point: i16,
}

impl ActivationDecision {
    /// The type of its scales.
    pub fn scale_float(&self) -> Float {
        if self.wide_scales { Float::Float } else { self.float }
    }

    /// Position of the first node that reads the low-bit form; behind all where only the model's caller does.
    pub fn first(&self) -> usize {
        self.reads.first().map_or(usize::MAX, |read| read.at)
    }

    /// Replaces each value by the nearest one that the low-bit form has, in f32 as QuantizeLinear and DequantizeLinear
    /// compute it.
    pub fn round(&self, values: &mut [f32]) {
        let steps: Vec<(f32, f32, f32)> = self.terms.iter().map(ActivationTerm::step).collect();
        if let &[step] = &steps[..] {
            values.iter_mut().for_each(|value| *value = nearest(*value, step));
            return;
        }
        for value in values {
            let mut sum = 0.0f32;
            let mut left = *value;
            for &step in &steps {
                sum += nearest(left, step);
                left = *value - sum;
            }
            *value = sum;
        }
    }
}

impl ActivationTerm {
    /// The scale, and the smallest and largest multiple of it.
    fn step(&self) -> (f32, f32, f32) {
        let (lowest, highest) = self.code_type.range();
        let zero = f32::from(self.zero_point);
        (self.scale, lowest as f32 - zero, highest as f32 - zero)
    }
}

/// Adding and subtracting it rounds a small number to the nearest integer, ties to even, in arithmetic that every processor
/// does on several numbers at a time.
const TO_INTEGER: f32 = 1.5 * (1 << 23) as f32;

/// The bounds are integers, so that clamping before rounding gives the same code as after it.
fn nearest(value: f32, (scale, lowest, highest): (f32, f32, f32)) -> f32 {
    let code = ((value / scale).clamp(lowest, highest) + TO_INTEGER) - TO_INTEGER;
    // A comparison with NaN leaves NaN, where ONNX has no rule: the code of 0.
    if code.is_nan() { 0.0 } else { code * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_rounded_as_quantize_linear_does() {
        for (code_type, zero_point) in [(CodeType::Uint8, 0), (CodeType::Uint8, 131), (CodeType::Int8, -3)] {
            let term = ActivationTerm { code_type, scale: 0.1, zero_point };
            let decision = ActivationDecision {
                tensor: "x".into(),
                float: Float::Float,
                wide_scales: false,
                reads: Vec::new(),
                returned: false,
                terms: vec![term],
                range: (0.0, 0.0),
                sqnr_db: None,
                reason: Reasons::default(),
            };
            let special = [
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                1e30,
                -1e30,
                -0.0,
                0.05,
                0.15,
                -0.25,
                f32::MIN_POSITIVE,
            ];
            let values: Vec<f32> = (-4000..4000).map(|at| at as f32 * 0.0125).chain(special).collect();
            let mut rounded = values.clone();
            decision.round(&mut rounded);
            let (lowest, highest) = code_type.range();
            for (value, rounded) in values.iter().zip(rounded) {
                let zero = f32::from(zero_point);
                let code =
                    ((value / 0.1).round_ties_even() + zero).clamp(lowest as f32, highest as f32) - zero;
                let expected = if code.is_nan() { 0.0 } else { code * 0.1 };
                assert_eq!(
                    rounded.to_bits(),
                    (expected + 0.0).to_bits(),
                    "{value} {code_type:?} {zero_point}"
                );
            }
        }
    }
}

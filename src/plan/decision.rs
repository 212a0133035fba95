//! What becomes of each site: every scale, every code, each with its reason.

mod activation;
mod fingerprint;
mod generated;
mod laid;
mod stamp;

use serde::{Deserialize, Serialize};

pub use activation::{ActivationDecision, ActivationTerm};
pub use fingerprint::{Fingerprint, Overlap};
pub use generated::{Generated, Generation};
pub use laid::{Laid, are_few};
pub use stamp::Stamp;

use super::codes::Codes;
use super::float::Float;
use super::partition::{Groups, Partition};
use super::reason::Reasons;
use super::site::{Read, Skip};
use crate::options::{Bias, CodeType, HELD, Opset, Spelling, Storage};

/// The version of the plan's form. Raised when a reader of the old form could be misled.
pub const VERSION: u32 = 2;

/// Everything that rewriting needs to know: plain data that can be written, read, edited,
/// compared, cut short and applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`] when it was made.
    pub version: u32,
    /// The program and version that made it.
    pub tool: String,
    /// The model it was made for.
    pub subject: Subject,
    /// `w4a8` and the like.
    pub precision: String,
    /// To which opset the model is brought first: decisions name nodes by their place after that.
    #[serde(default)]
    pub opset: Opset,
    /// How codes are stored.
    #[serde(default, rename = "container")]
    pub storage: Storage,
    /// How biases beside quantized inputs are stored.
    #[serde(default)]
    pub bias: Bias,
    /// Whether zero points of weights are written even where all of them are 0.
    #[serde(default)]
    pub explicit_zero_points: bool,
    /// Dimensions that inputs get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<(String, Vec<i64>)>,
    /// The samples that it was made from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Fingerprint>,
    /// What these were, where nobody gave them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// What is done, in graph order.
    pub decisions: Vec<Decision>,
    /// What is left, and why.
    pub skips: Vec<Skip>,
}

/// The model that a plan belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// File name, without its folder.
    pub file: String,
    /// SHA-256 of the model as one protobuf message with all its data inside, in hexadecimal.
    pub sha256: String,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Decision {
    /// Store weights as codes.
    Weight(WeightDecision),
    /// Put a QuantizeLinear/DequantizeLinear pair on an activation.
    Activation(ActivationDecision),
}

impl Decision {
    /// The tensor concerned.
    pub fn tensor(&self) -> &str {
        match self {
            Self::Weight(decision) => &decision.tensor,
            Self::Activation(decision) => &decision.tensor,
        }
    }
}

/// Weights as codes: the sum over the terms of `scale * (code - zero_point)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightDecision {
    /// The initializer.
    pub tensor: String,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// The element type that its readers get: that of the initializer, or that to which all of them cast it.
    #[serde(default)]
    pub float: Float,
    /// Whether scales are FLOAT, and a Cast leads to and from a type that could not hold them, or that the operators do not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wide_scales: bool,
    /// Who reads it.
    pub reads: Vec<Read>,
    /// What is summed; one term is an ordinary quantized tensor.
    pub terms: Vec<WeightTerm>,
    /// How that is written.
    #[serde(default)]
    pub spelling: Spelling,
    /// What becomes of products that could saturate on the target; `None` where none could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<Saturation>,
    /// Signal to quantization noise of the weights, in dB; `None` where there is no noise.
    pub sqnr_db: Option<f64>,
    /// Why this treatment.
    pub reason: Reasons,
    /// What other treatments would have lost.
    #[serde(default)]
    pub residuals: Option<Residuals>,
    /// Multiplications of one run that these weights take part in, over all readers and for one term; `None` where no run
    /// showed the sizes of their inputs.
    #[serde(default)]
    pub macs: Option<u64>,
    /// New biases that take up the mean error of the products, one a reader at most.
    #[serde(default)]
    pub biases: Vec<BiasChange>,
}

impl WeightDecision {
    /// The name that the value of one of several terms gets in the model; where it is taken a number follows.
    pub fn term_name(&self, at: usize) -> String {
        format!("{}_term_{}", self.tensor, at + 1)
    }

    /// The smallest and the largest code that its terms may have.
    pub fn code_range(&self) -> Option<(i32, i32)> {
        let held = self.saturation == Some(Saturation::Avoided);
        self.terms.first().map(|term| if held { HELD } else { term.code_type.range() })
    }

    /// The values that the weights stand for: terms decoded and added in order, as ONNX does it, in the type of the scales, and
    /// then in the weights' own. Meant for decisions without a [`WeightDecision::problem`].
    pub fn decode(&self) -> Vec<f32> {
        let elements = self.terms.first().map_or(0, |term| term.codes.len());
        let mut sum = vec![0.0; elements];
        self.decode_piece(0, &mut sum);
        sum
    }

    /// Puts the values of [`WeightDecision::decode`] from `start` on into `out`.
    pub fn decode_piece(&self, start: usize, out: &mut [f32]) {
        decode_sum(&self.terms, &self.dims, self.types(), start, out);
    }

    /// The type of its scales.
    pub fn scale_float(&self) -> Float {
        if self.wide_scales { Float::Float } else { self.float.of_scale() }
    }

    /// The type of its scales, and that of its values.
    pub fn types(&self) -> (Float, Float) {
        (self.scale_float(), self.float)
    }
}

/// What becomes of 8-bit weights whose products with 8-bit activations kernels of the target add in saturating 16 bits, as those
/// of x86 without VNNI do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saturation {
    /// Codes are within [`HELD`], so that no sum saturates.
    Avoided,
    /// All codes are used, as somebody asked for; sums can saturate.
    Possible,
}

/// Relative squared errors, `|w - q|^2 / |w|^2`, of one weight tensor at the scales of least error and nearest codes: what
/// each treatment would lose. Rounding that looks further than the single weight may lose more than this, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residuals {
    /// One scale a tensor.
    pub tensor: f64,
    /// One scale a kernel, where there is an axis of them.
    pub channel: Option<f64>,
    /// One scale a block, where these were asked for.
    pub block: Option<f64>,
    /// The partition that was chosen, one term.
    pub single: f64,
    /// The error with two terms, where these were asked about.
    pub dual: Option<f64>,
}

/// One quantized tensor: `scale * (code - zero_point)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightTerm {
    /// Type of the codes.
    #[serde(rename = "storage")]
    pub code_type: CodeType,
    /// Which elements share a scale.
    pub partition: Partition,
    /// The scales, one a group.
    pub scales: Vec<f32>,
    /// The zero points, as many as scales; in the range of the code type.
    pub zero_points: Vec<i16>,
    /// The codes.
    pub codes: Codes,
}

impl WeightTerm {
    /// Which scale belongs to which element of weights of `dims`; `None` where the partition does not fit them.
    pub fn groups(&self, dims: &[i64]) -> Option<Groups> {
        self.partition.groups(dims)
    }

    /// The values that the codes stand for in weights of `dims`; nothing where the partition does not fit them.
    pub fn decode(&self, dims: &[i64]) -> Vec<f32> {
        let Some(groups) = self.groups(dims) else { return Vec::new() };
        let mut values = vec![0.0; self.codes.len()];
        self.decode_piece(&groups, 0, &mut values);
        values
    }

    /// Puts the values of [`WeightTerm::decode`] from `start` on into `out`; `groups` are those of the partition.
    pub fn decode_piece(&self, groups: &Groups, start: usize, out: &mut [f32]) {
        let mut done = 0;
        while done < out.len() {
            let (group, step, run) = groups.run(start + done);
            let run = run.min(out.len() - done);
            for (at, out) in out[done..done + run].iter_mut().enumerate() {
                let group = group + at * step;
                let code = self.codes.get(start + done + at);
                *out = f32::from(code - self.zero_points[group]) * self.scales[group];
            }
            done += run;
        }
    }
}

/// Puts the sum of `terms` of weights of `dims`, from element `start` on, into `out`: decoded and added in order, in the type of
/// the scales, the first of `types`, and then in that of the weights.
pub fn decode_sum(
    terms: &[WeightTerm],
    dims: &[i64],
    (scale, float): (Float, Float),
    start: usize,
    out: &mut [f32],
) {
    let round = |values: &mut [f32], to: Float| {
        if matches!(to, Float::Float16 | Float::Bfloat16) {
            values.iter_mut().for_each(|value| *value = to.round(*value));
        }
    };
    let mut more = Vec::new();
    for (at, term) in terms.iter().enumerate() {
        let Some(groups) = term.groups(dims) else { continue };
        if at == 0 {
            term.decode_piece(&groups, start, out);
            round(out, scale);
            continue;
        }
        more.resize(out.len(), 0.0);
        term.decode_piece(&groups, start, &mut more);
        round(&mut more, scale);
        out.iter_mut().zip(&more).for_each(|(sum, term)| *sum += term);
        round(out, scale);
    }
    round(out, float);
}

/// A bias with new values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BiasChange {
    /// The read that takes the bias.
    pub read: Read,
    /// The initializer that holds it now, if any.
    pub tensor: Option<String>,
    /// The new values, one an output channel.
    pub values: Vec<f32>,
}

//! Functions of one number.

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// An activation of a recurrent operator, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Affine(f64, f64),
    Elu(f64),
    HardSigmoid(f64, f64),
    LeakyRelu(f64),
    Relu,
    ScaledTanh(f64, f64),
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu(f64),
}

/// ln(1 + e^x), without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

impl Activation {
    /// The activations of these names. Each takes the next of `alpha` and of `beta` if it has such a parameter.
    ///
    /// # Errors
    /// Where a name is not known, or a parameter is missing for which runtimes take different values.
    pub fn list(names: &[String], alpha: &[f32], beta: &[f32]) -> TractResult<Vec<Self>> {
        let (mut alpha, mut beta) =
            (alpha.iter().copied().map(f64::from), beta.iter().copied().map(f64::from));
        let mut one = |name: &String| {
            let given = |what: &str, values: &mut dyn Iterator<Item = f64>| {
                values
                    .next()
                    .with_context(|| format!("activation {name} without {what} has no agreed meaning"))
            };
            Ok(match name.to_ascii_lowercase().as_str() {
                "affine" => Self::Affine(given("alpha", &mut alpha)?, given("beta", &mut beta)?),
                "elu" => Self::Elu(alpha.next().unwrap_or(1.0)),
                "hardsigmoid" => Self::HardSigmoid(alpha.next().unwrap_or(0.2), beta.next().unwrap_or(0.5)),
                "leakyrelu" => Self::LeakyRelu(alpha.next().unwrap_or(0.01)),
                "relu" => Self::Relu,
                "scaledtanh" => Self::ScaledTanh(given("alpha", &mut alpha)?, given("beta", &mut beta)?),
                "sigmoid" => Self::Sigmoid,
                "softplus" => Self::Softplus,
                "softsign" => Self::Softsign,
                "tanh" => Self::Tanh,
                // 1 by the standard, 0 in onnxruntime.
                "thresholdedrelu" => Self::ThresholdedRelu(given("alpha", &mut alpha)?),
                _ => bail!("activation {name} is not known"),
            })
        };
        names.iter().map(&mut one).collect()
    }

    /// Its value at `x`.
    pub fn of(self, x: f32) -> f32 {
        let x = f64::from(x);
        let value = match self {
            Self::Affine(a, b) => a * x + b,
            Self::Elu(a) if x < 0.0 => a * x.exp_m1(),
            Self::LeakyRelu(a) if x < 0.0 => a * x,
            Self::Elu(_) | Self::LeakyRelu(_) => x,
            Self::HardSigmoid(a, b) => (a * x + b).clamp(0.0, 1.0),
            Self::Relu => x.max(0.0),
            Self::ScaledTanh(a, b) => a * (b * x).tanh(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Tanh => x.tanh(),
            Self::ThresholdedRelu(a) => {
                if x > a {
                    x
                } else {
                    0.0
                }
            }
        };
        value as f32
    }
}

//! What becomes of each layer, decided before any code is: storage, partition and number of terms, from the options and
//! what analysis found. Whoever solves a layer reads its treatment and asks nothing else.

mod form;
mod keys;
mod wish;

use super::residuals::Measurements;
use super::terms::{Found, Kind};
use super::{in_turns, memory};
use keys::{Matches, keys};
use wish::Wish;

use crate::error::Result;
use crate::onnx::Index;
use crate::options::{Compensation, Keys, Options, Spelling, Storage};
use crate::plan::{Analysis, Keep, Partition, Residuals, Saturation};

use std::collections::HashSet;
use std::sync::Arc;

/// How one layer is treated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// What becomes of its weights; `None` leaves them float.
    pub weights: Option<Treatment>,
    /// Storage of the activation that it reads; `None` leaves it float.
    pub activation: Option<Storage>,
    /// One QuantizeLinear/DequantizeLinear pair on it, or two.
    pub activation_terms: usize,
    /// Why that storage, where it is not what was asked for all.
    pub activation_why: Option<String>,
    /// The same of float weights.
    weights_why: Option<String>,
}

impl Layer {
    /// Why the weights are float.
    pub fn float(&self) -> Keep {
        self.weights_why.clone().map_or(Keep::FloatAsked, Keep::FloatBecause)
    }
}

/// How one weight tensor is to be quantized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Treatment {
    pub storage: Storage,
    pub partition: Partition,
    /// Whether zero points are all 0.
    pub symmetric: bool,
    /// What becomes of products that could saturate on the target.
    pub saturation: Option<Saturation>,
    /// How many low-bit tensors are summed.
    pub terms: usize,
    pub spelling: Spelling,
    /// Whether codes are chosen for the layer's output.
    pub compensate: bool,
    /// Whether nothing may clip, whatever that costs.
    pub min_max: bool,
    /// Whether the mean error of outputs is corrected.
    pub correct_biases: bool,
    /// What other treatments would lose; `None` where the weights cannot be read as numbers.
    pub residuals: Option<Residuals>,
    /// The scales of a single term, where they were kept.
    pub found: Option<Arc<Found>>,
    /// Why the partition, the width and the number of terms, in words.
    why: String,
    /// Whether it becomes MatMulNBits, or why not, in words, where that was asked for.
    written: String,
    compensation: Compensation,
    inputs: Inputs,
}

/// What is known of the inputs that a weight tensor meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inputs {
    /// What samples show, or nothing.
    Seen,
    /// Without samples: means and variances of channels, from a BatchNormalization.
    Normalised,
    /// Without samples: what is usual.
    Usual,
}

impl Treatment {
    /// The type of its codes.
    pub fn kind(&self) -> Kind {
        Kind {
            storage: self.storage,
            symmetric: self.symmetric,
            held: self.saturation == Some(Saturation::Avoided),
        }
    }

    /// The same for a layer of whose inputs nothing is known.
    pub fn alone(&self) -> Self {
        Self { compensate: false, compensation: Compensation::None, ..self.clone() }
    }

    /// The same for a layer that is too large to be judged by its output without samples.
    pub fn too_large(&self) -> Self {
        let why = format!(
            "{}, each weight for itself as it takes too much memory to foresee their output",
            self.why
        );
        Self { why, ..self.alone() }
    }

    /// The same for a layer of whose inputs something is foreseen without samples: that they are `normalised`, or only
    /// what is usual, whose means are no ground to correct biases on. `None` where that is not to be made use of.
    pub fn foreseen(&self, normalised: bool) -> Option<Self> {
        // With more codes, or sixteen zero points to choose from, a rough guess gains nothing.
        let wanted = self.compensate && self.correct_biases && (normalised || self.storage == Storage::Int4);
        let inputs = if normalised { Inputs::Normalised } else { Inputs::Usual };
        wanted.then(|| Self { correct_biases: normalised, inputs, ..self.clone() })
    }

    /// All of it in words.
    pub fn reason(&self) -> String {
        let zero = match self.storage {
            _ if self.symmetric => "",
            Storage::Int4 => ", odd code on the better side",
            Storage::Uint4 => ", best of 16 zero points",
            Storage::Int8 | Storage::Uint8 | Storage::Int16 => "",
        };
        let share = if matches!(self.partition, Partition::Block { .. }) { "block" } else { "kernel" };
        let rest = match (self.compensate, self.compensation) {
            (true, _) if self.inputs == Inputs::Usual => {
                ", output error compensated on inputs as they usually are".into()
            }
            (true, _) if self.inputs == Inputs::Normalised => {
                ", output error compensated on inputs as batch normalisation makes them".into()
            }
            (true, Compensation::Sequential) => {
                ", output error compensated on the quantized network's inputs".into()
            }
            (true, _) => ", output error compensated on the float network's inputs".into(),
            (false, Compensation::Scales) => ", scales refitted to the output".into(),
            (false, _) if self.correct_biases => format!(", rounding errors of each {share} cancelled"),
            _ => String::new(),
        };
        let method = match (self.compensate, self.terms) {
            (true, _) => "least output error",
            (false, _) if self.min_max => "min-max scales",
            (false, 1) => "exact MMSE",
            (false, _) => "MMSE",
        };
        let range = match self.saturation {
            None => "",
            Some(Saturation::Avoided) => {
                ", codes held to -64..64 so that no sum of two products exceeds 16 bits"
            }
            Some(Saturation::Possible) => ", all codes as asked, whose products can exceed 16 bits in pairs",
        };
        format!("{method}, {}{range}{zero}{rest}{}", self.why, self.written)
    }
}

/// The treatment of each weight site, in their order, in a model of `opset`.
///
/// # Errors
/// [`Error::Options`] for a pattern that fits no layer, or wishes that contradict one another;
/// [`Error::Invalid`] where a weight's data does not fit its dimensions.
pub(super) fn layers(
    analysis: &Analysis,
    index: &Index,
    options: &Options,
    opset: i64,
    measurements: &Measurements,
) -> Result<Vec<Layer>> {
    let sites = &analysis.weights;
    let rules = Matches::new(options.layers.iter().map(|rule| rule.matching.clone()).collect(), sites)?;
    let named = Matches::new(options.dual.layers.clone(), sites)?;
    let available: HashSet<&str> = analysis.activations.iter().map(|site| site.tensor.as_str()).collect();
    let mut wishes = Vec::new();
    for site in sites {
        let rules = rules.of(site).into_iter().map(|at| &options.layers[at]);
        let meets = site.inputs().any(|input| available.contains(input));
        wishes.push(Wish::new(site, (index, opset), options, rules, !named.of(site).is_empty(), meets)?);
    }
    let dual_asked = options.dual.keys != Keys::None || wishes.iter().any(|wish| wish.dual == Some(true));
    let all: Vec<usize> = (0..sites.len()).collect();
    let measured = in_turns(
        &all,
        |at| memory(&sites[at]),
        |at| match wishes[at].weights {
            Some(storage) => measurements.of(
                &sites[at],
                index,
                wishes[at].kind(storage, options),
                wishes[at].partition,
                dual_asked,
            ),
            None => Ok(None),
        },
    )?;
    let (residuals, found): (Vec<_>, Vec<_>) = measured
        .into_iter()
        .map(Option::unzip)
        .map(|(residuals, found)| (residuals, found.flatten()))
        .unzip();
    let keys = keys(&options.dual.keys, sites, &wishes, &residuals);
    let layers = wishes.into_iter().zip(residuals).zip(found).zip(keys);
    Ok(layers.map(|(((wish, residuals), found), key)| wish.layer(residuals, found, key, options)).collect())
}

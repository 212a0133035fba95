//! What becomes of each layer, decided before any code is: type of codes, partition and number of terms, from the options and
//! what analysis found. Whoever solves a layer reads its treatment and asks nothing else.

mod form;
mod keys;
mod wish;

use super::residuals::Shared;
use super::terms::{Found, Kind, grids};
use super::{in_turns, memory};
use keys::{Matches, keys};
use wish::Wish;

use crate::error::Result;
use crate::onnx::Index;
use crate::options::{CodeType, Compensation, Keys, Options, Spelling, Storage};
use crate::plan::{Analysis, Criterion, Keep, Met, Partition, Reason, Reasons, Residuals, Saturation, Why};
use crate::progress::Stage;

use std::collections::HashSet;
use std::sync::Arc;

/// How one layer is treated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// What becomes of its weights; `None` leaves them float.
    pub weights: Option<Treatment>,
    /// Type of the codes of the activation that it reads; `None` leaves it float.
    pub activation: Option<CodeType>,
    /// One QuantizeLinear/DequantizeLinear pair on it, or two.
    pub activation_terms: usize,
    /// Why that type, where it is not what was asked for all.
    pub activation_why: Option<Why>,
    /// The same of float weights.
    weights_why: Option<Why>,
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
    pub code_type: CodeType,
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
    /// Why the partition, the width and the number of terms.
    why: Vec<Reason>,
    /// Whether it becomes MatMulNBits, or why not, where that was asked for.
    written: Option<Reason>,
    /// How codes are stored.
    pub storage: Storage,
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
            code_type: self.code_type,
            symmetric: self.symmetric,
            held: self.saturation == Some(Saturation::Avoided),
        }
    }

    /// The same for a layer of whose inputs nothing is known.
    pub fn alone(&self) -> Self {
        Self { compensate: false, compensation: Compensation::None, ..self.clone() }
    }

    /// The same with the nearest codes of one term, at scales of least error of the weights.
    pub fn nearest(&self) -> Self {
        Self { compensate: false, min_max: false, terms: 1, ..self.clone() }
    }

    /// The same for a layer that is too large to be judged by its output without samples.
    pub fn too_large(&self) -> Self {
        let why = self.why.iter().cloned().chain([Reason::TooLarge]).collect();
        Self { why, ..self.alone() }
    }

    /// The same for a layer of whose inputs something is foreseen without samples: that they are `normalised`, or only
    /// what is usual, whose means are no ground to correct biases on. `None` where that is not to be made use of.
    pub fn foreseen(&self, normalised: bool) -> Option<Self> {
        // With more codes, or many zero points to choose from, a rough guess gains nothing.
        let few = self.code_type.is_signed() && self.code_type.bits() <= 4;
        let wanted = self.compensate && self.correct_biases && (normalised || few);
        let inputs = if normalised { Inputs::Normalised } else { Inputs::Usual };
        wanted.then(|| Self { correct_biases: normalised, inputs, ..self.clone() })
    }

    /// All that led to it.
    pub fn reason(&self) -> Reasons {
        let criterion = match (self.compensate, self.terms) {
            (true, _) => Criterion::Output,
            (false, _) if self.min_max => Criterion::MinMax,
            (false, 1) => Criterion::Exact,
            (false, _) => Criterion::Searched,
        };
        let zero = match self.code_type {
            _ if self.symmetric => None,
            wide if wide.bits() >= 8 => None,
            signed if signed.is_signed() => Some(Reason::BetterSide(signed.bits())),
            _ => Some(Reason::BestZeroPoint(grids(self.kind()).len())),
        };
        let blocks = matches!(self.partition, Partition::Block { .. });
        let rest = match (self.compensate, self.compensation) {
            (true, _) if self.inputs == Inputs::Usual => Some(Reason::Compensated(Met::Usual)),
            (true, _) if self.inputs == Inputs::Normalised => Some(Reason::Compensated(Met::Normalised)),
            (true, Compensation::Sequential) => Some(Reason::Compensated(Met::Quantized)),
            (true, _) => Some(Reason::Compensated(Met::Float)),
            (false, Compensation::Scales) => Some(Reason::Refitted),
            (false, _) if self.correct_biases => Some(Reason::Cancelled { blocks }),
            _ => None,
        };
        let range = self.saturation.map(|saturation| match saturation {
            Saturation::Avoided => Reason::Held,
            Saturation::Possible => Reason::FullRange,
        });
        std::iter::once(Reason::Criterion(criterion))
            .chain(self.why.iter().cloned())
            .chain(range)
            .chain(zero)
            .chain(rest)
            .chain(self.written.clone())
            .collect()
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
    shared: Shared,
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
    let stage = Stage::begin(shared.progress, "measure weights", all.len())?;
    let measured = in_turns(
        &all,
        |at| memory(&sites[at]),
        |at| {
            stage.step()?;
            let Some(code_type) = wishes[at].weights else { return Ok(None) };
            let (kind, partition) = (wishes[at].kind(code_type, options), wishes[at].partition);
            shared.measurements.of(&sites[at], index, kind, partition, dual_asked)
        },
    )?;
    drop(stage);
    let (residuals, found): (Vec<_>, Vec<_>) = measured
        .into_iter()
        .map(Option::unzip)
        .map(|(residuals, found)| (residuals, found.flatten()))
        .unzip();
    let keys = keys(&options.dual.keys, sites, &wishes, &residuals);
    let layers = wishes.into_iter().zip(residuals).zip(found).zip(keys);
    Ok(layers.map(|(((wish, residuals), found), key)| wish.layer(residuals, found, key, options)).collect())
}

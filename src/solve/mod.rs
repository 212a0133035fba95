//! The policy: from sites and what was seen of them to decisions. It reads weights and statistics, and
//! changes nothing.

mod accumulator;
mod activations;
mod attempts;
mod balance;
mod bias;
mod compensated;
mod expect;
mod ladder;
mod notes;
mod pieces;
mod prior;
mod residuals;
mod terms;
mod treatment;
mod weights;

use std::collections::HashSet;

use rayon::prelude::*;

use crate::error::Result;
use crate::onnx::{Index, Model};
use crate::options::{Bias, CodeType, Options, Spelling};
use crate::plan::{
    ActivationSite, Analysis, Decision, Expected, Keep, Observations, Partition, Plan, Read, Reason, Skip,
    Subject, VERSION, WeightDecision, WeightSite,
};
use crate::progress::Stage;
use crate::reconstruct::{Moments, Residual};
pub use ladder::{Rung, Step, steps};
pub use notes::{Noted, Notes, counts};
use prior::Prior;
pub use residuals::{Measurements, Shared};
use treatment::{Layer, Treatment};

/// Weights of one layer up to which their output is foreseen without samples, at some 60 bytes each.
const MOST_FORESEEN: usize = 1 << 22;
/// Bytes of memory for layers that are worked on at a time; one that takes more has its turn alone.
const TOGETHER: usize = 128 << 20;
/// Weights of a model from which on memory is spared: fewer are taken into memory as a whole when the model is run.
const MANY: usize = 64 << 20;
/// Bytes of memory that searches take for each weight, of which two go side by side.
const SEARCH_BYTES: usize = 100;

/// Decides every scale and every code from weights and, where there are any, observations of the float network. Without
/// them activations stay float, and `expected` stands in: what the model itself says of its activations.
///
/// # Errors
/// [`crate::error::Error::Options`] where the options name layers that are not there, or contradict one another, and
/// [`crate::error::Error::Invalid`] where a weight's data does not fit its dimensions.
pub fn solve(
    model: &Model,
    analysis: &Analysis,
    observations: Option<&Observations>,
    options: &Options,
    expected: &Expected,
    subject: Subject,
    shared: Shared,
) -> Result<Plan> {
    let mut solver = Solver::new(model, analysis, options, shared)?.expecting(expected.clone());
    let all: Vec<usize> = (0..analysis.weights.len()).collect();
    if let Some(observations) = observations {
        for site in &analysis.activations {
            solver.activation(site, observations.histograms.get(&site.tensor), None)?;
        }
    }
    solver.by_weights(&all, observations)?;
    Ok(solver.finish(subject))
}

/// What the samples say of one weight site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Moments of its inputs, one a group of channels.
    pub moments: Option<Vec<Moments>>,
    /// The error of another branch that its output is added to, one a group of channels.
    pub residuals: Option<Vec<Residual>>,
}

/// How one weight tensor is to be treated, before any code is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Treated {
    /// Type of its codes.
    pub code_type: CodeType,
    /// Which elements share a scale.
    pub partition: Partition,
    /// How many tensors are summed.
    pub terms: usize,
    /// How it is written.
    pub spelling: Spelling,
    /// The relative squared error that one term leaves; 0 where the weights are no finite numbers.
    pub loses: f64,
}

/// Makes a plan site by site, in whatever order evidence of them comes in.
#[derive(Debug)]
pub struct Solver<'s> {
    index: Index<'s>,
    analysis: &'s Analysis,
    options: &'s Options,
    shared: Shared<'s>,
    /// What is asked for each of the weight sites.
    layers: Vec<Layer>,
    expected: Expected,
    /// Whether the weights are so many that no layer may take much memory.
    sparing: bool,
    decisions: Vec<Decision>,
    skips: Vec<Skip>,
}

impl<'s> Solver<'s> {
    /// Nothing decided yet but how each layer is to be treated. What is `shared` is of this model.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn new(
        model: &'s Model,
        analysis: &'s Analysis,
        options: &'s Options,
        shared: Shared<'s>,
    ) -> Result<Self> {
        let index = Index::new(model.graph());
        let layers = treatment::layers(analysis, &index, options, model.opset(), shared)?;
        let (expected, skips) = (Expected::new(), analysis.skips.clone());
        let sparing = analysis.weights.iter().map(elements).sum::<usize>() > MANY;
        Ok(Self { index, analysis, options, shared, layers, expected, sparing, decisions: Vec::new(), skips })
    }

    /// How the weights at a position among the sites are to be treated; `None` where they stay float.
    pub fn treated(&self, at: usize) -> Option<Treated> {
        let treatment = self.layers.get(at)?.weights.as_ref()?;
        Some(Treated {
            code_type: treatment.code_type,
            partition: treatment.partition,
            terms: treatment.terms,
            spelling: treatment.spelling,
            loses: treatment.residuals.map_or(0.0, |residuals| residuals.single),
        })
    }

    /// What the model's own parameters say of its activations, used where there are no samples.
    #[must_use]
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Decides on weights by themselves, once activations are decided. Gives the decision on each of `sites`, `None` where it
    /// stays float.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn by_weights(
        &mut self,
        sites: &[usize],
        observations: Option<&Observations>,
    ) -> Result<Vec<Option<WeightDecision>>> {
        let expected = match observations {
            Some(_) => Expected::new(),
            None => expect::expect(&self.index, &self.expected)?,
        };
        let cost = |at: usize| {
            let site = &self.analysis.weights[at];
            memory(site) + if self.sparing { prior::memory(site) } else { 0 }
        };
        let stage = match sites {
            [] => return Ok(Vec::new()),
            sites => Stage::begin(self.shared.progress, "solve weights", sites.len())?,
        };
        let solved = in_turns(sites, cost, |at| {
            stage.step()?;
            let site = &self.analysis.weights[at];
            let Some(treatment) = &self.layers[at].weights else {
                return Ok(Err(weights::skip(site, self.layers[at].float())));
            };
            let mut alone = treatment.alone();
            if observations.is_none() && treatment.foreseen(true).is_some() {
                let large = self.sparing && prior::memory(site) > TOGETHER;
                if large || elements(site) > MOST_FORESEEN {
                    let possible = prior::is_possible(site, &self.index, &expected);
                    alone = if possible { treatment.too_large() } else { alone };
                } else if let Some(prior) = prior::prior(site, &self.index, &expected)
                    && let Some(found) = self.foreseen(site, treatment, prior)?
                {
                    return Ok(found);
                }
            }
            weights::solve(site, &self.index, &alone, observations)
        })?;
        sites.iter().zip(solved).map(|(&at, outcome)| self.note(at, outcome)).collect()
    }

    /// The decision on `site` by what it is foreseen to do to the output of its layer; `None` where that is not asked for.
    fn foreseen(
        &self,
        site: &WeightSite,
        treatment: &Treatment,
        prior: Prior,
    ) -> Result<Option<Result<WeightDecision, Skip>>> {
        let Some(treatment) = treatment.foreseen(prior.known) else { return Ok(None) };
        let evidence = Evidence { moments: Some(prior.moments), residuals: None };
        compensated::solve(site, &self.index, &treatment, evidence, self.shared.notes)
    }

    /// Decides on weights by what they do to the output of their layer, from evidence of their inputs; by themselves where
    /// there is none. Evidence is let go of as soon as it is used. The activations that they meet are decided before. Gives the
    /// decision on each of `sites`, `None` where it stays float.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn by_output(
        &mut self,
        sites: &[usize],
        evidence: Vec<Evidence>,
    ) -> Result<Vec<Option<WeightDecision>>> {
        let solved = sites.par_iter().zip(evidence).map(|(&at, evidence)| {
            let site = &self.analysis.weights[at];
            let Some(treatment) = &self.layers[at].weights else {
                return Ok(Err(weights::skip(site, self.layers[at].float())));
            };
            let found = compensated::solve(site, &self.index, treatment, evidence, self.shared.notes)?;
            let alone = || weights::solve(site, &self.index, &treatment.alone(), None);
            found.map_or_else(alone, Ok)
        });
        let solved = solved.collect::<Result<Vec<_>>>()?;
        sites.iter().zip(solved).map(|(&at, outcome)| self.note(at, outcome)).collect()
    }

    fn note(&mut self, at: usize, outcome: Result<WeightDecision, Skip>) -> Result<Option<WeightDecision>> {
        let mut decision = match outcome {
            Ok(decision) => decision,
            Err(skip) => {
                self.skips.push(skip);
                return Ok(None);
            }
        };
        let met = |tensor: &str| {
            self.decisions.iter().find_map(|decision| match decision {
                Decision::Activation(activation) if activation.tensor == tensor => Some(activation),
                _ => None,
            })
        };
        let int32 = self.options.bias == Bias::Int32;
        if !self.options.bias_correction && !int32 {
            self.decisions.push(Decision::Weight(decision.clone()));
            return Ok(Some(decision));
        }
        let (biases, rounded) =
            accumulator::rounded(&self.analysis.weights[at], &decision, met, &self.index)?;
        decision.biases = biases;
        if rounded && int32 {
            let site = &self.analysis.weights[at];
            let held: HashSet<&str> =
                site.readers.iter().filter_map(|reader| reader.bias.as_ref()?.tensor.as_deref()).collect();
            for skip in self.skips.iter_mut().filter(|skip| held.contains(skip.name.as_str())) {
                skip.reason = Keep::IntegerBias;
            }
        }
        if rounded {
            decision.reason.push(Reason::Bias { int32 });
        }
        self.decisions.push(Decision::Weight(decision.clone()));
        Ok(Some(decision))
    }

    /// Leaves an activation float.
    pub fn leave(&mut self, site: &ActivationSite, reason: Keep) {
        self.skips.push(Skip {
            name: site.tensor.clone(),
            operator: site.operator().to_owned(),
            dims: Vec::new(),
            bytes: 0,
            reason,
        });
    }

    /// The site whose weights `read`'s node multiplies with.
    fn layer_of(&self, read: &Read) -> Option<usize> {
        self.layer_at(read.at)
    }

    /// The site whose weights the node at a position multiplies with.
    fn layer_at(&self, at: usize) -> Option<usize> {
        self.analysis.weights.iter().position(|site| site.reads().any(|read| read.at == at))
    }

    /// The plan, in graph order.
    pub fn finish(mut self, subject: Subject) -> Plan {
        self.decisions.sort_by_key(|decision| match decision {
            Decision::Activation(activation) => (activation.first(), 0),
            Decision::Weight(weight) => (weight.reads[0].at, 1),
        });
        Plan {
            version: VERSION,
            tool: concat!("fourbit ", env!("CARGO_PKG_VERSION")).into(),
            subject,
            precision: self.options.precision().to_string(),
            opset: self.options.opset,
            storage: self.options.storage,
            bias: self.options.bias,
            explicit_zero_points: self.options.target.explicit_zero_points,
            shapes: Vec::new(),
            calibrated: None,
            generated: None,
            decisions: self.decisions,
            skips: self.skips,
        }
    }
}

fn elements(site: &WeightSite) -> usize {
    site.dims.iter().product::<i64>().unsigned_abs() as usize
}

/// What working on `site` takes, in bytes.
fn memory(site: &WeightSite) -> usize {
    elements(site).saturating_mul(SEARCH_BYTES)
}

/// `solve` for each of `chosen`, on several at a time as far as the sum of their `cost` in bytes is small.
fn in_turns<T: Send>(
    chosen: &[usize],
    cost: impl Fn(usize) -> usize,
    solve: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut solved = Vec::with_capacity(chosen.len());
    let mut left = chosen;
    while !left.is_empty() {
        let mut sum = 0usize;
        let fits = |&&at: &&usize| {
            sum = sum.saturating_add(cost(at));
            sum <= TOGETHER
        };
        let (turn, rest) = left.split_at(left.iter().take_while(fits).count().max(1));
        solved.extend(turn.par_iter().map(|&at| solve(at)).collect::<Result<Vec<T>>>()?);
        left = rest;
    }
    Ok(solved)
}

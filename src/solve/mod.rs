//! The policy: from sites and what was seen of them to decisions. It reads weights and statistics, and
//! changes nothing.

mod activations;
mod balance;
mod bias;
mod compensated;
mod expect;
mod prior;
mod terms;
mod treatment;
mod weights;

use rayon::prelude::*;

use crate::error::Result;
use crate::mmse::Histogram;
use crate::onnx::{Index, Model};
use crate::options::{Compensation, Options, Storage};
use crate::plan::{
    ActivationDecision, ActivationSite, Analysis, Decision, Expected, Keep, Observations, Plan, Read, Skip,
    Subject, VERSION, WeightDecision, WeightSite,
};
use crate::reconstruct::Moments;
use treatment::{Evidence, Treatment};

/// Decides every scale and every code from weights and, where there are any, observations of the float network. Without
/// them activations stay float, and `expected` stands in: what the model itself says of its activations.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a weight's data does not fit its dimensions.
pub fn solve(
    model: &Model,
    analysis: &Analysis,
    observations: Option<&Observations>,
    options: &Options,
    expected: &Expected,
    subject: Subject,
) -> Result<Plan> {
    let mut solver = Solver::new(model, analysis, options).expecting(expected.clone());
    let all: Vec<usize> = (0..analysis.weights.len()).collect();
    solver.by_weights(&all, observations)?;
    if let Some(observations) = observations {
        for site in &analysis.activations {
            solver.activation(site, observations.histograms.get(&site.tensor))?;
        }
    }
    Ok(solver.finish(subject))
}

/// Makes a plan site by site, in whatever order evidence of them comes in.
#[derive(Debug)]
pub struct Solver<'s> {
    index: Index<'s>,
    analysis: &'s Analysis,
    options: &'s Options,
    expected: Expected,
    decisions: Vec<Decision>,
    skips: Vec<Skip>,
}

impl<'s> Solver<'s> {
    /// Nothing decided yet.
    pub fn new(model: &'s Model, analysis: &'s Analysis, options: &'s Options) -> Self {
        let index = Index::new(model.graph());
        Self {
            index,
            analysis,
            options,
            expected: Expected::new(),
            decisions: Vec::new(),
            skips: analysis.skips.clone(),
        }
    }

    /// What the model's own parameters say of its activations, used where there are no samples.
    #[must_use]
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Decides on weights by themselves. Gives the decision on each of `sites`, `None` where it stays float.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn by_weights(
        &mut self,
        sites: &[usize],
        observations: Option<&Observations>,
    ) -> Result<Vec<Option<WeightDecision>>> {
        let expected = expect::expect(&self.index, &self.expected)?;
        let solved = sites.par_iter().map(|&at| {
            let site = &self.analysis.weights[at];
            if observations.is_none()
                && let Some(found) = self.foreseen(site, &expected)?
            {
                return Ok(found);
            }
            match Treatment::of(site, self.options, Evidence::None) {
                Some(treatment) => weights::solve(site, &self.index, &treatment, observations),
                None => Ok(Err(weights::skip(site, Keep::FloatAsked))),
            }
        });
        let solved = solved.collect::<Result<Vec<_>>>()?;
        Ok(solved.into_iter().map(|outcome| self.note(outcome)).collect())
    }

    /// The decision on `site` by what it is foreseen to do to the output of its layer; `None` where nothing is foreseen, or it
    /// is not asked for.
    fn foreseen(
        &self,
        site: &WeightSite,
        expected: &Expected,
    ) -> Result<Option<Result<WeightDecision, Skip>>> {
        let wanted = self.options.compensation != Compensation::None && self.options.bias_correction;
        let Some(prior) = wanted.then(|| prior::prior(site, &self.index, expected)).flatten() else {
            return Ok(None);
        };
        let evidence = if prior.known { Evidence::Normalisation } else { Evidence::Usual };
        // With more codes, or sixteen zero points to choose from, a rough guess gains nothing.
        if !prior.known && self.options.weights != Some(Storage::Int4) {
            return Ok(None);
        }
        let Some(treatment) = Treatment::of(site, self.options, evidence) else { return Ok(None) };
        compensated::solve(site, &self.index, &treatment, &prior.moments)
    }

    /// Decides on weights by what they do to the output of their layer, from the moments of their inputs; by themselves where
    /// there are none. Gives the decision on each of `sites`, `None` where it stays float.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn by_output(
        &mut self,
        sites: &[usize],
        moments: &[Option<Vec<Moments>>],
    ) -> Result<Vec<Option<WeightDecision>>> {
        let solved = sites.par_iter().zip(moments).map(|(&at, moments)| {
            let site = &self.analysis.weights[at];
            let Some(treatment) = Treatment::of(site, self.options, Evidence::Samples) else {
                return Ok(Err(weights::skip(site, Keep::FloatAsked)));
            };
            let found = match moments {
                Some(moments) => compensated::solve(site, &self.index, &treatment, moments)?,
                None => None,
            };
            let alone = || {
                let treatment =
                    Treatment::of(site, self.options, Evidence::None).unwrap_or(treatment.clone());
                weights::solve(site, &self.index, &treatment, None)
            };
            found.map_or_else(alone, Ok)
        });
        let solved = solved.collect::<Result<Vec<_>>>()?;
        Ok(solved.into_iter().map(|outcome| self.note(outcome)).collect())
    }

    fn note(&mut self, outcome: Result<WeightDecision, Skip>) -> Option<WeightDecision> {
        match outcome {
            Ok(decision) => {
                self.decisions.push(Decision::Weight(decision.clone()));
                Some(decision)
            }
            Err(skip) => {
                self.skips.push(skip);
                None
            }
        }
    }

    /// Decides on an activation from the histogram of its values; `None` where it stays float.
    ///
    /// # Errors
    /// As [`solve`].
    pub fn activation(
        &mut self,
        site: &ActivationSite,
        histogram: Option<&Histogram>,
    ) -> Result<Option<ActivationDecision>> {
        let Some(storage) = self.options.activations else { return Ok(None) };
        let mut reads: Vec<Read> = Vec::new();
        for read in &site.reads {
            if self.options.weights.is_none() || self.is_quantized(read)? {
                reads.push(read.clone());
            }
        }
        match activations::solve(site, reads, storage, histogram) {
            Ok(decision) => {
                self.decisions.push(Decision::Activation(decision.clone()));
                Ok(Some(decision))
            }
            Err(reason) => {
                self.skips.push(Skip {
                    name: site.tensor.clone(),
                    operator: site.reads[0].operator.clone(),
                    dims: Vec::new(),
                    bytes: 0,
                    reason,
                });
                Ok(None)
            }
        }
    }

    /// Whether the weights that `read`'s node multiplies with are quantized, or will be.
    fn is_quantized(&self, read: &Read) -> Result<bool> {
        for site in &self.analysis.weights {
            if site.reads.iter().any(|other| other.at == read.at) {
                return Ok(weights::obstacle(site, &self.index)?.is_none());
            }
        }
        Ok(false)
    }

    /// The plan, in graph order.
    pub fn finish(mut self, subject: Subject) -> Plan {
        self.decisions.sort_by_key(|decision| match decision {
            Decision::Activation(activation) => (activation.reads[0].at, 0),
            Decision::Weight(weight) => (weight.reads[0].at, 1),
        });
        Plan {
            version: VERSION,
            tool: concat!("fourbit ", env!("CARGO_PKG_VERSION")).into(),
            subject,
            precision: self.options.precision().to_string(),
            decisions: self.decisions,
            skips: self.skips,
        }
    }
}

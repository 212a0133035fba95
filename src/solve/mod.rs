//! The policy: from sites and observations to decisions. It reads weights and statistics, and
//! changes nothing.

mod activations;
mod balance;
mod bias;
mod residuals;
mod terms;
mod treatment;
mod weights;

use rayon::prelude::*;

pub use treatment::{Treatment, treatments};

use crate::error::Result;
use crate::onnx::{Index, Model};
use crate::options::Options;
use crate::plan::{Analysis, Decision, Observations, Plan, Skip, Subject, VERSION};

/// Decides every scale and every code. Without observations activations stay float and biases are
/// not corrected.
///
/// # Errors
/// [`crate::error::Error::Options`] where the options name layers that are not there, or contradict one another, and
/// [`crate::error::Error::Invalid`] where a weight's data does not fit its dimensions.
pub fn solve(
    model: &Model,
    analysis: &Analysis,
    observations: Option<&Observations>,
    options: &Options,
    subject: Subject,
) -> Result<Plan> {
    let index = Index::new(model.graph());
    let mut skips = analysis.skips.clone();
    let mut decisions = Vec::new();
    let treatments = treatments(analysis, &index, options)?;
    let solved: Vec<_> = analysis
        .weights
        .par_iter()
        .zip(&treatments)
        .map(|(site, treatment)| weights::solve(site, &index, treatment, options, observations))
        .collect::<Result<_>>()?;
    for outcome in solved {
        match outcome {
            Ok(decision) => decisions.push(Decision::Weight(decision)),
            Err(skip) => skips.push(skip),
        }
    }
    if let Some(observations) = observations.filter(|_| options.quantizes_activations()) {
        let inputs = activations::Inputs::new(analysis, &treatments, &decisions);
        for site in &analysis.activations {
            match activations::solve(site, &inputs, observations) {
                Ok(decision) => decisions.push(Decision::Activation(decision)),
                Err(reason) => skips.push(Skip {
                    name: site.tensor.clone(),
                    operator: site.reads[0].operator.clone(),
                    dims: Vec::new(),
                    bytes: 0,
                    reason,
                }),
            }
        }
    }
    decisions.sort_by_key(|decision| match decision {
        Decision::Activation(activation) => (activation.reads[0].at, 0),
        Decision::Weight(weight) => (weight.reads[0].at, 1),
    });
    Ok(Plan {
        version: VERSION,
        tool: concat!("fourbit ", env!("CARGO_PKG_VERSION")).into(),
        subject,
        precision: options.precision().to_string(),
        decisions,
        skips,
    })
}

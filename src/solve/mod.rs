//! The policy: from sites and observations to decisions. It reads weights and statistics, and
//! changes nothing.

mod activations;
mod balance;
mod bias;
mod terms;
mod weights;

use rayon::prelude::*;

use crate::error::Result;
use crate::onnx::{Index, Model};
use crate::options::Options;
use crate::plan::{Analysis, Decision, Keep, Observations, Plan, Skip, Subject, VERSION};

/// Decides every scale and every code. Without observations activations stay float and biases are
/// not corrected.
///
/// # Errors
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
    if let Some(storage) = options.weights {
        let solved: Vec<_> = analysis
            .weights
            .par_iter()
            .map(|site| weights::solve(site, &index, storage, options, observations))
            .collect::<Result<_>>()?;
        for outcome in solved {
            match outcome {
                Ok(decision) => decisions.push(Decision::Weight(decision)),
                Err(skip) => skips.push(skip),
            }
        }
    } else {
        skips.extend(analysis.weights.iter().map(|site| weights::skip(site, Keep::FloatAsked)));
    }
    if let (Some(storage), Some(observations)) = (options.activations, observations) {
        let met = |tensor: &str, at: usize| {
            options.weights.is_none()
                || decisions.iter().any(|decision| match decision {
                    Decision::Weight(weight) => weight.reads.iter().any(|read| read.at == at),
                    Decision::Activation(activation) => activation.tensor == tensor,
                })
        };
        let mut found = Vec::new();
        for site in &analysis.activations {
            let reads: Vec<_> =
                site.reads.iter().filter(|read| met(&site.tensor, read.at)).cloned().collect();
            match activations::solve(site, reads, storage, observations) {
                Ok(decision) => found.push(Decision::Activation(decision)),
                Err(reason) => skips.push(Skip {
                    name: site.tensor.clone(),
                    operator: site.reads[0].operator.clone(),
                    dims: Vec::new(),
                    bytes: 0,
                    reason,
                }),
            }
        }
        decisions.extend(found);
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

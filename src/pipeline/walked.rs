//! Calibrating and solving in turns: each layer is decided on what the layers before it, as decided, really give.

use std::collections::HashSet;

use super::measure::Clock;
use crate::calibrate::Walk;
use crate::error::Result;
use crate::onnx::Model;
use crate::options::{Compensation, Options};
use crate::plan::{Analysis, Plan, Subject};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::solve::Solver;

/// Walks through the network and decides on each layer when it comes up.
pub(super) fn walked(
    model: &Model,
    analysis: &Analysis,
    samples: &Samples,
    options: &Options,
    subject: Subject,
    clock: &mut Clock,
    progress: &dyn Progress,
) -> Result<Plan> {
    let feed = |at: usize| Ok(samples.get(at)?.inputs);
    let sequential = options.compensation == Compensation::Sequential;
    let mut walk = Walk::new(model, analysis, samples.len(), &feed, sequential, progress);
    let mut solver = Solver::new(model, analysis, options)?;
    let mut decided = HashSet::new();
    loop {
        let sites = walk.advance()?;
        clock.add("calibrate");
        if sites.is_empty() {
            break;
        }
        let inputs: HashSet<&str> =
            sites.iter().flat_map(|&at| analysis.weights[at].inputs.iter().map(String::as_str)).collect();
        for site in &analysis.activations {
            if inputs.contains(site.tensor.as_str()) && decided.insert(site.tensor.as_str()) {
                let histogram = walk.histogram(&site.tensor)?;
                if let Some(decision) = solver.activation(site, Some(&histogram))? {
                    walk.quantize(decision);
                }
            }
        }
        let moments = sites.iter().map(|&at| walk.moments(at)).collect::<Result<Vec<_>>>()?;
        clock.add("moments");
        for (&at, decision) in sites.iter().zip(solver.by_output(&sites, &moments)?) {
            match decision {
                Some(decision) => walk.settle(at, Some(&decision.decode()), &decision.biases),
                None => walk.settle(at, None, &[]),
            }
        }
        clock.add("solve");
    }
    Ok(solver.finish(subject))
}

//! From what is known of a model to a plan: with samples layer after layer, calibrating and solving in turns, so that each
//! layer is decided on what the layers before it, as decided, really give.

use std::collections::HashSet;

use super::Ready;
use super::measure::Clock;
use crate::calibrate::{Reach, Stop, Walk, observe};
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::options::{Compensation, Options};
use crate::plan::{Analysis, Keep, Plan};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::solve::{Evidence, Noted, Notes, Shared, Solver, solve};

/// A plan, and how it came about.
pub(super) struct Decided {
    pub plan: Plan,
    /// Whether the samples were used.
    pub calibrated: bool,
    pub warnings: Vec<String>,
    /// What the plan does not hold, where somebody asks for it.
    pub notes: Noted,
}

/// Every scale and every code. Where tract cannot run parts of the model by themselves, layers are decided on the float
/// network's activations; where it cannot run the model at all, on their weights, and a warning says so.
pub(super) fn decide(
    options: &Options,
    ready: &Ready,
    analysis: &Analysis,
    mut reach: Reach,
    samples: Option<&Samples>,
    clock: &mut Clock,
    progress: &dyn Progress,
) -> Result<Decided> {
    let (model, mut warnings) = (&ready.opened.model, Vec::new());
    let wanted = options.compensation != Compensation::None && options.quantizes_weights();
    let notes = Notes::default();
    let noted = ready.details.then_some(&notes);
    let shared = Shared { measurements: &ready.measurements, progress, notes: noted };
    if let Some(samples) = samples.filter(|_| wanted) {
        let mut walk = walked(options, ready, analysis, &reach, samples, clock, shared);
        // Where the whole does not run either, perhaps a part does.
        if matches!(walk, Err(Error::Runtime { .. }))
            && reach.probe(model, &samples.get(0)?.inputs)?
            && reach.is_worthwhile(model, analysis)
        {
            walk = walked(options, ready, analysis, &reach, samples, clock, shared);
        }
        match walk {
            Err(error @ Error::Runtime { .. }) => {
                warnings.push(format!("output errors are not compensated: {error}"));
            }
            other => {
                warnings.extend(unseen(model, analysis, &reach));
                let notes = notes.into_inner();
                return other.map(|plan| Decided { plan, calibrated: true, warnings, notes });
            }
        }
    }
    let analysis = &reach.narrowed(model, analysis);
    let observations = match samples.filter(|_| reach.is_worthwhile(model, analysis)) {
        Some(samples) => {
            let get = |at: usize| Ok(samples.get(at)?.inputs);
            let means = options.bias_correction && options.quantizes_weights();
            let part = if reach.is_whole() { None } else { Some(reach.part(model, analysis)?) };
            let (model, analysis) = part.as_ref().map_or((model, analysis), |(model, part)| (model, part));
            match observe(model, analysis, samples.len(), &get, means, progress) {
                Ok(observations) => Some(observations),
                Err(error @ Error::Runtime { .. }) => {
                    unable(options, error.to_string())?;
                    warnings.push(format!("the samples were not used: {error}"));
                    None
                }
                Err(error) => return Err(error),
            }
        }
        None => None,
    };
    clock.add("calibrate");
    warnings.extend(unseen(model, analysis, &reach).filter(|_| observations.is_some()));
    let plan = solve(
        model,
        analysis,
        observations.as_ref(),
        options,
        &ready.opened.expected,
        ready.subject.clone(),
        shared,
    )?;
    clock.add("solve");
    Ok(Decided { plan, calibrated: observations.is_some(), warnings, notes: notes.into_inner() })
}

/// A warning where calibration saw a part of the model only.
fn unseen(model: &Model, analysis: &Analysis, reach: &Reach) -> Option<String> {
    let hidden = analysis.weights.len() - reach.seen(model, analysis).len();
    (hidden > 0).then(|| {
        format!(
            "calibration saw a part of the model: {hidden} of {} layers are decided by their weights alone; {}",
            analysis.weights.len(),
            reach.reason()
        )
    })
}

/// A model that cannot be calibrated, which is an error where activations were to be quantized.
pub(super) fn unable(options: &Options, problem: String) -> Result<()> {
    match options.quantizes_activations() {
        true => Err(Error::NotRunnable { problem }),
        false => Ok(()),
    }
}

/// Walks through the network and decides on each layer when it comes up.
fn walked(
    options: &Options,
    ready: &Ready,
    analysis: &Analysis,
    reach: &Reach,
    samples: &Samples,
    clock: &mut Clock,
    shared: Shared,
) -> Result<Plan> {
    let model = &ready.opened.model;
    let analysis = &reach.narrowed(model, analysis);
    let seen = reach.seen(model, analysis);
    let hidden: Vec<usize> = (0..analysis.weights.len()).filter(|at| !seen.contains(at)).collect();
    let feed = |at: usize| Ok(samples.get(at)?.inputs);
    let sequential = matches!(options.compensation, Compensation::Scales | Compensation::Sequential);
    let mut solver = Solver::new(model, analysis, options, shared)?.expecting(ready.opened.expected.clone());
    // Its stage lasts to the end, others come before.
    let mut walk = Walk::new(model, analysis, seen, samples.len(), &feed, sequential, shared.progress)?;
    let mut decided = HashSet::new();
    loop {
        let Stop { activations, weights: sites } = walk.advance()?;
        clock.add("calibrate");
        if sites.is_empty() && activations.is_empty() {
            break;
        }
        for at in activations {
            let site = &analysis.activations[at];
            decided.insert(at);
            let histogram = walk.histogram(&site.tensor)?;
            let worth = solver.worth_of_channels(site)?;
            let weighted = match &worth {
                Some((axis, worth)) => Some(walk.weighted_histogram(&site.tensor, *axis, worth)?),
                None => None,
            };
            walk.range(at, solver.activation(site, Some(&histogram), weighted.as_ref())?);
        }
        let evidence = sites
            .iter()
            .map(|&at| Ok(Evidence { moments: walk.moments(at)?, residuals: walk.residuals(at)? }));
        let evidence = evidence.collect::<Result<Vec<_>>>()?;
        clock.add("moments");
        for (&at, decision) in sites.iter().zip(solver.by_output(&sites, evidence)?) {
            match decision {
                Some(decision) => walk.settle(at, Some(&decision.decode()), &decision.biases),
                None => walk.settle(at, None, &[]),
            }
        }
        clock.add("solve");
    }
    solver.by_weights(&hidden, None)?;
    let unseen =
        if reach.is_whole() { Keep::NoStatistics } else { Keep::OutOfReach(reach.reason().to_owned()) };
    for (at, site) in analysis.activations.iter().enumerate() {
        if !decided.contains(&at) {
            solver.leave(site, unseen.clone());
        }
    }
    Ok(solver.finish(ready.subject.clone()))
}

//! Eight bits where they cost nothing: single weight tensors that bring much of the noise and few of the bytes.
//!
//! What a tensor loses is measured at the outputs, with it alone in few bits, in a plan without compensation: cheap to make,
//! and good enough for an order. Where the model is not run, the error of its own weights stands in. A tensor is lifted as long
//! as its bytes take away more noise than the same bytes would if all weights had wider codes.

mod choice;

use super::Ready;
use super::bench::Bench;
use super::budget::{has, has_own_rule};
use super::measure::{is_large, stored_bits};
use super::proportion::in_proportion;
use crate::calibrate::{count, observe};
use crate::error::{Error, Result};
use crate::onnx::encoded_len;
use crate::options::{
    Cause, CodeType, Compensation, Globs, Granularity, LayerRule, Lift, Options, Spelling, Storage,
};
use crate::plan::{Analysis, Decision, Loss, Partition, Plan, WeightSite};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::solve::{Shared, Solver, Treated};
use choice::{Candidate, chosen};

/// Samples that single tensors are measured on at most, and at least: their order needs few.
const MEASURED_ON: [usize; 2] = [16, 3];
/// Products that all runs for that may take: some 10 seconds.
const MOST_PRODUCTS: f64 = 4e10;
/// Runs that may be spent on it for each run of the calibration, where that is more.
const SHARE_OF_CALIBRATION: f64 = 0.5;
/// Most bytes that all lifted tensors together add to the file, as a share of it.
const MOST_BYTES: f64 = 0.05;
/// What a bit more does to the noise: it halves the step of a code.
const NOISE_A_BIT: f64 = 0.25;

/// What decides which tensors are lifted.
pub(super) struct Task<'t> {
    pub options: &'t Options,
    pub ready: &'t Ready,
    pub analysis: &'t Analysis,
    /// What is calibrated on.
    pub samples: Option<&'t Samples>,
    /// Shapes of made-up samples.
    pub shapes: &'t [(String, Vec<i64>)],
    pub seed: u64,
}

/// A tensor that may be lifted.
struct Open<'t> {
    site: &'t WeightSite,
    treated: Treated,
    /// Bytes that it would add.
    bytes: f64,
}

/// Rules that give single tensors 8 bits; none where all are to be as asked for, where 8 bits take no more bytes than fewer
/// do, or where a limit decides on the bits.
///
/// # Errors
/// Whatever reading and solving gives. A model that cannot be run is judged by its weights.
pub(super) fn lifted(task: &Task, progress: &dyn Progress) -> Result<Vec<LayerRule>> {
    let Task { options, ready, analysis, .. } = *task;
    let few = options.weights.filter(|code_type| code_type.bits() < 8);
    let cheap = few.is_none_or(|code_type| stored_bits(code_type.bits(), options.storage) >= 8);
    if options.strict_bits || cheap || options.storage == Storage::Int8 || !options.budget.is_none() {
        return Ok(Vec::new());
    }
    let alone = Options { compensation: Compensation::None, ..options.clone() };
    let shared = Shared { measurements: &ready.measurements, progress, notes: None };
    let solver = Solver::new(&ready.opened.model, analysis, &alone, shared)?;
    let file = file_bytes(task, &solver);
    let mut open = Vec::new();
    for (at, site) in analysis.weights.iter().enumerate() {
        let Some(treated) = solver.treated(at).filter(may_rise) else { continue };
        let bytes = added(site, &treated, options.storage);
        if bytes <= MOST_BYTES * file
            && has(options, site, CodeType::Int8, options.activations)
            && !has_own_rule(options, site)?
        {
            open.push(Open { site, treated, bytes });
        }
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let found = match measured(task, &alone, &open, progress) {
        // What cannot be run is judged by its weights.
        Err(Error::Runtime { .. }) | Ok(None) => by_weights(&solver, analysis, &open),
        other => other?.unwrap_or_default(),
    };
    let candidates: Vec<Candidate> = open
        .iter()
        .zip(&found.each)
        .map(|(open, &noise)| {
            let bits = open.treated.code_type.bits();
            Candidate { bytes: open.bytes, noise, left: NOISE_A_BIT.powi(8 - bits as i32), bits }
        })
        .collect();
    let whole = found.each.iter().sum::<f64>() + found.rest;
    let taken = chosen(&candidates, found.rest, file, MOST_BYTES);
    let rules: Vec<LayerRule> =
        taken.into_iter().map(|at| rule(&open[at], found.each[at] / whole, open[at].bytes / file)).collect();
    kept(task, rules, progress)
}

/// Noise that tensors in few bits bring, each by itself, and that of all others.
#[derive(Default)]
struct Found {
    each: Vec<f64>,
    rest: f64,
}

/// Noise at the outputs, as a share of their energy; `None` where the model is not run for it, or says nothing.
fn measured(task: &Task, alone: &Options, open: &[Open], progress: &dyn Progress) -> Result<Option<Found>> {
    let Task { ready, analysis, .. } = *task;
    let model = &ready.opened.model;
    if is_large(model, task.samples.is_some()) || !ready.faults().is_empty() {
        return Ok(None);
    }
    let samples = match task.samples {
        Some(samples) => samples.clone(),
        None => match Samples::synthetic(model, task.shapes, MEASURED_ON[0], task.seed) {
            Ok(samples) => in_proportion(model, samples, task.seed)?.0,
            // Told where the written file is judged.
            Err(_) => return Ok(None),
        },
    };
    let Some(most) = affordable(task, open.len(), &samples)? else { return Ok(None) };
    let samples = samples.choose(Some(most), task.seed);
    let feed = |at: usize| Ok(samples.get(at)?.inputs);
    let observations = observe(model, analysis, samples.len(), &feed, alone.bias_correction, progress)?;
    let shared = Shared { measurements: &ready.measurements, progress, notes: None };
    let mut solver = Solver::new(model, analysis, alone, shared)?;
    let all: Vec<usize> = (0..analysis.weights.len()).collect();
    solver.by_weights(&all, Some(&observations))?;
    let plan = solver.finish(ready.subject.clone());
    let bench = Bench::new(model, &samples)?;
    let is_open = |tensor: &str| open.iter().position(|open| open.site.tensor == tensor);
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for decision in plan.decisions.iter().filter(|decision| matches!(decision, Decision::Weight(_))) {
        let part = if is_open(decision.tensor()).is_some() { &mut ours } else { &mut others };
        part.push(decision.clone());
    }
    let part = |decisions: Vec<Decision>| Plan { decisions, ..plan.clone() };
    let ours = part(ours);
    let mut each = vec![0.0; open.len()];
    for (decision, loss) in ours.decisions.iter().zip(bench.alone(&ours, progress)?) {
        if let Some(at) = is_open(decision.tensor()) {
            each[at] = noise(&loss);
        }
    }
    let rest = match others.is_empty() {
        true => 0.0,
        false => noise(&bench.loss(&bench.start, &bench.changed(&part(others))?)?),
    };
    let sound = each.iter().chain([&rest]).all(|noise| noise.is_finite());
    Ok(Some(Found { each, rest }).filter(|_| sound))
}

/// How many samples may be run for each of `tensors` tensors; `None` where that would take long even for the fewest.
fn affordable(task: &Task, tensors: usize, samples: &Samples) -> Result<Option<usize>> {
    let mut counted = task.analysis.clone();
    count(&task.ready.opened.model, &mut counted, &samples.get(0)?.inputs)?;
    let products: u64 = counted.weights.iter().filter_map(|site| site.macs).sum();
    // Runs are resumed where the tensor comes up: half a run each, as all come up somewhere.
    let runs = 0.5 * tensors as f64;
    let by_products = MOST_PRODUCTS / (runs * products.max(1) as f64);
    let by_calibration = task.samples.map_or(0.0, |all| SHARE_OF_CALIBRATION * all.len() as f64 / runs);
    let [most, fewest] = MEASURED_ON;
    let affordable = (by_products.max(by_calibration) as usize).min(most);
    Ok((affordable >= fewest).then_some(affordable))
}

/// Values that are no longer finite count as if nothing were left.
fn noise(loss: &Loss) -> f64 {
    if loss.broken > 0 { loss.noise.max(1.0) } else { loss.noise }
}

/// The relative error of the weights themselves, as if all layers counted the same.
fn by_weights(solver: &Solver, analysis: &Analysis, open: &[Open]) -> Found {
    let each: Vec<f64> = open.iter().map(|open| open.treated.loses).collect();
    let all: f64 = (0..analysis.weights.len())
        .filter_map(|at| solver.treated(at))
        .filter(|treated| treated.code_type.bits() < 8)
        .map(|treated| treated.loses)
        .sum();
    let rest = (all - each.iter().sum::<f64>()).max(0.0);
    Found { each, rest }
}

/// Whether a tensor that is treated so may have wider codes: one term, not written by an operator that has no 8 bits.
fn may_rise(treated: &Treated) -> bool {
    treated.code_type.bits() < 8 && treated.terms == 1 && treated.spelling != Spelling::MatMulNBits
}

/// The bytes that codes and scales of a site take; `None` where it stays float.
fn code_bytes(solver: &Solver, at: usize, site: &WeightSite, storage: Storage) -> Option<f64> {
    let treated = solver.treated(at)?;
    let codes = site.elements() as f64 * f64::from(stored_bits(treated.code_type.bits(), storage)) / 8.0;
    Some(treated.terms as f64 * codes)
}

/// About the bytes of the file in which no tensor is lifted; rather too few.
fn file_bytes(task: &Task, solver: &Solver) -> f64 {
    let whole = encoded_len(&task.ready.opened.model) as f64;
    let saved = task.analysis.weights.iter().enumerate().filter_map(|(at, site)| {
        let treated = solver.treated(at)?;
        let scales = scale_bytes(site, treated.partition) * treated.terms as f64;
        Some(site.bytes() as f64 - code_bytes(solver, at, site, task.options.storage)? - scales)
    });
    (whole - saved.sum::<f64>()).max(0.0)
}

/// The bytes of its scales and zero points.
fn scale_bytes(site: &WeightSite, partition: Partition) -> f64 {
    let groups = partition.groups(&site.dims).map_or(0, |groups| groups.count());
    groups as f64 * (site.scale_float().bytes() as f64 + 0.5)
}

/// Bytes that 8 bits add to the file: wider codes, and no blocks, which 8 bits can do without.
fn added(site: &WeightSite, treated: &Treated, storage: Storage) -> f64 {
    let bits = 8 - stored_bits(treated.code_type.bits(), storage).min(8);
    let codes = site.elements() as f64 * f64::from(bits) / 8.0;
    let spared = match (treated.partition, site.by_kernel) {
        (Partition::Block { .. }, Some(kernel)) => {
            scale_bytes(site, treated.partition) - scale_bytes(site, kernel)
        }
        _ => 0.0,
    };
    codes - spared
}

fn rule(open: &Open, noise: f64, bytes: f64) -> LayerRule {
    let blocks = matches!(open.treated.partition, Partition::Block { .. });
    LayerRule {
        matching: Globs::literal(&open.site.tensor),
        weights: Some(Some(CodeType::Int8)),
        granularity: blocks.then_some(Granularity::Channel),
        weights_why: Some(Lift {
            from: open.treated.code_type.name().into(),
            noise,
            cause: Cause::Share { bytes },
        }),
        ..LayerRule::default()
    }
}

/// Those of `rules` that the target has a form for.
fn kept(task: &Task, rules: Vec<LayerRule>, progress: &dyn Progress) -> Result<Vec<LayerRule>> {
    if rules.is_empty() {
        return Ok(rules);
    }
    let Task { options, ready, analysis, .. } = *task;
    let shared = Shared { measurements: &ready.measurements, progress, notes: None };
    let lifted = with(options, &rules);
    let solver = Solver::new(&ready.opened.model, analysis, &lifted, shared)?;
    let is_eight = |rule: &LayerRule| {
        let site = analysis.weights.iter().position(|site| Globs::literal(&site.tensor) == rule.matching);
        site.and_then(|at| solver.treated(at)).is_some_and(|treated| treated.code_type == CodeType::Int8)
    };
    Ok(rules.into_iter().filter(is_eight).collect())
}

/// The options with `rules`; those that a person gave come after them, and win.
pub(super) fn with(options: &Options, rules: &[LayerRule]) -> Options {
    Options { layers: rules.iter().chain(&options.layers).cloned().collect(), ..options.clone() }
}

#[cfg(test)]
mod tests;

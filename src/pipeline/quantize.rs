//! The main job, and the same stopped before rewriting.

use std::collections::HashSet;
use std::path::Path;

use super::budget::{Task, keep};
use super::coverage::coverage;
use super::decide::{decide, unable};
use super::judge::{self, Judged};
use super::limit::{shown, undecided};
use super::measure::{Clock, is_large, peak_memory, sizes};
use super::patterns::unmatched;
use super::samples::{Choose, calibration_samples, chosen};
use super::{Job, Ready, draft, first, ready, refuse_opset};
use crate::analyse::analyse;
use crate::calibrate::{Reach, count};
use crate::error::{Error, Result};
use crate::files::Sink;
use crate::onnx;
use crate::onnxruntime;
use crate::options::Options;
use crate::plan::{
    self, Analysis, Budgeted, Decision, Fingerprint, Outcome, Plan, Planned, Saturation, Validation, Verdict,
};
use crate::progress::Progress;
use crate::rewrite;
use crate::runtime::faults;
use crate::samples::{Preprocess, SampleSet, Samples};
use crate::validate::check_declared;

/// A plan, and everything that it came from.
pub(super) struct Solved {
    pub ready: Ready,
    pub analysis: Analysis,
    pub plan: Plan,
    pub budget: Option<Budgeted>,
    pub calibration: Option<(String, usize)>,
    /// The samples that were calibrated on.
    pub samples: Option<Samples>,
    /// Their digests.
    pub digests: HashSet<u64>,
    pub preprocess: Option<Preprocess>,
    pub validation: Option<SampleSet>,
    pub clock: Clock,
}

/// Converts a model, writes it, and judges what was written.
///
/// # Errors
/// Any: see [`Error`]. No output is left behind then.
pub fn quantize(job: &Job, progress: &dyn Progress) -> Result<Outcome> {
    if job.cross_check {
        // Told before the work.
        onnxruntime::library()?;
    }
    let output = job.model_path();
    let mut draft = draft(&output, job.overwrite, job.external_data, &job.guard())?;
    if let Some(path) = job.validation.as_ref().and_then(SampleSet::file) {
        // Told before the work; whether they fit is seen after it.
        std::fs::metadata(path).map_err(Error::read(path))?;
    }
    let Solved { mut ready, plan, budget, calibration, digests, preprocess, validation, mut clock, .. } =
        solved(job, &mut chosen(job), progress)?;
    let rewritten = rewrite::apply(&ready.model, &plan, None)?;
    let after = onnx::write_to(&rewritten, &mut draft, job.external_data)?;
    let place = draft.place();
    drop(rewritten);
    clock.lap("rewrite");
    let of_float = faults(&ready.float);
    let problem = first(&of_float).filter(|_| ready.faults().is_empty());
    if let Some(problem) = &problem {
        let stands = "so its prepared form, which says the same, is what the result is compared with";
        ready.warnings.push(format!("{problem}: the input cannot be run as it is, {stands}"));
    }
    let (float, faults) = match problem {
        Some(_) => (&ready.model, ready.faults()),
        None => (&ready.float, of_float.as_slice()),
    };
    let judged = Judged {
        float,
        faults,
        plan: &plan,
        first: None,
        written: &place,
        samples: validation.as_ref().or(job.calibration.as_ref()),
        preprocess: preprocess.as_ref(),
        calibrated: &digests,
        same: validation.is_none() && job.calibration.is_some(),
        // Where there are no others, so many are enough to judge on as to calibrate on.
        most: job.samples.filter(|_| validation.is_none()),
        asked: job.validation.is_some() || job.calibration.is_some(),
        seed: job.seed,
        feeding: &job.feeding,
        cross_check: job.cross_check.then_some(job.input.as_path()),
    };
    let (verdict, written) = judge::written(&judged, progress)?;
    // Only now: nobody should find a file that was not judged as asked, or is not what the plan says.
    draft.commit()?;
    clock.lap("validate");
    if let Verdict::Validated(validation) = &verdict {
        ready.warnings.extend(noisy(validation, &job.options));
    }
    ready.warnings.extend(shown(job.options.budget.max_drop, &verdict, budget.as_ref()));
    Ok(Outcome {
        input: job.input.clone(),
        opsets: (ready.opset, written.opset()),
        sizes: sizes(ready.float.bytes_on_disk, after, &ready.model, &written, &plan),
        output,
        prepared: ready.prepared,
        plan,
        calibration,
        verdict,
        budget,
        warnings: ready.warnings,
        next: Vec::new(),
        seconds: clock.seconds,
        peak_memory: peak_memory(),
    })
}

/// Everything up to the plan, which is written instead of a model.
///
/// # Errors
/// Any: see [`Error`]. No output is left behind then.
pub fn plan(job: &Job, progress: &dyn Progress) -> Result<Planned> {
    let path = job.plan_path();
    let sink = Sink::create(&path, job.overwrite, &job.guard())?;
    let Solved { ready, plan, budget, mut clock, .. } = solved(job, &mut chosen(job), progress)?;
    plan::write_to(&plan, sink)?;
    clock.lap("write");
    let mut warnings = ready.warnings;
    warnings.extend(undecided(job.options.budget.max_drop, budget.as_ref()));
    Ok(Planned { plan, path, budget, warnings, seconds: clock.seconds })
}

/// Everything up to the plan, which is written nowhere.
///
/// # Errors
/// Any: see [`Error`].
pub fn planned(job: &Job, progress: &dyn Progress) -> Result<Plan> {
    Ok(solved(job, &mut chosen(job), progress)?.plan)
}

/// Everything up to the plan.
pub(super) fn solved(job: &Job, choose: &mut Choose, progress: &dyn Progress) -> Result<Solved> {
    let mut clock = Clock::start();
    job.options.check_nbits()?;
    let mut ready = ready(&job.input, job.options.opset, &job.shapes)?;
    refuse_opset(&job.options, &ready.model)?;
    match unmatched(&job.options, &[&ready.float, &ready.model])? {
        Some(error) if job.one_of_many => ready.warnings.push(error.to_string()),
        Some(error) => return Err(error),
        None => {}
    }
    clock.lap("prepare");
    let mut analysis = analyse(&ready.model, &job.options)?;
    let beside = Samples::discover(&job.input);
    let preprocess = job.preprocess.clone().or_else(|| {
        // A file that lies there by itself is meant for pictures, not for model-ready arrays.
        let given = job.calibration.as_ref().or(job.validation.as_ref());
        let given = given.and_then(SampleSet::file).is_some_and(Path::is_dir);
        beside.preprocess.clone().filter(|_| given)
    });
    let preprocess = preprocess.map(|path| Preprocess::read(&path)).transpose()?;
    if let Some(set) = job.validation.as_ref().filter(|_| job.feeding.states.is_empty()) {
        // Told before the work, as far as the model says what it gives.
        check_declared(&Samples::open_set(set, &ready.float, preprocess.as_ref())?, &ready.float)?;
    }
    // Samples that lie there by themselves are no wish to run a model that hardly fits into memory.
    let found =
        beside.calibration.filter(|_| job.options.quantizes_activations() || !is_large(&ready.float, true));
    let source = job.calibration.clone().or(found.map(SampleSet::from));
    clock.lap("analyse");
    let reach = Reach::of(&ready.model, ready.faults());
    let samples: Option<Samples> = match source {
        Some(_) if !reach.is_worthwhile(&ready.model, &analysis) => {
            unable(&job.options, ready.first_fault().unwrap_or_default()).map(|()| None)?
        }
        Some(set) => Some(calibration_samples(job, &mut ready, &set, preprocess.as_ref(), choose)?),
        None if job.options.quantizes_activations() => {
            return Err(Error::options(
                format!(
                    "{} needs calibration samples to find the ranges of activations",
                    job.options.precision()
                ),
                "pass --calibration FILE, or --precision w4, which needs no data",
            ));
        }
        None => None,
    };
    // A budget weighs forms by what is counted; otherwise it waits until the memory that solving takes is free again.
    if !job.options.budget.is_none() {
        count_work(job, &ready, &mut analysis, samples.as_ref())?;
        clock.add("analyse");
    }
    let (mut decided, budget) = match (&samples, job.options.budget.is_none()) {
        (_, true) => {
            let options = &job.options;
            (decide(options, &ready, &analysis, reach, samples.as_ref(), &mut clock, progress)?, None)
        }
        (Some(samples), false) if reach.is_whole() => {
            let options = &job.options;
            let task = Task { options, ready: &ready, analysis: &analysis, samples, seed: job.seed };
            let (decided, budgeted) = keep(&task, &mut clock, progress)?;
            (decided, Some(budgeted))
        }
        (_, false) if !ready.faults().is_empty() => {
            return Err(Error::options(
                format!(
                    "limits are kept by measuring, and this model cannot be run: {}",
                    ready.first_fault().unwrap_or_default()
                ),
                "leave the limits out",
            ));
        }
        (_, false) => {
            return Err(Error::options(
                "limits on size or loss are kept by measuring, which needs samples",
                "pass --calibration FILE",
            ));
        }
    };
    if budget.is_none() {
        count_work(job, &ready, &mut analysis, samples.as_ref())?;
        for decision in &mut decided.plan.decisions {
            if let Decision::Weight(weight) = decision {
                let site = analysis.weights.iter().find(|site| site.tensor == weight.tensor);
                weight.macs = site.and_then(|site| site.macs);
            }
        }
        clock.add("analyse");
    }
    decided.plan.shapes.clone_from(&job.shapes);
    let samples = samples.filter(|_| decided.calibrated);
    let digests = samples.as_ref().map(Samples::digests).transpose()?;
    decided.plan.calibrated = digests.as_deref().map(Fingerprint::of);
    let digests = digests.into_iter().flatten().collect();
    clock.add("samples");
    let calibration = samples.as_ref().map(|samples| (samples.path().display().to_string(), samples.len()));
    ready.warnings.extend(decided.warnings);
    let plan = decided.plan;
    ready.warnings.extend(saturating(&plan));
    ready.warnings.extend(inside(&analysis, &plan).filter(|_| samples.is_some()));
    let stored = analysis.weights.iter().map(|site| (site.tensor.as_str(), site.bytes())).collect();
    ready.warnings.extend(coverage(&plan, &stored, &job.options)?);
    Ok(Solved {
        ready,
        analysis,
        plan,
        budget,
        calibration,
        samples,
        digests,
        preprocess,
        validation: job.validation.clone().or(beside.validation.map(SampleSet::from)),
        clock,
    })
}

/// A warning that an output is mostly noise, or that the models choose other classes, and what helps. Layers are not named: what is known of them here, the errors of
/// their own outputs, has nothing to do with what is gained by leaving them float.
fn noisy(validation: &Validation, options: &Options) -> Option<String> {
    let problem = match (validation.noisy(), validation.parting()) {
        (Some(output), _) => match (output.broken, output.sqnr_db) {
            (0, Some(ratio)) => format!("output {} has an SQNR of {ratio:.1} dB", output.name),
            _ => format!("output {} has values that are not finite", output.name),
        },
        (None, Some(share)) => {
            format!("both models choose the same class on {:.1} % of the samples only", 100.0 * share)
        }
        (None, None) => return None,
    };
    let remedy = match options.budget.is_none() {
        true => {
            "fourbit sensitivity, with the same options, finds layers to leave float; --min-sqnr gives layers more bits"
        }
        false => "--min-sqnr asks for more, and larger limits on the size leave room for it",
    };
    Some(format!("{problem}: {remedy}"))
}

/// A warning where layers lie in bodies, of whose inputs nothing is seen.
fn inside(analysis: &Analysis, plan: &Plan) -> Option<String> {
    let unseen = |tensor: &str| {
        let site = analysis.weights.iter().find(|site| site.tensor == tensor);
        site.is_some_and(|site| site.inputs().next().is_none())
    };
    let done = plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some(&weight.tensor),
        Decision::Activation(_) => None,
    });
    let (all, count) =
        done.fold((0, 0), |(all, count), tensor| (all + 1, count + usize::from(unseen(tensor))));
    (count > 0).then(|| {
        format!(
            "{count} of {all} layers lie inside If, Loop or Scan: their weights are chosen by themselves, not on samples, and activations \
             there stay float"
        )
    })
}

/// A warning where weights of the plan use codes whose products may saturate.
fn saturating(plan: &Plan) -> Option<String> {
    let possible = |decision: &&Decision| matches!(decision, Decision::Weight(weight) if weight.saturation == Some(Saturation::Possible));
    let count = plan.decisions.iter().filter(possible).count();
    (count > 0).then(|| {
        format!(
            "{count} weight tensors use all 8-bit codes, as asked: on x86 without VNNI sums of their products may saturate, and the file \
             then gives other results than this report says"
        )
    })
}

/// Notes how much each layer computes and reads, where tract can run the model on a sample, or on a made-up one.
fn count_work(job: &Job, ready: &Ready, analysis: &mut Analysis, samples: Option<&Samples>) -> Result<()> {
    let too_large = samples.is_none() && is_large(&ready.model, false);
    if analysis.weights.is_empty() || too_large || !ready.faults().is_empty() {
        return Ok(());
    }
    let inputs = match samples {
        Some(samples) => samples.get(0)?.inputs,
        None => match Samples::synthetic(&ready.model, &job.feeding.shapes, 1, job.seed)
            .and_then(|samples| samples.get(0))
        {
            Ok(sample) => sample.inputs,
            Err(_) => return Ok(()),
        },
    };
    match count(&ready.model, analysis, &inputs) {
        // Counts are told where they can be had; whether the model runs is told where it matters.
        Err(Error::Runtime { .. }) => Ok(()),
        other => other,
    }
}

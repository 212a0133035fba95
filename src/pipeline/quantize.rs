//! The main job, and the same stopped before rewriting.

use super::budget::{shown, undecided};
use super::judge::{self, Judged};
use super::measure::{peak_memory, sizes};
use super::samples::chosen;
use super::solved::{Solved, solved};
use super::{Job, Ready, draft, first};
use super::{advice, details};
use crate::error::{Error, Result};
use crate::files::Sink;
use crate::onnx::{self, Model};
use crate::onnxruntime;
use crate::options::Options;
use crate::plan::{self, Details, Outcome, Plan, Planned, Validation, Verdict};
use crate::progress::Progress;
use crate::rewrite;
use crate::runtime::faults;
use crate::samples::SampleSet;
use crate::solve::Noted;

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
    let mut held = None;
    let Solved {
        mut ready,
        plan,
        budget,
        calibration,
        digests,
        samples,
        preprocess,
        validation,
        source,
        feeding,
        opened,
        notes,
        mut clock,
        ..
    } = solved(job, &mut chosen(job, Some(&mut held)), progress)?;
    let rewritten = rewrite::apply(&ready.opened.model, &plan, None)?;
    let after = onnx::write_to(&rewritten, &mut draft, job.external_data)?;
    let place = draft.place();
    drop(rewritten);
    clock.lap("rewrite");
    let of_float = faults(&ready.opened.float);
    let problem = first(&of_float).filter(|_| ready.faults().is_empty());
    if let Some(problem) = &problem {
        let stands = "so its prepared form, which says the same, is what the result is compared with";
        ready.opened.warnings.push(format!("{problem}: the input cannot be run as it is, {stands}"));
    }
    let (float, faults) = match problem {
        Some(_) => (&ready.opened.model, ready.faults()),
        None => (&ready.opened.float, of_float.as_slice()),
    };
    let held = match held.filter(|_| samples.is_some()) {
        Some(held) => held.others(&digests)?,
        None => None,
    };
    let judged = Judged {
        float,
        faults,
        plan: &plan,
        first: None,
        written: &place,
        samples: validation.as_ref().or(source.as_ref()),
        opened: held.as_ref().map(|held| &held.samples).or(opened.as_ref()),
        preprocess: preprocess.as_ref(),
        calibrated: &digests,
        inside: samples.as_ref().filter(|_| plan.generated.is_none()),
        held_back: held.as_ref().map(|held| held.of),
        same: validation.is_none() && source.is_some(),
        // Where there are no others, so many are enough to judge on as to calibrate on.
        most: job.samples.filter(|_| validation.is_none() && held.is_none()),
        asked: job.validation.is_some() || job.calibration.is_some(),
        seed: job.seed,
        feeding: &feeding,
        made_up: judge::Known {
            expected: Some(&ready.opened.expected),
            range: plan.generated.as_ref().and_then(|generated| generated.range.as_deref()),
            preprocess: preprocess.as_ref(),
        },
        cross_check: job.cross_check.then_some(job.input.as_path()),
        pictures: job.details,
    };
    let (verdict, written) = judge::written(&judged, progress)?;
    // Only now: nobody should find a file that was not judged as asked, or is not what the plan says.
    draft.commit()?;
    clock.lap("validate");
    let details = match job.details {
        true => Some(looked_at(&ready, &plan, notes, &verdict, &written, &judged)?),
        false => None,
    };
    clock.add("details");
    if let Verdict::Validated(validation) = &verdict {
        ready.opened.warnings.extend(noisy(validation, &job.options));
    }
    ready.opened.warnings.extend(shown(&job.options.budget, &verdict, budget.as_ref()));
    let known = advice::Known {
        options: &job.options,
        plan: &plan,
        verdict: &verdict,
        details: details.as_ref(),
        calibrated: calibration.is_some() && plan.generated.is_none(),
    };
    let advice = advice::advice(&known);
    Ok(Outcome {
        input: job.input.clone(),
        opsets: (ready.opened.opset, written.opset()),
        sizes: sizes(ready.opened.float.bytes_on_disk, after, &ready.opened.model, &written, &plan),
        output,
        prepared: ready.opened.prepared,
        plan,
        calibration,
        verdict,
        budget,
        warnings: ready.opened.warnings,
        details,
        advice,
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
    let Solved { ready, plan, budget, notes, mut clock, .. } = solved(job, &mut chosen(job, None), progress)?;
    plan::write_to(&plan, sink)?;
    clock.lap("write");
    let details = match job.details {
        true => {
            let mut found = details::details(&ready, &plan, notes)?;
            details::rank(&mut found, &plan);
            Some(found)
        }
        false => None,
    };
    let mut warnings = ready.opened.warnings;
    warnings.extend(undecided(&job.options.budget, budget.as_ref()));
    Ok(Planned { plan, path, budget, details, warnings, seconds: clock.seconds })
}

/// Everything up to the plan, which is written nowhere.
///
/// # Errors
/// Any: see [`Error`].
pub fn planned(job: &Job, progress: &dyn Progress) -> Result<Plan> {
    Ok(solved(job, &mut chosen(job, None), progress)?.plan)
}

/// What is known of the layers: with the noise on its way through the network where both networks were run, on samples that judged
/// the file or, for want of these, on those calibrated on.
fn looked_at(
    ready: &Ready,
    plan: &Plan,
    notes: Noted,
    verdict: &Verdict,
    written: &Model,
    judged: &Judged,
) -> Result<Details> {
    let mut found = details::details(ready, plan, notes)?;
    let samples = judged.opened.or(judged.inside);
    if let (Verdict::Validated(validation), Some(samples), true) =
        (verdict, samples, judged.feeding.states.is_empty())
    {
        let runs = validation.samples + judged.calibrated.len();
        let networks = details::Networks { float: &ready.opened.model, written, runs };
        details::noise(&mut found, plan, &networks, samples, judged.seed)?;
    }
    details::rank(&mut found, plan);
    Ok(found)
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
            "`fourbit::RankLayers`, with the same options, finds layers to leave float; `.min_sqnr_db` gives layers more bits"
        }
        false => "`.min_sqnr_db` asks for more, and larger limits on the size leave room for it",
    };
    Some(format!("{problem}: {remedy}"))
}

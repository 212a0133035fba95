//! Samples that a conversion calibrates on, and what is left out of them.

use super::proportion::in_proportion;
use super::{CALIBRATION_SAMPLES, Job, Ready};
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::plan::Doubt;
use crate::samples::{Preprocess, SampleSet, Samples};

/// Samples that cannot be used and are named one by one.
const NAMED: usize = 5;

/// Chooses calibration samples among all that a file holds.
pub(super) type Choose<'c> = dyn FnMut(&Model, Samples, Beside) -> Result<Samples> + 'c;

/// How pictures become inputs, and the validation samples where they are open.
pub(super) type Beside<'b> = (Option<&'b Preprocess>, Option<&'b Samples>);

/// As many as `job` asks for.
pub(super) fn chosen(job: &Job) -> impl FnMut(&Model, Samples, Beside) -> Result<Samples> {
    |_, all, _| Ok(all.choose(Some(job.samples.unwrap_or(CALIBRATION_SAMPLES)), job.seed))
}

/// What `choose` takes of the samples of `set`, without those that nothing can be learned from.
///
/// # Errors
/// [`Error::Samples`] where none is left; whatever reading them gives.
pub(super) fn calibration_samples(
    job: &Job,
    ready: &mut Ready,
    set: &SampleSet,
    beside: Beside,
    choose: &mut Choose,
) -> Result<Samples> {
    let samples = job.feeding.open(set, &ready.opened.model, beside.0)?;
    let samples = choose(&ready.opened.model, samples, beside)?;
    let (samples, excess) = in_proportion(&ready.opened.model, samples, job.seed)?;
    if let Some(Doubt::Excessive { used, of, reason }) = excess {
        ready.opened.warnings.push(format!("{used} of {of} calibration samples are used: {reason}"));
    }
    without_flawed(samples, "calibration", &mut ready.opened.warnings)
}

/// `samples` without those that hold NaN, or infinite values where none belong; these are named in `warnings`. They are left out
/// of `what`.
///
/// # Errors
/// [`Error::Samples`] where all are left out; whatever reading them gives.
pub(super) fn without_flawed(samples: Samples, what: &str, warnings: &mut Vec<String>) -> Result<Samples> {
    let flawed = samples.flawed()?;
    let Some((_, first)) = flawed.first() else { return Ok(samples) };
    if flawed.len() == samples.len() {
        let found = format!("{first}, and the like in all others");
        return Err(Error::samples(samples.path(), "samples", format!("finite values for {what}"), found));
    }
    let named: Vec<String> = flawed.iter().take(NAMED).map(|(_, flaw)| flaw.to_string()).collect();
    let more = match flawed.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    warnings.push(format!(
        "{}: {}{more}; left out of {what}, {} of {} samples",
        samples.path().display(),
        named.join(", "),
        flawed.len(),
        samples.len()
    ));
    let positions: Vec<usize> = flawed.iter().map(|(at, _)| *at).collect();
    Ok(samples.without(&positions))
}

//! Samples that a conversion calibrates on, and what is left out of them.

use std::collections::HashSet;

use super::proportion::in_proportion;
use super::{CALIBRATION_SAMPLES, Job, Ready};
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::plan::Doubt;
use crate::samples::{Preprocess, SampleSet, Samples};
use crate::validate::{FEWEST, check_declared};

/// Samples that cannot be used and are named one by one.
const NAMED: usize = 5;

/// Chooses calibration samples among all that a file holds.
pub(super) type Choose<'c> = dyn FnMut(&Model, Samples, Beside) -> Result<Samples> + 'c;

/// What lies beside calibration samples.
pub(super) struct Beside<'b> {
    /// How pictures become inputs.
    pub preprocess: Option<&'b Preprocess>,
    /// The validation samples where they are open.
    pub opened: Option<&'b Samples>,
    /// Whether there are any.
    pub judges: bool,
}

/// As many as `job` asks for. Where there are no others to judge on, those that are left go to `held`, if anything is to be judged.
pub(super) fn chosen<'c>(
    job: &'c Job,
    mut held: Option<&'c mut Option<Held>>,
) -> impl FnMut(&Model, Samples, Beside) -> Result<Samples> + 'c {
    move |model, all, beside| {
        if !beside.judges
            && let Some(held) = held.as_deref_mut()
            && let Some((fit, samples)) = divide(&all, job)
        {
            // Labels of those that do not judge are the same file's.
            check_declared(&all, model)?;
            *held = Some(Held { samples, of: all.len() });
            return Ok(fit);
        }
        Ok(all.choose(Some(job.samples.unwrap_or(CALIBRATION_SAMPLES)), job.seed))
    }
}

/// Calibration samples that are not calibrated on, so that the file can be judged on them.
pub(super) struct Held {
    /// These.
    pub samples: Samples,
    /// How many the file holds in all.
    pub of: usize,
}

impl Held {
    /// Those that are not `calibrated` on, which equal ones would be; `None` where too few are left.
    pub fn others(self, calibrated: &HashSet<u64>) -> Result<Option<Self>> {
        let own = self.samples.digests()?;
        let shared: Vec<usize> = (0..own.len()).filter(|&at| calibrated.contains(&own[at])).collect();
        let (samples, of) = (self.samples.without(&shared), self.of);
        Ok((samples.len() >= FEWEST.min(own.len())).then_some(Self { samples, of }))
    }
}

/// One of so many calibration samples is held back where there are no others to judge on.
const HELD_BACK: usize = 5;
/// Samples that are held back at most.
const MOST_HELD_BACK: usize = 100;
/// Fewer calibration samples than this are all calibrated on.
const FEWEST_DIVIDED: usize = 2 * FEWEST;
/// Samples that nothing is calibrated on and that are judged on at most.
const MOST_LEFT_OVER: usize = 512;

/// The samples of `all` to calibrate on, and others to judge on: those that are not asked for, or where these are few, some held back;
/// `None` where all are needed.
fn divide(all: &Samples, job: &Job) -> Option<(Samples, Samples)> {
    let used = job.samples.unwrap_or(CALIBRATION_SAMPLES).min(all.len());
    let wanted = (used / HELD_BACK).clamp(FEWEST, MOST_HELD_BACK);
    let left_over = all.len() - used;
    let other_seed = job.seed.wrapping_add(1);
    if left_over >= wanted.min(used) {
        let (fit, others) = all.split(used, job.seed);
        return Some((fit, others.choose(Some(used.min(MOST_LEFT_OVER)), other_seed)));
    }
    if all.len() < FEWEST_DIVIDED {
        return None;
    }
    let (held, fit) = all.split(wanted, other_seed);
    Some((fit.choose(Some(used), job.seed), held))
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
    let samples = job.feeding.open(set, &ready.opened.model, beside.preprocess)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::options::Options;
    use std::path::Path;

    fn samples(count: usize) -> (Model, Samples) {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 4]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        let model = graph.model();
        let samples = Samples::synthetic(&model, &[], count, 1).unwrap();
        (model, samples)
    }

    /// How many of `count` samples are calibrated on and held back, where `asked` are asked for.
    fn parts(count: usize, asked: Option<usize>, judges: bool) -> (usize, usize) {
        let job = Job { samples: asked, ..Job::new(Path::new("m.onnx"), Options::default()) };
        let (model, all) = samples(count);
        let mut held = None;
        let fit =
            chosen(&job, Some(&mut held))(&model, all, Beside { preprocess: None, opened: None, judges })
                .unwrap();
        let Some(held) = held else { return (fit.len(), 0) };
        assert_eq!(held.of, count);
        let fitted: HashSet<u64> = fit.digests().unwrap().into_iter().collect();
        let all = held.samples.len();
        let others = held.others(&fitted).unwrap().unwrap();
        assert_eq!(others.samples.len(), all, "none of them is calibrated on");
        (fit.len(), all)
    }

    #[test]
    fn a_part_is_held_back_where_nothing_else_judges() {
        assert_eq!(parts(600, None, true), (512, 0));
        assert_eq!(parts(600, None, false), (500, 100));
        assert_eq!(parts(100, None, false), (80, 20));
        assert_eq!((parts(16, None, false), parts(15, None, false)), ((8, 8), (15, 0)));
        assert_eq!(parts(30, None, false), (22, 8));
    }

    #[test]
    fn what_is_not_asked_for_judges_first() {
        assert_eq!(parts(600, Some(64), false), (64, 64));
        assert_eq!(parts(2000, None, false), (512, 512));
        assert_eq!(parts(600, Some(4), false), (4, 4));
        assert_eq!(parts(620, None, false), (512, 108));
        // What is calibrated on stays what it is with validation samples.
        let job = Job { samples: Some(64), ..Job::new(Path::new("m.onnx"), Options::default()) };
        let (_, all) = samples(600);
        let (fit, _) = divide(&all, &job).unwrap();
        assert_eq!(fit.digests().unwrap(), all.choose(Some(64), 0).digests().unwrap());
    }

    #[test]
    fn equal_samples_do_not_judge() {
        let (_, all) = samples(40);
        let (fit, held) = all.split(30, 0);
        let fitted: HashSet<u64> = fit.digests().unwrap().into_iter().collect();
        assert!(Held { samples: fit, of: 40 }.others(&fitted).unwrap().is_none());
        assert_eq!(Held { samples: held, of: 40 }.others(&fitted).unwrap().unwrap().samples.len(), 10);
    }
}

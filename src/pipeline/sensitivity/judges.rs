//! Samples to judge on that calibration does not use: a figure that was found on samples that the codes were fitted to says
//! nothing of others.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::pipeline::samples::without_flawed;
use crate::pipeline::{CALIBRATION_SAMPLES, Job};
use crate::samples::Samples;
use crate::validate::FEWEST;

/// Samples that conversions are judged on at most: twice as many would make standard errors smaller by a third.
const MOST: usize = 512;
/// One of so many calibration samples is held back where there are no others.
const HELD_BACK: usize = 3;
/// What flawed samples are left out of.
const WHAT: &str = "the judgement";
/// Samples of the calibration file that are left over, from which on none is held back.
const LEFT_OVER: usize = 64;

/// Samples to judge on.
pub(super) struct Judges {
    pub samples: Samples,
    pub held_back: bool,
    /// How many were left out, as calibration uses them.
    pub left_out: usize,
    pub warnings: Vec<String>,
}

impl Judges {
    /// Those given, where nothing is calibrated on.
    ///
    /// # Errors
    /// [`Error::Options`] where there are too few, and whatever reading them gives.
    pub fn given(job: &Job, given: Samples) -> Result<Self> {
        let mut warnings = Vec::new();
        let samples = without_flawed(given.choose(Some(MOST), job.seed), WHAT, &mut warnings)?;
        if samples.len() < FEWEST {
            return Err(too_few(&samples));
        }
        Ok(Self { samples, held_back: false, left_out: 0, warnings })
    }
}

/// The samples of `all` to calibrate on, as a conversion would choose them, and others to judge on: of those `given` for that,
/// else of what calibration leaves over, else held back from calibration.
///
/// # Errors
/// [`Error::Options`] where there are too few, and whatever reading samples gives.
pub(super) fn divide(job: &Job, all: &Samples, given: Option<Samples>) -> Result<(Samples, Judges)> {
    let used = job.samples.unwrap_or(CALIBRATION_SAMPLES).min(all.len());
    let (fit, left_over) = all.split(used, job.seed);
    let mut warnings = Vec::new();
    let mut left_out = 0;
    let enough = if given.is_some() { FEWEST } else { LEFT_OVER.min(used / HELD_BACK).max(FEWEST) };
    let was_given = given.is_some();
    let others = given.unwrap_or(left_over);
    if others.len() >= enough {
        let (samples, shared) = apart(others.choose(Some(MOST), job.seed), &fit, &mut warnings)?;
        left_out = shared;
        if shared > 0 {
            warnings.push(format!(
                "{shared} samples of {} are calibration samples, and were left out",
                samples.path().display()
            ));
        }
        if samples.len() >= enough {
            return Ok((fit, Judges { samples, held_back: false, left_out, warnings }));
        }
    }
    let (held, fit) = all.split(all.len() / HELD_BACK, job.seed.wrapping_add(1));
    let fit = fit.choose(Some(used), job.seed);
    let (samples, shared) = apart(held.choose(Some(MOST), job.seed), &fit, &mut warnings)?;
    if samples.len() < FEWEST {
        return Err(too_few(&samples));
    }
    if was_given {
        warnings.push(format!(
            "too few validation samples are left to judge on; samples of {} were held back from calibration instead",
            samples.path().display()
        ));
    }
    Ok((fit, Judges { samples, held_back: true, left_out: left_out + shared, warnings }))
}

/// Those of `samples` that can be judged on and are not among `fit`, and how many are.
fn apart(samples: Samples, fit: &Samples, warnings: &mut Vec<String>) -> Result<(Samples, usize)> {
    let samples = without_flawed(samples, WHAT, warnings)?;
    let known: HashSet<u64> = fit.digests()?.into_iter().collect();
    let own = samples.digests()?;
    let shared: Vec<usize> = (0..own.len()).filter(|&at| known.contains(&own[at])).collect();
    Ok((samples.without(&shared), shared.len()))
}

fn too_few(samples: &Samples) -> Error {
    Error::options(
        format!(
            "sensitivity judges on samples that calibration does not use, and finds {} of them in {}",
            samples.len(),
            samples.path().display()
        ),
        format!(
            "give {FEWEST} at least by `.validation`, better some hundred; or {} calibration samples, of which a third is held back",
            FEWEST * HELD_BACK
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::options::Options;
    use std::path::Path;

    fn samples(count: usize, seed: u64) -> Samples {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 4]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        Samples::synthetic(&graph.model(), &[], count, seed).unwrap()
    }

    fn job(samples: Option<usize>) -> Job {
        Job { samples, ..Job::new(Path::new("m.onnx"), Options::default()) }
    }

    /// How many judges are calibrated on.
    fn shared(fit: &Samples, judges: &Judges) -> usize {
        let fit: HashSet<u64> = fit.digests().unwrap().into_iter().collect();
        judges.samples.digests().unwrap().iter().filter(|digest| fit.contains(digest)).count()
    }

    #[test]
    fn others_judge_and_calibration_stays_what_it_would_be() {
        let all = samples(60, 1);
        let (fit, judges) = divide(&job(Some(40)), &all, Some(samples(30, 2))).unwrap();
        assert_eq!((fit.len(), judges.samples.len(), judges.held_back), (40, 30, false));
        assert_eq!(fit.digests().unwrap(), all.choose(Some(40), 0).digests().unwrap());
        assert!(shared(&fit, &judges) == 0 && judges.warnings.is_empty());
    }

    #[test]
    fn samples_that_are_calibrated_on_are_left_out() {
        // Twenty of sixty are among the samples calibrated on.
        let all = samples(60, 1);
        let (fit, judges) = divide(&job(Some(20)), &all, Some(samples(60, 1))).unwrap();
        assert_eq!((judges.samples.len(), judges.left_out, judges.held_back), (40, 20, false));
        assert!(
            shared(&fit, &judges) == 0 && judges.warnings[0].contains("20 samples"),
            "{:?}",
            judges.warnings
        );
        // All are, so that some are held back.
        let (fit, judges) = divide(&job(None), &all, Some(samples(60, 1))).unwrap();
        assert_eq!((fit.len(), judges.samples.len(), judges.held_back), (40, 20, true));
        assert!(shared(&fit, &judges) == 0 && judges.warnings.len() == 2, "{:?}", judges.warnings);
    }

    #[test]
    fn calibration_samples_are_left_over_or_held_back() {
        let all = samples(200, 1);
        let (fit, judges) = divide(&job(Some(100)), &all, None).unwrap();
        assert_eq!((fit.len(), judges.samples.len(), judges.held_back), (100, 100, false));
        let (fit, judges) = divide(&job(Some(199)), &all, None).unwrap();
        assert_eq!((fit.len(), judges.samples.len(), judges.held_back), (134, 66, true));
        assert_eq!(shared(&fit, &judges), 0);
        let Err(error) = divide(&job(None), &samples(23, 1), None) else { panic!("too few") };
        let error = error.to_string();
        assert!(error.contains("finds 7 of them") && error.contains("24 calibration samples"), "{error}");
    }
}

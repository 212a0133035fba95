//! Judging a written file: read back, lowered to a view that tract can run, run beside the float
//! model.

use std::collections::HashSet;
use std::path::Path;

use super::measure::{float_bytes, is_large, nodes};
use super::quantize::first_fault;
use crate::error::{Error, Result};
use crate::onnx::{self, Model};
use crate::options::{LARGE_WITHOUT_SAMPLES, OPSET};
use crate::plan::{Doubt, Fingerprint, Overlap, Plan, Verdict};
use crate::prepare::prepare;
use crate::progress::Progress;
use crate::rewrite::{Dialect, calibrated, lower};
use crate::runtime::{Session, is_widened};
use crate::samples::{Preprocess, Samples};
use crate::validate::{Compared, compare, loadable, prove, sound};

/// Random samples that stand in where there are none: enough to see that the file runs.
const SYNTHETIC_SAMPLES: usize = 4;
/// Bytes of memory that running both models takes for each byte of float weights.
const RUN_BYTES: u64 = 6;

/// A file that was just written, and what it is held against.
pub(super) struct Judged<'j> {
    pub float: &'j Model,
    pub plan: &'j Plan,
    pub first: Option<usize>,
    pub written: &'j Path,
    pub samples: Option<&'j Path>,
    pub preprocess: Option<&'j Preprocess>,
    /// Digests of the samples that were calibrated on.
    pub calibrated: &'j HashSet<u64>,
    /// Whether the samples are the calibration samples, for want of others.
    pub same: bool,
    /// How many samples to use at most.
    pub most: Option<usize>,
    /// Whether samples were given, which asks for a run however large the model.
    pub asked: bool,
    pub seed: u64,
}

/// Reads the file back, proves its weights, and runs it. Returns the file as read as well.
pub(super) fn written(judged: &Judged, progress: &dyn Progress) -> Result<(Verdict, Model)> {
    let back = onnx::read(judged.written)?;
    sound(&back, judged.float)?;
    let proven = prove(judged.plan, judged.first, &back)?;
    if !judged.asked && is_large(judged.float, judged.samples.is_some()) {
        return Ok((too_large(judged.float), back));
    }
    let view = lower(&back, Dialect::Folded)?;
    let samples = match judged.samples {
        Some(path) => {
            Some(Samples::open(path, judged.float, judged.preprocess)?.choose(judged.most, judged.seed))
        }
        None => None,
    };
    let known = |digests: &[u64]| {
        let samples = digests.iter().filter(|digest| judged.calibrated.contains(digest)).count();
        Some(Overlap { samples, of: digests.len(), exact: true })
    };
    let mut verdict = run(judged.float, &view, samples, judged.seed, &known, progress)?;
    if let Verdict::Validated(validation) = &mut verdict {
        validation.weights_proven = proven;
        if judged.same {
            // What was asked for is no surprise: it is told where the samples are.
            validation.doubts.retain(|doubt| !matches!(doubt, Doubt::Calibrated(_)));
        }
    }
    Ok((verdict, back))
}

/// Why a model of this size is not run unasked.
fn too_large(float: &Model) -> Verdict {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let bytes = float_bytes(float);
    if bytes <= LARGE_WITHOUT_SAMPLES {
        let count = nodes(float.graph());
        let all_the_same = "every code and scale in the file was compared with the plan; --validation SAMPLES runs both models all the same";
        return Verdict::NotValidated {
            reason: format!("preparing {count} nodes to run them would take long; {all_the_same}"),
        };
    }
    Verdict::NotValidated {
        reason: format!(
            "running {:.1} GB of float weights beside the quantized ones would take about {:.0} GB of memory; \
             every code and scale in the file was compared with the plan; --validation SAMPLES runs both models all the same",
            gigabytes(bytes),
            gigabytes(RUN_BYTES * bytes).ceil()
        ),
    }
}

/// Judges any quantized file against its float model, without a plan.
///
/// # Errors
/// Any: see [`Error`].
pub fn validate(
    float: &Path,
    quantized: &Path,
    samples: Option<&Path>,
    preprocess: Option<&Path>,
    count: Option<usize>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Verdict> {
    let model = onnx::read(float)?;
    let written = onnx::read(quantized)?;
    loadable(&written, &model)?;
    let model = runnable(model);
    let mark = calibrated(&written.proto);
    let view = lower(&written, Dialect::Folded)?;
    let preprocess = preprocess.map(Preprocess::read).transpose()?;
    let beside = samples.is_none().then(|| Samples::discover(float).validation).flatten();
    let samples = match samples.or(beside.as_deref()) {
        Some(path) => Some(Samples::open(path, &model, preprocess.as_ref())?.choose(count, seed)),
        None => None,
    };
    let known = |digests: &[u64]| mark.as_ref().map(|mark: &Fingerprint| mark.overlap(digests));
    run(&model, &view, samples, seed, &known, progress)
}

/// `model`, or its prepared form where tract can run only that.
fn runnable(model: Model) -> Model {
    if first_fault(&model).is_none() {
        return model;
    }
    match prepare(model.clone(), OPSET) {
        Ok((prepared, _)) if first_fault(&prepared).is_none() => prepared,
        _ => model,
    }
}

fn run(
    float: &Model,
    view: &Model,
    samples: Option<Samples>,
    seed: u64,
    known: &dyn Fn(&[u64]) -> Option<Overlap>,
    progress: &dyn Progress,
) -> Result<Verdict> {
    let not = |reason: String| Ok(Verdict::NotValidated { reason });
    if let Some(problem) = first_fault(float).or_else(|| first_fault(view)) {
        return not(problem);
    }
    let (synthetic, wide) = (samples.is_none(), is_widened(float));
    let samples = match samples {
        Some(samples) => samples,
        None => match Samples::synthetic(float, &[], SYNTHETIC_SAMPLES, seed) {
            Ok(samples) => samples,
            Err(error) => return not(format!("no samples were given, and none can be made up: {error}")),
        },
    };
    let sessions =
        Session::new(float, "float", &[]).and_then(|one| Ok((one, Session::new(view, "quantized", &[])?)));
    let (float, quantized) = match sessions {
        Ok(sessions) => sessions,
        Err(error @ Error::Runtime { .. }) => return not(error.to_string()),
        Err(error) => return Err(error),
    };
    match compare(&float, &quantized, &samples, Dialect::Folded.name(), progress) {
        Ok(Compared { mut validation, digests }) => {
            validation.synthetic = synthetic;
            if synthetic {
                // Noise is no picture of anything.
                validation.doubts.clear();
            } else if let Some(overlap) = known(&digests) {
                validation.overlap = Some(overlap);
                validation.calibrated_on = overlap.samples > 0;
                if validation.calibrated_on {
                    validation.doubts.push(Doubt::Calibrated(overlap));
                }
            }
            if wide {
                validation.view += ", half precision computed in FLOAT";
            }
            Ok(Verdict::Validated(Box::new(validation)))
        }
        Err(error @ Error::Runtime { .. }) => not(error.to_string()),
        Err(error) => Err(error),
    }
}

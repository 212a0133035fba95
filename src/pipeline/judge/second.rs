//! The same files in onnxruntime, and both judges beside one another.

use std::path::Path;

use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::onnxruntime::{Optimizations, Session, library};
use crate::pipeline::feeding::Feeding;
use crate::plan::{Doubt, Figures, Measured, Opinion, Second, Unjudged};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::validate::{Compared, Runner, Watch, compare_each, partings};

/// What onnxruntime runs.
const VIEW: &str = "both files as they are";
/// The judge of every run.
const TRACT: &str = "tract";

/// Both files as they lie on disk.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    pub float: &'f Path,
    pub written: &'f Path,
}

/// What onnxruntime says, or why it cannot.
pub struct Judgement {
    judge: String,
    result: std::result::Result<Ran, String>,
}

struct Ran {
    compared: Compared,
    /// The written file without optimizations, or why it did not run so.
    unoptimized: std::result::Result<Figures, String>,
}

/// Runs both files, of which `model` is the float one, on the samples; the written one also without optimizations. `watch` sees what the
/// optimized one gives.
///
/// # Errors
/// [`Error::NoOnnxruntime`], and those of reading samples.
pub fn judge(
    files: Files,
    model: &Model,
    feeding: &Feeding,
    samples: &Samples,
    watch: &Watch,
    progress: &dyn Progress,
) -> Result<Judgement> {
    let judge = library()?.name();
    let result = match ran(files, model, feeding, samples, watch, progress) {
        Ok(ran) => Ok(ran),
        Err(error) => Err(told(error, files)?),
    };
    Ok(Judgement { judge, result })
}

/// The reason in an error that says that a file was not run; any other stays an error. The written file has no place of its own yet.
fn told(error: Error, files: Files) -> Result<String> {
    match error {
        Error::Onnxruntime { action, path, problem } => {
            let file = if path == files.float { "float" } else { "quantized" };
            let problem = problem.replace(&path.display().to_string(), "it");
            Ok(format!("it cannot {action} the {file} file: {problem}"))
        }
        // Outputs that cannot be compared.
        Error::Runtime { problem, .. } => Ok(problem),
        other => Err(other),
    }
}

fn ran(
    files: Files,
    model: &Model,
    feeding: &Feeding,
    samples: &Samples,
    watch: &Watch,
    progress: &dyn Progress,
) -> Result<Ran> {
    const STAGE: &str = "cross-check";
    let float = Session::load(files.float, Optimizations::Default)?;
    let written = Session::load(files.written, Optimizations::Default)?;
    let written = feeding.own(&written, model, samples)?;
    let plain = Session::load(files.written, Optimizations::Off).and_then(|plain| {
        let plain = feeding.own(&plain, model, samples)?;
        compare_each(&float, [&written as &dyn Runner, &plain], samples, (VIEW, STAGE), watch, progress)
    });
    let problem = match plain {
        Ok([compared, plain]) => {
            return Ok(Ran { compared, unoptimized: Ok(plain.validation.figures()) });
        }
        Err(error) => told(error, files)?,
    };
    let [compared] = compare_each(&float, [&written], samples, (VIEW, STAGE), watch, progress)?;
    Ok(Ran { compared, unoptimized: Err(problem) })
}

/// The judgement that counts, with the other beside it, and what is to be said of both; or why there is none. tract's counts
/// where there is one.
pub fn settle(
    first: std::result::Result<Compared, String>,
    second: Option<Judgement>,
    synthetic: bool,
) -> std::result::Result<(Compared, Vec<Doubt>), String> {
    let Some(Judgement { judge, result }) = second else { return first.map(|first| (first, Vec::new())) };
    let mut doubts = Vec::new();
    let (mut counts, opinion) = match (first, result) {
        (Err(one), Err(other)) => return Err(format!("{TRACT}: {one}; {judge}: {other}")),
        (Ok(first), Err(reason)) => {
            doubts.push(Doubt::NoSecond(Unjudged { judge: judge.clone(), reason: reason.clone() }));
            (first, Opinion::NotValidated { reason })
        }
        (first, Ok(Ran { compared, unoptimized })) => {
            let figures = compared.validation.figures();
            let counts = match first {
                Ok(first) => {
                    let partings = partings(&first.validation.figures(), &figures, synthetic);
                    if !partings.is_empty() {
                        doubts.push(Doubt::JudgesPart { judges: [TRACT.into(), judge.clone()], partings });
                    }
                    first
                }
                Err(reason) => {
                    let mut counts = compared;
                    counts.validation.judge.clone_from(&judge);
                    counts.validation.unjudged = Some(Unjudged { judge: TRACT.into(), reason });
                    counts
                }
            };
            match &unoptimized {
                Ok(plain) => {
                    let partings = partings(&figures, plain, synthetic);
                    if !partings.is_empty() {
                        doubts.push(Doubt::OptimizationsPart { judge: judge.clone(), partings });
                    }
                }
                Err(reason) => {
                    let reason = reason.clone();
                    doubts.push(Doubt::NotUnoptimized(Unjudged { judge: judge.clone(), reason }));
                }
            }
            (counts, Opinion::Validated(Box::new(Measured { figures, unoptimized: unoptimized.ok() })))
        }
    };
    counts.validation.second = Some(Second { judge, opinion });
    Ok((counts, doubts))
}

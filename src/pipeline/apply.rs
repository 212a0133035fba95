//! A plan made earlier, perhaps edited, carried out.

use std::path::Path;

use super::measure::sizes;
use super::{ready, target};
use crate::error::{Error, Result};
use crate::onnx;
use crate::plan::{self, Applied};
use crate::progress::Progress;
use crate::rewrite;
use crate::validate::prove;

/// Applies the first `first` decisions of the plan, or all of them, and proves that the written
/// file says the same.
///
/// # Errors
/// Any: see [`Error`]. No output is left behind then.
pub fn apply(
    input: &Path,
    plan: &Path,
    output: Option<&Path>,
    first: Option<usize>,
    overwrite: bool,
    external_data: bool,
    progress: &dyn Progress,
) -> Result<Applied> {
    let path = plan;
    let mut plan = plan::read(path)?;
    let output = target(input, output, &format!("{}.onnx", plan.precision), overwrite, external_data)?;
    let ready = ready(input, plan.opset, &plan.shapes)?;
    onnx::Target { path: &output, external_data, overwrite }.check(&ready.float.side_files)?;
    if ready.subject.sha256 != plan.subject.sha256 {
        let problem = format!(
            "the plan was made for another model ({}, sha256 {})",
            plan.subject.file, plan.subject.sha256
        );
        return Err(Error::Plan { path: path.to_owned(), place: "subject".into(), problem });
    }
    for warning in &ready.warnings {
        progress.note(warning);
    }
    let of = plan.decisions.len();
    plan.decisions.truncate(first.unwrap_or(of));
    let rewritten = rewrite::apply(&ready.model, &plan, None).map_err(|error| match error {
        Error::Plan { place, problem, .. } => Error::Plan { path: path.to_owned(), place, problem },
        other => other,
    })?;
    let after = onnx::write_to(&rewritten, onnx::Target { path: &output, external_data, overwrite })?;
    let proven = || {
        let back = onnx::read(&output)?;
        prove(&plan, None, &back)?;
        Ok(back)
    };
    let back = proven().inspect_err(|_: &Error| onnx::remove(&output))?;
    let sizes = sizes(ready.float.bytes_on_disk, after, &ready.model, &back, &plan);
    Ok(Applied { output, decisions: plan.decisions.len(), of, sizes })
}

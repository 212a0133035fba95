//! A plan made earlier, perhaps edited, carried out.

use std::path::Path;

use super::measure::sizes;
use super::{draft, output as named, reads_model, ready};
use crate::error::{Error, Result};
use crate::files::Guard;
use crate::onnx;
use crate::plan::{self, Applied};
use crate::progress::Progress;
use crate::rewrite;
use crate::validate::{prove, sound};

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
    let output = named(input, output, &format!("{}.onnx", plan.precision));
    let mut guard = Guard::new();
    reads_model(&mut guard, input);
    guard.reads(path);
    let mut draft = draft(&output, overwrite, external_data, &guard)?;
    let ready = ready(input, plan.opset, &plan.shapes)?;
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
    if of == 0 {
        return Err(Error::NothingQuantized {
            problem: format!("{} has no decisions", path.display()),
            remedy: "make a plan that quantizes something, as fourbit plan does".into(),
        });
    }
    plan.decisions.truncate(first.unwrap_or(of));
    let rewritten = rewrite::apply(&ready.model, &plan, None).map_err(|error| match error {
        Error::Plan { place, problem, .. } => Error::Plan { path: path.to_owned(), place, problem },
        other => other,
    })?;
    let after = onnx::write_to(&rewritten, &mut draft, external_data)?;
    let back = onnx::read(&draft.place())?;
    sound(&back, &ready.float)?;
    prove(&plan, None, &back)?;
    draft.commit()?;
    let sizes = sizes(ready.float.bytes_on_disk, after, &ready.model, &back, &plan);
    Ok(Applied { output, decisions: plan.decisions.len(), of, sizes })
}

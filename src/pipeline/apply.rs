//! A plan made earlier, perhaps edited, carried out.

use std::path::{Path, PathBuf};

use super::measure::sizes;
use super::{draft, output as named, reads_model, ready};
use crate::error::{Error, Result};
use crate::files::Guard;
use crate::onnx;
use crate::plan::{self, Applied, Plan};
use crate::progress::Progress;
use crate::rewrite;
use crate::validate::{prove, sound};

/// Where a plan is.
#[derive(Clone, Debug)]
pub enum PlanSource {
    /// In a JSON file.
    Path(PathBuf),
    /// In memory.
    Plan(Box<Plan>),
}

/// A plan to be carried out, on what, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    /// The float model.
    pub input: &'a Path,
    /// The plan.
    pub plan: &'a PlanSource,
    /// The file to write; beside the model where not given.
    pub output: Option<&'a Path>,
    /// How many decisions; all where not given.
    pub first: Option<usize>,
    /// Whether an existing output may be replaced.
    pub overwrite: bool,
    /// Whether large tensors go to a file of their own in any case.
    pub external_data: bool,
}

/// Applies the first `first` decisions of the plan, or all of them, and proves that the written
/// file says the same.
///
/// # Errors
/// Any: see [`Error`]. No output is left behind then.
pub fn apply(application: &Application, progress: &dyn Progress) -> Result<Applied> {
    let &Application { input, output, first, overwrite, external_data, .. } = application;
    let (mut plan, path) = match application.plan {
        PlanSource::Path(path) => (plan::read(path)?, path.as_path()),
        PlanSource::Plan(plan) => {
            let path = Path::new("the plan");
            plan::checked(plan, path)?;
            (Plan::clone(plan), path)
        }
    };
    let output = named(input, output, &format!("{}.onnx", plan.precision));
    let mut guard = Guard::new();
    reads_model(&mut guard, input);
    if let PlanSource::Path(path) = application.plan {
        guard.reads(path);
    }
    let mut draft = draft(&output, overwrite, external_data, &guard)?;
    let ready = ready(input, plan.opset, &plan.shapes)?;
    if ready.subject.sha256 != plan.subject.sha256 {
        let problem = format!(
            "the plan was made for another model ({}, sha256 {})",
            plan.subject.file, plan.subject.sha256
        );
        return Err(Error::Plan { path: path.to_owned(), place: "subject".into(), problem });
    }
    for warning in &ready.opened.warnings {
        progress.note(warning);
    }
    let of = plan.decisions.len();
    if of == 0 {
        return Err(Error::NothingQuantized {
            problem: format!("{} has no decisions", path.display()),
            remedy: "make a plan that quantizes something, as `fourbit::Quantize::plan` does".into(),
        });
    }
    plan.decisions.truncate(first.unwrap_or(of));
    let rewritten = rewrite::apply(&ready.opened.model, &plan, None).map_err(|error| match error {
        Error::Plan { place, problem, .. } => Error::Plan { path: path.to_owned(), place, problem },
        other => other,
    })?;
    let after = onnx::write_to(&rewritten, &mut draft, external_data)?;
    let back = onnx::read(&draft.place())?;
    sound(&back, &ready.opened.float)?;
    prove(&plan, None, &back)?;
    draft.commit()?;
    let sizes = sizes(ready.opened.float.bytes_on_disk, after, &ready.opened.model, &back, &plan);
    Ok(Applied { output, decisions: plan.decisions.len(), of, sizes })
}

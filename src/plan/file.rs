//! Plans as JSON files.

use std::io::Write as _;
use std::path::Path;

use super::decision::{Decision, Plan, VERSION};
use crate::error::{Error, Result};
use crate::files::{self, Guard, Sink};

/// Writes `plan` to `path`, pretty-printed.
///
/// # Errors
/// As [`Sink::create`] and [`Sink::commit`].
pub fn write(plan: &Plan, path: &Path, overwrite: bool) -> Result<()> {
    write_to(plan, Sink::create(path, overwrite, &Guard::new())?)
}

/// Writes `plan`, pretty-printed, and completes `sink`.
///
/// # Errors
/// As [`Sink::commit`].
pub fn write_to(plan: &Plan, mut sink: Sink) -> Result<()> {
    let path = sink.path().to_owned();
    serde_json::to_writer_pretty(&mut sink, plan).map_err(|error| Error::write(&path)(error.into()))?;
    sink.write_all(b"\n").map_err(Error::write(&path))?;
    sink.commit()
}

/// Reads a plan and checks that each decision is consistent in itself.
///
/// # Errors
/// [`Error::Read`], or [`Error::Plan`] naming the field or site that is wrong.
pub fn read(path: &Path) -> Result<Plan> {
    let text = files::text(path)?;
    let wrong = |place: String, problem: String| Error::Plan { path: path.to_owned(), place, problem };
    let found = serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| wrong("JSON".into(), error.to_string()))?;
    match found.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            let problem = format!(
                "this plan has version {version} of the form, this program reads version {VERSION}; \
                 make it again with `fourbit::Quantize::plan`"
            );
            return Err(wrong("version".into(), problem));
        }
        None => return Err(wrong("version".into(), "missing: this is no plan".into())),
    }
    drop(found);
    let mut plan: Plan =
        serde_json::from_str(&text).map_err(|error| wrong("JSON".into(), error.to_string()))?;
    for decision in &mut plan.decisions {
        if let Decision::Weight(weight) = decision {
            for term in weight.terms.iter_mut().filter(|term| term.code_type.is_signed()) {
                term.codes = std::mem::take(&mut term.codes).sign_extended()?;
            }
        }
    }
    checked(&plan, path)?;
    Ok(plan)
}

/// Checks that each decision of `plan`, which is of the file `path`, is consistent in itself, and that the plan's storage has
/// a form for it.
///
/// # Errors
/// [`Error::Plan`] naming the site that is wrong.
pub fn checked(plan: &Plan, path: &Path) -> Result<()> {
    for decision in &plan.decisions {
        if let Some(problem) = decision.problem().or_else(|| unstorable(plan, decision)) {
            let place = format!("decision on {}", decision.tensor());
            return Err(Error::Plan { path: path.to_owned(), place, problem });
        }
    }
    Ok(())
}

/// What weights of `decision` the storage of `plan` has no form for, if there are any.
fn unstorable(plan: &Plan, decision: &Decision) -> Option<String> {
    let Decision::Weight(weight) = decision else { return None };
    let term = weight.terms.iter().find(|term| !plan.storage.holds(term.code_type.bits()))?;
    Some(format!("container {} has no form for {} weights", plan.storage.name(), term.code_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_form_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        for (text, expected) in [
            (r#"{"version": 1, "decisions": []}"#, "version 1 of the form, this program reads version 2"),
            (r#"{"decisions": []}"#, "this is no plan"),
            (r#"{"version": 2}"#, "missing field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("plan.json") && error.contains(expected), "{error}");
        }
    }
}

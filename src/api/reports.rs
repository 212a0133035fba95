//! What came of it, in words and as data.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{Guard, Sink};
use crate::plan::{
    self, Applied, Checked, Gated, Inspection, Outcome, Plan, Planned, Sensitivity, ShownSamples, Verdict,
};
use crate::report::{Detail, TextStyle, data, plain};

/// A result that can be told.
pub trait Report {
    /// Sentences and tables for people.
    fn to_text(&self, style: TextStyle) -> String;

    /// One JSON object with its `schema` and `version`, for programs.
    fn to_json(&self) -> String;
}

macro_rules! reports {
    ($($kind:ty => $name:ident),*) => {$(
        impl Report for $kind {
            fn to_text(&self, style: TextStyle) -> String {
                plain::$name(self, style)
            }
            fn to_json(&self) -> String {
                data::$name(self)
            }
        }
    )*};
}

reports!(
    Applied => applied, Checked => checked, Gated => gated, Inspection => inspection, Outcome => outcome, Planned => planned,
    Sensitivity => sensitivity, ShownSamples => shown, Verdict => verdict
);

/// Files for reports, opened before the work and filled after it.
pub struct Reports {
    reports: Vec<(Sink, Format)>,
    plan: Option<Sink>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Reports {
    pub(super) fn open(
        reports: &[PathBuf],
        plan: Option<&Path>,
        overwrite: bool,
        guard: &mut Guard,
    ) -> Result<Self> {
        let mut open = |path: &Path| {
            guard.writes(path)?;
            Sink::create(path, overwrite, guard)
        };
        let sinks = reports.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
        let formats = reports.iter().map(|path| format(path)).collect::<Result<Vec<_>>>()?;
        let plan = plan.map(open).transpose()?;
        Ok(Self { reports: sinks.into_iter().zip(formats).collect(), plan })
    }

    /// Writes `told` into each file.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::File`].
    pub fn write(self, told: &impl Report) -> Result<()> {
        for (mut sink, format) in self.reports {
            let text = match format {
                Format::Text => told.to_text(TextStyle { width: None, detail: Detail::Full }),
                Format::Json => told.to_json(),
            };
            let written = sink.write_all(text.as_bytes());
            written.map_err(Error::write(sink.path()))?;
            sink.commit()?;
        }
        Ok(())
    }

    /// Writes `told` into each file for reports, and `plan` into the file for the plan.
    ///
    /// # Errors
    /// As [`Reports::write`].
    pub fn write_with_plan(mut self, told: &impl Report, plan: &Plan) -> Result<()> {
        let sink = self.plan.take();
        self.write(told)?;
        sink.map_or(Ok(()), |sink| plan::write_to(plan, sink))
    }
}

/// The form that a file's name asks for.
fn format(path: &Path) -> Result<Format> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("txt") => Ok(Format::Text),
        Some("json") | None => Ok(Format::Json),
        Some(other) => Err(Error::options(
            format!("{}: there is no report of the kind .{other}", path.display()),
            "end the name in .json or .txt",
        )),
    }
}

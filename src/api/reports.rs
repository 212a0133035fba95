//! What came of it, in words and as data.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Record;
use crate::error::{Error, Result};
use crate::files::{self, Guard, Sink};
use crate::plan::{
    self, Applied, Checked, Difference, Gated, Inspection, Outcome, Plan, Planned, Sensitivity, ShownSamples,
    Verdict,
};
use crate::report::{Detail, TextStyle, data, pages, plain};

/// A result that can be told.
pub trait Report {
    /// Sentences and tables for people.
    fn to_text(&self, style: TextStyle) -> String;

    /// One JSON object with its `schema` and `version`, for programs.
    fn to_json(&self) -> String;

    /// One page of HTML that needs nothing else, as [`page`] makes it of the JSON: of conversions, plans and comparisons.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Model`] where there is no page of this kind of result.
    fn to_html(&self) -> Result<String> {
        pages::report(&self.to_json())
    }
}

/// The page of a report that was kept as JSON; the same that [`Report::to_html`] gives. The report may be one of
/// [`crate::Quantize`], of a plan, or of [`crate::Validate`].
///
/// # Errors
/// Of the kind [`crate::ErrorKind::Model`] where the text is no such report.
pub fn page(json: &str) -> Result<String> {
    pages::report(json)
}

/// Writes the page of the JSON report in the file `report` to `output`, as `told` words it.
///
/// # Errors
/// As [`page`], and of the kind [`crate::ErrorKind::File`].
pub fn write_page(
    report: &Path,
    output: &Path,
    overwrite: bool,
    told: &dyn Fn(&str) -> String,
) -> Result<()> {
    let mut guard = Guard::new();
    guard.reads(report);
    let mut sink = Sink::create(output, overwrite, &guard)?;
    let page = page(&files::text(report)?).map_err(|error| error.of(report))?;
    sink.write_all(told(&page).as_bytes()).map_err(Error::write(output))?;
    sink.commit()
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
    Applied => applied, Checked => checked, Difference => difference, Gated => gated, Inspection => inspection, Outcome => outcome, Planned => planned,
    Sensitivity => sensitivity, ShownSamples => shown, Verdict => verdict
);

/// Files for reports, opened before the work and filled after it.
pub struct Reports {
    reports: Vec<(Sink, Format)>,
    /// For a plan, or for the figures of each sample.
    beside: Option<Sink>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Page,
}

/// What reports there are of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Text and JSON.
    Plain,
    /// A page as well.
    Pages,
}

impl Reports {
    pub(super) fn open(
        reports: &[PathBuf],
        offer: Offer,
        beside: Option<&Path>,
        overwrite: bool,
        guard: &mut Guard,
    ) -> Result<Self> {
        let mut open = |path: &Path| {
            guard.writes(path)?;
            Sink::create(path, overwrite, guard)
        };
        let sinks = reports.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
        let formats = reports.iter().map(|path| format(path, offer)).collect::<Result<Vec<_>>>()?;
        let beside = beside.map(open).transpose()?;
        Ok(Self { reports: sinks.into_iter().zip(formats).collect(), beside })
    }

    /// Whether any of them holds what is known of single layers, which [`crate::Quantize::details`] asks for.
    pub fn hold_details(&self) -> bool {
        self.reports.iter().any(|(_, format)| *format != Format::Text)
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
                Format::Page => told.to_html()?,
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
        let sink = self.beside.take();
        self.write(told)?;
        sink.map_or(Ok(()), |sink| plan::write_to(plan, sink))
    }

    /// Writes `told` into each file for reports, and what was recorded into the file for the figures of each sample.
    ///
    /// # Errors
    /// As [`Reports::write`].
    pub fn write_with_samples(mut self, told: &impl Report, record: &Record) -> Result<()> {
        let sink = self.beside.take();
        self.write(told)?;
        let Some(mut sink) = sink else { return Ok(()) };
        let written = sink.write_all(record.to_csv().as_bytes());
        written.map_err(Error::write(sink.path()))?;
        sink.commit()
    }
}

/// The form that a file's name asks for.
fn format(path: &Path, offer: Offer) -> Result<Format> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("txt") => Ok(Format::Text),
        Some("json") | None => Ok(Format::Json),
        Some("html" | "htm") if offer == Offer::Pages => Ok(Format::Page),
        Some(other) => Err(Error::options(
            format!("{}: there is no report of the kind .{other}", path.display()),
            match offer {
                Offer::Plain => "end the name in .json or .txt",
                Offer::Pages => "end the name in .html, .json or .txt",
            },
        )),
    }
}

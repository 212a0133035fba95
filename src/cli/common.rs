//! What every subcommand shares: the flags, and how results and errors are printed.

use std::borrow::Cow;
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::spelling::Spelling;
use super::terminal::{coloured, visible};
use crate::api::program::terminal_width;
use crate::api::{Detail, Error, Report, Result, TextStyle};

/// Flags that every subcommand takes.
#[derive(Debug, Args)]
pub struct Common {
    /// How to print the result
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Format::Text, ignore_case = true,
        help_heading = "General", hide_short_help = true)]
    format: Format,
    /// Print JSON, the same as --format json
    #[arg(long, global = true, conflicts_with = "format", help_heading = "General", hide_short_help = true)]
    json: bool,
    /// Number of threads; for batch, of conversions at the same time [default: number of CPUs]
    #[arg(long, global = true, value_name = "N", help_heading = "General", hide_short_help = true)]
    pub jobs: Option<NonZeroUsize>,
    /// Print no progress and no tables
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "General",
        hide_short_help = true
    )]
    pub quiet: bool,
    /// Also list tensors kept in float, with reasons
    #[arg(short, long, global = true, help_heading = "General", hide_short_help = true)]
    pub verbose: bool,
}

impl Common {
    /// How to print the result.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How to print the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences
    Text,
    /// One JSON object; for batch, one per event and line
    Json,
}

/// Who judges beside tract.
#[derive(Clone, Copy, Debug, Args)]
pub struct CrossCheck {
    /// Also run both models in this runtime, and report where it and tract differ
    ///
    /// The runtime uses its default optimizations, and judges alone if tract cannot run the model. The library is that of
    /// ORT_DYLIB_PATH, or of the Python package.
    #[arg(
        long,
        value_enum,
        value_name = "RUNTIME",
        ignore_case = true,
        help_heading = "Samples",
        hide_short_help = true
    )]
    pub cross_check: Option<Other>,
}

/// A runtime beside tract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Other {
    /// Version 1.17 or newer
    #[value(alias = "ort")]
    Onnxruntime,
}

impl CrossCheck {
    /// Whether onnxruntime is to judge as well.
    pub fn is_asked(self) -> bool {
        self.cross_check == Some(Other::Onnxruntime)
    }
}

/// What the flags amount to, ready for use.
pub struct Context {
    /// Who hears what the work is at.
    pub progress: Bar,
    /// How settings are called here.
    pub spelling: Spelling,
    /// What starts this program: a program and its first arguments. Empty where that is its own file.
    #[cfg(feature = "batch")]
    pub command: Vec<OsString>,
    style: TextStyle,
    format: Format,
}

impl Context {
    /// Sets up threads and progress.
    ///
    /// # Errors
    /// [`Error::Options`] where the threads cannot be started.
    pub fn new(common: &Common, spelling: Spelling, command: Vec<OsString>) -> Result<Self> {
        if let Some(jobs) = common.jobs {
            rayon::ThreadPoolBuilder::new().num_threads(jobs.get()).build_global().map_err(|error| {
                Error::options(format!("cannot start {jobs} threads: {error}"), "pass a smaller --jobs")
            })?;
        }
        let format = common.format();
        let bars = !common.quiet && format == Format::Text && io::stderr().is_terminal();
        let detail = match (common.quiet, common.verbose) {
            (true, _) => Detail::Brief,
            (_, true) => Detail::Full,
            _ => Detail::Normal,
        };
        let style = TextStyle { width: terminal_width(), detail };
        let progress = Bar::new(bars, !common.quiet, spelling.clone());
        #[cfg(not(feature = "batch"))]
        drop(command);
        Ok(Self {
            progress,
            spelling,
            #[cfg(feature = "batch")]
            command,
            style,
            format,
        })
    }

    /// Whether the result is printed as JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result in the format asked for.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn show(&self, told: &impl Report) -> Result<()> {
        self.print(|style| told.to_text(style), || told.to_json())
    }

    /// Prints words or data, whichever the format asks for.
    ///
    /// # Errors
    /// [`Error::Write`], except where the reader has gone away: it has seen what it wanted.
    pub fn print(&self, text: impl FnOnce(TextStyle) -> String, json: impl FnOnce() -> String) -> Result<()> {
        let output = match self.format {
            Format::Text => self.spelling.spelled(&text(self.style)).into_owned(),
            Format::Json => json(),
        };
        let output = visible(&output);
        // Takes the colours out again where nobody sees them, or does not want to.
        let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
        let output = if self.format == Format::Text { coloured(&output) } else { output.into_owned() };
        match stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Write { path: PathBuf::from("standard output"), source: error })
            }
            _ => Ok(()),
        }
    }
}

/// Prints an error and what led to it, in one line, with flags for settings where there is a `spelling`.
pub fn complain(error: &Error, spelling: Option<&Spelling>) {
    let text = chain(error);
    let text = spelling.map_or(Cow::Borrowed(text.as_str()), |spelling| spelling.spelled(&text));
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "error: {}", visible(&text).replace('\n', "\\n"));
}

/// Prints what a person has to know in any case.
pub fn warn(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "{}", visible(text));
}

/// Prints what is wrong with the arguments, or the help that was asked for. Without its colours where an argument holds what
/// steers terminals, or the library's words for settings are in it.
pub fn refuse(error: &clap::Error, spelling: &Spelling) {
    let plain = error.render().to_string();
    let spelled = spelling.spelled(&plain);
    let clean = visible(&spelled);
    // Nobody is left to tell when this fails.
    let _ = match clean == plain {
        false => io::stderr().write_all(clean.as_bytes()),
        true => error.print(),
    };
}

/// An error and what led to it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_with_their_cause() {
        let path = std::path::Path::new("net.onnx");
        let error = Error::read(path)(io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot read net.onnx: disk on fire");
    }
}

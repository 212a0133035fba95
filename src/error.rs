//! What can stop fourbit, each naming the file, node or value concerned and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The library's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that makes going on impossible, in words that name settings as a program does: `` `.overwrite` `` is the method, or the
/// field of the options, of that name. What merely leaves a tensor as it was is a reason in
/// the report, never an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file could not be written; nothing was left behind.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The output is there already.
    #[error("{} exists; set `.overwrite` to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// An output would replace something that the run reads.
    #[error("{} is read by this run, and would be lost; give the output another name", path.display())]
    OverwritesInput {
        /// The file.
        path: PathBuf,
    },
    /// The file is no ONNX model, or a damaged one.
    #[error("{}: not an ONNX model: {problem}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The model breaks a rule of the ONNX format.
    #[error("{}{place}: {problem}", named(file.as_deref()))]
    Invalid {
        /// The model, where it is known.
        file: Option<PathBuf>,
        /// Node, tensor or field.
        place: String,
        /// Which rule, with the offending value.
        problem: String,
    },
    /// An operator for which the way to a newer opset is not known.
    #[error(
        "{}node {node}: {operator} (opset {from}) has no conversion to opset {to}; choose `.opset` keep, \
         which leaves the model at opset {from}, or export it at opset {to} or higher",
        named(file.as_deref())
    )]
    NoConversion {
        /// The model, where it is known.
        file: Option<PathBuf>,
        /// Node name, or its first output where it has none.
        node: String,
        /// Operator, with its domain unless it is the standard one.
        operator: String,
        /// The model's opset.
        from: i64,
        /// The opset wanted.
        to: i64,
    },
    /// Samples that do not fit the model, or cannot be read as samples.
    #[error("{}: {place}: expected {expected}, found {found}", path.display())]
    Samples {
        /// The sample file or folder.
        path: PathBuf,
        /// Key, input or picture.
        place: String,
        /// What fits.
        expected: String,
        /// What came.
        found: String,
    },
    /// Options that contradict one another or the model.
    #[error("{problem}; {remedy}")]
    Options {
        /// What is wrong.
        problem: String,
        /// What to do instead.
        remedy: String,
    },
    /// A place beyond a network did not give or take what it was asked for.
    #[error("{url}: {problem}; {remedy}")]
    Remote {
        /// The place, without anything secret.
        url: String,
        /// What went wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// tract cannot run the model, which what was asked for needs.
    #[error(
        "calibration cannot run this model: {problem}; choose `.precision` w4, which needs no calibration"
    )]
    NotRunnable {
        /// Which node, and why.
        problem: String,
    },
    /// Nothing in the model would be changed, so nothing is written.
    #[error("nothing was quantized, so nothing is written: {problem}; {remedy}")]
    NothingQuantized {
        /// What keeps it float.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A plan that is unreadable or does not fit the model.
    #[error("{}: {place}: {problem}", path.display())]
    Plan {
        /// The plan's file.
        path: PathBuf,
        /// Site or field.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// tract could not load or run the model.
    #[error("tract cannot {action} the {view} model: {problem}")]
    Runtime {
        /// `load`, `run` ...
        action: &'static str,
        /// Which of the models: `float`, `quantized` ...
        view: String,
        /// tract's own words, or the fault of tract that was recognised.
        problem: String,
    },
    /// onnxruntime, which was asked for, is not there or cannot be loaded.
    #[error("{problem}; {remedy}")]
    NoOnnxruntime {
        /// What was looked for, or what is wrong with what was found.
        problem: String,
        /// How to get it.
        remedy: String,
    },
    /// onnxruntime could not load or run a file.
    #[error("onnxruntime cannot {action} {}: {problem}", path.display())]
    Onnxruntime {
        /// `load` or `run`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// onnxruntime's own words.
        problem: String,
    },
    /// The caller asked for an end of the work. Nothing was left behind.
    #[error("cancelled; nothing was written")]
    Cancelled,
    /// The written file does not say what was planned: a fault of fourbit's own.
    #[error("self-check failed at {place}: {problem}; nothing was written, please report this")]
    SelfCheck {
        /// Tensor or file.
        place: String,
        /// The difference.
        problem: String,
    },
}

/// What an error is about, for programs that go on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file cannot be read or written, exists already, or would be lost.
    File,
    /// The model is no ONNX model, breaks a rule of the format, or has an operator without a way to the opset wanted.
    Model,
    /// Samples cannot be read, or do not fit the model.
    Samples,
    /// Options contradict one another or the model.
    Options,
    /// A plan is damaged, or does not fit the model.
    Plan,
    /// A place beyond a network failed.
    Remote,
    /// A runtime cannot load or run the model, which what was asked for needs.
    Runtime,
    /// Nothing in the model would be quantized, so nothing was written.
    NothingQuantized,
    /// The caller stopped the work.
    Cancelled,
    /// A fault of fourbit's own: the written file did not say what was planned. Nothing was written.
    SelfCheck,
}

/// What a message begins with that is about `file`.
fn named(file: Option<&Path>) -> String {
    file.map(|file| format!("{}: ", file.display())).unwrap_or_default()
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Exists { .. } | Self::OverwritesInput { .. } => {
                ErrorKind::File
            }
            Self::NotOnnx { .. } | Self::Invalid { .. } | Self::NoConversion { .. } => ErrorKind::Model,
            Self::Samples { .. } => ErrorKind::Samples,
            Self::Options { .. } => ErrorKind::Options,
            Self::Plan { .. } => ErrorKind::Plan,
            Self::Remote { .. } => ErrorKind::Remote,
            Self::NotRunnable { .. }
            | Self::Runtime { .. }
            | Self::NoOnnxruntime { .. }
            | Self::Onnxruntime { .. } => ErrorKind::Runtime,
            Self::NothingQuantized { .. } => ErrorKind::NothingQuantized,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::SelfCheck { .. } => ErrorKind::SelfCheck,
        }
    }

    /// The file that it is about, where it is about one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Exists { path }
            | Self::OverwritesInput { path }
            | Self::NotOnnx { path, .. }
            | Self::Samples { path, .. }
            | Self::Plan { path, .. }
            | Self::Onnxruntime { path, .. } => Some(path),
            Self::Invalid { file, .. } | Self::NoConversion { file, .. } => file.as_deref(),
            _ => None,
        }
    }

    /// The node that it is about, where it is about one: its name, or that of its first output.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::NoConversion { node, .. } => Some(node),
            Self::Invalid { place, .. } => place.strip_prefix("node "),
            _ => None,
        }
    }

    /// A read failure on `path`.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    /// A write failure on `path`.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }

    /// A broken rule of the format at `place`.
    pub fn invalid(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { file: None, place: place.into(), problem: problem.into() }
    }

    /// The same, of the model `path`, where it is about a model and does not say which.
    #[must_use]
    pub fn of(mut self, path: &Path) -> Self {
        if let Self::Invalid { file: file @ None, .. } | Self::NoConversion { file: file @ None, .. } =
            &mut self
        {
            *file = Some(path.to_owned());
        }
        self
    }

    /// Samples at `place` of `path` that do not fit.
    pub fn samples(
        path: &Path,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Samples {
            path: path.to_owned(),
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Options that cannot be followed.
    pub fn options(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Options { problem: problem.into(), remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_model_say_of_which() {
        let (first, other) = (Path::new("a.onnx"), Path::new("b.onnx"));
        let error = Error::invalid("node conv_1", "it has no weights").of(first).of(other);
        assert_eq!(error.to_string(), "a.onnx: node conv_1: it has no weights");
        assert_eq!(
            (error.file(), error.node(), error.kind()),
            (Some(first), Some("conv_1"), ErrorKind::Model)
        );
        let error = Error::options("no", "yes").of(first);
        assert_eq!((error.to_string().as_str(), error.file()), ("no; yes", None));
    }
}

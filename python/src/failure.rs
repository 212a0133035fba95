//! Errors of the library as exceptions of the package.

use std::error::Error as _;

use fourbit::{Error, ErrorKind};
use pyo3::prelude::*;

/// The exception for `error`, which the package makes.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        message += &format!(": {source}");
        next = source.source();
    }
    made(py, word(error.kind()), &message, error.file().map(|path| path.display().to_string()), error.node())
}

/// A failure that is no error of the library: a panic.
pub fn panicked(py: Python<'_>, said: &str) -> PyErr {
    made(py, "panic", &format!("fourbit failed, please report this: {said}"), None, None)
}

fn made(py: Python<'_>, kind: &str, message: &str, file: Option<String>, node: Option<&str>) -> PyErr {
    let make = || py.import("fourbit._errors")?.getattr("made")?.call1((kind, message, file, node));
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(other) => other,
    }
}

/// What the package calls a kind.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::File => "file",
        ErrorKind::Model => "model",
        ErrorKind::Samples => "samples",
        ErrorKind::Options => "options",
        ErrorKind::Plan => "plan",
        ErrorKind::Remote => "remote",
        ErrorKind::Runtime => "runtime",
        ErrorKind::NothingQuantized => "nothing_quantized",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::SelfCheck => "self_check",
        _ => "error",
    }
}

//! What was wanted and what came, before it is known in which file.

use std::path::Path;

use crate::error::Error;

/// A misfit found by code that sees bytes, not files.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Misfit {
    expected: String,
    found: String,
}

/// The result of such code.
pub(super) type Fit<T> = Result<T, Misfit>;

impl Misfit {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }

    /// The error that names the file and the place in it.
    pub(super) fn at(path: &Path, place: impl Into<String>) -> impl FnOnce(Self) -> Error {
        let place = place.into();
        move |misfit| Error::samples(path, place, misfit.expected, misfit.found)
    }
}

/// `[5000, 32, 32, 3]`.
pub(super) fn shape_text<T: std::fmt::Display>(shape: &[T]) -> String {
    let sizes: Vec<String> = shape.iter().map(T::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// `a, b, c`, or `none`.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

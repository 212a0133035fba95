//! A comparison of two files, held against limits.

use std::path::PathBuf;

use serde::Serialize;

use super::Verdict;

/// A quantized model beside its float original, and the limits that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Gated {
    /// The float model.
    pub float: PathBuf,
    /// The quantized model.
    pub quantized: PathBuf,
    /// How they compare.
    pub verdict: Verdict,
    /// The limits.
    pub limits: Vec<Limit>,
}

/// A limit on a figure of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// Its field in [`crate::Gate`].
    pub name: &'static str,
    /// The figure asked for.
    pub asked: f64,
    /// The figure found; `None` where outputs are equal or not finite.
    pub found: Option<f64>,
    /// Whether it is met.
    pub met: bool,
    /// Both figures in words.
    pub text: String,
    /// Why so few samples do not show it, where it is met.
    pub unshown: Option<String>,
}

//! Samples, as a model is fed them.

use std::path::PathBuf;

use serde::Serialize;

/// What a model is fed: the inputs of samples, with their ranges, labels and first values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownSamples {
    /// The model's file.
    pub model: String,
    /// Where the samples are from.
    pub source: String,
    /// Whether they are made up.
    pub synthetic: bool,
    /// How many there are.
    pub samples: usize,
    /// How many of these, the first ones, were looked at.
    pub looked_at: usize,
    /// The preset or file by which pixels became inputs.
    pub preprocess: Option<String>,
    /// The inputs, in the model's order.
    pub inputs: Vec<ShownInput>,
    /// The labels of all samples, where there are any.
    pub labels: Option<ShownLabels>,
    /// The class folders in the order of their indices, where samples lie in such.
    pub classes: Vec<String>,
    /// The first samples.
    pub first: Vec<ShownSample>,
    /// The contact sheet that was written.
    pub png: Option<PathBuf>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// One input, over all samples that were looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownInput {
    /// Its name.
    pub name: String,
    /// Its element type, as NumPy calls it.
    pub dtype: String,
    /// The shape that the model declares.
    pub declared: String,
    /// The shape of the first sample.
    pub dims: Vec<i64>,
    /// Whether other samples have another shape.
    pub varies: bool,
    /// Least finite value; `None` where there is none.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Standard deviation of the finite values.
    pub std: Option<f64>,
    /// Values that are NaN or infinite.
    pub not_finite: u64,
}

/// Labels of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShownLabels {
    /// How many.
    pub count: usize,
    /// How many different ones.
    pub distinct: usize,
    /// The least.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownSample {
    /// What a person calls it.
    pub name: String,
    /// Its labels.
    pub labels: Vec<i64>,
    /// The first values of each input.
    pub values: Vec<Vec<f64>>,
}

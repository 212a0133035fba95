//! What calibration saw.

use std::collections::BTreeMap;

use crate::mmse::Histogram;

/// Statistics of a float model's activations over the calibration samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// How many samples were run.
    pub samples: usize,
    /// The values of each activation site, by tensor.
    pub histograms: BTreeMap<String, Histogram>,
    /// For each read of weights, by (weights, reader's position): the mean of the input element
    /// that each weight element of one output channel is multiplied with. Length: groups times
    /// the elements of one output channel's kernel, kernel offsets innermost.
    pub means: BTreeMap<(String, usize), Vec<f64>>,
}

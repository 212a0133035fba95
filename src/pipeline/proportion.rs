//! How many samples are run through a model that computes out of all proportion to its size: a file of some kilobytes, damaged
//! or made up, may ask for minutes a sample.

use std::fmt;

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{self, Model, element_count};
use crate::plan::Doubt;
use crate::runtime::{Session, Volume};
use crate::samples::Samples;

/// Values computed for each value of weights and inputs beyond which a model is out of proportion. Detectors and vocoders compute up to some
/// hundred, small transformers on long texts some thousand.
const PROPORTION: u64 = 1 << 12;
/// Values that all runs of such a model compute at most, one after the other: 10 to 20 seconds.
const MOST_VALUES: u64 = 1 << 30;

/// Weights of a model from which on it is not looked at.
const LARGE: u64 = 1 << 24;

/// What a model computes that is out of proportion.
#[derive(Clone, Debug)]
pub(super) struct Excess {
    volume: Volume,
    /// Values of weights and inputs.
    given: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Volume { elements, largest: (node, dims) } = &self.volume;
        let given = self.given;
        write!(
            f,
            "a run computes {elements} values from {given} of weights and inputs, {dims:?} in node {node} alone"
        )
    }
}

impl Excess {
    /// That of `model` on the first of `samples`; `None` where it is in proportion, or cannot be run.
    pub fn of(model: &Model, samples: &Samples) -> Result<Option<Self>> {
        let weights = elements(&onnx::tensors(model.graph()))?;
        // No run that memory allows is out of proportion to more.
        if samples.is_empty() || weights > LARGE {
            return Ok(None);
        }
        let inputs = samples.get(0)?.inputs;
        let given = weights.saturating_add(elements(&inputs.iter().collect::<Vec<_>>())?);
        let volume = match Session::new(model, "float", &[]).and_then(|session| session.volume(&inputs)) {
            Ok(volume) => volume,
            Err(Error::Runtime { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let within = volume.elements <= given.saturating_mul(PROPORTION);
        Ok((!within).then_some(Self { volume, given }))
    }

    /// How many runs are made at most.
    pub fn runs(&self) -> usize {
        (MOST_VALUES / self.volume.elements.max(1)) as usize
    }

    /// That not one run is made.
    pub fn refusal(&self) -> Error {
        Error::Runtime { action: "run", view: "float".into(), problem: format!("{self}, which is too much") }
    }
}

fn elements(tensors: &[&TensorProto]) -> Result<u64> {
    tensors.iter().try_fold(0u64, |sum, tensor| Ok(sum.saturating_add(element_count(tensor)? as u64)))
}

/// As many of `samples` as `model` is run on, and what was found where these are fewer.
///
/// # Errors
/// [`Error::Runtime`] where one sample is too much; whatever reading the first one gives.
pub(super) fn in_proportion(model: &Model, samples: Samples, seed: u64) -> Result<(Samples, Option<Doubt>)> {
    let Some(excess) = Excess::of(model, &samples)? else { return Ok((samples, None)) };
    let (runs, of) = (excess.runs(), samples.len());
    match runs {
        0 => Err(excess.refusal()),
        runs if runs < of => {
            let doubt = Doubt::Excessive { used: runs, of, reason: excess.to_string() };
            Ok((samples.choose(Some(runs), seed), Some(doubt)))
        }
        _ => Ok((samples, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::GraphBuilder;

    /// A convolution with `pads` in front of its last axis.
    fn model(pads: i64) -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 3, 8, 8]);
        let w = graph.weights("w", &[8, 3, 3, 3]);
        let y = graph.node("Conv", &[&x, &w], &[attr::ints("pads", &[1, pads, 1, 1])]);
        graph.output(&y);
        graph.model()
    }

    fn kept(pads: i64) -> Result<(usize, Option<Doubt>)> {
        let model = model(pads);
        let samples = Samples::synthetic(&model, &[], 300, 0).unwrap();
        in_proportion(&model, samples, 0).map(|(samples, doubt)| (samples.len(), doubt))
    }

    #[test]
    fn few_samples_are_run_where_a_run_is_out_of_proportion() {
        assert_eq!(kept(1).unwrap(), (300, None));
        let (used, doubt) = kept(100_000).unwrap();
        let Some(Doubt::Excessive { used: told, of: 300, reason }) = doubt else { panic!("{doubt:?}") };
        assert!(used == told && (10..200).contains(&used), "{used}");
        assert!(reason.contains("[1, 8, 8, 100007]") && reason.contains("from 408 of weights"), "{reason}");
        let error = kept(20_000_000).unwrap_err().to_string();
        assert!(error.contains("too much"), "{error}");
    }
}

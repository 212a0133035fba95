//! Inputs that take words of a vocabulary, and samples that were made of a model's own answers.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::input::{Dim, Input};
use super::super::random::SplitMix64;
use super::super::synthetic::vocabularies;
use super::super::{Sample, Samples, Source};
use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Model, tensor};

/// The input of a model that takes words, `[N, T]` with any `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Its place among the inputs.
    pub slot: usize,
    /// Its name.
    pub name: String,
    /// Words of the vocabulary: rows of the table that it indexes.
    pub vocabulary: usize,
    dtype: Dtype,
}

impl Words {
    /// Of `model`; `None` where there is none, or more than one.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] where an input is no tensor.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let inputs = Input::all(model)?;
        let mut found = Vec::new();
        for (slot, vocabulary) in vocabularies(model, &inputs) {
            let Some(input) = inputs.get(slot) else { continue };
            let open = |dim: &Dim| matches!(dim, Dim::Named(_) | Dim::Unknown);
            let dtype = Dtype::try_from(input.dtype).unwrap_or(Dtype::Undefined);
            if let Some([_, length]) = input.dims.as_deref()
                && open(length)
                && matches!(dtype, Dtype::Int64 | Dtype::Int32)
            {
                found.push(Self { slot, name: input.name.clone(), vocabulary, dtype });
            }
        }
        Ok(match found.len() {
            1 => found.pop(),
            _ => None,
        })
    }

    /// The input for one text.
    pub fn input(&self, words: &[usize]) -> TensorProto {
        let bytes: Vec<u8> = match self.dtype {
            Dtype::Int32 => words.iter().flat_map(|&word| (word as i32).to_le_bytes()).collect(),
            _ => words.iter().flat_map(|&word| (word as i64).to_le_bytes()).collect(),
        };
        tensor(self.name.as_str(), self.dtype, &[1, words.len() as i64], bytes)
    }
}

/// Draws from distributions, the same for the same seed in every version.
#[derive(Clone, Debug)]
pub struct Draws(SplitMix64);

impl Draws {
    /// Those of sequence `index` of a seed.
    pub fn new(seed: u64, index: usize) -> Self {
        Self(SplitMix64::new(SplitMix64::new(seed).next() ^ index as u64))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// One of the `logits`, by the probabilities that their softmax gives; `None` where they are no distribution.
    pub fn of_logits(&mut self, logits: &[f32]) -> Option<usize> {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let power = |&logit: &f32| f64::from(logit - most).exp();
        let sum: f64 = logits.iter().map(power).sum();
        if !most.is_finite() || !sum.is_finite() {
            return None;
        }
        let mut left = self.0.uniform() * sum;
        let at = logits.iter().position(|logit| {
            left -= power(logit);
            left < 0.0
        });
        Some(at.unwrap_or(logits.len() - 1))
    }
}

#[derive(Debug)]
struct Collected(Vec<Sample>);

impl Source for Collected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        Ok(self.0[index].clone())
    }
}

impl Samples {
    /// Samples in memory, called `name`.
    pub fn collected(name: &str, inputs: Vec<Vec<TensorProto>>) -> Self {
        let samples = inputs.into_iter().map(|inputs| Sample { inputs, labels: Vec::new() }).collect();
        Self {
            path: PathBuf::from(name),
            source: Arc::new(Collected(samples)),
            chosen: None,
            preprocessed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn words_index_one_table() {
        let made = |dims: &[i64]| {
            let mut graph = GraphBuilder::new(21);
            let ids = graph.typed_input("ids", Dtype::Int64, dims);
            let table = graph.weights("table", &[50, 4]);
            let y = graph.node("Gather", &[&table, &ids], &[]);
            graph.output(&y);
            Words::of(&graph.model()).unwrap()
        };
        let words = made(&[-1, -1]).unwrap();
        assert_eq!((words.slot, words.vocabulary), (0, 50));
        assert_eq!(words.input(&[3, 4]).dims, [1, 2]);
        assert_eq!(made(&[1, 8]), None);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut draws = Draws::new(1, 2);
        let logits = [0.0f32, 2.0f32.ln(), f32::NEG_INFINITY, 1.0f32.ln()];
        let mut counts = [0usize; 4];
        (0..4000).for_each(|_| counts[draws.of_logits(&logits).unwrap()] += 1);
        assert!(counts[2] == 0 && (1850..2150).contains(&counts[1]), "{counts:?}");
        assert_eq!(draws.of_logits(&[f32::NAN]), None);
    }
}

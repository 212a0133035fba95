//! Inputs that a model's own outputs feed from call to call.

use std::sync::Arc;

use super::input::{Dim, Input};
use super::{Preprocess, Sample, SampleSet, Samples, Source, element, synthetic};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Model, tensor};

/// Bytes of a state that is made up.
const LARGEST: usize = 1 << 30;

/// Samples with tensors of their own at some of the model's inputs.
#[derive(Debug)]
struct With {
    source: Arc<dyn Source>,
    tensors: Tensors,
}

#[derive(Debug)]
enum Tensors {
    /// The source lacks these inputs: the same for every sample, by their slots, which ascend.
    Added(Vec<(usize, TensorProto)>),
    /// The source has other ones: for each of its samples, by their slots.
    Replaced(Vec<Vec<(usize, TensorProto)>>),
}

impl Source for With {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn labelled(&self) -> bool {
        self.source.labelled()
    }

    fn labels(&self) -> &[i64] {
        self.source.labels()
    }

    fn classes(&self) -> &[String] {
        self.source.classes()
    }

    fn starts(&self) -> Vec<usize> {
        self.source.starts()
    }

    fn name(&self, index: usize) -> String {
        self.source.name(index)
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.source.get(index)?;
        match &self.tensors {
            Tensors::Added(added) => {
                for (slot, value) in added {
                    sample.inputs.insert((*slot).min(sample.inputs.len()), value.clone());
                }
            }
            Tensors::Replaced(all) => {
                for (slot, value) in all.get(index).into_iter().flatten() {
                    if let Some(input) = sample.inputs.get_mut(*slot) {
                        *input = value.clone();
                    }
                }
            }
        }
        Ok(sample)
    }
}

impl Samples {
    /// As [`Samples::open_set`], for a model whose inputs at the slots `states` are fed by its outputs: where the samples do not hold
    /// them, they begin with zeros.
    ///
    /// # Errors
    /// As [`Samples::open_set`]; [`Error::Invalid`] where the shape of a state is not known.
    pub fn open_stateful(
        set: &SampleSet,
        model: &Model,
        preprocess: Option<&Preprocess>,
        states: &[usize],
    ) -> Result<Self> {
        let all = Self::open_set(set, model, preprocess);
        if all.is_ok() || states.is_empty() || set.is_none() || set.is_generated() {
            return all;
        }
        let inputs = Input::all(model)?;
        let is_state = |input: &Input| states.iter().any(|&slot| inputs[slot].name == input.name);
        let fed: Vec<Input> = inputs.iter().filter(|input| !is_state(input)).cloned().collect();
        let samples = match Self::opened_set(set, fed.clone(), preprocess) {
            // They hold states, and these or others do not fit.
            Err(Error::Samples { place, .. }) if place == "keys" || set.file().is_none() => return all,
            other => other?,
        };
        if samples.is_empty() {
            return all;
        }
        let first = samples.get(0)?;
        let shapes: Vec<(String, Vec<i64>)> = fed
            .iter()
            .zip(&first.inputs)
            .map(|(input, value)| (input.name.clone(), value.dims.clone()))
            .collect();
        let mut added = Vec::new();
        for (slot, input) in inputs.iter().enumerate().filter(|(_, input)| is_state(input)) {
            added.push((slot, zeros(input, &inputs, &shapes)?));
        }
        let source = Arc::new(With { source: samples.source, tensors: Tensors::Added(added) });
        Ok(Self { source, ..samples })
    }

    /// Where sequences of calls begin, as positions among all samples of the source: 0, and the first of each further file of a
    /// folder of arrays, those that are called `NAME-1`, `NAME-2` ... taken together.
    pub fn starts(&self) -> Vec<usize> {
        self.source.starts()
    }

    /// All samples of the source.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { chosen: None, ..self.clone() }
    }

    /// The same samples with `values`, for each of them by the input's slot, in the place of what they hold.
    #[must_use]
    pub fn replaced(self, values: Vec<Vec<(usize, TensorProto)>>) -> Self {
        let source = Arc::new(With { source: self.source, tensors: Tensors::Replaced(values) });
        Self { source, ..self }
    }
}

/// A state to begin with.
fn zeros(input: &Input, inputs: &[Input], shapes: &[(String, Vec<i64>)]) -> Result<TensorProto> {
    let known = input.dims.as_ref().filter(|dims| !dims.contains(&Dim::Unknown) || dims[0] == Dim::Unknown);
    let Some(dims) = known else {
        let problem = "its shape is not known: give its first value in the samples";
        return Err(Error::invalid(format!("input {}", input.name), problem));
    };
    let mut sizes = synthetic::Sizes::of(inputs, shapes, 0);
    let dims: Vec<i64> = (0..dims.len()).map(|axis| sizes.dim(input, axis) as i64).collect();
    let dtype = Dtype::try_from(input.dtype).unwrap_or(Dtype::Undefined);
    let width = element::size(dtype).unwrap_or(0);
    let bytes = dims.iter().try_fold(width, |bytes, &dim| bytes.checked_mul(usize::try_from(dim).ok()?));
    let Some(bytes) = bytes.filter(|&bytes| bytes <= LARGEST) else {
        let problem = format!("a state of {dims:?} is too large to begin with zeros");
        return Err(Error::invalid(format!("input {}", input.name), problem));
    };
    Ok(tensor(input.name.as_str(), dtype, &dims, vec![0; bytes]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{floats, tensor_f32};
    use crate::samples::Tensor;

    #[test]
    fn states_begin_with_zeros_and_are_replaced() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[-1, 2]);
        let state = graph.input("state", &[3, -1]);
        let y = graph.node("Add", &[&x, &state], &[]);
        graph.output(&y);
        let model = graph.model();
        let folder = tempfile::tempdir().unwrap();
        // One array for one input: the other is missing.
        let path = folder.path().join("x.npy");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }");
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend((0..8).flat_map(|value| (value as f32).to_le_bytes()));
        std::fs::write(&path, bytes).unwrap();
        assert!(Samples::open(&path, &model, None).is_err());
        let samples = Samples::open_stateful(&SampleSet::from(&path), &model, None, &[1]).unwrap();
        assert_eq!((samples.len(), samples.starts()), (4, vec![0]));
        let sample = samples.get(2).unwrap();
        assert_eq!(floats(&sample.inputs[0]).unwrap(), [4.0, 5.0]);
        assert_eq!(
            (sample.inputs[1].dims.as_slice(), floats(&sample.inputs[1]).unwrap()),
            (&[3, 1][..], vec![0.0; 3])
        );
        let calls = (0..4).map(|at| Tensor::new(&[1, 2], [2.0 * at as f32, 1.0]).unwrap());
        let own = SampleSet::from_samples(calls.map(|call| vec![("x".to_owned(), call)]));
        assert!(Samples::open_set(&own, &model, None).is_err());
        let own = Samples::open_stateful(&own, &model, None, &[1]).unwrap();
        assert_eq!((own.len(), own.get(2).unwrap().inputs[1].dims.clone()), (4, vec![3, 1]));
        let other = |at: usize| vec![(1, tensor_f32("state", &[3, 1], &[at as f32; 3]))];
        let samples = samples.replaced((0..4).map(other).collect()).choose(Some(2), 1);
        for at in 0..2 {
            let sample = samples.get(at).unwrap();
            let row = floats(&sample.inputs[0]).unwrap()[0] / 2.0;
            assert_eq!(floats(&sample.inputs[1]).unwrap(), [row; 3]);
        }
    }
}

//! Whatever runs a model for a judgement.

use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::runtime::Output;
use crate::{onnxruntime, runtime};

/// Runs a model on the inputs of one sample. May be asked from several threads at once.
pub trait Runner: Sync {
    /// The outputs in the order of the graph.
    ///
    /// # Errors
    /// Those of the runtime.
    fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Output>>;
}

impl Runner for runtime::Session {
    fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Output>> {
        self.run(inputs)
    }
}

impl Runner for onnxruntime::Session {
    fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Output>> {
        let values = self.run(inputs)?.into_iter();
        Ok(values.map(|value| Output { name: value.name, dims: value.dims, values: value.values }).collect())
    }
}

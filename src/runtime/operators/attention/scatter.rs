//! TensorScatter: new rows written into a cache. Source: the ONNX operator TensorScatter-24.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::integers;
use super::super::places;
use super::at;

#[derive(Clone, Debug)]
struct Scatter {
    axis: i64,
    is_circular: bool,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_circular = match node.get_attr_opt::<&str>("mode")?.unwrap_or("linear") {
        "linear" => false,
        "circular" => true,
        other => bail!("mode {other} is not known"),
    };
    Ok(Some(Arc::new(Scatter { axis: node.get_attr_opt("axis")?.unwrap_or(-2), is_circular })))
}

impl Kernel for Scatter {
    fn name(&self) -> &'static str {
        "TensorScatter"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(cache), Some(_), ..] = inputs else { bail!("TensorScatter takes a cache and an update") };
        Ok(vec![(cache.dtype, cache.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(cache), Some(update), ..] = inputs else {
            bail!("TensorScatter takes a cache and an update")
        };
        let axis = places::axis(self.axis, cache.rank())?;
        let (batch, length, new) = (cache.shape()[0], cache.shape()[axis], update.shape()[axis]);
        let starts = at(inputs, 2).map(integers).transpose()?.unwrap_or_else(|| vec![0; batch]);
        if axis == 0 || starts.len() != batch || update.rank() != cache.rank() {
            bail!("an update of {:?} at {starts:?} of {:?}", update.shape(), cache.shape());
        }
        let mut samples = Vec::with_capacity(batch);
        for (sample, &start) in starts.iter().enumerate() {
            let mut made = cache.slice(0, sample, sample + 1)?;
            let update = update.slice(0, sample, sample + 1)?;
            for row in 0..new {
                let to = usize::try_from(start)? + row;
                let to = if self.is_circular { to % length.max(1) } else { to };
                if to >= length {
                    bail!("row {to} of a cache of {length}");
                }
                made.assign_slice(to..to + 1, &update, row..row + 1, axis)?;
            }
            samples.push(made);
        }
        match samples.is_empty() {
            true => Ok(vec![(*cache).clone()]),
            false => Ok(vec![Tensor::stack_tensors(0, &samples)?]),
        }
    }
}

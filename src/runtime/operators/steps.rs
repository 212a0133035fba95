//! Every so many elements of an axis, which is what tract makes of Slice with steps and would move through the operators before it.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Form, Kernel, Known, computed};
use super::places::{each, moved, strides};

#[derive(Clone, Debug)]
struct Steps(Downsample);

impl Steps {
    /// Positions on an axis of `length` elements.
    fn places(&self, length: usize) -> Vec<usize> {
        let places = self.0.modulo..length;
        let step = self.0.stride.unsigned_abs().max(1);
        if self.0.stride < 0 { places.rev().step_by(step).collect() } else { places.step_by(step).collect() }
    }

    fn dims(&self, own: &[usize]) -> TractResult<Vec<usize>> {
        let mut dims = own.to_vec();
        let length = dims.get_mut(self.0.axis).with_context(|| format!("axis {} of {own:?}", self.0.axis))?;
        *length = self.places(*length).len();
        Ok(dims)
    }
}

impl Kernel for Steps {
    fn name(&self) -> &'static str {
        "Steps"
    }

    fn forms(&self, inputs: &[Option<Known>]) -> TractResult<Vec<Form>> {
        let [Some(x)] = inputs else { bail!("steps are taken of one input") };
        Ok(vec![(x.dtype, self.dims(&x.dims)?)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x)] = inputs else { bail!("steps are taken of one input") };
        let (own, axis) = (x.shape(), self.0.axis);
        let dims = self.dims(own)?;
        let (steps, along) = (strides(own), self.places(own[axis]));
        let mut sources = Vec::with_capacity(dims.iter().product());
        each(&dims, |place| {
            let at = |(own, &at): (usize, &usize)| steps[own] * if own == axis { along[at] } else { at };
            sources.push(Some(place.iter().enumerate().map(at).sum()));
        });
        Ok(vec![moved(x, &dims, &sources, None)?])
    }
}

/// Puts steps that tract does not see through in the place of its own.
pub(in crate::runtime) fn hide_steps(model: &mut TypedModel) {
    for at in 0..model.nodes().len() {
        let node = model.node(at);
        let Some(steps) = node.op_as::<Downsample>() else { continue };
        let fact = &node.outputs[0].fact;
        let Some(dims) = fact.shape.as_concrete() else { continue };
        let form = (fact.datum_type, dims.to_vec());
        model.node_mut(at).op = computed(Arc::new(Steps(steps.clone())), form);
    }
}

//! A model made ready for one set of input shapes.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, SumPool};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_core::runtime::RunOptions;
use tract_onnx::tract_hir::internal::{OutletId, bail};

use super::passes::optimize;
use super::registers::clear_upper;
use super::values::with_floats;

/// A value that is not computed anew by each run, and the taps that want it.
type Fixed = (Arc<Tensor>, Vec<usize>);

/// Takes a tap's position, dimensions and values.
pub(super) type See<'s> = dyn FnMut(usize, &[usize], &[f32]) + 's;

/// Bytes of one value beyond which a model is not run. A failed allocation would end the process, which no guard can catch.
const MOST_BYTES: usize = 8 << 30;

/// What one run computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Elements of all values that nodes compute, as far as their shapes are known before a run.
    pub elements: u64,
    /// The largest of these values: the node that computes it, as tract calls it, and its dimensions.
    pub largest: (String, Vec<usize>),
}

/// What a run of `model` computes; refuses a model with a value that could not be held.
fn volume(model: &TypedModel) -> TractResult<Volume> {
    let mut volume = Volume { elements: 0, largest: (String::new(), Vec::new()) };
    let mut most = 0;
    for node in model.nodes() {
        let is_given = node.op_is::<Const>() || node.op_is::<TypedSource>();
        for output in &node.outputs {
            // What stays symbolic is known only while it runs.
            let Some(dims) = output.fact.shape.as_concrete() else { continue };
            let width = output.fact.datum_type.size_of().max(1);
            let bytes = dims.iter().try_fold(width, |bytes, &dim| bytes.checked_mul(dim));
            if bytes.is_none_or(|bytes| bytes > MOST_BYTES) {
                return Err(TractError::msg(format!(
                    "node {}: a value of {dims:?} is too large to run",
                    node.name
                )));
            }
            let elements = dims.iter().product::<usize>() as u64;
            if is_given {
                continue;
            }
            volume.elements = volume.elements.saturating_add(elements);
            if elements > most {
                (most, volume.largest) = (elements, (node.name.clone(), dims.to_vec()));
            }
        }
    }
    Ok(volume)
}

/// Refuses a window that is larger than what it slides over, padding included: every runtime makes something else of it.
fn windows_fit(model: &TypedModel) -> TractResult<()> {
    for node in model.nodes() {
        let spec = match (node.op_as::<MaxPool>(), node.op_as::<SumPool>()) {
            (Some(pool), _) => &pool.pool_spec,
            (_, Some(pool)) => &pool.pool_spec,
            _ => continue,
        };
        let fact = model.outlet_fact(node.inputs[0])?;
        let Some(dims) = fact.shape.as_concrete() else { continue };
        let shape = spec.data_format.shape(dims.to_vec())?;
        let padding = spec.computed_padding(shape.hw_dims());
        for (axis, (&length, padding)) in shape.hw_dims().iter().zip(&padding).enumerate() {
            let reach = (spec.kernel_shape[axis].max(1) - 1) * spec.dilation(axis) + 1;
            if length + padding.pad_before + padding.pad_after < reach {
                bail!("node {}: a window of {reach} on an axis of {length}", node.name);
            }
        }
    }
    Ok(())
}

/// An optimized model, and where its taps went.
#[derive(Debug)]
pub(super) struct Plan {
    plan: Arc<TypedSimplePlan>,
    /// Taps by the place that computes them.
    taps: HashMap<(usize, usize), Vec<usize>>,
    /// Taps that optimisation found to be constant.
    fixed: Vec<Fixed>,
    /// How many outputs stand before those of the model: taps that nothing else reads.
    extra: usize,
    pub volume: Volume,
}

impl Plan {
    /// Optimizes `model` for inputs of these types and shapes. `taps` are looked up before
    /// optimisation, which keeps outputs but loses names.
    pub(super) fn new(
        mut model: InferenceModel,
        inputs: &[(DatumType, Vec<usize>)],
        taps: &[OutletId],
    ) -> TractResult<Self> {
        for (at, (dtype, dims)) in inputs.iter().enumerate() {
            model.set_input_fact(at, dtype.fact(dims).into())?;
        }
        let outputs = model.output_outlets()?.to_vec();
        let wanted: Vec<OutletId> = outputs.iter().chain(taps).copied().collect();
        model.select_output_outlets(&wanted)?;
        let mut model = model.into_typed()?;
        let volume = volume(&model)?;
        windows_fit(&model)?;
        optimize(&mut model)?;
        let (own, tapped) = model.outputs.split_at(outputs.len());
        let own = own.to_vec();
        let mut places: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        let mut fixed: Vec<Fixed> = Vec::new();
        let mut sinks = Vec::new();
        for (tap, outlet) in tapped.iter().enumerate() {
            if let Some(konst) = model.node(outlet.node).op_as::<Const>() {
                fixed.push((konst.val().clone(), vec![tap]));
                continue;
            }
            let readers = places.entry((outlet.node, outlet.slot)).or_default();
            let unread = model.node(outlet.node).outputs.iter().all(|output| output.successors.is_empty());
            if readers.is_empty() && unread && !own.iter().any(|output| output.node == outlet.node) {
                sinks.push(*outlet);
            }
            readers.push(tap);
        }
        // Every other tap is on the way to one of these or to an output of the model, so that it is
        // evaluated without being kept. Sinks come first: each is then computed, handed over and
        // dropped before the model goes on.
        let extra = sinks.len();
        sinks.extend(own);
        model.select_output_outlets(&sinks)?;
        let options = RunOptions { skip_order_opt_ram: extra > 0, ..RunOptions::default() };
        let plan = TypedSimplePlan::new_with_options(model, &options)?;
        Ok(Self { plan, taps: places, fixed, extra, volume })
    }

    /// Runs once. `see` gets each tap's position, dimensions and values.
    pub(super) fn run(&self, inputs: TVec<TValue>, see: Option<&mut See<'_>>) -> TractResult<Vec<TValue>> {
        let mut state = self.plan.spawn()?;
        let Some(see) = see else {
            let outputs = state.run_plan_with_eval(inputs, |context, state, node, inputs| {
                let results = eval(context, state, node, inputs);
                clear_upper();
                results
            })?;
            return Ok(outputs.into_iter().skip(self.extra).collect());
        };
        for (value, taps) in &self.fixed {
            with_floats(value, |values| taps.iter().for_each(|&tap| see(tap, value.shape(), values)))?;
        }
        let outputs = state.run_plan_with_eval(inputs, |context, state, node, inputs| -> TractResult<_> {
            let results = eval(context, state, node, inputs);
            clear_upper();
            let mut results = results?;
            for (slot, result) in results.iter_mut().enumerate() {
                let Some(taps) = self.taps.get(&(node.id, slot)) else { continue };
                with_floats(result, |values| taps.iter().for_each(|&tap| see(tap, result.shape(), values)))?;
                let unread = node.outputs.get(slot).is_some_and(|output| output.successors.is_empty());
                if unread && !self.is_output(node.id) {
                    *result = Tensor::zero::<f32>(&[0])?.into_tvalue();
                }
            }
            Ok(results)
        })?;
        Ok(outputs.into_iter().skip(self.extra).collect())
    }

    /// Whether a node makes an output of the model itself.
    fn is_output(&self, node: usize) -> bool {
        let outputs = self.plan.model().outputs.iter().skip(self.extra);
        outputs.into_iter().any(|output| output.node == node)
    }
}

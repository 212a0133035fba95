//! Scales: above zero, finite, and as many as the axis or its blocks need.

use std::collections::HashMap;

use super::super::attributes::{axis_of, int};
use super::super::model::{CONTRIB, Model, is_linear, is_standard, value_shape};
use super::super::proto::{GraphProto, NodeProto, TensorProto};
use super::super::subgraphs::bodies;
use super::super::tensor::{element_count, floats};
use super::Breach;

/// The opset from which 8-bit codes have one scale an index of an axis.
const OPSET_PER_AXIS: i64 = 13;

/// What is wrong with the scales of `model`, as far as they are constants.
pub(super) fn check(model: &Model) -> Vec<Breach> {
    let mut check = ScaleCheck { opset: model.opset(), found: Vec::new() };
    check.graph(model.graph(), &Known::default());
    check.found
}

/// Constants and dimensions of the values of a graph and of those around it.
#[derive(Clone, Default)]
struct Known<'g> {
    constants: HashMap<&'g str, &'g TensorProto>,
    dims: HashMap<&'g str, Vec<Option<i64>>>,
}

struct ScaleCheck {
    opset: i64,
    found: Vec<Breach>,
}

/// Where an operator has scales.
fn slots(node: &NodeProto) -> &'static [usize] {
    let known = is_standard(node.domain()) || node.domain() == CONTRIB;
    match node.op_type() {
        "QuantizeLinear" | "DequantizeLinear" if known => &[1],
        "QLinearConv" | "QLinearMatMul" if known => &[1, 4, 6],
        "QLinearAdd" | "QLinearMul" if known => &[1, 4, 6],
        "MatMulNBits" if known => &[2],
        _ => &[],
    }
}

impl ScaleCheck {
    fn graph<'g>(&mut self, graph: &'g GraphProto, outer: &Known<'g>) {
        let inner = graph.node.iter().any(|node| bodies(node).next().is_some() || !slots(node).is_empty());
        if !inner {
            return;
        }
        let mut known = outer.clone();
        let values = graph.value_info.iter().chain(&graph.input).chain(&graph.output);
        known.dims.extend(values.filter_map(|value| Some((value.name(), value_shape(value)?.1))));
        known.constants.extend(graph.initializer.iter().map(|tensor| (tensor.name(), tensor)));
        for input in &graph.input {
            known.constants.remove(input.name());
        }
        for node in &graph.node {
            for &slot in slots(node) {
                let name = node.input.get(slot).map_or("", String::as_str);
                if let Some(scale) = known.constants.get(name) {
                    self.values(node, scale);
                    if is_linear(node, "QuantizeLinear") || is_linear(node, "DequantizeLinear") {
                        self.shape(node, scale, &known);
                    }
                }
            }
            for body in bodies(node) {
                self.graph(body, &known);
            }
        }
    }

    fn values(&mut self, node: &NodeProto, scale: &TensorProto) {
        // Other types are told by the types of the operator, and damage where it is read.
        let Ok(values) = floats(scale) else { return };
        // Blocks of weights are a matter of taste: onnxruntime's own tools write 0 for a block of zeros, and scales below it.
        let blocks = node.op_type() == "MatMulNBits" || int(node, "block_size").is_some_and(|size| size > 0);
        let bad = |value: &f32| !value.is_finite() || !blocks && *value <= 0.0;
        if let Some(at) = values.iter().position(bad) {
            let which = if values.len() > 1 { format!("scale {at} is") } else { "the scale is".to_owned() };
            let why = if blocks { "not finite" } else { "not finite and above zero" };
            let problem = format!("{which} {}, which is {why}", values[at]);
            self.found.push(Breach::new(node, scale.name(), problem));
        }
    }

    fn shape(&mut self, node: &NodeProto, scale: &TensorProto, known: &Known) {
        let data = node.input.first().map_or("", String::as_str);
        let dims: Option<Vec<Option<i64>>> = known
            .constants
            .get(data)
            .map(|codes| codes.dims.iter().copied().map(Some).collect())
            .or_else(|| known.dims.get(data).cloned());
        let problem = problem(node, scale, dims.as_deref(), self.opset);
        if let Some(problem) = problem {
            self.found.push(Breach::new(node, scale.name(), problem));
        }
        let zero = node.input.get(2).and_then(|name| known.constants.get(name.as_str()));
        if let Some(zero) = zero
            && zero.dims != scale.dims
            && (element_count(zero).ok(), element_count(scale).ok()) != (Some(1), Some(1))
        {
            let problem = format!("zero points {:?} beside scales {:?}", zero.dims, scale.dims);
            self.found.push(Breach::new(node, zero.name(), problem));
        }
    }
}

/// What is wrong with the shape of `scale` for data of `dims`, as far as these are known.
fn problem(
    node: &NodeProto,
    scale: &TensorProto,
    dims: Option<&[Option<i64>]>,
    opset: i64,
) -> Option<String> {
    let block = int(node, "block_size").unwrap_or(0);
    let single = scale.dims.iter().all(|&dim| dim == 1) && scale.dims.len() <= 1;
    if block == 0 && single {
        return None;
    }
    if block < 0 {
        return Some(format!("block_size {block}"));
    }
    if is_standard(node.domain()) && opset < OPSET_PER_AXIS {
        return Some(format!("scales {:?}; in opset {opset} there is one for the whole tensor", scale.dims));
    }
    let dims = dims?;
    let asked = int(node, "axis").unwrap_or(1);
    let Some(axis) = axis_of(asked, dims.len()) else {
        return Some(format!("axis {asked} of {} axes", dims.len()));
    };
    let length = &dims[axis];
    if block == 0 {
        let fits = scale.dims.len() == 1 && length.is_none_or(|length| scale.dims[0] == length);
        let length = length.map_or("an unknown number".to_owned(), |length| length.to_string());
        return (!fits)
            .then(|| format!("scales {:?} on axis {asked}, which has {length} elements", scale.dims));
    }
    let wanted = |(at, dim): (usize, &Option<i64>)| {
        dim.map(|dim| if at == axis { dim.saturating_add(block - 1) / block } else { dim })
    };
    let wanted: Vec<Option<i64>> = dims.iter().enumerate().map(wanted).collect();
    let fits = wanted.len() == scale.dims.len()
        && wanted.iter().zip(&scale.dims).all(|(wanted, dim)| wanted.is_none_or(|wanted| wanted == *dim));
    (!fits).then(|| {
        format!("scales {:?} for blocks of {block} on axis {asked} of {} axes", scale.dims, dims.len())
    })
}

//! Every float constant that no rule took, with its reason: in initializers and Constant nodes, of the graph and of those
//! inside its nodes.

use std::collections::{BTreeSet, HashSet};

use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Decoded, Index, Model, bodies, element_count, is_linear, is_standard, operator_label};
use crate::plan::{Float, Keep, Skip, WeightSite};

/// Operators that hold weights for which there is no rule.
const WEIGHTY: &[&str] = &["MatMulInteger", "ConvInteger", "GatherND", "GatherElements"];

/// The initializer `name`, left for `reason`.
pub(super) fn skip(index: &Index, name: &str, operator: &str, reason: Keep) -> Skip {
    let tensor = index.initializer(name);
    Skip {
        name: name.to_owned(),
        operator: operator.to_owned(),
        dims: tensor.map(|tensor| tensor.dims.clone()).unwrap_or_default(),
        bytes: tensor.map_or(0, bytes),
        reason,
    }
}

/// Adds whatever float constants are in neither `sites` nor `skips`, and sorts `skips`. Each constant is left in them once, so
/// that their bytes add up to what stays float.
pub(super) fn collect(model: &Model, index: &Index, sites: &[WeightSite], skips: &mut Vec<Skip>) {
    let settled: BTreeSet<String> = sites
        .iter()
        .map(|site| site.tensor.clone())
        .chain(skips.iter().map(|skip| skip.name.clone()))
        .collect();
    let biases: BTreeSet<&str> = sites
        .iter()
        .flat_map(|site| &site.readers)
        .filter_map(|reader| reader.bias.as_ref()?.tensor.as_deref())
        .collect();
    let decoded = Decoded::of(index);
    for tensor in
        model.graph().initializer.iter().filter(|tensor| is_float(tensor) && !settled.contains(tensor.name()))
    {
        let name = tensor.name();
        let reader = index.consumers(name).first();
        let over = reader.is_some_and(|(at, _)| decoded.is_over(*at));
        let reader = reader.map(|&(at, slot)| (&index.graph().node[at], slot));
        let (operator, reason) = match reader {
            _ if biases.contains(name) => (reader.map(|(node, _)| operator_label(node)), Keep::Bias),
            None if index.is_captured(name) => (None, Keep::Place("read inside a subgraph".into())),
            None => (None, Keep::NotAFactor),
            Some((node, _)) if over || is_linear(node, "DequantizeLinear") => {
                (Some(operator_label(node)), Keep::Quantized)
            }
            Some((node, slot)) => (Some(operator_label(node)), reason(node, slot, tensor)),
        };
        skips.push(skip(index, name, &operator.unwrap_or_default(), reason));
    }
    let by_name = |one: &Skip, other: &Skip| (&one.name, &one.operator).cmp(&(&other.name, &other.operator));
    skips.sort_by(by_name);
    let mut seen = HashSet::new();
    skips.retain(|skip| skip.bytes == 0 || seen.insert(skip.name.clone()));
    skips.dedup();
    // Each of these is met once, and those of two branches may have one name.
    constants(model.graph(), skips);
    model.graph().node.iter().flat_map(bodies).for_each(|body| inside(body, skips));
    skips.sort_by(by_name);
}

/// Why a constant that `node` reads stays float, though nothing is wrong with it.
fn reason(node: &NodeProto, slot: usize, tensor: &TensorProto) -> Keep {
    let bias = match node.op_type() {
        "Conv" | "ConvTranspose" | "Gemm" => slot == 2,
        "LSTM" | "GRU" | "RNN" | "DeformConv" => slot == 3,
        _ => false,
    };
    let foreign = !is_standard(node.domain());
    let fused = matches!(node.op_type(), "FusedConv" | "FusedGemm" | "Attention") && slot == 2;
    if node.op_type() == "MatMulNBits" && foreign && (2..4).contains(&slot) {
        return Keep::Quantized;
    }
    match tensor.dims.len() > 1 && (foreign || WEIGHTY.contains(&node.op_type())) {
        _ if if foreign { fused } else { bias } => Keep::Bias,
        true => Keep::NoRule,
        false => Keep::NotAFactor,
    }
}

fn inside(graph: &GraphProto, skips: &mut Vec<Skip>) {
    let index = Index::new(graph);
    for tensor in graph.initializer.iter().filter(|tensor| is_float(tensor)) {
        let reader = index.consumers(tensor.name()).first();
        let operator = reader.map_or(String::new(), |&(at, _)| operator_label(&graph.node[at]));
        skips.push(inner(tensor, tensor.name(), operator));
    }
    constants(graph, skips);
    graph.node.iter().flat_map(bodies).for_each(|body| inside(body, skips));
}

/// Those that nodes hold.
fn constants(graph: &GraphProto, skips: &mut Vec<Skip>) {
    for node in &graph.node {
        let held = node.attribute.iter().flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
        for tensor in held.filter(|tensor| is_float(tensor)) {
            let name = node.output.first().map_or(tensor.name(), String::as_str);
            skips.push(inner(tensor, name, operator_label(node)));
        }
    }
}

fn inner(tensor: &TensorProto, name: &str, operator: String) -> Skip {
    Skip {
        name: name.to_owned(),
        operator,
        dims: tensor.dims.clone(),
        bytes: bytes(tensor),
        reason: Keep::Place("inside a node".into()),
    }
}

fn is_float(tensor: &TensorProto) -> bool {
    Float::of(tensor.data_type()).is_some()
}

fn bytes(tensor: &TensorProto) -> u64 {
    let size = Float::of(tensor.data_type()).unwrap_or_default().bytes();
    element_count(tensor).map_or(0, |count| count as u64 * size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node, value};
    use crate::onnx::{Dtype, attr, tensor_f32};

    #[test]
    fn constants_of_one_name_in_two_branches_count_twice() {
        let mut graph = GraphBuilder::new(21);
        graph.input("x", &[1, 4]);
        let condition = graph.typed_input("condition", Dtype::Bool, &[]);
        let body = |output: &str| GraphProto {
            node: vec![node("Add", "", &["x", "shift"], &[output], &[])],
            initializer: vec![tensor_f32("shift", &[4], &[1.0; 4])],
            output: vec![value(output, Dtype::Float, &[1, 4])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let model = graph.model();
        let mut skips = Vec::new();
        collect(&model, &Index::new(model.graph()), &[], &mut skips);
        assert_eq!(skips.iter().map(|skip| skip.bytes).collect::<Vec<_>>(), [16, 16]);
    }

    #[test]
    fn layers_and_constants_of_unpacked_codes_are_quantized_already() {
        let mut graph = GraphBuilder::new(13);
        let x = graph.input("x", &[1, 4]);
        graph.initializer(crate::onnx::tensor("codes", Dtype::Int8, &[4, 2], vec![1; 8]));
        graph.initializer(tensor_f32("scale", &[2], &[0.5, 0.25]));
        let value = graph.node("Cast", &["codes"], &[attr::int("to", Dtype::Float as i64)]);
        let value = graph.node("Mul", &[&value, "scale"], &[]);
        let value = graph.node("Identity", &[&value], &[]);
        let y = graph.node("MatMul", &[&x, &value], &[]);
        graph.output(&y);
        let found = crate::analyse::analyse(&graph.model(), &crate::options::Options::default()).unwrap();
        assert!(found.weights.is_empty(), "{:?}", found.weights);
        let skips: Vec<_> = found
            .skips
            .iter()
            .map(|skip| (skip.name.as_str(), skip.operator.as_str(), &skip.reason))
            .collect();
        let expected = [("matmul_3_node", "MatMul", &Keep::Quantized), ("scale", "Mul", &Keep::Quantized)];
        assert_eq!(skips, expected);
    }
}

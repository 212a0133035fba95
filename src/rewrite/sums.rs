//! Sums of dequantized constants, computed: what the weights of several terms amount to.

use std::collections::{HashMap, HashSet};

use super::folded;
use super::is_linear;
use super::patch::{forget, prune};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Dtype, Index, floats, is_standard, tensor_f32};

/// Folds as [`folded::fold`], then every Add of two FLOAT values of `graph` that came of it, and so on, in f32 and in
/// the order of the graph. A constant that was float before is left alone: the model's own sums stay as they are.
///
/// # Errors
/// As [`folded::fold`].
pub(super) fn fold(graph: &mut GraphProto) -> Result<()> {
    let dequantize = |node: &&NodeProto| is_linear(node, "DequantizeLinear");
    let fresh = graph.node.iter().filter(dequantize).flat_map(|node| node.output.iter().cloned());
    let fresh: HashSet<String> = fresh.collect();
    folded::fold(graph)?;

    let index = Index::new(graph);
    let mut sums: HashMap<&str, TensorProto> = HashMap::new();
    let mut unread: HashSet<String> = HashSet::new();
    for node in &graph.node {
        let ([one, other], [output]) = (node.input.as_slice(), node.output.as_slice()) else { continue };
        let term = |name: &String| {
            sums.get(name.as_str()).or_else(|| index.constant(name).filter(|_| fresh.contains(name)))
        };
        let (Some(first), Some(second)) = (term(one), term(other)) else { continue };
        let float = |tensor: &TensorProto| tensor.data_type() == Dtype::Float as i32;
        if is_standard(node.domain())
            && node.op_type() == "Add"
            && float(first)
            && float(second)
            && first.dims == second.dims
        {
            let values: Vec<f32> =
                floats(first)?.iter().zip(floats(second)?).map(|(one, other)| one + other).collect();
            let sum = tensor_f32(output, &first.dims, &values);
            unread.extend([one.clone(), other.clone()]);
            sums.insert(output, sum);
        }
    }
    let mut sums: Vec<TensorProto> = sums.into_values().collect();
    sums.sort_by(|one, other| one.name().cmp(other.name()));
    let made: HashSet<String> = sums.iter().map(|sum| sum.name().to_owned()).collect();
    graph.node.retain(|node| !node.output.iter().any(|output| made.contains(output)));
    graph.initializer.extend(sums);
    let gone = prune(graph, unread);
    forget(graph, &gone);
    Ok(())
}

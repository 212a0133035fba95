//! Sums of dequantized constants, computed: what the weights of several terms amount to.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Dtype, Index, bodies_mut, floats, int, is_standard, tensor_of};
use crate::rewrite::patch::{forget, prune};

/// Folds as [`super::fold`], then every Add of two values of `graph` that came of it, and every Cast of one to another float type,
/// and so on, in the order of the graph and rounded as its types say. A constant that was float before is left alone: the model's own sums stay as they are.
///
/// # Errors
/// As [`super::fold`].
pub(super) fn fold(graph: &mut GraphProto) -> Result<()> {
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(fold)?;
    let fresh = super::fold(graph)?;

    let index = Index::new(graph);
    let mut sums: HashMap<&str, TensorProto> = HashMap::new();
    let mut unread: HashSet<String> = HashSet::new();
    for node in &graph.node {
        let [output] = node.output.as_slice() else { continue };
        let term = |name: &String| {
            sums.get(name.as_str()).or_else(|| index.constant(name).filter(|_| fresh.contains(name)))
        };
        let Some(terms) = node.input.iter().map(term).collect::<Option<Vec<&TensorProto>>>() else {
            continue;
        };
        let float = |tensor: &TensorProto| {
            Dtype::try_from(tensor.data_type())
                .ok()
                .filter(|dtype| matches!(dtype, Dtype::Float | Dtype::Float16))
        };
        let value = match (node.op_type(), terms.as_slice()) {
            _ if !is_standard(node.domain()) => continue,
            ("Add", &[one, other])
                if one.dims == other.dims && float(one).is_some() && float(one) == float(other) =>
            {
                let values: Vec<f32> =
                    floats(one)?.iter().zip(floats(other)?).map(|(one, other)| one + other).collect();
                tensor_of(output, float(one).unwrap_or(Dtype::Float), &one.dims, &values)
            }
            ("Cast", &[one]) if float(one).is_some() => {
                let to = int(node, "to").and_then(|to| i32::try_from(to).ok());
                let to = to.and_then(|to| Dtype::try_from(to).ok());
                let Some(to @ (Dtype::Float | Dtype::Float16 | Dtype::Bfloat16 | Dtype::Double)) = to else {
                    continue;
                };
                tensor_of(output, to, &one.dims, &floats(one)?)
            }
            _ => continue,
        };
        unread.extend(node.input.iter().cloned());
        sums.insert(output, value);
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

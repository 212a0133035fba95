//! What tract runs: everything quantized in the float values that it stands for. Here DequantizeLinear of constants, computed.

mod nbits;
mod rounded;
mod storage;
mod sums;

use std::collections::HashSet;

use super::patch::{forget, prune};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Dequantized, Dtype, Index, bodies_mut, tensor, tensor_f32};

/// Spells `graph`, of a model of `opset`, without anything quantized.
///
/// # Errors
/// [`crate::error::Error::Invalid`] naming the node or tensor whose shapes or data contradict one another, or that has no
/// equal in floats.
pub(super) fn spell(graph: &mut GraphProto, opset: i64) -> Result<()> {
    nbits::unfold(graph, opset)?;
    sums::fold(graph)?;
    rounded::spell(graph, opset)?;
    storage::widen(graph)
}

/// Replaces every DequantizeLinear whose inputs are constants of its own graph by its value, in
/// `graph` and its subgraphs, and removes the constants that nobody reads then.
///
/// # Errors
/// [`Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
fn fold(graph: &mut GraphProto) -> Result<()> {
    let index = Index::new(graph);
    let mut values = Vec::new();
    let mut folded = HashSet::new();
    let mut unread = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        if let Some(value) = constant_value(node, &index)? {
            values.push(value);
            folded.insert(at);
            unread.extend(node.input.iter().cloned());
        }
    }
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !folded.contains(&(at - 1))
    });
    graph.initializer.extend(values);
    let gone = prune(graph, unread);
    forget(graph, &gone);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(fold)
}

/// The value of `node`, or `None` where it is no DequantizeLinear of constants, or one of types
/// that are left to the runtime.
fn constant_value(node: &NodeProto, index: &Index) -> Result<Option<TensorProto>> {
    let (Some(found), Some(output)) = (Dequantized::of(node, index)?, node.output.first()) else {
        return Ok(None);
    };
    let mut values = vec![0.0; found.len()];
    found.read(0, &mut values);
    Ok(Some(match found.dtype {
        Dtype::Float16 => {
            let bytes = values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes());
            tensor(output, Dtype::Float16, found.dims, bytes.collect::<Vec<u8>>())
        }
        _ => tensor_f32(output, found.dims, &values),
    }))
}

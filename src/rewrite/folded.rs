//! What tract runs: everything quantized in the float values that it stands for. Here DequantizeLinear of constants, and operators
//! that unpack codes, computed.

mod nbits;
mod rounded;
mod storage;
mod sums;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::patch::{forget, prune};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Dequantized, Index, bodies_mut, tensor_of};

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

/// Replaces what makes floats of codes that are constants of its own graph by its value, in
/// `graph` and its subgraphs, and removes the constants that nobody reads then. The names of these values in `graph`.
///
/// # Errors
/// [`Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
fn fold(graph: &mut GraphProto) -> Result<HashSet<String>> {
    let index = Index::new(graph);
    let mut found = BTreeMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        if let Some(value) = Dequantized::of(node, &index)?.filter(|_| node.output.len() == 1) {
            found.insert(at, value);
        }
    }
    let (gone, ends) = folded(&found, &index);
    let values: Vec<TensorProto> =
        ends.iter().map(|at| constant_value(&graph.node[*at].output[0], &found[at])).collect();
    let fresh = values.iter().map(|value| value.name().to_owned()).collect();
    let unread: HashSet<String> = gone.iter().flat_map(|&at| graph.node[at].input.iter().cloned()).collect();
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    graph.initializer.extend(values);
    let gone = prune(graph, unread);
    forget(graph, &gone);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(|body| fold(body).map(drop))?;
    Ok(fresh)
}

/// The nodes that go, of `found` and those over codes, and those of them whose values are read by others.
fn folded(found: &BTreeMap<usize, Dequantized>, index: &Index) -> (HashSet<usize>, Vec<usize>) {
    let over: BTreeSet<usize> =
        found.iter().flat_map(|(at, value)| value.nodes().iter().chain([at])).copied().collect();
    let (mut gone, mut ends) = (HashSet::new(), Vec::new());
    // A node stands behind those that it reads.
    for &at in over.iter().rev() {
        let mut outputs = index.graph().node[at].output.iter();
        let unread = outputs.all(|output| {
            let readers = index.consumers(output);
            let named = index.is_captured(output) || index.is_output(output);
            !named && !readers.is_empty() && readers.iter().all(|(reader, _)| gone.contains(reader))
        });
        if found.contains_key(&at) && !unread {
            ends.push(at);
        }
        if found.contains_key(&at) || unread {
            gone.insert(at);
        }
    }
    ends.reverse();
    (gone, ends)
}

/// The value of `found`, called `output`.
fn constant_value(output: &str, found: &Dequantized) -> TensorProto {
    let mut values = vec![0.0; found.len()];
    found.read(0, &mut values);
    tensor_of(output, found.dtype, &found.dims, &values)
}

//! All that makes floats of constant codes in one graph, and how many tensors of codes a graph holds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Dequantized, StoredCodes};
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{CONTRIB, Dtype, Index, bodies, is_linear, is_standard};

/// Operators between codes and their reader that are followed.
const REACH: usize = 8;

/// What makes floats of constant codes in one graph, by the position of its last operator.
#[derive(Debug)]
pub struct Decoded<'g> {
    found: BTreeMap<usize, Dequantized<'g>>,
    /// Operators over codes, the last ones included.
    over: BTreeSet<usize>,
    ends: BTreeSet<usize>,
}

impl<'g> Decoded<'g> {
    /// Looks through the graph of `index`. What is damaged is left out.
    pub fn of(index: &Index<'g>) -> Self {
        let nodes = &index.graph().node;
        let mut found = BTreeMap::new();
        for (at, node) in nodes.iter().enumerate() {
            if let Ok(Some(value)) = Dequantized::of(node, index) {
                found.insert(at, value);
            }
        }
        let over: BTreeSet<usize> =
            found.iter().flat_map(|(at, value)| value.nodes().iter().chain([at])).copied().collect();
        let is_end = |at: &usize| {
            nodes[*at].output.iter().any(|output| {
                let readers = index.consumers(output);
                let named = index.is_captured(output) || index.is_output(output);
                named || readers.is_empty() || readers.iter().any(|(reader, _)| !over.contains(reader))
            })
        };
        let ends = found.keys().copied().filter(is_end).collect();
        Self { found, over, ends }
    }

    /// The operators whose outputs are floats that others read, by position, in graph order.
    pub fn ends(&self) -> impl Iterator<Item = (usize, &Dequantized<'g>)> {
        self.ends.iter().filter_map(|at| Some((*at, self.found.get(at)?)))
    }

    /// What the operator at `at` makes, where others read that as floats.
    pub fn end(&self, at: usize) -> Option<&Dequantized<'g>> {
        self.found.get(&at).filter(|_| self.ends.contains(&at))
    }

    /// Whether the operator at `at` is one of those over codes.
    pub fn is_over(&self, at: usize) -> bool {
        self.over.contains(&at)
    }

    /// Whether `value` is made of constant codes.
    pub fn makes(&self, value: &str, index: &Index) -> bool {
        index.producer_at(value).is_some_and(|at| self.found.contains_key(&at))
    }
}

/// Whether `value` comes out of a DequantizeLinear, or is made of constant codes and perhaps laid out, cast or added up then.
pub fn is_dequantized(value: &str, index: &Index) -> bool {
    fn within(value: &str, index: &Index, left: usize) -> bool {
        let Some(node) = index.producer(value).filter(|_| left > 0) else { return false };
        if matches!(Dequantized::of(node, index), Ok(Some(_))) {
            return true;
        }
        match node.op_type() {
            "Add" => node.input.iter().all(|input| within(input, index, left - 1)),
            "Transpose" | "Cast" | "Identity" | "Reshape" => {
                node.input.first().is_some_and(|input| within(input, index, left - 1))
            }
            _ => false,
        }
    }
    index.producer(value).is_some_and(|node| is_linear(node, "DequantizeLinear"))
        || within(value, index, REACH)
}

/// How many tensors hold codes of at most 16 bits for weights, in `graph` and the graphs inside its nodes: constants behind
/// DequantizeLinear, those that operators unpack, and those within operators that read codes themselves.
pub fn codes_held(graph: &GraphProto) -> usize {
    let index = Index::new(graph);
    let decoded = Decoded::of(&index);
    let mut held: HashSet<&str> = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let unpacked = decoded.end(at).and_then(Dequantized::stored);
        let tensor = match unpacked {
            Some(StoredCodes { tensor, .. }) => Some(tensor.name()),
            None if is_linear(node, "DequantizeLinear") => codes(node, &index, 0),
            None => within(node, &index),
        };
        held.extend(tensor);
    }
    held.len() + graph.node.iter().flat_map(bodies).map(codes_held).sum::<usize>()
}

/// The codes that an operator reads as such: QLinearConv, MatMulNBits and the like. Zero points have one axis at most.
fn within<'g>(node: &NodeProto, index: &Index<'g>) -> Option<&'g str> {
    let reads = node.domain() == CONTRIB || node.op_type().contains("Integer") || is_named_so(node);
    let is_table = |slot: &usize| {
        let tensor = node.input.get(*slot).and_then(|name| index.constant(name));
        tensor.is_some_and(|tensor| tensor.dims.len() > 1)
    };
    (0..node.input.len()).filter(|_| reads).filter(is_table).find_map(|slot| codes(node, index, slot))
}

fn is_named_so(node: &NodeProto) -> bool {
    is_standard(node.domain()) && node.op_type().starts_with("QLinear")
}

/// The name of the constant in `slot`, where its type is one of codes.
fn codes<'g>(node: &NodeProto, index: &Index<'g>, slot: usize) -> Option<&'g str> {
    let tensor = node.input.get(slot).and_then(|name| index.constant(name))?;
    let kinds = [Dtype::Int4, Dtype::Uint4, Dtype::Int8, Dtype::Uint8, Dtype::Int16, Dtype::Uint16];
    kinds.iter().any(|&kind| tensor.data_type() == kind as i32).then_some(tensor.name())
}

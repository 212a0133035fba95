//! MatMulNBits of constants as what it stands for: a product with float weights, and a bias that is added.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Index, MatMulNBits, Names, attr, bodies_mut, int, node_label, tensor_of};
use crate::rewrite::patch::{forget, prune};
use crate::rewrite::terms::QUANTIZED;

/// Where it takes its bias.
const BIAS: usize = 5;
/// The opset from which Add takes operands of different shapes without being told.
const OPSET_BROADCAST: i64 = 7;

/// Replaces every MatMulNBits whose weights are constants of its own graph, in `graph` and its subgraphs, and removes the
/// constants that nobody reads then. Others stay.
///
/// # Errors
/// [`crate::error::Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
pub(in crate::rewrite) fn unfold(graph: &mut GraphProto, opset: i64) -> Result<()> {
    unfold_within(graph, opset, &mut Names::of(graph, 1))
}

fn unfold_within(graph: &mut GraphProto, opset: i64, names: &mut Names) -> Result<()> {
    let index = Index::new(graph);
    let mut values = Vec::new();
    let mut made: HashMap<_, String> = HashMap::new();
    let mut found = HashMap::new();
    let mut unread = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let Some(weights) = MatMulNBits::of(node, &index)? else { continue };
        let constants: Vec<&String> = node.input.iter().skip(1).take(3).collect();
        let sizes = ["K", "N", "bits", "block_size"].map(|name| int(node, name));
        let name = match made.get(&(constants.clone(), sizes)) {
            Some(name) => name.clone(),
            None => {
                let codes = node.input.get(1).map_or("", String::as_str);
                let name = names.fresh(codes.strip_suffix(QUANTIZED).unwrap_or(codes));
                let mut floats = vec![0.0; weights.len()];
                weights.read(false, 0, &mut floats);
                weights.let_go();
                let dims = [weights.depth as i64, weights.rows as i64];
                values.push(tensor_of(&name, weights.dtype, &dims, &floats));
                made.insert((constants.clone(), sizes), name.clone());
                name
            }
        };
        unread.extend(constants.into_iter().cloned());
        found.insert(at, name);
    }
    let old = std::mem::take(&mut graph.node);
    for (at, node) in old.into_iter().enumerate() {
        match found.get(&at) {
            Some(weights) => graph.node.extend(product(&node, weights, opset, names)),
            None => graph.node.push(node),
        }
    }
    graph.initializer.extend(values);
    let gone = prune(graph, unread);
    forget(graph, &gone);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(|body| unfold_within(body, opset, names))
}

/// `old` as a product with `weights`, and the addition of its bias if it has one.
fn product(old: &NodeProto, weights: &str, opset: i64, names: &mut Names) -> Vec<NodeProto> {
    let (label, output) = (node_label(old), old.output.first().map_or("", String::as_str));
    let input = old.input.first().map_or("", String::as_str);
    let Some(bias) = old.input.get(BIAS).filter(|name| !name.is_empty()) else {
        return vec![node("MatMul", label, &[input, weights], &[output], &[])];
    };
    let product = names.fresh(format!("{output}_product"));
    let broadcast = (opset < OPSET_BROADCAST).then(|| attr::int("broadcast", 1));
    let add = names.fresh(format!("{label}_Add"));
    vec![
        node("MatMul", label, &[input, weights], &[&product], &[]),
        node("Add", &add, &[&product, bias], &[output], broadcast.as_slice()),
    ]
}

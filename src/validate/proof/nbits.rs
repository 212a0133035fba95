//! The same for weights that were written as MatMulNBits, which stands where their readers stood and bears their names.

use std::collections::HashMap;

use super::different_element;
use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Index, MatMulNBits, dtype_name, int, node_label};
use crate::plan::{NBits, WeightDecision};

/// Each MatMulNBits of a graph by its name; a model may give one name twice.
pub(super) fn products(graph: &GraphProto) -> HashMap<&str, Vec<&NodeProto>> {
    let mut found: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in graph.node.iter().filter(|node| node.op_type() == "MatMulNBits") {
        found.entry(node_label(node)).or_default().push(node);
    }
    found
}

/// Proves that every reader became a MatMulNBits of the planned weights, laid out as it takes them.
pub(super) fn prove(
    weight: &WeightDecision,
    products: &HashMap<&str, Vec<&NodeProto>>,
    index: &Index,
) -> Result<()> {
    let wrong = |problem: String| Error::SelfCheck { place: weight.tensor.clone(), problem };
    let form =
        NBits::of(weight).map_err(|problem| wrong(format!("planned as MatMulNBits, but {problem}")))?;
    // Readers that share their constants are compared once.
    let mut right: HashMap<_, bool> = HashMap::new();
    let mut labels: HashMap<&str, usize> = HashMap::new();
    weight.reads.iter().for_each(|read| *labels.entry(&read.node).or_default() += 1);
    let mut reads: Vec<_> = labels.into_iter().collect();
    reads.sort_unstable();
    for (label, wanted) in reads {
        let mut problem = format!("node {label} is no MatMulNBits of quantized constants");
        let mut proven = 0;
        for node in products.get(label).into_iter().flatten() {
            let constants = node.input.get(1..node.input.len().min(4)).unwrap_or_default();
            // Of many nodes with one name only those count that can be meant.
            if !constants.first().is_some_and(|codes| codes.starts_with(&weight.tensor)) {
                continue;
            }
            let Some(found) = MatMulNBits::of(node, index)? else { continue };
            let key = (constants, ["K", "N", "bits", "block_size"].map(|name| int(node, name)));
            let same = match right.get(&key) {
                Some(true) => None,
                _ => difference(weight, &form, &found),
            };
            right.insert(key, same.is_none());
            match same {
                None => proven += 1,
                Some(difference) => problem = difference,
            }
        }
        if proven < wanted {
            return Err(wrong(problem));
        }
    }
    Ok(())
}

/// How `written` is not `weight`, if so.
fn difference(weight: &WeightDecision, form: &NBits, written: &MatMulNBits) -> Option<String> {
    if (written.rows, written.depth) != (form.rows, form.depth) {
        let (rows, depth) = (written.rows, written.depth);
        return Some(format!("N {rows} and K {depth}, planned {} and {}", form.rows, form.depth));
    }
    if written.dtype != weight.float.dtype() {
        let found = dtype_name(written.dtype as i32);
        return Some(format!("{found}, planned {}", dtype_name(weight.float.dtype() as i32)));
    }
    let planned = |start: usize, out: &mut [f32]| weight.decode_piece(start, out);
    let found = different_element(weight, planned, written.len(), |start, out| {
        written.read(form.by_rows, start, out);
        out.iter_mut().for_each(|value| *value = weight.float.round(*value));
    });
    written.let_go();
    found
}

//! Recurrence.

use super::Row;
use super::scope::Scope;
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, int, set_attribute, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["Scan"],
        versions: &[8, 9, 11, 16, 19, 21, 23, 24, 25],
        changed: &[(9, without_batch)],
    },
    // `layout` is 0 by default, as before 14.
    Row { operators: &["LSTM", "RNN"], versions: &[1, 7, 14, 22], changed: &[(7, named_outputs)] },
    Row { operators: &["GRU"], versions: &[1, 3, 7, 14, 22], changed: &[(7, named_outputs)] },
    Row { operators: &["CausalConvWithState"], versions: &[27], changed: &[] },
];

/// Before 7 the sequence of outputs was there when `output_sequence` asked for it, since then where it has
/// a name. A single output that was not asked for may be meant for either place.
fn named_outputs(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let asked = without_attribute(&mut node, "output_sequence").is_some_and(|asked| asked.i() != 0);
    (asked || node.output.len() > 1).then(|| vec![node])
}

/// Scan 8 went over a batch, each with a length of its own where `sequence_lens` said so. A batch of one
/// without lengths is the Scan of today, on values without that dimension.
fn without_batch(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let (lengths, values) = node.input.split_first()?;
    let one = values.iter().any(|value| scope.facts.dim(value, 0) == Some(1));
    if !lengths.is_empty() || !one || int(&node, "num_scan_inputs").is_none() {
        return None;
    }
    let first = [attr::ints("axes", &[0])];
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut inputs = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let flat = scope.value(&node, &format!("input_{at}"));
        before.push(scope.helper("Squeeze", &[value], &flat, &first));
        inputs.push(flat);
    }
    let mut outputs = Vec::new();
    for (at, value) in node.output.iter().enumerate() {
        if value.is_empty() {
            outputs.push(String::new());
            continue;
        }
        let flat = scope.value(&node, &format!("output_{at}"));
        after.push(scope.helper("Unsqueeze", &[&flat], value, &first));
        outputs.push(flat);
    }
    (node.input, node.output) = (inputs, outputs);
    if let Some(directions) = without_attribute(&mut node, "directions") {
        set_attribute(&mut node, attr::ints("scan_input_directions", &directions.ints));
    }
    Some(before.into_iter().chain([node]).chain(after).collect())
}

//! Codes that operators unpack, as the target meets them.

use std::collections::HashSet;

use super::Seen;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Dequantized, Dtype, Index, dtype_name, is_standard};

/// Reads of one tensor that are followed, those of what other nodes make of it included.
const MOST_MET: usize = 4096;

/// Operators that make floats of constant codes, DequantizeLinear aside: `node` is the last one.
pub(super) fn floats(node: &NodeProto, found: &Dequantized, index: &Index, seen: &mut Seen) {
    seen.quantized += 1;
    let Some(output) = node.output.first() else { return };
    stored(node, output, found, seen);
    for reader in layers(output, index) {
        if seen.target.seeks_codes(reader.op_type()) {
            let problem = format!(
                "its weights are unpacked to floats, and {} looks for codes behind DequantizeLinear",
                seen.target.name
            );
            seen.note(reader, output, problem, false);
        }
    }
}

/// How the codes stand in the file, before anything unpacks them.
pub(super) fn stored(node: &NodeProto, tensor: &str, found: &Dequantized, seen: &mut Seen) {
    let Some(stored) = found.stored() else { return };
    let kind = stored.tensor.data_type();
    if is_four_bit(stored.tensor) && !seen.target.has_four_bits() {
        let problem = format!(
            "{} constants, and {} takes no 4-bit types; choose `.storage` bytes",
            dtype_name(kind),
            seen.target.name
        );
        seen.refuse(node, tensor, problem);
    }
}

fn is_four_bit(tensor: &TensorProto) -> bool {
    matches!(Dtype::try_from(tensor.data_type()), Ok(Dtype::Int4 | Dtype::Uint4))
}

/// The layers that read `value`, itself or laid out, cast or added up.
fn layers<'g>(value: &str, index: &Index<'g>) -> Vec<&'g NodeProto> {
    let (mut values, mut met, mut found) = (vec![value], HashSet::new(), Vec::new());
    while let Some(value) = values.pop() {
        for &(at, slot) in index.consumers(value) {
            let reader = &index.graph().node[at];
            if met.len() >= MOST_MET || !met.insert(at) {
                continue;
            }
            match reader.op_type() {
                "Add" => values.extend(reader.output.first().map(String::as_str)),
                "Transpose" | "Cast" | "Identity" | "Reshape" if slot == 0 => {
                    values.extend(reader.output.first().map(String::as_str));
                }
                operator if super::is_layer(operator) && is_standard(reader.domain()) => {
                    found.push((at, reader));
                }
                _ => {}
            }
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, reader)| reader).collect()
}

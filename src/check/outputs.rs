//! Layers that would be computed in integers if their output were rounded too.

use super::Seen;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Index, is_linear, is_standard};

/// Operators that have an integer kernel only where they give codes; a Gemm also where its bias is of integers, or none.
const GIVING_CODES: &[&str] = &["Conv", "Gemm"];

/// Notes a layer with quantized data and weights whose output stays float.
pub(super) fn layer(node: &NodeProto, index: &Index, seen: &mut Seen) {
    if !is_standard(node.domain()) || !GIVING_CODES.contains(&node.op_type()) {
        return;
    }
    let low = |name: &String| index.producer(name).is_some_and(|maker| is_linear(maker, "DequantizeLinear"));
    let (true, Some(output)) = (node.input.iter().take(2).all(low), node.output.first()) else { return };
    let bias = node.input.get(2).filter(|name| !name.is_empty());
    if node.op_type() == "Gemm" && bias.is_none_or(low) {
        return;
    }
    let mut name = output.as_str();
    while let &[(at, 0)] = index.consumers(name) {
        let reader = &index.graph().node[at];
        if is_linear(reader, "QuantizeLinear") {
            return;
        }
        match (reader.op_type(), reader.output.as_slice()) {
            ("Relu" | "Clip", [next]) if !index.is_output(name) => name = next,
            _ => break,
        }
    }
    let why = if index.is_output(name) { "as the model gives it back" } else { "where it is read" };
    let problem = format!("its output stays float {why}, so {} computes it in float", seen.target.name);
    seen.note(node, output, problem, false);
}

//! One term of a tensor: codes, scales, zero points, and the operators over them.

use super::linear::{Labels, linear, typed, widened};
use super::patch::Patch;
use super::scene::Place;
use super::unpacked::{Goal, unpacked};
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, tensor};
use crate::plan::{Laid, WeightDecision, WeightTerm};

/// What the name of codes has behind that of the weights.
pub(super) const QUANTIZED: &str = "_quantized";

/// Adds `term` as constants and the operators that make `output` of them; new names begin with `stem`.
pub(super) fn dequantized(
    stem: &str,
    output: &str,
    term: &WeightTerm,
    decision: &WeightDecision,
    place: Place,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let storage = place.stored.storage;
    let laid = term.laid(storage, place.opset);
    if storage.unpacks() && !(place.integers && laid == Laid::Typed && term.code_type.bits() >= 8) {
        let goal = if place.integers { Goal::Codes } else { Goal::Floats(decision.scale_float()) };
        return unpacked(output, term, decision, goal, place, names, patch);
    }
    let codes = names.fresh(format!("{stem}{QUANTIZED}"));
    let count = term.codes.len();
    let (kind, raw) = match laid {
        Laid::Wide => (Dtype::Int8, widened(term, &decision.dims, count, Some)?),
        Laid::Typed | Laid::Digits => (typed(term.code_type), term.codes.bytes().clone()),
    };
    patch.added.push(tensor(&*codes, kind, &decision.dims, raw));
    let labels = Labels {
        scale: names.fresh(format!("{stem}_scale")),
        zero: format!("{stem}_zero_point"),
        node: format!("{stem}_DequantizeLinear"),
    };
    linear(output, &codes, (term, laid == Laid::Wide), decision, place, labels, names, patch)
}

/// Nodes that add `values` in order; the last one makes `output`, new names begin with `stem`. Nothing for fewer than two.
pub(super) fn added(values: &[String], output: &str, stem: &str, names: &mut Names) -> Vec<NodeProto> {
    let mut nodes = Vec::new();
    let Some((first, others)) = values.split_first() else { return nodes };
    let mut sum = first.clone();
    for (number, value) in others.iter().enumerate() {
        let last = number + 1 == others.len();
        let next = if last { output.to_owned() } else { names.fresh(format!("{stem}_sum")) };
        let label = names.fresh(format!("{stem}_Add"));
        nodes.push(node("Add", &label, &[&sum, value], &[&next], &[]));
        sum = next;
    }
    nodes
}

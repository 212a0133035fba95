//! Quantized constants and activations, as their readers meet them.

use std::collections::HashSet;

use super::codes::{Codes, Source};
use super::{Seen, is_layer, saturation, unpacked};
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    CONTRIB, Decoded, Dequantized, Dtype, Index, axis_of, dtype_name, int, integers, is_linear, is_standard,
};
use crate::options::{Bias, Case, CodeType, Contrib, Granularity, OPSET, Spelling};

/// Reads of one quantized constant that are followed, those of what other nodes make of it included.
const MOST_MET: usize = 4096;
/// The opset from which 8-bit codes have one scale an index of an axis.
const OPSET_PER_AXIS: i64 = 13;

/// A DequantizeLinear: of a constant, of what operators unpack, which is `found`, or of an activation.
pub(super) fn dequantized<'g>(
    node: &NodeProto,
    found: Option<&Dequantized<'g>>,
    of: (&Index<'g>, &Decoded<'g>),
    seen: &mut Seen,
) {
    let index = of.0;
    let input = |slot: usize| node.input.get(slot).map_or("", String::as_str);
    let output = node.output.first().map_or("", String::as_str);
    let (codes, data_type) = match (index.constant(input(0)), found) {
        (Some(tensor), _) => {
            let source = Source::Constant(tensor);
            (
                Codes { name: tensor.name(), value: tensor.name(), dims: &tensor.dims, source },
                tensor.data_type(),
            )
        }
        (None, Some(found)) => {
            unpacked::stored(node, output, found, seen);
            let source = Source::Unpacked(found);
            (Codes { name: output, value: input(0), dims: &found.dims, source }, Dtype::Int8 as i32)
        }
        (None, None) => return,
    };
    seen.quantized += 1;
    let kind = Dtype::try_from(data_type).unwrap_or(Dtype::Undefined);
    if kind == Dtype::Int32 {
        if !seen.target.biases.contains(&Bias::Int32) {
            let problem = format!("an INT32 bias; {} takes FLOAT ones", seen.target.name);
            seen.refuse(node, codes.name, problem);
        }
        return;
    }
    let Some(weights) = code_type(kind) else {
        seen.refuse(node, codes.name, format!("codes of type {}", dtype_name(data_type)));
        return;
    };
    if !spelled(node, codes.name, weights, seen) {
        return;
    }
    let scale = index.constant(input(1));
    let (granularity, axis) = shared(node, codes.dims, scale);
    if granularity != Granularity::Tensor && is_standard(node.domain()) && seen.opset < OPSET_PER_AXIS {
        let problem = format!("scales by {granularity}, which opset {} does not know", seen.opset);
        seen.refuse(node, codes.name, problem);
        return;
    }
    let zero = index.constant(input(2));
    if zero.is_none() && input(2).is_empty() && seen.target.explicit_zero_points {
        let problem =
            format!("no zero points, and {} needs them written even where they are 0", seen.target.name);
        seen.refuse(node, codes.name, problem);
    }
    let zero_points = zero.is_some_and(is_not_zero);
    let case = Case {
        operator: "",
        weights,
        granularity,
        axis,
        zero_points,
        activation: None,
        activation_zero_point: false,
    };
    readers(output, &case, codes, of, seen, &mut HashSet::new());
}

/// A QuantizeLinear of an activation.
pub(super) fn rounded(node: &NodeProto, index: &Index, seen: &mut Seen) {
    seen.quantized += 1;
    let value = node.input.first().map_or("", String::as_str);
    let Some((activation, zero)) = pair(node, index) else {
        seen.refuse(node, value, "codes of a type that is none of 4, 8 or 16 bits");
        return;
    };
    if !spelled(node, value, activation, seen) {
        return;
    }
    let forms = seen.target.forms;
    let takes = forms.iter().any(|form| form.activations.contains(&Some(activation)));
    let zero_points = forms.iter().any(|form| form.activation_zero_points);
    if !takes {
        let problem = format!("{activation} activations, which {} does not take", seen.target.name);
        let in_float = seen.target.in_float.is_some_and(|other| other.rounds(activation));
        seen.note(node, value, problem, !in_float);
    } else if zero && !zero_points {
        let problem =
            format!("a zero point other than 0; {} takes activations centred on 0", seen.target.name);
        seen.refuse(node, value, problem);
    }
}

/// Whether the operator may have codes of type `code_type` where it stands.
fn spelled(node: &NodeProto, tensor: &str, code_type: CodeType, seen: &mut Seen) -> bool {
    let contrib = node.domain() == CONTRIB;
    if contrib && seen.target.contrib == Contrib::No {
        // Told with the domain already.
        return false;
    }
    if contrib && int(node, "block_size").is_some_and(|size| size != 0) {
        seen.refuse(node, tensor, "blocks, which com.microsoft's operator does not know");
        return false;
    }
    if !contrib && seen.opset < OPSET && (code_type.bits() == 4 || code_type.bits() == 16) {
        let problem = format!(
            "{code_type} codes, which the standard's operator knows from opset {OPSET} on; this is {}",
            seen.opset
        );
        seen.refuse(node, tensor, problem);
        return false;
    }
    true
}

/// Holds `case` against each operator that reads `value`, itself or laid out, cast or added up.
fn readers<'g>(
    value: &'g str,
    case: &Case,
    codes: Codes<'_, 'g>,
    of: (&Index<'g>, &Decoded<'g>),
    seen: &mut Seen,
    met: &mut HashSet<(usize, usize)>,
) {
    let ((index, decoded), tensor) = (of, codes.name);
    for &(at, slot) in index.consumers(value) {
        let reader = &index.graph().node[at];
        // Of an Add it is the same whichever of its inputs leads there.
        let place = (at, if reader.op_type() == "Add" { 0 } else { slot });
        if met.len() >= MOST_MET || !met.insert(place) {
            continue;
        }
        let output = reader.output.first().map_or("", String::as_str);
        let quantized = |name: &String| {
            let constant = index.producer(name).is_some_and(|node| {
                is_linear(node, "DequantizeLinear")
                    && node.input.first().is_some_and(|codes| index.constant(codes).is_some())
            });
            constant || decoded.makes(name, index)
        };
        match reader.op_type() {
            "Add" if reader.input.iter().all(quantized) => {
                if !seen.target.dual.contains(&Spelling::Sum) {
                    let problem =
                        format!("a sum of two quantized tensors, which {} does not take", seen.target.name);
                    seen.refuse(reader, tensor, problem);
                }
                readers(output, case, codes, of, seen, met);
            }
            "Transpose" | "Cast" | "Identity" | "Reshape" if slot == 0 => {
                readers(output, case, codes, of, seen, met);
            }
            operator if is_layer(operator) && is_standard(reader.domain()) => {
                let data = data(reader, slot).and_then(|name| index.producer(name));
                let met = data.filter(|maker| is_linear(maker, "DequantizeLinear"));
                let made = met.and_then(|maker| index.producer(maker.input.first()?));
                let met = made.filter(|maker| is_linear(maker, "QuantizeLinear"));
                let (activation, activation_zero_point) = met
                    .and_then(|maker| pair(maker, index))
                    .map_or((None, false), |(code_type, zero)| (Some(code_type), zero));
                let case = Case { operator, activation, activation_zero_point, ..*case };
                // What comes out of a DequantizeLinear is float for whoever has no kernel for its codes.
                let as_float = Case { activation: None, activation_zero_point: false, ..case };
                let problem =
                    seen.target.obstacle(&case).filter(|_| seen.target.obstacle(&as_float).is_some());
                if let Some(problem) = problem {
                    let in_float = seen.target.in_float.is_some_and(|other| other.obstacle(&case).is_none());
                    seen.note(reader, tensor, problem, !in_float);
                } else {
                    saturation::layer(reader, &case, codes, index, seen);
                }
            }
            _ => {}
        }
    }
}

/// What the weights in `slot` are multiplied with.
fn data(reader: &NodeProto, slot: usize) -> Option<&String> {
    match (reader.op_type(), slot) {
        ("Gather", _) => None,
        ("Einsum" | "MatMul", 0) => reader.input.get(1),
        _ => reader.input.first(),
    }
}

/// Type and scales of the codes that `node` rounds to, and whether their zero point is not 0.
fn pair(node: &NodeProto, index: &Index) -> Option<(CodeType, bool)> {
    let zero = node.input.get(2).filter(|name| !name.is_empty()).and_then(|name| index.constant(name));
    let asked =
        int(node, "output_dtype").filter(|&asked| asked != 0).and_then(|asked| i32::try_from(asked).ok());
    let kind = zero.map(TensorProto::data_type).or(asked).unwrap_or(Dtype::Uint8 as i32);
    Some((code_type(Dtype::try_from(kind).ok()?)?, zero.is_some_and(is_not_zero)))
}

fn is_not_zero(tensor: &TensorProto) -> bool {
    integers(tensor).is_ok_and(|values| values.iter().any(|&value| value != 0))
}

fn code_type(kind: Dtype) -> Option<CodeType> {
    Some(match kind {
        Dtype::Int4 => CodeType::Int4,
        Dtype::Uint4 => CodeType::Uint4,
        Dtype::Int8 => CodeType::Int8,
        Dtype::Uint8 => CodeType::Uint8,
        // Held against the same records: who takes one 16-bit type takes the other.
        Dtype::Int16 | Dtype::Uint16 => CodeType::Int16,
        _ => return None,
    })
}

/// How many codes share a scale, and the length of the axis along which blocks lie.
fn shared(node: &NodeProto, dims: &[i64], scale: Option<&TensorProto>) -> (Granularity, usize) {
    let axis = axis_of(int(node, "axis").unwrap_or(1), dims.len());
    let length = axis.map(|axis| dims[axis]).map_or(0, |dim| dim.max(0) as usize);
    match int(node, "block_size").and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0) {
        Some(size) => (Granularity::Block(size), length),
        None if scale.is_none_or(|scale| scale.dims.is_empty()) => (Granularity::Tensor, length),
        None => (Granularity::Channel, length),
    }
}

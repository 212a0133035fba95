//! Codes as constants, and the DequantizeLinear over them.

use bytes::Bytes;

use super::patch::Patch;
use super::scene::Place;
use super::unfit;
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Scratch, attr, tensor, tensor_of};
use crate::options::CodeType;
use crate::plan::{Codes, Partition, WeightDecision, WeightTerm};

/// Names of what stands around codes; those of the zero points and of the node are wishes.
pub(super) struct Labels {
    pub(super) scale: String,
    pub(super) zero: String,
    pub(super) node: String,
}

/// Adds the DequantizeLinear over `codes`, which are those of `term`, or less their zero points where that is said.
#[allow(clippy::too_many_arguments)]
pub(super) fn linear(
    output: &str,
    codes: &str,
    (term, less): (&WeightTerm, bool),
    decision: &WeightDecision,
    place: Place,
    labels: Labels,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let Some(dims) = term.partition.scale_dims(&decision.dims) else {
        return Err(unfit(&decision.tensor, format!("no scales by {:?}", term.partition)));
    };
    let float = decision.scale_float().dtype();
    patch.added.push(tensor_of(&labels.scale, float, &dims, &term.scales));
    let mut inputs = vec![codes.to_owned(), labels.scale];
    let any = !less && term.zero_points.iter().any(|&zero| zero != 0);
    if any || place.stored.explicit_zero_points {
        // Zeros of one count are the same for all layers.
        let (zero, new) = match less && !place.inside {
            true => names.internal_constant(labels.zero, &format!("INT8 zeros {dims:?}")),
            false => (names.fresh(labels.zero), true),
        };
        if new {
            patch.added.push(match less {
                true => code_tensor(&zero, CodeType::Int8, &dims, &vec![0; term.zero_points.len()]),
                false => code_tensor(&zero, term.code_type, &dims, &term.zero_points),
            });
        }
        inputs.push(zero);
    }
    let attributes = match term.partition {
        Partition::Tensor => Vec::new(),
        Partition::Channel { axis } => vec![attr::int("axis", axis as i64)],
        Partition::Block { axis, size } => {
            // A single block is as long as the axis, whatever was asked for.
            let length = decision.dims[axis].unsigned_abs() as usize;
            vec![attr::int("axis", axis as i64), attr::int("block_size", size.min(length.max(1)) as i64)]
        }
    };
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let label = names.fresh(labels.node);
    patch.inserted.push((place.at, node("DequantizeLinear", &label, &inputs, &[output], &attributes)));
    Ok(())
}

/// Codes that are widened at a time.
const PIECE: usize = 1 << 20;

/// `count` codes of `term` less their zero points, one to a byte: eight bits have room for all of them. `element` says which element of
/// weights of `dims` stands at a place, or that there is none.
pub(super) fn widened(
    term: &WeightTerm,
    dims: &[i64],
    count: usize,
    element: impl Fn(usize) -> Option<usize>,
) -> Result<Bytes> {
    let mut made = Scratch::new();
    let Some(groups) = term.groups(dims) else { return made.finish() };
    let code = |at: usize| (term.codes.get(at) - term.zero_points[groups.of(at)]) as i8 as u8;
    for start in (0..count).step_by(PIECE) {
        let range = start..count.min(start + PIECE);
        made.push(&range.map(|at| element(at).map_or(0, code)).collect::<Vec<u8>>())?;
    }
    term.codes.let_go(0..term.codes.len());
    made.finish()
}

/// Codes as an initializer, two to a byte where they have four bits.
pub(super) fn code_tensor(name: &str, code_type: CodeType, dims: &[i64], codes: &[i16]) -> TensorProto {
    tensor(name, typed(code_type), dims, Codes::new(code_type, codes).bytes().clone())
}

/// The element type of such codes, where they stand in their own.
pub(super) fn typed(code_type: CodeType) -> Dtype {
    match code_type {
        CodeType::Int4 => Dtype::Int4,
        CodeType::Uint4 => Dtype::Uint4,
        CodeType::Int2 | CodeType::Int3 | CodeType::Int5 | CodeType::Int6 | CodeType::Int8 => Dtype::Int8,
        CodeType::Uint2 | CodeType::Uint3 | CodeType::Uint5 | CodeType::Uint6 | CodeType::Uint8 => {
            Dtype::Uint8
        }
        CodeType::Int16 => Dtype::Int16,
    }
}

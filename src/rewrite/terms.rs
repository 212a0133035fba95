//! One term of a tensor: codes, scales, zero points, and the DequantizeLinear over them.

use bytes::Bytes;

use super::patch::Patch;
use super::scene::Stored;
use super::unfit;
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Dtype, Scratch, attr, tensor, tensor_of};
use crate::options::{CodeType, Storage};
use crate::plan::{Codes, Partition, WeightDecision, WeightTerm};

/// What the name of codes has behind that of the weights.
pub(super) const QUANTIZED: &str = "_quantized";

/// Adds `term` as constants and the DequantizeLinear that makes `output` of them; new names begin with `stem`.
pub(super) fn dequantized(
    stem: &str,
    output: &str,
    term: &WeightTerm,
    decision: &WeightDecision,
    (at, stored): (usize, Stored),
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let Some(dims) = term.partition.scale_dims(&decision.dims) else {
        return Err(unfit(&decision.tensor, format!("no scales by {:?}", term.partition)));
    };
    let codes = names.fresh(format!("{stem}{QUANTIZED}"));
    let scale = names.fresh(format!("{stem}_scale"));
    let wide = stored.storage == Storage::Int8 && term.code_type.bits() < 8;
    let (kind, raw) = match wide {
        true => (Dtype::Int8, widened(term, &decision.dims)?),
        false => (dtype(term.code_type), term.codes.bytes().clone()),
    };
    patch.added.push(tensor(&*codes, kind, &decision.dims, raw));
    let float = decision.scale_float().dtype();
    patch.added.push(tensor_of(&scale, float, &dims, &term.scales));
    let mut inputs = vec![codes, scale];
    let any = !wide && term.zero_points.iter().any(|&zero| zero != 0);
    if any || stored.explicit_zero_points {
        let zero = names.fresh(format!("{stem}_zero_point"));
        patch.added.push(match wide {
            true => code_tensor(&zero, CodeType::Int8, &dims, &vec![0; term.zero_points.len()]),
            false => code_tensor(&zero, term.code_type, &dims, &term.zero_points),
        });
        inputs.push(zero);
    }
    let attributes = match term.partition {
        Partition::Tensor => Vec::new(),
        Partition::Channel { axis } => vec![attr::int("axis", axis as i64)],
        Partition::Block { axis, size } => {
            vec![attr::int("axis", axis as i64), attr::int("block_size", size as i64)]
        }
    };
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let label = names.fresh(format!("{stem}_DequantizeLinear"));
    patch.inserted.push((at, node("DequantizeLinear", &label, &inputs, &[output], &attributes)));
    Ok(())
}

/// Codes that are widened at a time.
const PIECE: usize = 1 << 20;

/// The codes of `term` less their zero points, one to a byte: eight bits have room for all of them.
fn widened(term: &WeightTerm, dims: &[i64]) -> Result<Bytes> {
    let mut made = Scratch::new();
    let Some(groups) = term.groups(dims) else { return made.finish() };
    let count = term.codes.len();
    for start in (0..count).step_by(PIECE) {
        let range = start..count.min(start + PIECE);
        let code = |at: usize| (term.codes.get(at) - term.zero_points[groups.of(at)]) as i8 as u8;
        made.push(&range.clone().map(code).collect::<Vec<u8>>())?;
        term.codes.let_go(range);
    }
    made.finish()
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

/// Codes as an initializer, two to a byte where they have four bits.
pub(super) fn code_tensor(name: &str, code_type: CodeType, dims: &[i64], codes: &[i16]) -> TensorProto {
    tensor(name, dtype(code_type), dims, Codes::new(code_type, codes).bytes().clone())
}

fn dtype(code_type: CodeType) -> Dtype {
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

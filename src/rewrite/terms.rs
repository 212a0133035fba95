//! One term of a tensor: codes, scales, zero points, and the DequantizeLinear over them.

use super::names::NameSupply;
use super::patch::Patch;
use super::unfit;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Dtype, attr, tensor, tensor_of};
use crate::options::Storage;
use crate::plan::{Codes, Partition, WeightDecision, WeightTerm};

/// Adds `term` as constants and the DequantizeLinear that makes `output` of them; new names begin with `stem`.
pub(super) fn dequantized(
    stem: &str,
    output: &str,
    term: &WeightTerm,
    decision: &WeightDecision,
    at: usize,
    names: &mut NameSupply,
    patch: &mut Patch,
) -> Result<()> {
    let Some(dims) = term.partition.scale_dims(&decision.dims) else {
        return Err(unfit(&decision.tensor, format!("no scales by {:?}", term.partition)));
    };
    let codes = names.take(format!("{stem}_quantized"));
    let scale = names.take(format!("{stem}_scale"));
    patch.added.push(tensor(&*codes, dtype(term.storage), &decision.dims, term.codes.bytes().clone()));
    let float = decision.float.of_scale().dtype();
    patch.added.push(tensor_of(&scale, float, &dims, &term.scales));
    let mut inputs = vec![codes, scale];
    if term.zero_points.iter().any(|&zero| zero != 0) {
        let zero = names.take(format!("{stem}_zero_point"));
        patch.added.push(code_tensor(&zero, term.storage, &dims, &term.zero_points));
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
    let label = names.take(format!("{stem}_DequantizeLinear"));
    patch.inserted.push((at, node("DequantizeLinear", &label, &inputs, &[output], &attributes)));
    Ok(())
}

/// Nodes that add `values` in order; the last one makes `output`, new names begin with `stem`. Nothing for fewer than two.
pub(super) fn added(values: &[String], output: &str, stem: &str, names: &mut NameSupply) -> Vec<NodeProto> {
    let mut nodes = Vec::new();
    let Some((first, others)) = values.split_first() else { return nodes };
    let mut sum = first.clone();
    for (number, value) in others.iter().enumerate() {
        let last = number + 1 == others.len();
        let next = if last { output.to_owned() } else { names.take(format!("{stem}_sum")) };
        let label = names.take(format!("{stem}_Add"));
        nodes.push(node("Add", &label, &[&sum, value], &[&next], &[]));
        sum = next;
    }
    nodes
}

/// Codes as an initializer, two to a byte where they have four bits.
pub(super) fn code_tensor(name: &str, storage: Storage, dims: &[i64], codes: &[i16]) -> TensorProto {
    tensor(name, dtype(storage), dims, Codes::new(storage, codes).bytes().clone())
}

fn dtype(storage: Storage) -> Dtype {
    match storage {
        Storage::Int4 => Dtype::Int4,
        Storage::Uint4 => Dtype::Uint4,
        Storage::Int8 => Dtype::Int8,
        Storage::Uint8 => Dtype::Uint8,
        Storage::Int16 => Dtype::Int16,
    }
}

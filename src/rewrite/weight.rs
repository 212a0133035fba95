//! Weights: codes, scales and a DequantizeLinear whose output bears the weights' own name, so
//! that every reader, in subgraphs too, stays as it is.

use super::names::NameSupply;
use super::patch::Patch;
use super::scene::Scene;
use super::unfit;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, attr, dtype_name, element_count, pack, tensor, tensor_f32};
use crate::options::Storage;
use crate::plan::{BiasChange, Partition, WeightDecision, WeightTerm};

/// No operator that takes a bias has more inputs; a plan that asks for more is damaged.
const MOST_INPUTS: usize = 16;

/// What `decision` changes.
pub(super) fn patch(decision: &WeightDecision, scene: &Scene, names: &mut NameSupply) -> Result<Patch> {
    let name = decision.tensor.as_str();
    let Some(old) = scene.index.initializer(name) else {
        return Err(unfit(name, "the model has no such initializer"));
    };
    if scene.index.is_input(name) {
        return Err(unfit(name, "it is a graph input too, so a caller may replace it"));
    }
    if old.data_type() != Dtype::Float as i32 || old.dims != decision.dims {
        let found = format!("{} {:?}", dtype_name(old.data_type()), old.dims);
        return Err(unfit(name, format!("the model has {found}, the plan is for FLOAT {:?}", decision.dims)));
    }
    for read in &decision.reads {
        scene.check(name, read)?;
    }

    let mut patch = Patch { removed: vec![name.to_owned()], ..Patch::default() };
    let [term] = decision.terms.as_slice() else {
        return Err(unfit(name, "several terms"));
    };
    dequantized(name, name, term, decision, scene.first_read(name), names, &mut patch)?;
    for change in &decision.biases {
        bias(name, change, scene, names, &mut patch)?;
    }
    Ok(patch)
}

/// Adds `term` as constants and the DequantizeLinear that makes `output` of them; new names begin with `stem`.
fn dequantized(
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
    patch.added.push(code_tensor(&codes, term.storage, &decision.dims, &term.codes.values));
    patch.added.push(tensor_f32(&scale, &dims, &term.scales));
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

/// A new bias goes where the old one was if nobody else reads that; otherwise beside it.
fn bias(
    weights: &str,
    change: &BiasChange,
    scene: &Scene,
    names: &mut NameSupply,
    patch: &mut Patch,
) -> Result<()> {
    let read = &change.read;
    let reader = scene.reader(weights, read)?;
    let found = reader.input.get(read.slot).map_or("", String::as_str);
    let expected = change.tensor.as_deref().unwrap_or("");
    if found != expected || read.slot >= MOST_INPUTS {
        let problem = format!("node {}: input {} is {found:?}, not {expected:?}", read.node, read.slot);
        return Err(unfit(weights, problem));
    }
    let old = match change.tensor.as_deref() {
        None => None,
        Some(bias) => match scene.index.initializer(bias) {
            Some(old) if old.data_type() == Dtype::Float as i32 => Some(old),
            _ => return Err(unfit(weights, format!("bias {bias} is no initializer of type FLOAT"))),
        },
    };
    let index = &scene.index;
    let own = |old: &&TensorProto| {
        let name = old.name();
        let fits = element_count(old).is_ok_and(|count| count == change.values.len());
        let alone = index.consumers(name).len() == 1 && !index.is_captured(name) && !index.is_output(name);
        fits && alone && index.constant(name).is_some()
    };
    match old.filter(own) {
        Some(old) => patch.replaced.push(tensor_f32(old.name(), &old.dims, &change.values)),
        None => {
            let name = names.take(format!("{}_bias", read.node));
            patch.added.push(tensor_f32(&name, &[change.values.len() as i64], &change.values));
            patch.rewired.push((read.at, read.slot, name));
        }
    }
    Ok(())
}

/// Codes as an initializer, two to a byte where they have four bits.
pub(super) fn code_tensor(name: &str, storage: Storage, dims: &[i64], codes: &[i16]) -> TensorProto {
    let dtype = match storage {
        Storage::Int4 => Dtype::Int4,
        Storage::Uint4 => Dtype::Uint4,
        Storage::Int8 => Dtype::Int8,
        Storage::Uint8 => Dtype::Uint8,
    };
    let raw = match storage.bits() {
        4 => pack(codes),
        _ => codes.iter().map(|&code| code as u8).collect(),
    };
    tensor(name, dtype, dims, raw)
}

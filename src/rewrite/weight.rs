//! Weights: codes, scales and a DequantizeLinear whose output bears the weights' own name, so
//! that every reader, in subgraphs too, stays as it is.

use super::branches;
use super::names::NameSupply;
use super::patch::Patch;
use super::scene::Scene;
use super::terms::{added, dequantized};
use super::unfit;
use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, dtype_name, element_count, tensor_f32};
use crate::options::Spelling;
use crate::plan::{BiasChange, WeightDecision};

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
    let at = scene.first_read(name);
    match (decision.terms.as_slice(), decision.spelling) {
        ([term], _) => dequantized(name, name, term, decision, at, names, &mut patch)?,
        (_, Spelling::Sum) => sum(decision, at, names, &mut patch)?,
        (_, Spelling::Branches) => branches::split(decision, scene, names, &mut patch)?,
    }
    for change in &decision.biases {
        bias(name, change, scene, names, &mut patch)?;
    }
    Ok(patch)
}

/// Several terms, added before anybody reads them.
fn sum(decision: &WeightDecision, at: usize, names: &mut NameSupply, patch: &mut Patch) -> Result<()> {
    let name = decision.tensor.as_str();
    let mut values = Vec::new();
    for (number, term) in decision.terms.iter().enumerate() {
        let output = names.take(decision.term_name(number));
        dequantized(&output, &output, term, decision, at, names, patch)?;
        values.push(output);
    }
    let added = added(&values, name, name, names);
    patch.inserted.extend(added.into_iter().map(|node| (at, node)));
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

//! Weights: codes, scales and a DequantizeLinear whose output bears the weights' own name, so
//! that every reader, in subgraphs too, stays as it is.

use super::branches;
use super::home::Home;
use super::nbits;
use super::patch::Patch;
use super::scene::Scene;
use super::terms::{added, dequantized};
use super::unfit;
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, attr, dtype_name, element_count, tensor_f32};
use crate::options::{Container, Spelling};
use crate::plan::{BiasChange, WeightDecision};

/// No operator that takes a bias has more inputs; a plan that asks for more is damaged.
const MOST_INPUTS: usize = 16;

/// What `decision` changes.
pub(super) fn patch(decision: &WeightDecision, scene: &Scene, names: &mut Names) -> Result<Patch> {
    let name = decision.tensor.as_str();
    let Some(old) = scene.index.initializer(name) else {
        return Err(unfit(name, "the model has no such initializer"));
    };
    if scene.index.is_input(name) {
        return Err(unfit(name, "it is a graph input too, so a caller may replace it"));
    }
    if old.data_type() != decision.float.dtype() as i32 || old.dims != decision.dims {
        let found = format!("{} {:?}", dtype_name(old.data_type()), old.dims);
        let planned = format!("{} {:?}", dtype_name(decision.float.dtype() as i32), decision.dims);
        return Err(unfit(name, format!("the model has {found}, the plan is for {planned}")));
    }
    for read in &decision.reads {
        scene.check(name, read)?;
    }

    let home = Home::of(decision, scene);
    let mut patch = Patch { removed: vec![name.to_owned()], ..Patch::default() };
    match (decision.terms.as_slice(), decision.spelling) {
        (_, Spelling::MatMulNBits) => {}
        ([term], _) => {
            let value = before_cast(decision, home.at, names, &mut patch);
            dequantized(name, &value, term, decision, (home.at, scene.container), names, &mut patch)?;
        }
        (_, Spelling::Sum) => sum(decision, (home.at, scene.container), names, &mut patch)?,
        (_, Spelling::Branches) if needs_cast(decision) => {
            let kind = dtype_name(decision.float.dtype() as i32);
            return Err(unfit(name, format!("{kind} has no branches; spell it as a sum")));
        }
        (_, Spelling::Branches) => branches::split(decision, scene, names, &mut patch)?,
    }
    patch.inserted.rotate_left(usize::from(needs_cast(decision)));
    for change in &decision.biases {
        bias(name, change, scene, names, &mut patch)?;
    }
    if decision.spelling == Spelling::MatMulNBits {
        nbits::replace(decision, scene, names, &mut patch)?;
    }
    Ok(home.settle(patch))
}

/// Whether scales are of another type than the weights.
fn needs_cast(decision: &WeightDecision) -> bool {
    decision.float != decision.float.of_scale()
}

/// The name under which the dequantized weights come before the Cast to their own type, if they need one, which is put first
/// among the new nodes; otherwise their own name.
fn before_cast(decision: &WeightDecision, at: usize, names: &mut Names, patch: &mut Patch) -> String {
    let name = &decision.tensor;
    if !needs_cast(decision) {
        return name.clone();
    }
    let value = names.fresh(format!("{name}_dequantized"));
    let label = names.fresh(format!("{name}_Cast"));
    let to = attr::int("to", decision.float.dtype() as i64);
    patch.inserted.insert(0, (at, node("Cast", &label, &[&value], &[name], &[to])));
    value
}

/// Several terms, added before anybody reads them.
fn sum(
    decision: &WeightDecision,
    (at, container): (usize, Container),
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let name = decision.tensor.as_str();
    let mut values = Vec::new();
    for (number, term) in decision.terms.iter().enumerate() {
        let output = names.fresh(decision.term_name(number));
        dequantized(&output, &output, term, decision, (at, container), names, patch)?;
        values.push(output);
    }
    let whole = before_cast(decision, at, names, patch);
    let added = added(&values, &whole, name, names);
    patch.inserted.extend(added.into_iter().map(|node| (at, node)));
    Ok(())
}

/// A new bias goes where the old one was if nobody else reads that; otherwise beside it.
fn bias(
    weights: &str,
    change: &BiasChange,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let read = &change.read;
    let reader = scene.reader(weights, read)?;
    let found = reader.input.get(read.slot).map_or("", String::as_str);
    let expected = change.tensor.as_deref().unwrap_or("");
    if found != expected || read.slot >= MOST_INPUTS || !read.is_outer() {
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
            let name = names.fresh(format!("{}_bias", read.node));
            patch.added.push(tensor_f32(&name, &[change.values.len() as i64], &change.values));
            patch.rewired.push((read.at, read.slot, name));
        }
    }
    Ok(())
}

//! Weights: codes, scales and a DequantizeLinear whose output bears the weights' own name, so
//! that every reader, in subgraphs too, stays as it is.

use super::biases;
use super::branches;
use super::home::Home;
use super::nbits;
use super::patch::Patch;
use super::scene::{Place, Scene};
use super::terms::{added, dequantized};
use super::unfit;
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::{attr, dtype_name};
use crate::options::Spelling;
use crate::plan::{Float, WeightDecision};

/// What `decision` changes.
pub(super) fn patch(decision: &WeightDecision, scene: &Scene, names: &mut Names) -> Result<Patch> {
    let name = decision.tensor.as_str();
    let Some(old) = scene.index.initializer(name) else {
        return Err(unfit(name, "the model has no such initializer"));
    };
    if scene.index.is_input(name) {
        return Err(unfit(name, "it is a graph input too, so a caller may replace it"));
    }
    let mut patch = Patch { removed: vec![name.to_owned()], ..Patch::default() };
    let cast = old.data_type() != decision.float.dtype() as i32;
    if cast && old.dims == decision.dims && Float::of(old.data_type()).is_some() {
        let (bypassed, untyped) = scene.casts(name, decision.float)?;
        (patch.bypassed, patch.untyped) = (bypassed, untyped);
    } else if cast || old.dims != decision.dims {
        let found = format!("{} {:?}", dtype_name(old.data_type()), old.dims);
        let planned = format!("{} {:?}", dtype_name(decision.float.dtype() as i32), decision.dims);
        return Err(unfit(name, format!("the model has {found}, the plan is for {planned}")));
    }
    for read in &decision.reads {
        scene.check(name, read)?;
    }

    let home = Home::of(decision, scene);
    let place = Place { at: home.at, inside: home.is_inside(), ..scene.place(decision) };
    match (decision.terms.as_slice(), decision.spelling) {
        (_, Spelling::MatMulNBits) => {}
        ([term], _) => {
            let value = before_cast(decision, home.at, names, &mut patch);
            dequantized(name, &value, term, decision, place, names, &mut patch)?;
        }
        (_, Spelling::Sum) => sum(decision, place, names, &mut patch)?,
        (_, Spelling::Branches) if needs_cast(decision) => {
            let kind = dtype_name(decision.float.dtype() as i32);
            return Err(unfit(name, format!("{kind} has no branches; spell it as a sum")));
        }
        (_, Spelling::Branches) => branches::split(decision, scene, names, &mut patch)?,
    }
    patch.inserted.rotate_left(usize::from(needs_cast(decision)));
    biases::patch(decision, scene, names, &mut patch)?;
    if decision.spelling == Spelling::MatMulNBits {
        nbits::replace(decision, scene, names, &mut patch)?;
    }
    Ok(home.settle(patch))
}

/// Whether scales are of another type than the weights.
fn needs_cast(decision: &WeightDecision) -> bool {
    decision.float != decision.scale_float()
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
fn sum(decision: &WeightDecision, place: Place, names: &mut Names, patch: &mut Patch) -> Result<()> {
    let name = decision.tensor.as_str();
    let mut values = Vec::new();
    for (number, term) in decision.terms.iter().enumerate() {
        let output = names.fresh(decision.term_name(number));
        dequantized(&output, &output, term, decision, place, names, patch)?;
        values.push(output);
    }
    let whole = before_cast(decision, place.at, names, patch);
    let added = added(&values, &whole, name, names);
    patch.inserted.extend(added.into_iter().map(|node| (place.at, node)));
    Ok(())
}

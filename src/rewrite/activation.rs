//! Activations: one QuantizeLinear/DequantizeLinear pair, or one and another for what it leaves, shared by the reads that
//! the decision lists; all others keep the float value.

use super::names::NameSupply;
use super::patch::Patch;
use super::scene::Scene;
use super::terms::{added, code_tensor};
use super::unfit;

use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::tensor_f32;
use crate::plan::{ActivationDecision, ActivationTerm};

/// What `decision` changes.
pub(super) fn patch(decision: &ActivationDecision, scene: &Scene, names: &mut NameSupply) -> Result<Patch> {
    let x = decision.tensor.as_str();
    let index = &scene.index;
    for read in &decision.reads {
        scene.check(x, read)?;
    }
    let Some(first) = decision.reads.iter().map(|read| read.at).min() else {
        return Err(unfit(x, "no read takes the low-bit form"));
    };
    let at = match index.producer_at(x) {
        Some(producer) if producer < first => producer + 1,
        Some(_) => return Err(unfit(x, "a read comes before the node that makes it")),
        None if index.is_input(x) || index.initializer(x).is_some() => first,
        None => return Err(unfit(x, "the model has no such value")),
    };

    let mut patch = Patch::default();
    let back = match decision.terms.as_slice() {
        [term] => pair(x, x, &format!("{x}_dequantized"), term, at, names, &mut patch),
        terms => dual(x, terms, at, names, &mut patch),
    };
    patch.rewired = decision.reads.iter().map(|read| (read.at, read.slot, back.clone())).collect();
    Ok(patch)
}

/// Puts what each pair leaves through the next, and adds up; the name of the sum.
fn dual(x: &str, terms: &[ActivationTerm], at: usize, names: &mut NameSupply, patch: &mut Patch) -> String {
    let mut rest = x.to_owned();
    let mut values: Vec<String> = Vec::new();
    for (number, term) in terms.iter().enumerate() {
        if let Some(last) = values.last() {
            let left = names.take(format!("{x}_rest"));
            let label = names.take(format!("{x}_Sub"));
            patch.inserted.push((at, node("Sub", &label, &[&rest, last], &[&left], &[])));
            rest = left;
        }
        let stem = format!("{x}_term_{}", number + 1);
        values.push(pair(&rest, &stem, &format!("{stem}_dequantized"), term, at, names, patch));
    }
    let sum = names.take(format!("{x}_dequantized"));
    patch.inserted.extend(added(&values, &sum, x, names).into_iter().map(|node| (at, node)));
    sum
}

/// Adds a QuantizeLinear/DequantizeLinear pair on `value`; new names begin with `stem`. The name of what comes back.
fn pair(
    value: &str,
    stem: &str,
    back: &str,
    term: &ActivationTerm,
    at: usize,
    names: &mut NameSupply,
    patch: &mut Patch,
) -> String {
    let scale = names.take(format!("{stem}_scale"));
    let zero = names.take(format!("{stem}_zero_point"));
    let codes = names.take(format!("{stem}_quantized"));
    let back = names.take(back.to_owned());
    let quantize = names.take(format!("{stem}_QuantizeLinear"));
    let dequantize = names.take(format!("{stem}_DequantizeLinear"));
    patch.added.push(tensor_f32(&scale, &[], &[term.scale]));
    patch.added.push(code_tensor(&zero, term.storage, &[], &[term.zero_point]));
    let nodes = [
        node("QuantizeLinear", &quantize, &[value, &scale, &zero], &[&codes], &[]),
        node("DequantizeLinear", &dequantize, &[&codes, &scale, &zero], &[&back], &[]),
    ];
    patch.inserted.extend(nodes.map(|node| (at, node)));
    back
}

//! Activations: one QuantizeLinear/DequantizeLinear pair, shared by the reads that the decision
//! lists; all others keep the float value.

use super::names::NameSupply;
use super::patch::Patch;
use super::scene::Scene;
use super::unfit;
use super::weight::code_tensor;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::tensor_f32;
use crate::plan::ActivationDecision;

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

    let [term] = decision.terms.as_slice() else {
        return Err(unfit(x, "several terms"));
    };
    let scale = names.take(format!("{x}_scale"));
    let zero = names.take(format!("{x}_zero_point"));
    let codes = names.take(format!("{x}_quantized"));
    let back = names.take(format!("{x}_dequantized"));
    let quantize = names.take(format!("{x}_QuantizeLinear"));
    let dequantize = names.take(format!("{x}_DequantizeLinear"));
    Ok(Patch {
        added: vec![
            tensor_f32(&scale, &[], &[term.scale]),
            code_tensor(&zero, term.storage, &[], &[term.zero_point]),
        ],
        inserted: vec![
            (at, node("QuantizeLinear", &quantize, &[x, &scale, &zero], &[&codes], &[])),
            (at, node("DequantizeLinear", &dequantize, &[&codes, &scale, &zero], &[&back], &[])),
        ],
        rewired: decision.reads.iter().map(|read| (read.at, read.slot, back.clone())).collect(),
        ..Patch::default()
    })
}

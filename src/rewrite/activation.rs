//! Activations: one QuantizeLinear/DequantizeLinear pair, or one and another for what it leaves, shared by the reads that
//! the decision lists; all others keep the float value.
//!
//! onnxruntime (seen in 1.32) moves a pair to the other side of operators that only move values, and a MaxPool there takes no
//! 4-bit codes; a Clip it means to merge with the pair, and knows no 4-bit ones: either way it refuses the model. Behind these
//! two a 4-bit pair is therefore spelled as a Clip to the range of its codes and an 8-bit pair, which gives the same values.

use super::linear::code_tensor;
use super::patch::Patch;
use super::scene::Scene;
use super::terms::added;
use super::unfit;
use crate::onnx::Names;

use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::{attr, tensor_of};
use crate::plan::{ActivationDecision, ActivationTerm, Float};

/// What `decision` changes.
pub(super) fn patch(decision: &ActivationDecision, scene: &Scene, names: &mut Names) -> Result<Patch> {
    let x = decision.tensor.as_str();
    let index = &scene.index;
    for read in &decision.reads {
        scene.check(x, read)?;
    }
    if decision.reads.is_empty() && !decision.returned {
        return Err(unfit(x, "no read takes the low-bit form"));
    }
    let first = decision.first();
    let at = match index.producer_at(x) {
        Some(producer) if producer < first => producer + 1,
        Some(_) => return Err(unfit(x, "a read comes before the node that makes it")),
        None if index.is_input(x) || index.initializer(x).is_some() => first,
        None => return Err(unfit(x, "the model has no such value")),
    };

    let float = decision.scale_float();
    let mut patch = Patch::default();
    if decision.returned {
        return returned(decision, scene, names);
    }
    let wide = widened(x, decision, at, names, &mut patch);
    let value = wide.as_str();
    let back = match decision.terms.as_slice() {
        [term] if scene.stored.storage.widens_activations() || stands_behind_clip_or_pool(x, scene) => {
            let (held, wide) = clipped(value, term, float, at, scene.opset, names, &mut patch);
            pair(&held, x, &format!("{x}_dequantized"), &wide, float, at, names, &mut patch)
        }
        [term] => pair(value, x, &format!("{x}_dequantized"), term, float, at, names, &mut patch),
        terms => dual(value, terms, float, at, scene, names, &mut patch),
    };
    let back = match decision.wide_scales {
        true => {
            let narrow = names.fresh(format!("{x}_narrowed"));
            cast(&back, &narrow, decision.float, at, names, &mut patch);
            narrow
        }
        false => back,
    };
    patch.rewired = decision.reads.iter().map(|read| (read.at, read.slot, back.clone())).collect();
    Ok(patch)
}

/// What the model gives back in the low-bit form: that keeps the name, and the float value gets another.
fn returned(decision: &ActivationDecision, scene: &Scene, names: &mut Names) -> Result<Patch> {
    let x = decision.tensor.as_str();
    let made = scene.index.producer_at(x).filter(|&at| scene.index.graph().node[at].output.len() == 1);
    let (Some(producer), [term], true) = (made, decision.terms.as_slice(), scene.index.is_output(x)) else {
        return Err(unfit(
            x,
            "only the single output of a node, rounded once, can be given back in the low-bit form",
        ));
    };
    let mut patch = Patch::default();
    let value = names.fresh(format!("{x}_float"));
    patch.renamed.push((producer, value.clone()));
    let at = producer + 1;
    let float = decision.scale_float();
    let value = widened(&value, decision, at, names, &mut patch);
    let (held, wide) = match scene.stored.storage.widens_activations() {
        true => clipped(&value, term, float, at, scene.opset, names, &mut patch),
        false => (value, *term),
    };
    if decision.wide_scales {
        let back = pair(&held, x, &format!("{x}_dequantized"), &wide, float, at, names, &mut patch);
        cast(&back, x, decision.float, at, names, &mut patch);
    } else {
        pair(&held, x, x, &wide, float, at, names, &mut patch);
    }
    Ok(patch)
}

/// `value` in the type of the scales: behind a Cast where that is another than its own.
fn widened(
    value: &str,
    decision: &ActivationDecision,
    at: usize,
    names: &mut Names,
    patch: &mut Patch,
) -> String {
    if !decision.wide_scales {
        return value.to_owned();
    }
    let wide = names.fresh(format!("{value}_widened"));
    cast(value, &wide, decision.scale_float(), at, names, patch);
    wide
}

fn cast(from: &str, to: &str, float: Float, at: usize, names: &mut Names, patch: &mut Patch) {
    let label = names.fresh(format!("{to}_Cast"));
    let kind = attr::int("to", float.dtype() as i64);
    patch.inserted.push((at, node("Cast", &label, &[from], &[to], &[kind])));
}

/// The opset in which Clip takes its bounds as inputs.
const OPSET_BOUNDS: i64 = 11;

/// Operators that a pair is moved across, and how many of them in a row are looked at.
const MOVED_ACROSS: [&str; 8] =
    ["Transpose", "Reshape", "Slice", "Squeeze", "Unsqueeze", "Expand", "Flatten", "Identity"];
const REACH: usize = 16;

/// Whether `value` comes from a MaxPool or Clip, with nothing between that does more than move values.
fn stands_behind_clip_or_pool(value: &str, scene: &Scene) -> bool {
    let mut value = value;
    for _ in 0..REACH {
        let Some(node) = scene.index.producer(value) else { return false };
        match (node.op_type(), node.input.first()) {
            ("MaxPool" | "Clip", _) => return true,
            (operator, Some(input)) if MOVED_ACROSS.contains(&operator) => value = input,
            _ => return false,
        }
    }
    false
}

/// Holds `x` to what 4-bit codes can say; gives the result, and the 8-bit form in which these codes are then stored.
fn clipped(
    x: &str,
    term: &ActivationTerm,
    float: Float,
    at: usize,
    opset: i64,
    names: &mut Names,
    patch: &mut Patch,
) -> (String, ActivationTerm) {
    let code_type = term.code_type.with_bits(term.code_type.bits().max(8));
    let wide = ActivationTerm { code_type, ..*term };
    if code_type == term.code_type {
        return (x.to_owned(), wide);
    }
    let held = names.fresh(format!("{x}_clipped"));
    let label = names.fresh(format!("{x}_Clip"));
    let (lowest, highest) = term.code_type.range();
    let value = |code: i32| (code - i32::from(term.zero_point)) as f32 * term.scale;
    if opset < OPSET_BOUNDS {
        let bounds = [attr::float("min", value(lowest)), attr::float("max", value(highest))];
        patch.inserted.push((at, node("Clip", &label, &[x], &[&held], &bounds)));
        return (held, wide);
    }
    let mut bound = |name: &str, code: i32| {
        let name = names.fresh(format!("{x}_{name}"));
        patch.added.push(tensor_of(&name, float.dtype(), &[], &[value(code)]));
        name
    };
    let (lo, hi) = (bound("lowest", lowest), bound("highest", highest));
    patch.inserted.push((at, node("Clip", &label, &[x, &lo, &hi], &[&held], &[])));
    (held, wide)
}

/// Puts what each pair leaves through the next, and adds up; the name of the sum.
fn dual(
    x: &str,
    terms: &[ActivationTerm],
    float: Float,
    at: usize,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> String {
    let mut rest = x.to_owned();
    let mut values: Vec<String> = Vec::new();
    for (number, term) in terms.iter().enumerate() {
        if let Some(last) = values.last() {
            let left = names.fresh(format!("{x}_rest"));
            let label = names.fresh(format!("{x}_Sub"));
            patch.inserted.push((at, node("Sub", &label, &[&rest, last], &[&left], &[])));
            rest = left;
        }
        let stem = format!("{x}_term_{}", number + 1);
        let (held, wide) = match scene.stored.storage.widens_activations() {
            true => clipped(&rest, term, float, at, scene.opset, names, patch),
            false => (rest.clone(), *term),
        };
        values.push(pair(&held, &stem, &format!("{stem}_dequantized"), &wide, float, at, names, patch));
    }
    let sum = names.fresh(format!("{x}_dequantized"));
    patch.inserted.extend(added(&values, &sum, x, names).into_iter().map(|node| (at, node)));
    sum
}

/// Adds a QuantizeLinear/DequantizeLinear pair on `value`; new names begin with `stem`. The name of what comes back, which is
/// `back` or like it; the stem itself is taken as it is.
#[allow(clippy::too_many_arguments)]
fn pair(
    value: &str,
    stem: &str,
    back: &str,
    term: &ActivationTerm,
    float: Float,
    at: usize,
    names: &mut Names,
    patch: &mut Patch,
) -> String {
    let scale = names.internal(format!("{stem}_scale"));
    let content = format!("{} {}", term.code_type, term.zero_point);
    let (zero, new) = names.internal_constant(format!("{stem}_zero_point"), &content);
    let codes = names.internal(format!("{stem}_quantized"));
    let back = if back == stem { back.to_owned() } else { names.internal(back) };
    let quantize = names.fresh(format!("{stem}_QuantizeLinear"));
    let dequantize = names.internal(format!("{stem}_DequantizeLinear"));
    patch.added.push(tensor_of(&scale, float.dtype(), &[], &[term.scale]));
    if new {
        patch.added.push(code_tensor(&zero, term.code_type, &[], &[term.zero_point]));
    }
    let nodes = [
        node("QuantizeLinear", &quantize, &[value, &scale, &zero], &[&codes], &[]),
        node("DequantizeLinear", &dequantize, &[&codes, &scale, &zero], &[&back], &[]),
    ];
    patch.inserted.extend(nodes.map(|node| (at, node)));
    back
}

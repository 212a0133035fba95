//! Spells a plan in ONNX. Nothing is decided here and nothing is searched: each decision becomes
//! a patch, which is data, and one function applies all patches at once.

mod activation;
mod biases;
mod branches;
mod dialect;
mod folded;
mod home;
mod linear;
mod nbits;
mod patch;
mod scene;
mod stamp;
mod terms;
mod unpacked;
mod weight;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use dialect::{Dialect, is_plain, lower};
pub use stamp::calibrated;

use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::onnx::Names;
use crate::onnx::proto::{ModelProto, OperatorSetIdProto};
use crate::onnx::{CONTRIB, is_linear};
use crate::options::{CodeType, OPSET, OPSET_HALF, Spelling};
use crate::plan::{Decision, Float, Laid, Partition, Plan, WeightDecision, WeightTerm};
use patch::Patch;
use scene::Scene;

/// The IR version that knows 4-bit element types.
const IR_VERSION: i64 = 10;
/// The opsets in which QuantizeLinear and DequantizeLinear enter, and take one scale an index of an axis.
const OPSET_QDQ: i64 = 10;
const OPSET_PER_AXIS: i64 = 13;
/// The opset whose operators unpack codes.
const OPSET_UNPACKED: i64 = 7;

/// `model`, which is prepared, with the first `first` decisions of `plan` carried out, or all of
/// them. Nodes and tensors that no decision concerns stay as they are.
///
/// # Errors
/// [`Error::Plan`] where a decision is inconsistent or does not fit the model, and
/// [`Error::Invalid`] where the model's opset does not know the blocks that the plan asks for.
pub fn apply(model: &Model, plan: &Plan, first: Option<usize>) -> Result<Model> {
    let scene = Scene::new(model.graph(), model.opset(), plan);
    let mut names = Names::of(model.graph(), 1).brief(plan.storage.unpacks());
    let mut seen = HashSet::new();
    let mut patches = Vec::new();
    let mut least = 1;
    for decision in plan.decisions.iter().take(first.unwrap_or(usize::MAX)) {
        if !seen.insert(decision.tensor()) {
            return Err(unfit(decision.tensor(), "a second decision on the same tensor"));
        }
        if let Some(problem) = decision.problem() {
            return Err(unfit(decision.tensor(), problem));
        }
        if let Decision::Weight(weight) = decision {
            refuse_old_blocks(weight, &scene)?;
        }
        least = least.max(opset_of(decision, &scene));
        patches.push(match decision {
            Decision::Weight(weight) => weight::patch(weight, &scene, &mut names)?,
            Decision::Activation(activation) => activation::patch(activation, &scene, &mut names)?,
        });
    }
    let mut taken = plan.decisions.iter().take(first.unwrap_or(usize::MAX));
    let four_bits = taken.any(|decision| has_four_bits(decision, &scene));
    let mut proto = model.proto.clone();
    if model.opset() < least {
        spell_by_contrib(&mut patches, &mut proto);
    }
    if patches.iter().any(|patch| !patch.swapped.is_empty()) {
        import_contrib(&mut proto);
    }
    patch::apply_all(proto.graph.get_or_insert_default(), patches)?;
    if four_bits && proto.ir_version() < IR_VERSION {
        proto.ir_version = Some(IR_VERSION);
    }
    stamp::stamp(&mut proto, plan);
    rebuilt(model, proto)
}

/// A new model in the place of `old`, its form checked again.
fn rebuilt(old: &Model, proto: crate::onnx::proto::ModelProto) -> Result<Model> {
    let checked = Model::new(proto)?;
    Ok(Model {
        path: old.path.clone(),
        bytes_on_disk: old.bytes_on_disk,
        side_files: old.side_files.clone(),
        unknown_bytes: old.unknown_bytes,
        ..checked
    })
}

/// Whether the file has 4-bit types for `decision`.
fn has_four_bits(decision: &Decision, scene: &Scene) -> bool {
    let storage = scene.stored.storage;
    match decision {
        // Bytes hold the codes of MatMulNBits.
        Decision::Weight(weight) if weight.spelling == Spelling::MatMulNBits => false,
        Decision::Weight(weight) => weight
            .terms
            .iter()
            .any(|term| term.code_type.bits() == 4 && term.laid(storage, scene.opset) == Laid::Typed),
        Decision::Activation(activation) => {
            activation.terms.iter().any(|term| storage.of_activation(term.code_type).bits() == 4)
        }
    }
}

/// The opset from which the standard's operators know the form of `decision`.
fn opset_of(decision: &Decision, scene: &Scene) -> i64 {
    let storage = scene.stored.storage;
    let of = |code_type: CodeType, float: Float| match code_type.bits() {
        4 | 16 => OPSET,
        _ if float != Float::Float => OPSET_HALF,
        _ => OPSET_QDQ,
    };
    let partition = |partition: Partition| match partition {
        Partition::Tensor => OPSET_QDQ,
        Partition::Channel { .. } => OPSET_PER_AXIS,
        Partition::Block { .. } => OPSET,
    };
    let each: Vec<i64> = match decision {
        Decision::Weight(weight) if weight.spelling == Spelling::MatMulNBits => Vec::new(),
        Decision::Weight(weight) => {
            let integers = scene.place(weight).integers;
            let terms = weight.terms.iter();
            let least = |term: &WeightTerm| {
                let stands = match term.laid(storage, scene.opset) {
                    Laid::Typed => term.code_type,
                    Laid::Wide | Laid::Digits => CodeType::Int8,
                };
                match storage.unpacks() && !integers {
                    true if stands.bits() == 4 => OPSET,
                    true => OPSET_UNPACKED,
                    false => of(stands, weight.scale_float()).max(partition(term.partition)),
                }
            };
            terms.map(least).collect()
        }
        Decision::Activation(activation) => {
            let stands = |code_type: CodeType| storage.of_activation(code_type);
            activation.terms.iter().map(|term| of(stands(term.code_type), activation.scale_float())).collect()
        }
    };
    each.into_iter().max().unwrap_or(1)
}

/// Where the standard operators do not know the types, or the axis, onnxruntime's own do.
fn spell_by_contrib(patches: &mut [Patch], proto: &mut ModelProto) {
    let mut used = false;
    for (_, node) in patches.iter_mut().flat_map(Patch::inserted_mut) {
        if is_linear(node, "QuantizeLinear") || is_linear(node, "DequantizeLinear") {
            node.domain = Some(CONTRIB.into());
            used = true;
        }
    }
    if used {
        import_contrib(proto);
    }
}

fn import_contrib(proto: &mut ModelProto) {
    if !proto.opset_import.iter().any(|import| import.domain() == CONTRIB) {
        proto.opset_import.push(OperatorSetIdProto { domain: Some(CONTRIB.into()), version: Some(1) });
    }
}

fn refuse_old_blocks(weight: &WeightDecision, scene: &Scene) -> Result<()> {
    let opset = scene.opset;
    if scene.stored.storage.unpacks() && !scene.place(weight).integers {
        return Ok(());
    }
    let blocks = weight.terms.iter().any(|term| matches!(term.partition, Partition::Block { .. }));
    match blocks && opset < OPSET && weight.spelling != Spelling::MatMulNBits {
        true => Err(Error::invalid(
            format!("tensor {}", weight.tensor),
            format!("scales by block need opset {OPSET}, and the model stays at {opset} with `.opset` keep"),
        )),
        false => Ok(()),
    }
}

/// A decision on `tensor` that does not fit the model.
fn unfit(tensor: &str, problem: impl Into<String>) -> Error {
    Error::Plan { path: "plan".into(), place: format!("decision on {tensor}"), problem: problem.into() }
}

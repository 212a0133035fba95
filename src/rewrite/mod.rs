//! Spells a plan in ONNX. Nothing is decided here and nothing is searched: each decision becomes
//! a patch, which is data, and one function applies all patches at once.

mod activation;
mod branches;
mod container;
mod dialect;
mod folded;
mod home;
mod names;
mod patch;
mod rounded;
mod scene;
mod stamp;
mod sums;
mod terms;
mod weight;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use dialect::{Dialect, lower};

use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::onnx::proto::{ModelProto, OperatorSetIdProto};
use crate::onnx::{CONTRIB, is_linear};
use crate::options::OPSET;
use crate::plan::{Decision, Partition, Plan, WeightDecision};
use names::NameSupply;
use patch::Patch;
use scene::Scene;

/// The IR version that knows 4-bit element types.
const IR_VERSION: i64 = 10;

/// `model`, which is prepared, with the first `first` decisions of `plan` carried out, or all of
/// them. Nodes and tensors that no decision concerns stay as they are.
///
/// # Errors
/// [`Error::Plan`] where a decision is inconsistent or does not fit the model, and
/// [`Error::Invalid`] where the model's opset does not know the blocks that the plan asks for.
pub fn apply(model: &Model, plan: &Plan, first: Option<usize>) -> Result<Model> {
    let scene = Scene::new(model.graph(), model.opset());
    let mut names = NameSupply::new(model.graph());
    let mut seen = HashSet::new();
    let mut patches = Vec::new();
    let mut four_bits = false;
    for decision in plan.decisions.iter().take(first.unwrap_or(usize::MAX)) {
        if !seen.insert(decision.tensor()) {
            return Err(unfit(decision.tensor(), "a second decision on the same tensor"));
        }
        if let Some(problem) = decision.problem() {
            return Err(unfit(decision.tensor(), problem));
        }
        match decision {
            Decision::Weight(weight) => {
                refuse_old_blocks(model.opset(), weight)?;
                four_bits |= weight.terms.iter().any(|term| term.storage.bits() == 4);
            }
            Decision::Activation(activation) => {
                four_bits |= activation.terms.iter().any(|term| term.storage.bits() == 4);
            }
        }
        patches.push(match decision {
            Decision::Weight(weight) => weight::patch(weight, &scene, &mut names)?,
            Decision::Activation(activation) => activation::patch(activation, &scene, &mut names)?,
        });
    }
    let mut proto = model.proto.clone();
    if model.opset() < OPSET {
        spell_by_contrib(&mut patches, &mut proto);
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

/// Below opset 21 the standard operators do not know the types, or, below 13, the axis: onnxruntime's own do.
fn spell_by_contrib(patches: &mut [Patch], proto: &mut ModelProto) {
    let mut used = false;
    for (_, node) in patches.iter_mut().flat_map(Patch::inserted_mut) {
        if is_linear(node, "QuantizeLinear") || is_linear(node, "DequantizeLinear") {
            node.domain = Some(CONTRIB.into());
            used = true;
        }
    }
    if used && !proto.opset_import.iter().any(|import| import.domain() == CONTRIB) {
        proto.opset_import.push(OperatorSetIdProto { domain: Some(CONTRIB.into()), version: Some(1) });
    }
}

fn refuse_old_blocks(opset: i64, weight: &WeightDecision) -> Result<()> {
    let blocks = weight.terms.iter().any(|term| matches!(term.partition, Partition::Block { .. }));
    match blocks && opset < OPSET {
        true => Err(Error::invalid(
            format!("tensor {}", weight.tensor),
            format!("scales by block need opset {OPSET}, and the model stays at {opset} with --opset keep"),
        )),
        false => Ok(()),
    }
}

/// A decision on `tensor` that does not fit the model.
fn unfit(tensor: &str, problem: impl Into<String>) -> Error {
    Error::Plan { path: "plan".into(), place: format!("decision on {tensor}"), problem: problem.into() }
}

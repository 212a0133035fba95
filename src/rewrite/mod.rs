//! Spells a plan in ONNX. Nothing is decided here and nothing is searched: each decision becomes
//! a patch, which is data, and one function applies all patches at once.

mod activation;
mod branches;
mod container;
mod dialect;
mod folded;
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
use crate::options::{OPSET, Storage};
use crate::plan::{Decision, Partition, Plan};
use names::NameSupply;
use scene::Scene;

/// The IR version that knows 4-bit element types.
const IR_VERSION: i64 = 10;
/// The opset in which DequantizeLinear takes one scale an index of an axis.
const OPSET_PER_AXIS: i64 = 13;
/// The opset in which DequantizeLinear enters.
const OPSET_QDQ: i64 = 10;

/// `model`, which is prepared, with the first `first` decisions of `plan` carried out, or all of
/// them. Nodes and tensors that no decision concerns stay as they are.
///
/// # Errors
/// [`Error::Plan`] where a decision is inconsistent or does not fit the model, and
/// [`Error::Invalid`] where the model's opset does not know the types that the plan asks for.
pub fn apply(model: &Model, plan: &Plan, first: Option<usize>) -> Result<Model> {
    let scene = Scene::new(model.graph());
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
        let storages: Vec<(Storage, Partition)> = match decision {
            Decision::Weight(weight) => {
                weight.terms.iter().map(|term| (term.storage, term.partition)).collect()
            }
            Decision::Activation(activation) => {
                activation.terms.iter().map(|term| (term.storage, Partition::Tensor)).collect()
            }
        };
        for (storage, partition) in storages {
            demand_opset(model.opset(), decision.tensor(), storage, partition)?;
            four_bits |= storage.bits() == 4;
        }
        patches.push(match decision {
            Decision::Weight(weight) => weight::patch(weight, &scene, &mut names)?,
            Decision::Activation(activation) => activation::patch(activation, &scene, &mut names)?,
        });
    }
    let mut proto = model.proto.clone();
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

fn demand_opset(opset: i64, tensor: &str, storage: Storage, partition: Partition) -> Result<()> {
    let least = match (storage.bits(), partition) {
        (4, _) | (_, Partition::Block { .. }) => OPSET,
        (_, Partition::Channel { .. }) => OPSET_PER_AXIS,
        (_, Partition::Tensor) => OPSET_QDQ,
    };
    match opset >= least {
        true => Ok(()),
        false => Err(Error::invalid(
            format!("tensor {tensor}"),
            format!("{storage} in this form needs opset {least}, the model has {opset}"),
        )),
    }
}

/// A decision on `tensor` that does not fit the model.
fn unfit(tensor: &str, problem: impl Into<String>) -> Error {
    Error::Plan { path: "plan".into(), place: format!("decision on {tensor}"), problem: problem.into() }
}

//! Biases: with new values, and where that is asked for as the INT32 that an integer accumulator holds.

use std::collections::HashSet;

use super::branches::WEIGHTS;
use super::patch::Patch;
use super::scene::Scene;
use super::unfit;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Dtype, Names, attr, element_count, floats, int, tensor, tensor_f32, tensor_of};
use crate::plan::{BiasChange, Partition, Read, WeightDecision};

/// No operator that takes a bias has more inputs; a plan that asks for more is damaged.
const MOST_INPUTS: usize = 16;
/// Where the layers that have a bias of their own take it, and where their data.
pub(super) const BIAS: usize = 2;
const DATA: usize = 0;
const WITH_BIAS: &[&str] = &["Conv", "ConvTranspose", "Gemm"];

/// Changes the biases of the readers of `decision`'s weights.
pub(super) fn patch(
    decision: &WeightDecision,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let name = decision.tensor.as_str();
    let mut done = HashSet::new();
    if let (Some(low), [term]) = (&scene.low, decision.terms.as_slice())
        && !matches!(term.partition, Partition::Block { .. })
    {
        for read in decision.reads.iter().filter(|read| read.is_outer()) {
            let reader = scene.reader(name, read)?;
            let input = |slot: usize| reader.input.get(slot).map_or("", String::as_str);
            if !WITH_BIAS.contains(&reader.op_type()) {
                continue;
            }
            let change =
                decision.biases.iter().find(|change| (change.read.at, change.read.slot) == (read.at, BIAS));
            let values = match (change, scene.index.constant(input(BIAS))) {
                (Some(change), _) => change.values.clone(),
                (None, Some(held)) if is_row(held) => floats(held)?,
                (None, _) => continue,
            };
            let met = low
                .get(input(DATA))
                .filter(|met| met.reads.iter().any(|it| (it.at, it.slot) == (read.at, DATA)));
            let Some([activation]) = met.map(|met| &met.terms[..]) else { continue };
            // In f32, as a runtime multiplies what it reads from the file.
            let steps: Vec<f32> = term.scales.iter().map(|scale| scale * activation.scale).collect();
            if let Some(codes) = whole_steps(&values, &steps) {
                integers(read, &codes, &steps, values.len(), names, patch);
                done.insert(read.at);
            }
        }
    }
    for change in decision.biases.iter().filter(|change| !done.contains(&change.read.at)) {
        floats_of(decision, change, scene, names, patch)?;
    }
    Ok(())
}

/// `values` in whole `steps`, which repeat as output channels do; `None` where one is none of these exactly.
fn whole_steps(values: &[f32], steps: &[f32]) -> Option<Vec<i32>> {
    if steps.is_empty() || !values.len().is_multiple_of(steps.len()) {
        return None;
    }
    let code = |(&value, &step): (&f32, &f32)| {
        let code = (f64::from(value) / f64::from(step)).round_ties_even();
        let fits = code.abs() < f64::from(i32::MAX) && code as f32 * step == value;
        fits.then_some(code as i32)
    };
    values.iter().zip(steps.iter().cycle()).map(code).collect()
}

/// Puts `codes` behind a DequantizeLinear in the place of the bias of `read`'s node.
fn integers(
    read: &Read,
    codes: &[i32],
    steps: &[f32],
    channels: usize,
    names: &mut Names,
    patch: &mut Patch,
) {
    let held = names.internal(format!("{}_bias_quantized", read.node));
    let scale = names.internal(format!("{}_bias_scale", read.node));
    let value = names.internal(format!("{}_bias", read.node));
    let label = names.internal(format!("{}_bias_DequantizeLinear", read.node));
    let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
    patch.added.push(tensor(&*held, Dtype::Int32, &[codes.len() as i64], bytes));
    let (dims, steps, attributes) = match steps {
        [step] => (Vec::new(), vec![*step], Vec::new()),
        _ => {
            let all: Vec<f32> = steps.iter().cycle().take(channels).copied().collect();
            (vec![channels as i64], all, vec![attr::int("axis", 0)])
        }
    };
    patch.added.push(tensor_of(&scale, Dtype::Float, &dims, &steps));
    patch
        .inserted
        .push((read.at, node("DequantizeLinear", &label, &[&held, &scale], &[&value], &attributes)));
    patch.rewired.push((read.at, BIAS, value));
}

/// The bias that `change` is about, where there is one.
fn check<'g>(
    decision: &WeightDecision,
    change: &BiasChange,
    scene: &Scene<'g>,
) -> Result<Option<&'g TensorProto>> {
    let weights = decision.tensor.as_str();
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
    let expected = match old {
        Some(old) => Some(element_count(old)?),
        None => channels(reader, read.slot, &decision.dims),
    };
    // Behind nodes that lay the weights out their own axes say nothing.
    let direct = old.is_some() || reader.input.get(WEIGHTS).is_some_and(|name| name == weights);
    let fits = match direct {
        true => expected == Some(change.values.len()),
        false => expected.is_some(),
    };
    if !fits {
        let wanted = expected.map_or("none".to_owned(), |count| count.to_string());
        let problem = format!(
            "node {}: {} values for input {}, which takes {wanted}",
            read.node,
            change.values.len(),
            read.slot
        );
        return Err(unfit(weights, problem));
    }
    Ok(old)
}

/// How many values a new bias of `node` has in `slot`; `None` where it takes none there.
fn channels(node: &NodeProto, slot: usize, dims: &[i64]) -> Option<usize> {
    let dim = |axis: usize| dims.get(axis).and_then(|&dim| usize::try_from(dim).ok());
    match (node.op_type(), slot) {
        ("Conv" | "FusedConv", BIAS) => dim(0),
        ("ConvTranspose", BIAS) => {
            dim(1)?.checked_mul(usize::try_from(int(node, "group").unwrap_or(1)).ok()?)
        }
        ("Gemm" | "FusedGemm", BIAS) => dim(usize::from(int(node, "transB").unwrap_or(0) == 0)),
        _ => None,
    }
}

/// Whether a bias is FLOAT, and one value an output channel along the last axis.
fn is_row(tensor: &TensorProto) -> bool {
    let short = tensor.dims.iter().rev().skip(1).all(|&dim| dim == 1);
    tensor.data_type() == Dtype::Float as i32 && !tensor.dims.is_empty() && short
}

/// A new bias goes where the old one was if nobody else reads that; otherwise beside it.
fn floats_of(
    decision: &WeightDecision,
    change: &BiasChange,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let read = &change.read;
    let old = check(decision, change, scene)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_steps_become_integers() {
        assert_eq!(whole_steps(&[0.5, -1.0, 0.0, 0.75], &[0.25]), Some(vec![2, -4, 0, 3]));
        assert_eq!(whole_steps(&[0.5, 3.0, 1.0, 6.0], &[0.5, 3.0]), Some(vec![1, 1, 2, 2]));
        for (values, steps) in [
            (&[0.3f32][..], &[0.25f32][..]),
            (&[1e30], &[1e-3]),
            (&[f32::NAN], &[1.0]),
            (&[1.0], &[0.0]),
            (&[1.0, 1.0, 1.0], &[1.0, 1.0]),
            (&[1.0], &[]),
        ] {
            assert_eq!(whole_steps(values, steps), None, "{values:?} {steps:?}");
        }
    }
}

//! Pad. Source: the ONNX operator Pad-24.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{integers, made};
use super::places::{axis, moved, strides};

#[derive(Clone, Copy, Debug)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

#[derive(Clone, Debug)]
struct Pad {
    mode: Mode,
    /// As attributes, before opset 11.
    pads: Option<Vec<i64>>,
    value: f32,
}

pub(super) fn choose(node: &NodeProto, opset: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let mode = match node.get_attr_opt::<&str>("mode")?.unwrap_or("constant") {
        "constant" => Mode::Constant,
        "edge" => Mode::Edge,
        "reflect" => Mode::Reflect,
        "wrap" => Mode::Wrap,
        other => bail!("mode {other} is not known"),
    };
    let pads =
        if opset < 11 { Some(node.get_attr_vec(if opset < 2 { "paddings" } else { "pads" })?) } else { None };
    let value = node.get_attr_opt::<f32>("value")?.unwrap_or(0.0);
    Ok(Some(Arc::new(Pad { mode, pads, value })))
}

impl Pad {
    /// What is added before and after each axis of a tensor of `rank`.
    fn amounts(
        &self,
        rank: usize,
        pads: Option<&Tensor>,
        axes: Option<&Tensor>,
    ) -> TractResult<Vec<(i64, i64)>> {
        let pads = match (&self.pads, pads) {
            (Some(pads), _) => pads.clone(),
            (None, Some(pads)) => integers(pads)?,
            (None, None) => bail!("the amounts of padding are not known"),
        };
        let axes = match axes {
            Some(axes) => {
                integers(axes)?.into_iter().map(|at| axis(at, rank)).collect::<TractResult<Vec<usize>>>()?
            }
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            bail!("{} amounts of padding for {} axes", pads.len(), axes.len());
        }
        let mut amounts = vec![(0, 0); rank];
        for (at, &axis) in axes.iter().enumerate() {
            amounts[axis] = (pads[at], pads[at + axes.len()]);
        }
        Ok(amounts)
    }
}

fn padded(dim: usize, (before, after): (i64, i64)) -> TractResult<usize> {
    let size = i64::try_from(dim)?.checked_add(before).and_then(|size| size.checked_add(after));
    size.and_then(|size| usize::try_from(size).ok())
        .with_context(|| format!("an axis of {dim} padded by {before} and {after}"))
}

impl Mode {
    /// Where what stands at `at` of an axis of `dim` elements comes from.
    fn source(self, at: i64, dim: usize) -> Option<usize> {
        let size = dim as i64;
        let found = match self {
            _ if size == 0 => return None,
            Self::Constant => return usize::try_from(at).ok().filter(|&at| at < dim),
            Self::Edge => at.clamp(0, size - 1),
            Self::Wrap => at.rem_euclid(size),
            Self::Reflect if size == 1 => 0,
            Self::Reflect => {
                let there = at.rem_euclid(2 * (size - 1));
                there.min(2 * (size - 1) - there)
            }
        };
        Some(found as usize)
    }
}

impl Kernel for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn deciding(&self) -> &'static [usize] {
        if self.pads.is_some() { &[] } else { &[1, 3] }
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let value =
            |slot: usize| inputs.get(slot).and_then(Option::as_ref).and_then(|known| known.value.as_deref());
        let Some(Some(data)) = inputs.first() else { bail!("there is nothing to pad") };
        let amounts = self.amounts(data.dims.len(), value(1), value(3))?;
        let mixed = amounts.iter().any(|&(before, after)| before < 0 || after < 0);
        if mixed && !matches!(self.mode, Mode::Constant) {
            bail!("padding that takes away and repeats values has no agreed meaning");
        }
        let dims = data.dims.iter().zip(amounts).map(|(&dim, amount)| padded(dim, amount));
        Ok(vec![(data.dtype, dims.collect::<TractResult<_>>()?)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        let data = input(0).context("there is nothing to pad")?;
        let own = data.shape();
        let amounts = self.amounts(own.len(), input(1), input(3))?;
        let dims: Vec<usize> = own
            .iter()
            .zip(&amounts)
            .map(|(&dim, &amount)| padded(dim, amount))
            .collect::<TractResult<_>>()?;
        let steps = strides(own);
        // For each axis, where each position comes from, as a distance in elements.
        let along: Vec<Vec<Option<usize>>> = (0..own.len())
            .map(|axis| {
                let source = |at: usize| self.mode.source(at as i64 - amounts[axis].0, own[axis]);
                (0..dims[axis]).map(|at| source(at).map(|found| found * steps[axis])).collect()
            })
            .collect();
        let source = |place: &[usize]| place.iter().zip(&along).map(|(&at, axis)| axis[at]).sum();
        let own = made(data.datum_type(), &[], &[self.value])?;
        let fill = if self.pads.is_some() { Some(&own) } else { input(2) };
        Ok(vec![moved(data, &dims, &source, fill)?])
    }
}

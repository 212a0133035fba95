//! ConvTranspose whose padding follows from the shape of its output. Source: the ONNX operator ConvTranspose-22.

use std::sync::Arc;

use ndarray::ArrayView2;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, made};
use super::places::{each, strides};

#[derive(Clone, Debug)]
struct ConvTranspose {
    output_shape: Option<Vec<i64>>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    added: Vec<usize>,
    groups: usize,
    pads: Vec<i64>,
    auto_pad: String,
}

/// Strides and the like beyond which a product with a length would not fit.
const MOST: usize = 1 << 30;

/// tract's own is right with explicit padding.
pub(super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let output_shape: Option<Vec<i64>> = node.get_attr_opt_vec("output_shape")?;
    let auto_pad = node.get_attr_opt::<&str>("auto_pad")?.unwrap_or("NOTSET").to_owned();
    if output_shape.is_none() && !auto_pad.starts_with("SAME") {
        return Ok(None);
    }
    let sizes = |name: &str| -> TractResult<Vec<usize>> {
        let sizes: Vec<usize> = node.get_attr_opt_vec(name)?.unwrap_or_default();
        match sizes.iter().find(|&&size| size > MOST) {
            Some(size) => bail!("{name} of {size}"),
            None => Ok(sizes),
        }
    };
    Ok(Some(Arc::new(ConvTranspose {
        output_shape,
        strides: sizes("strides")?,
        dilations: sizes("dilations")?,
        added: sizes("output_padding")?,
        groups: node.get_attr_opt("group")?.unwrap_or(1),
        pads: node.get_attr_opt_vec("pads")?.unwrap_or_default(),
        auto_pad,
    })))
}

/// Geometry of one axis.
#[derive(Clone, Copy, Debug)]
struct Along {
    stride: usize,
    dilation: usize,
    before: i64,
    size: usize,
}

impl ConvTranspose {
    fn along(&self, x: &[usize], w: &[usize]) -> TractResult<Vec<Along>> {
        let rank = x.len().saturating_sub(2);
        if rank == 0
            || w.len() != rank + 2
            || self.groups == 0
            || x[1] != w[0]
            || !x[1].is_multiple_of(self.groups)
        {
            bail!("weights of {w:?} do not fit values of {x:?}");
        }
        let usual = |given: &[usize], at: usize, usual: usize| given.get(at).copied().unwrap_or(usual);
        (0..rank)
            .map(|at| {
                let (stride, dilation) = (usual(&self.strides, at, 1), usual(&self.dilations, at, 1));
                let reach = (w[2 + at].max(1) - 1) * dilation + 1;
                let full = (stride * (x[2 + at].max(1) - 1) + usual(&self.added, at, 0) + reach) as i64;
                let wanted = self
                    .output_shape
                    .as_ref()
                    .and_then(|shape| shape.get(shape.len().checked_sub(rank)? + at));
                let is_same = self.auto_pad.starts_with("SAME");
                let (before, size) = match wanted.copied().or(is_same.then(|| (x[2 + at] * stride) as i64)) {
                    Some(size) => {
                        let total = (full - size).max(0);
                        let before =
                            if self.auto_pad == "SAME_UPPER" { total / 2 } else { total - total / 2 };
                        // Nothing is added to reach the same size.
                        (before, if wanted.is_some() { size } else { full - total })
                    }
                    None => {
                        let pad = |at: usize| self.pads.get(at).copied().unwrap_or(0);
                        (pad(at), full - pad(at) - pad(at + rank))
                    }
                };
                let size =
                    usize::try_from(size).ok().with_context(|| format!("an output of {size} elements"))?;
                Ok(Along { stride, dilation, before, size })
            })
            .collect()
    }
}

impl Kernel for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(w), ..] = inputs else { bail!("ConvTranspose takes values and weights") };
        let along = self.along(&x.dims, &w.dims)?;
        let mut dims = vec![x.dims[0], w.dims[1] * self.groups];
        dims.extend(along.iter().map(|along| along.size));
        Ok(vec![(x.dtype, dims)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), Some(w), rest @ ..] = inputs else { bail!("ConvTranspose takes values and weights") };
        let along = self.along(x.shape(), w.shape())?;
        let sizes: Vec<usize> = along.iter().map(|along| along.size).collect();
        let (batch, outs) = (x.shape()[0], w.shape()[1]);
        let (depth, kernel) = (x.shape()[1] / self.groups, &w.shape()[2..]);
        let (plane, window) = (x.shape()[2..].iter().product::<usize>(), kernel.iter().product::<usize>());
        let (made_plane, steps) = (sizes.iter().product::<usize>(), strides(&sizes));
        let (values, weights) = (floats(x)?, floats(w)?);
        let bias = rest.first().copied().flatten().map(floats).transpose()?;
        // Where each element of the window lands, for each position of the input.
        let mut landing: Vec<Option<usize>> = Vec::with_capacity(plane * window);
        each(kernel, |inside| {
            each(&x.shape()[2..], |place| {
                let at = along.iter().enumerate().map(|(axis, along)| {
                    let at =
                        (place[axis] * along.stride + inside[axis] * along.dilation) as i64 - along.before;
                    usize::try_from(at).ok().filter(|&at| at < along.size).map(|at| at * steps[axis])
                });
                landing.push(at.sum());
            });
        });
        let mut out = vec![0.0; batch * self.groups * outs * made_plane];
        for sample in 0..batch {
            for group in 0..self.groups {
                let from = (sample * self.groups + group) * depth * plane;
                let own = ArrayView2::from_shape((depth, plane), &values[from..from + depth * plane])?;
                let from = group * depth * outs * window;
                let weights = ArrayView2::from_shape(
                    (depth, outs * window),
                    &weights[from..from + depth * outs * window],
                )?;
                let products = weights.t().dot(&own);
                for channel in 0..outs {
                    let to = ((sample * self.groups + group) * outs + channel) * made_plane;
                    let to = &mut out[to..to + made_plane];
                    to.fill(
                        bias.as_ref()
                            .and_then(|bias| bias.get(group * outs + channel))
                            .copied()
                            .unwrap_or(0.0),
                    );
                    for (inside, places) in landing.chunks(plane.max(1)).enumerate() {
                        let row = products.row(channel * window + inside);
                        for (&value, place) in row.iter().zip(places) {
                            if let Some(place) = place {
                                to[*place] += value;
                            }
                        }
                    }
                }
            }
        }
        let mut dims = vec![batch, self.groups * outs];
        dims.extend(sizes);
        Ok(vec![made(x.datum_type(), &dims, &out)?])
    }
}

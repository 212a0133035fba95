//! onnxruntime's Attention: the products that make queries, keys and values, and the attention on them. Source: its
//! ContribOperators.md and its kernel for CPUs.

use std::sync::Arc;

use ndarray::{Array2, Array4, ArrayView1, Axis, s, stack};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made, singles};
use super::bias::Bias;
use super::{Rule, at, attend, behind, given, joined, split};

/// Which keys are seen, by onnxruntime's integer masks: how many there are, where they end and begin, or each by a 1.
pub(super) enum Mask {
    Ends(Vec<i64>, Option<Vec<i64>>),
    Keys(Vec<i64>, usize),
    Scores(Vec<i64>, usize, usize),
}

/// A mask, and what is added where it hides a key.
pub(super) struct Filter {
    mask: Mask,
    filter: f32,
}

impl Mask {
    /// The mask in `tensor`, for queries of `length` on `keys`.
    ///
    /// # Errors
    /// Where its dimensions are none that onnxruntime runs on CPUs.
    pub fn of(tensor: &Tensor, batch: usize, length: usize, keys: usize, filter: f32) -> TractResult<Filter> {
        let values = integers(tensor)?;
        let mask = match *tensor.shape() {
            [count] if count == batch => Self::Ends(values, None),
            [count] if count == 2 * batch => {
                let (ends, starts) = values.split_at(batch);
                Self::Ends(ends.to_vec(), Some(starts.to_vec()))
            }
            [rows, own] if rows == batch && own == keys => Self::Keys(values, keys),
            // As if there were none.
            [rows, 1] if rows == batch || rows == 1 => Self::Ends(vec![keys as i64; batch], None),
            [rows, own, columns] if rows == batch && own == length && columns == keys => {
                Self::Scores(values, length, keys)
            }
            _ => bail!(
                "a mask of {:?} for {batch} samples of {length} queries and {keys} keys",
                tensor.shape()
            ),
        };
        Ok(Filter { mask, filter })
    }
}

impl Filter {
    /// What is added to a score.
    pub fn at(&self, sample: usize, query: usize, key: usize) -> f32 {
        let is_seen = match &self.mask {
            Mask::Ends(ends, starts) => {
                let key = key as i64;
                key < ends[sample] && starts.as_ref().is_none_or(|starts| key >= starts[sample])
            }
            Mask::Keys(mask, keys) => mask[sample * keys + key] > 0,
            Mask::Scores(mask, length, keys) => mask[(sample * length + query) * keys + key] > 0,
        };
        if is_seen { 0.0 } else { self.filter }
    }
}

#[derive(Clone, Debug)]
struct Packed {
    heads: usize,
    /// Widths of queries, keys and values, where they are not a third each.
    widths: Option<Vec<usize>>,
    scale: Option<f32>,
    filter: f32,
    is_causal: bool,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let heads = usize::try_from(node.get_attr::<i64>("num_heads")?)?;
    if heads == 0 {
        bail!("Attention without heads");
    }
    for name in ["do_rotary", "past_present_share_buffer"] {
        if node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0 {
            bail!("Attention with {name} is not run");
        }
    }
    let widths: Option<Vec<usize>> = node.get_attr_opt_vec("qkv_hidden_sizes")?;
    Ok(Some(Arc::new(Packed {
        heads,
        widths: widths.filter(|widths| !widths.is_empty()),
        scale: node.get_attr_opt::<f32>("scale")?.filter(|&scale| scale != 0.0),
        filter: node.get_attr_opt("mask_filter_value")?.unwrap_or(-10000.0),
        is_causal: node.get_attr_opt::<i64>("unidirectional")?.unwrap_or(0) != 0,
    })))
}

impl Packed {
    fn widths(&self, all: usize) -> TractResult<[usize; 3]> {
        let widths = match &self.widths {
            Some(widths) => widths.clone(),
            None => vec![all / 3; 3],
        };
        match *widths {
            [q, k, v] if q + k + v == all && widths.iter().all(|width| width.is_multiple_of(self.heads)) => {
                Ok([q, k, v])
            }
            _ => bail!("weights of {all} columns for queries, keys and values of {widths:?}"),
        }
    }
}

impl Kernel for Packed {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(w), ..] = inputs else { bail!("Attention takes values and weights") };
        let (&[batch, length, _], &[_, columns]) = (&x.dims[..], &w.dims[..]) else {
            bail!("values of {:?} and weights of {:?}", x.dims, w.dims)
        };
        let [_, _, width] = self.widths(columns)?;
        let keys = length + given(inputs, 4).and_then(|past| past.dims.get(3)).copied().unwrap_or(0);
        Ok(vec![
            (x.dtype, vec![batch, length, width]),
            (x.dtype, vec![2, batch, self.heads, keys, width / self.heads]),
        ])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), Some(w), ..] = inputs else { bail!("Attention takes values and weights") };
        let (&[batch, length, depth], &[rows, columns]) = (x.shape(), w.shape()) else {
            bail!("values of {:?} and weights of {:?}", x.shape(), w.shape())
        };
        let dtype = x.datum_type();
        let x = Array2::from_shape_vec((batch * length, depth), singles(x)?)?;
        if rows != depth {
            bail!("weights of {rows} rows for values of {depth}");
        }
        let mut products = x.dot(&Array2::from_shape_vec((rows, columns), singles(w)?)?);
        if let Some(bias) = at(inputs, 2).map(singles).transpose()? {
            if bias.len() != columns {
                bail!("a bias of {} elements for {columns} columns", bias.len());
            }
            products += &ArrayView1::from(&bias[..]);
        }
        let widths = self.widths(columns)?;
        let mut start = 0;
        let mut parts = Vec::new();
        for width in widths {
            let part = products.slice(s![.., start..start + width]).iter().copied().collect();
            parts.push(split(part, [batch, self.heads, length, width / self.heads])?);
            start += width;
        }
        let [q, k, v]: [Array4<f32>; 3] = parts.try_into().ok().context("three parts")?;
        let past = at(inputs, 4);
        let old = past.map_or(0, |past| past.shape().get(3).copied().unwrap_or(0));
        let half = |at: usize| -> TractResult<Option<Tensor>> {
            past.map(|past| {
                let mut half = past.slice(0, at, at + 1)?;
                half.remove_axis(0)?;
                Ok(half)
            })
            .transpose()
        };
        let (k, v) = (behind(half(0)?.as_ref(), k)?, behind(half(1)?.as_ref(), v)?);
        let keys = k.dim().2;
        let mask = at(inputs, 3).map(|mask| Mask::of(mask, batch, length, keys, self.filter)).transpose()?;
        let added = at(inputs, 5)
            .map(|added| Bias::of(added, [batch, self.heads, length, keys], false))
            .transpose()?;
        let bias = |place: [usize; 4]| {
            let [sample, _, query, key] = place;
            let hidden = if self.is_causal && key > old + query { f32::NEG_INFINITY } else { 0.0 };
            let masked = mask.as_ref().map_or(0.0, |mask| mask.at(sample, query, key));
            added.as_ref().map_or(0.0, |added| added.at(place)) + (masked + hidden)
        };
        let rule = Rule {
            scale: self.scale.unwrap_or(1.0 / (q.dim().3 as f32).sqrt()),
            softcap: 0.0,
            bias: &bias,
            sinks: None,
            shown: None,
        };
        let (out, _) = attend(&q, &k, &v, &rule)?;
        let mut outputs = vec![made(dtype, &[batch, length, widths[2]], &joined(&out))?];
        if k.dim() == v.dim() {
            let present = stack(Axis(0), &[k.view(), v.view()])?;
            outputs.push(made(dtype, present.shape(), &present.iter().copied().collect::<Vec<_>>())?);
        }
        Ok(outputs)
    }
}

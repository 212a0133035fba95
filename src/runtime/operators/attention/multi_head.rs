//! onnxruntime's MultiHeadAttention. Source: its ContribOperators.md and its kernel for CPUs.

use std::sync::Arc;

use ndarray::Array4;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{made, singles};
use super::bias::Bias;
use super::packed::Mask;
use super::{Rule, at, attend, behind, given, heads_of, joined};

#[derive(Clone, Debug)]
struct MultiHead {
    heads: usize,
    scale: Option<f32>,
    filter: f32,
    is_causal: bool,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let heads = usize::try_from(node.get_attr::<i64>("num_heads")?)?;
    let is_given = |slot: usize| node.input.get(slot).is_some_and(|name| !name.is_empty());
    if let Some(slot) = [8, 9].into_iter().find(|&slot| is_given(slot)) {
        bail!("MultiHeadAttention with input {slot}, of decoding in one buffer, is not run");
    }
    if [1, 2].into_iter().any(|slot| !is_given(slot)) {
        bail!("MultiHeadAttention of packed keys and values is not run");
    }
    if node.output.get(3).is_some_and(|name| !name.is_empty()) {
        bail!("MultiHeadAttention that shows its scores is not run");
    }
    if heads == 0 {
        bail!("MultiHeadAttention without heads");
    }
    Ok(Some(Arc::new(MultiHead {
        heads,
        scale: node.get_attr_opt::<f32>("scale")?.filter(|&scale| scale != 0.0),
        filter: node.get_attr_opt("mask_filter_value")?.unwrap_or(-10000.0),
        is_causal: node.get_attr_opt::<i64>("unidirectional")?.unwrap_or(0) != 0,
    })))
}

impl MultiHead {
    /// Dimensions of queries, keys and values by head, without those of the past.
    fn dims(&self, q: &[usize], k: Option<&[usize]>, v: Option<&[usize]>) -> TractResult<[[usize; 4]; 3]> {
        let heads = self.heads;
        Ok(match (q, k, v) {
            (&[batch, length, width], Some(k), Some(v)) => {
                let (k, v) = (super::by_head(k, heads)?, super::by_head(v, heads)?);
                [[batch, heads, length, width / heads], k, v]
            }
            // Nor does onnxruntime run packed ones on CPUs.
            _ => bail!("a query of {q:?} with a key of {k:?} and a value of {v:?}"),
        })
    }

    /// Queries, keys and values by head.
    fn parts(&self, inputs: &[Option<&Tensor>]) -> TractResult<[Array4<f32>; 3]> {
        let q = at(inputs, 0).context("MultiHeadAttention takes a query")?;
        let k = at(inputs, 1).context("MultiHeadAttention takes a key")?;
        let v = at(inputs, 2).context("MultiHeadAttention takes a value")?;
        let mut made = [heads_of(q, self.heads)?, heads_of(k, self.heads)?, heads_of(v, self.heads)?];
        if let Some(bias) = at(inputs, 3).map(singles).transpose()? {
            let mut rest = bias.as_slice();
            for part in &mut made {
                let (_, heads, _, size) = part.dim();
                let (own, behind) =
                    rest.split_at_checked(heads * size).context("a bias of too few elements")?;
                let own = ndarray::ArrayView4::from_shape((1, heads, 1, size), own)?;
                *part += &own;
                rest = behind;
            }
        }
        Ok(made)
    }
}

impl Kernel for MultiHead {
    fn name(&self) -> &'static str {
        "MultiHeadAttention"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let q = given(inputs, 0).context("MultiHeadAttention takes a query")?;
        let dims = |slot: usize| given(inputs, slot).map(|known| &known.dims[..]);
        let [[batch, heads, length, size], [_, _, new, _], [_, _, _, width]] =
            self.dims(&q.dims, dims(1), dims(2))?;
        if self.is_causal && new != length {
            // There onnxruntime lets the last query see all keys.
            bail!("MultiHeadAttention with unidirectional, of {length} queries on {new} keys, is not run");
        }
        let keys = new + dims(6).and_then(|past| past.get(2)).copied().unwrap_or(0);
        Ok(vec![
            (q.dtype, vec![batch, length, heads * width]),
            (q.dtype, vec![batch, heads, keys, size]),
            (q.dtype, vec![batch, heads, keys, width]),
        ])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let dtype = at(inputs, 0).context("MultiHeadAttention takes a query")?.datum_type();
        let [q, k, v] = self.parts(inputs)?;
        let (k, v) = (behind(at(inputs, 6), k)?, behind(at(inputs, 7), v)?);
        let ((batch, heads, length, size), keys) = (q.dim(), k.dim().2);
        let past = at(inputs, 6).map_or(0, |past| past.shape()[2]);
        let mask = at(inputs, 4).map(|mask| Mask::of(mask, batch, length, keys, self.filter)).transpose()?;
        let added =
            at(inputs, 5).map(|added| Bias::of(added, [batch, heads, length, keys], false)).transpose()?;
        let bias = |place: [usize; 4]| {
            let [sample, _, query, key] = place;
            let hidden = if self.is_causal && key > past + query { f32::NEG_INFINITY } else { 0.0 };
            let masked = mask.as_ref().map_or(0.0, |mask| mask.at(sample, query, key));
            added.as_ref().map_or(0.0, |added| added.at(place)) + (masked + hidden)
        };
        let rule = Rule {
            scale: self.scale.unwrap_or(1.0 / (size as f32).sqrt()),
            softcap: 0.0,
            bias: &bias,
            sinks: None,
            shown: None,
        };
        let (out, _) = attend(&q, &k, &v, &rule)?;
        let width = out.dim().3;
        let tensor =
            |values: &Array4<f32>| made(dtype, values.shape(), &values.iter().copied().collect::<Vec<_>>());
        Ok(vec![made(dtype, &[batch, length, heads * width], &joined(&out))?, tensor(&k)?, tensor(&v)?])
    }
}

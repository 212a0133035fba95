//! Attention of the standard. Source: the ONNX operators Attention-23 to -25.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made};
use super::bias::Bias;
use super::{Rule, Stage, at, attend, behind, by_head, given, heads_of, joined};

#[derive(Clone, Debug)]
struct Attention {
    query_heads: usize,
    key_heads: usize,
    scale: Option<f32>,
    softcap: f32,
    is_causal: bool,
    stage: Stage,
    shows: bool,
    /// Keys before and behind a query that it sees.
    window: [Option<i64>; 2],
    opset: i64,
}

pub(in super::super) fn choose(node: &NodeProto, opset: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let number = |name: &str| -> TractResult<Option<i64>> { node.get_attr_opt::<i64>(name) };
    let size = |name: &str| -> TractResult<usize> { Ok(usize::try_from(number(name)?.unwrap_or(0))?) };
    let stage = match number("qk_matmul_output_mode")?.unwrap_or(0) {
        0 => Stage::Products,
        1 => Stage::Capped,
        2 => Stage::Biased,
        3 => Stage::Weights,
        other => bail!("qk_matmul_output_mode {other} is not known"),
    };
    let side = |name: &str| -> TractResult<Option<i64>> { Ok(number(name)?.filter(|&width| width >= 0)) };
    Ok(Some(Arc::new(Attention {
        query_heads: size("q_num_heads")?,
        key_heads: size("kv_num_heads")?,
        scale: node.get_attr_opt("scale")?,
        softcap: node.get_attr_opt("softcap")?.unwrap_or(0.0),
        is_causal: number("is_causal")?.unwrap_or(0) != 0,
        stage,
        shows: node.output.get(3).is_some_and(|name| !name.is_empty()),
        window: [side("left_window_size")?, side("right_window_size")?],
        opset,
    })))
}

impl Kernel for Attention {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(q), Some(k), Some(v), ..] = inputs else { bail!("Attention takes Q, K and V") };
        let [batch, heads, length, _] = by_head(&q.dims, self.query_heads)?;
        let ([_, few, new, size], [_, _, _, width]) =
            (by_head(&k.dims, self.key_heads)?, by_head(&v.dims, self.key_heads)?);
        let keys = new + given(inputs, 4).and_then(|past| past.dims.get(2)).copied().unwrap_or(0);
        let out = match q.dims.len() {
            3 => vec![batch, length, heads * width],
            _ => vec![batch, heads, length, width],
        };
        Ok(vec![
            (q.dtype, out),
            (k.dtype, vec![batch, few, keys, size]),
            (v.dtype, vec![batch, few, keys, width]),
            (q.dtype, vec![batch, heads, length, keys]),
        ])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(q), Some(k), Some(v), ..] = inputs else { bail!("Attention takes Q, K and V") };
        let (dtype, is_flat) = (q.datum_type(), q.rank() == 3);
        let (key_type, value_type) = (k.datum_type(), v.datum_type());
        let q = heads_of(q, self.query_heads)?;
        let past = at(inputs, 4).map_or(0, |past| past.shape().get(2).copied().unwrap_or(0));
        let k = behind(at(inputs, 4), heads_of(k, self.key_heads)?)?;
        let v = behind(at(inputs, 5), heads_of(v, self.key_heads)?)?;
        let (batch, heads, length, size) = q.dim();
        let keys = k.dim().2;
        let mask = at(inputs, 3)
            .map(|mask| Bias::of(mask, [batch, heads, length, keys], self.opset >= 24))
            .transpose()?;
        let ends = at(inputs, 6).map(integers).transpose()?;
        if ends.as_ref().is_some_and(|ends| ends.len() != batch) {
            bail!("nonpad_kv_seqlen has other than one length for each of {batch} samples");
        }
        let bias = |place: [usize; 4]| {
            let [sample, _, query, key] = place.map(|at| at as i64);
            let end = ends.as_ref().map(|ends| ends[sample as usize]);
            // How many keys stand before the first query.
            let first = match end {
                Some(end) if past == 0 => end - length as i64,
                _ => past as i64,
            };
            let ahead = key - (query + first);
            let [left, right] = self.window;
            let is_hidden = self.is_causal && ahead > 0
                || left.is_some_and(|left| -ahead > left)
                || right.is_some_and(|right| ahead > right)
                || end.is_some_and(|end| key >= end);
            match is_hidden {
                true => f32::NEG_INFINITY,
                false => mask.as_ref().map_or(0.0, |mask| mask.at(place)),
            }
        };
        let rule = Rule {
            scale: self.scale.unwrap_or(1.0 / (size as f32).sqrt()),
            softcap: self.softcap,
            bias: &bias,
            sinks: None,
            shown: Some(self.stage).filter(|_| self.shows),
        };
        let (out, shown) = attend(&q, &k, &v, &rule)?;
        let dims = |values: &ndarray::Array4<f32>| values.shape().to_vec();
        let first = match is_flat {
            true => made(dtype, &[batch, length, heads * out.dim().3], &joined(&out))?,
            false => made(dtype, &dims(&out), &out.iter().copied().collect::<Vec<_>>())?,
        };
        let mut outputs = vec![
            first,
            made(key_type, &dims(&k), &k.iter().copied().collect::<Vec<_>>())?,
            made(value_type, &dims(&v), &v.iter().copied().collect::<Vec<_>>())?,
        ];
        if let Some(shown) = shown {
            outputs.push(made(dtype, &dims(&shown), &shown.iter().copied().collect::<Vec<_>>())?);
        }
        Ok(outputs)
    }
}

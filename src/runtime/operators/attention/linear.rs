//! Attention in steps of a state, and the convolution that stands before it. Source: the ONNX operators LinearAttention-27 and
//! CausalConvWithState-27.

use std::sync::Arc;

use ndarray::{Array2, Array4, s};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{made, singles};
use super::{at, by_head, cache, given, heads_of, joined};

#[derive(Clone, Debug)]
struct Linear {
    heads: usize,
    few: usize,
    scale: Option<f32>,
    /// Whether the state fades, and whether what it already gives for a key is taken from the value.
    fades: bool,
    corrects: bool,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let size = |name: &str| -> TractResult<usize> { Ok(usize::try_from(node.get_attr::<i64>(name)?)?) };
    let (heads, few) = (size("q_num_heads")?, size("kv_num_heads")?);
    if few == 0 || !heads.is_multiple_of(few) {
        bail!("LinearAttention of {heads} heads on {few}");
    }
    let (fades, corrects) = match node.get_attr_opt::<&str>("update_rule")?.unwrap_or("gated_delta") {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => bail!("update_rule {other} is not known"),
    };
    let scale = node.get_attr_opt::<f32>("scale")?.filter(|&scale| scale != 0.0);
    Ok(Some(Arc::new(Linear { heads, few, scale, fades, corrects })))
}

impl Kernel for Linear {
    fn name(&self) -> &'static str {
        "LinearAttention"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(q), Some(_), Some(v), ..] = inputs else { bail!("LinearAttention takes three inputs") };
        let [batch, _, length, size] = by_head(&q.dims, self.heads)?;
        let [_, _, _, width] = by_head(&v.dims, self.few)?;
        let state = given(inputs, 3).map_or(q.dtype, |state| state.dtype);
        Ok(vec![
            (q.dtype, vec![batch, length, self.heads * width]),
            (state, vec![batch, self.few, size, width]),
        ])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(q), Some(k), Some(v), ..] = inputs else { bail!("LinearAttention takes three inputs") };
        let (dtype, state_type) = (q.datum_type(), at(inputs, 3).map_or(q.datum_type(), Tensor::datum_type));
        let (q, k, v) = (heads_of(q, self.heads)?, heads_of(k, self.few)?, heads_of(v, self.few)?);
        let ((batch, heads, length, size), width) = (q.dim(), v.dim().3);
        if k.dim() != (batch, self.few, length, size) || v.dim() != (batch, self.few, length, width) {
            bail!("queries of {:?}, keys of {:?} and values of {:?}", q.dim(), k.dim(), v.dim());
        }
        let steps = |slot: usize| at(inputs, slot).map(|steps| heads_of(steps, 1)).transpose();
        // [batch, 1, length, heads], or heads of as many elements as a key has; one for all heads.
        let (decay, beta) = (steps(4)?, steps(5)?);
        if decay.is_some() != self.fades || beta.is_some() != self.corrects {
            bail!("decay and beta are there as update_rule asks for them");
        }
        let of = |steps: &Option<Array4<f32>>, place: [usize; 4]| -> f32 {
            let Some(steps) = steps else { return 0.0 };
            let [sample, head, step, at] = place;
            let columns = steps.dim().3;
            let column = match columns {
                1 => 0,
                _ if columns == self.few => head,
                _ => head * size + at,
            };
            steps[[sample, 0, step, column]]
        };
        let fits = |steps: &Option<Array4<f32>>, wide: usize| {
            steps.as_ref().is_none_or(|steps| {
                let (own, _, own_length, columns) = steps.dim();
                own == batch && own_length == length && (columns == self.few || columns == wide)
            })
        };
        if !fits(&decay, self.few * size) || !fits(&beta, 1) {
            bail!("decay or beta of other dimensions");
        }
        let mut states = match at(inputs, 3) {
            Some(state) => cache(state)?,
            None => Array4::zeros((batch, self.few, size, width)),
        };
        if states.dim() != (batch, self.few, size, width) {
            bail!("a state of {:?}", states.dim());
        }
        let scale = self.scale.unwrap_or(1.0 / (size as f32).sqrt());
        let mut out = Array4::zeros((batch, heads, length, width));
        for sample in 0..batch {
            for head in 0..self.few {
                let mut state: Array2<f32> = states.slice(s![sample, head, .., ..]).to_owned();
                for step in 0..length {
                    let key = k.slice(s![sample, head, step, ..]);
                    let mut value = v.slice(s![sample, head, step, ..]).to_owned();
                    if self.fades {
                        for (at, mut row) in state.outer_iter_mut().enumerate() {
                            row *= of(&decay, [sample, head, step, at]).exp();
                        }
                    }
                    if self.corrects {
                        value -= &key.dot(&state);
                        value *= of(&beta, [sample, head, step, 0]);
                    }
                    for (mut row, &key) in state.outer_iter_mut().zip(&key) {
                        row.scaled_add(key, &value);
                    }
                    let group = heads / self.few;
                    for query in head * group..(head + 1) * group {
                        let mut read = q.slice(s![sample, query, step, ..]).dot(&state);
                        read *= scale;
                        out.slice_mut(s![sample, query, step, ..]).assign(&read);
                    }
                }
                states.slice_mut(s![sample, head, .., ..]).assign(&state);
            }
        }
        let states_dims = states.shape().to_vec();
        Ok(vec![
            made(dtype, &[batch, length, heads * width], &joined(&out))?,
            made(state_type, &states_dims, &states.iter().copied().collect::<Vec<_>>())?,
        ])
    }
}

#[derive(Clone, Debug)]
struct CausalConv {
    is_swish: bool,
}

pub(in super::super) fn choose_conv(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_swish = match node.get_attr_opt::<&str>("activation")?.unwrap_or("none") {
        "none" => false,
        "silu" | "swish" => true,
        other => bail!("activation {other} is not known"),
    };
    Ok(Some(Arc::new(CausalConv { is_swish })))
}

impl Kernel for CausalConv {
    fn name(&self) -> &'static str {
        "CausalConvWithState"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(w), ..] = inputs else { bail!("CausalConvWithState takes two inputs") };
        match (&x.dims[..], &w.dims[..]) {
            (&[batch, channels, _], &[own, 1, size]) if own == channels && size > 0 => {
                Ok(vec![(x.dtype, x.dims.clone()), (x.dtype, vec![batch, channels, size - 1])])
            }
            _ => bail!("values of {:?} and weights of {:?}", x.dims, w.dims),
        }
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), Some(w), ..] = inputs else { bail!("CausalConvWithState takes two inputs") };
        let (&[batch, channels, length], &[_, _, size]) = (x.shape(), w.shape()) else {
            bail!("values of {:?} and weights of {:?}", x.shape(), w.shape())
        };
        let (dtype, dims) = (x.datum_type(), x.shape().to_vec());
        let (x, w) = (singles(x)?, singles(w)?);
        let bias = at(inputs, 2).map(singles).transpose()?;
        let past = at(inputs, 3).map(singles).transpose()?;
        let before = size - 1;
        let fits = past.as_ref().is_none_or(|past| past.len() == batch * channels * before)
            && bias.as_ref().is_none_or(|bias| bias.len() == channels);
        if !fits {
            bail!("a state or bias that does not fit values of {dims:?}");
        }
        let (mut out, mut state): (Vec<f32>, Vec<f32>) = (Vec::with_capacity(x.len()), Vec::new());
        for row in 0..batch * channels {
            let channel = row % channels;
            let mut padded = match &past {
                Some(past) => past[row * before..(row + 1) * before].to_vec(),
                None => vec![0.0; before],
            };
            padded.extend(&x[row * length..(row + 1) * length]);
            for window in padded.windows(size) {
                let own = &w[channel * size..(channel + 1) * size];
                let sum: f64 = window.iter().zip(own).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                let sum = sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[channel]));
                let sum = if self.is_swish { sum / (1.0 + (-sum).exp()) } else { sum };
                out.push(sum as f32);
            }
            state.extend(&padded[length..]);
        }
        Ok(vec![made(dtype, &dims, &out)?, made(dtype, &[batch, channels, before], &state)?])
    }
}

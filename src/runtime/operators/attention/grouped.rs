//! onnxruntime's GroupQueryAttention. Source: its ContribOperators.md and its kernel for CPUs.

use std::sync::Arc;

use ndarray::{Array4, s};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made, singles};
use super::bias::Bias;
use super::rotary::Angles;
use super::{Rule, Stage, at, attend, cache, given, heads_of, joined, split};

#[derive(Clone, Debug)]
struct Grouped {
    heads: usize,
    few: usize,
    scale: Option<f32>,
    softcap: f32,
    /// How many keys a query sees, itself included.
    window: Option<usize>,
    turns: bool,
    is_interleaved: bool,
    is_smooth: bool,
    shown: Option<Stage>,
}

/// Input slots.
const PAST: [usize; 2] = [3, 4];
const LAST: usize = 5;
const TOTAL: usize = 6;
const ANGLES: [usize; 2] = [7, 8];
const PLACES: usize = 9;
const ADDED: usize = 10;
const SINKS: usize = 11;

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let number = |name: &str| -> TractResult<i64> { Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0)) };
    let (heads, few) = (number("num_heads")?, number("kv_num_heads")?);
    if heads <= 0 || few <= 0 || heads % few != 0 {
        bail!("GroupQueryAttention of {heads} heads on {few}");
    }
    for name in ["k_quant_type", "v_quant_type"] {
        if node.get_attr_opt::<&str>(name)?.is_some_and(|kind| kind != "NONE") {
            bail!("GroupQueryAttention with {name} is not run");
        }
    }
    for name in ["kv_cache_bit_width", "sliding_window_cache"] {
        if number(name)? != 0 {
            bail!("GroupQueryAttention with {name} is not run");
        }
    }
    if let Some(slot) = (SINKS + 1..node.input.len()).find(|&slot| !node.input[slot].is_empty()) {
        bail!("GroupQueryAttention with input {slot} is not run");
    }
    if node.get_attr_opt::<i64>("causal")?.is_some_and(|causal| causal != 1) {
        bail!("GroupQueryAttention that is not causal is not run");
    }
    let shows = node.output.get(3).is_some_and(|name| !name.is_empty());
    let shown = match number("qk_output")? {
        _ if !shows => None,
        1 => Some(Stage::Biased),
        2 => Some(Stage::Weights),
        other => bail!("GroupQueryAttention that shows its scores with qk_output {other}"),
    };
    Ok(Some(Arc::new(Grouped {
        heads: heads as usize,
        few: few as usize,
        scale: node.get_attr_opt::<f32>("scale")?.filter(|&scale| scale != 0.0),
        softcap: node.get_attr_opt("softcap")?.unwrap_or(0.0),
        window: node.get_attr_opt::<i64>("local_window_size")?.and_then(|size| usize::try_from(size).ok()),
        turns: number("do_rotary")? != 0,
        is_interleaved: number("rotary_interleaved")? != 0,
        is_smooth: number("smooth_softmax")? != 0,
        shown,
    })))
}

impl Grouped {
    /// Batch, length and size of a head of `query`, which holds keys and values too where there is no `key`.
    fn sizes(&self, query: &[usize], is_packed: bool) -> TractResult<[usize; 3]> {
        let heads = if is_packed { self.heads + 2 * self.few } else { self.heads };
        match *query {
            [batch, length, width] if width.is_multiple_of(heads) => Ok([batch, length, width / heads]),
            _ => bail!("a query of {query:?} with {heads} heads"),
        }
    }

    fn parts(&self, inputs: &[Option<&Tensor>]) -> TractResult<[Array4<f32>; 3]> {
        let query = at(inputs, 0).context("GroupQueryAttention takes a query")?;
        if let (Some(key), Some(value)) = (at(inputs, 1), at(inputs, 2)) {
            return Ok([heads_of(query, self.heads)?, heads_of(key, self.few)?, heads_of(value, self.few)?]);
        }
        let [batch, length, size] = self.sizes(query.shape(), true)?;
        let all = split(singles(query)?, [batch, self.heads + 2 * self.few, length, size])?;
        let (first, second) = (self.heads, self.heads + self.few);
        let part = |from: usize, to: usize| all.slice(s![.., from..to, .., ..]).to_owned();
        Ok([part(0, first), part(first, second), part(second, second + self.few)])
    }
}

/// `new` written into `past` from the place that each sample has filled, in a cache of `length`.
fn renewed(
    past: Option<&Tensor>,
    new: &Array4<f32>,
    filled: &[usize],
    length: usize,
) -> TractResult<Array4<f32>> {
    let (batch, heads, steps, size) = new.dim();
    let mut made = Array4::zeros((batch, heads, length, size));
    let past = past.map(cache).transpose()?;
    for (sample, &filled) in filled.iter().enumerate() {
        if let Some(past) = past.as_ref().filter(|_| filled > 0) {
            if past.dim().2 < filled {
                bail!("a cache of {} holds no {filled} keys", past.dim().2);
            }
            made.slice_mut(s![sample, .., ..filled, ..]).assign(&past.slice(s![sample, .., ..filled, ..]));
        }
        if filled + steps > length {
            bail!("{filled} keys and {steps} new ones in a cache of {length}");
        }
        made.slice_mut(s![sample, .., filled..filled + steps, ..]).assign(&new.slice(s![sample, .., .., ..]));
    }
    Ok(made)
}

impl Kernel for Grouped {
    fn name(&self) -> &'static str {
        "GroupQueryAttention"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let query = given(inputs, 0).context("GroupQueryAttention takes a query")?;
        let [batch, length, size] = self.sizes(&query.dims, given(inputs, 1).is_none())?;
        let past = given(inputs, PAST[0]).and_then(|past| past.dims.get(2)).copied().unwrap_or(0);
        let total = given(inputs, TOTAL).and_then(|total| total.value.as_deref());
        let keys = match total.map(integers).transpose()?.as_deref() {
            Some(&[total]) => past.max(usize::try_from(total)?),
            _ => past + length,
        };
        let present = vec![batch, self.few, keys, size];
        Ok(vec![
            (query.dtype, vec![batch, length, self.heads * size]),
            (query.dtype, present.clone()),
            (query.dtype, present),
            (query.dtype, vec![batch, self.heads, length, keys]),
        ])
    }

    fn open(&self, inputs: &[Option<Known>]) -> Vec<(usize, usize)> {
        match given(inputs, TOTAL).is_some_and(|total| total.value.is_some()) {
            true => Vec::new(),
            // The length of the cache is the total, which may be known only while the node runs.
            false => vec![(1, 2), (2, 2), (3, 3)],
        }
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [mut q, mut k, v] = self.parts(inputs)?;
        let dtype = at(inputs, 0).map_or(DatumType::F32, Tensor::datum_type);
        let (batch, heads, length, size) = q.dim();
        let needed = |slot: usize| at(inputs, slot).with_context(|| format!("input {slot} is missing"));
        let last = integers(needed(LAST)?)?;
        let total = integers(needed(TOTAL)?)?;
        let &[total] = &total[..] else { bail!("total_sequence_length is one number") };
        let total = usize::try_from(total)?;
        if last.len() != batch {
            bail!("seqlens_k has {} lengths for {batch} samples", last.len());
        }
        let is_first = length == total;
        // Keys that each sample has after this call, and before it.
        let mut filled = Vec::with_capacity(batch);
        for &last in &last {
            let own = usize::try_from(last + 1)?;
            let before = if is_first { Some(0) } else { own.checked_sub(length) };
            let before = before.with_context(|| format!("{length} new keys of {own}"))?;
            filled.push((own, before));
        }
        if self.turns {
            let angles = Angles::of(needed(ANGLES[0])?, needed(ANGLES[1])?)?;
            let places = at(inputs, PLACES).map(integers).transpose()?;
            let first = places.as_ref().and_then(|places| places.first()).copied();
            // onnxruntime reads the first alone.
            if let (Some(first), Some(places)) = (first, &places)
                && !places.iter().enumerate().all(|(at, &place)| place == first + (at % length.max(1)) as i64)
            {
                bail!("position_ids {places:?} do not count up from the first in each sample");
            }
            let row = |sample: usize, place: usize| -> TractResult<usize> {
                if let Some(first) = first {
                    return Ok(usize::try_from(first)? + place);
                }
                let (own, before) = filled[sample];
                // Padding behind a prompt has some position.
                Ok(if is_first && place >= own { 1 } else { before + place })
            };
            angles.turn(&mut q, self.is_interleaved, row)?;
            angles.turn(&mut k, self.is_interleaved, row)?;
        }
        let before: Vec<usize> = filled.iter().map(|&(_, before)| before).collect();
        let past = at(inputs, PAST[0]).map_or(0, |past| past.shape().get(2).copied().unwrap_or(0));
        let keys = past.max(total);
        let k = renewed(at(inputs, PAST[0]), &k, &before, keys)?;
        let v = renewed(at(inputs, PAST[1]), &v, &before, keys)?;
        let added = at(inputs, ADDED)
            .map(|added| {
                // It may be as long as the total, which the cache need not be.
                Bias::of(added, [batch, heads, length, keys], true)
            })
            .transpose()?;
        let bias = |place: [usize; 4]| {
            let [sample, _, query, key] = place;
            let end = filled[sample].1 + query + 1;
            let is_seen = key < end && self.window.is_none_or(|window| window == 0 || key + window >= end);
            match is_seen {
                true => added.as_ref().map_or(0.0, |added| added.at(place)),
                false => f32::NEG_INFINITY,
            }
        };
        let sinks = match at(inputs, SINKS).map(singles).transpose()? {
            Some(sinks) if sinks.len() != heads => bail!("{} sinks for {heads} heads", sinks.len()),
            None if self.is_smooth => Some(vec![0.0; heads]),
            sinks => sinks,
        };
        let rule = Rule {
            scale: self.scale.unwrap_or(1.0 / (size as f32).sqrt()),
            softcap: self.softcap,
            bias: &bias,
            sinks,
            shown: self.shown,
        };
        let (out, mut shown) = attend(&q, &k, &v, &rule)?;
        if let Some(shown) = &mut shown {
            shown.mapv_inplace(|score| if score == f32::NEG_INFINITY { 0.0 } else { score });
        }
        let tensor =
            |values: &Array4<f32>| made(dtype, values.shape(), &values.iter().copied().collect::<Vec<_>>());
        let mut outputs =
            vec![made(dtype, &[batch, length, heads * size], &joined(&out))?, tensor(&k)?, tensor(&v)?];
        if let Some(shown) = shown {
            outputs.push(tensor(&shown)?);
        }
        Ok(outputs)
    }
}

//! Attention as ONNX and onnxruntime define it: what all its forms have in common.

mod bias;
mod grouped;
mod linear;
mod multi_head;
mod packed;
mod rotary;
mod scatter;
mod standard;

use ndarray::{Array2, Array4, Axis, concatenate, s};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::Known;
use super::numbers::singles;

pub(super) use grouped::choose as grouped;
pub(super) use linear::{choose as linear, choose_conv as causal_conv};
pub(super) use multi_head::choose as multi_head;
pub(super) use packed::choose as packed;
pub(super) use rotary::{choose as rotary, choose_microsoft as rotary_microsoft};
pub(super) use scatter::choose as scatter;
pub(super) use standard::choose as standard;

/// The input in `slot`, where one is given.
fn given(inputs: &[Option<Known>], slot: usize) -> Option<&Known> {
    inputs.get(slot).and_then(Option::as_ref)
}

/// The tensor in `slot`, where one is given.
fn at<'t>(inputs: &[Option<&'t Tensor>], slot: usize) -> Option<&'t Tensor> {
    inputs.get(slot).copied().flatten()
}

/// Values of dimensions [batch, length, heads x size] or [batch, heads, length, size]: the latter dimensions.
fn by_head(dims: &[usize], heads: usize) -> TractResult<[usize; 4]> {
    match *dims {
        [batch, heads, length, size] => Ok([batch, heads, length, size]),
        [batch, length, width] if heads > 0 && width.is_multiple_of(heads) => {
            Ok([batch, heads, length, width / heads])
        }
        _ => bail!("values of {dims:?} with {heads} heads"),
    }
}

/// `values` of [batch, length, heads x size], which are `dims` by head, as [batch, heads, length, size].
fn split(values: Vec<f32>, [batch, heads, length, size]: [usize; 4]) -> TractResult<Array4<f32>> {
    let rows = Array4::from_shape_vec((batch, length, heads, size), values)?;
    Ok(rows.permuted_axes([0, 2, 1, 3]).as_standard_layout().into_owned())
}

/// A tensor of three or four axes by head.
fn heads_of(tensor: &Tensor, heads: usize) -> TractResult<Array4<f32>> {
    let dims = by_head(tensor.shape(), heads)?;
    match tensor.rank() {
        3 => split(singles(tensor)?, dims),
        _ => cache(tensor),
    }
}

/// A tensor of four axes as it is.
fn cache(tensor: &Tensor) -> TractResult<Array4<f32>> {
    let [batch, heads, length, size] = *tensor.shape() else {
        bail!("a cache of {:?} should have four axes", tensor.shape())
    };
    Ok(Array4::from_shape_vec((batch, heads, length, size), singles(tensor)?)?)
}

/// Values by head in the order [batch, length, heads x size].
fn joined(values: &Array4<f32>) -> Vec<f32> {
    values.view().permuted_axes([0, 2, 1, 3]).iter().copied().collect()
}

/// `new` behind `past`.
fn behind(past: Option<&Tensor>, new: Array4<f32>) -> TractResult<Array4<f32>> {
    match past {
        Some(past) => Ok(concatenate(Axis(2), &[cache(past)?.view(), new.view()])?),
        None => Ok(new),
    }
}

/// What an extra output shows of the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Scaled products.
    Products,
    /// Bounded.
    Capped,
    /// With what is added to them.
    Biased,
    /// After Softmax.
    Weights,
}

/// From products of queries and keys to weights of values.
struct Rule<'r> {
    scale: f32,
    /// Scores are bounded smoothly by this; 0 for none.
    softcap: f32,
    /// What is added to the score of [batch, head, query, key]; minus infinity where a key is not seen.
    bias: &'r dyn Fn([usize; 4]) -> f32,
    /// For each head a score that takes part in Softmax without a value.
    sinks: Option<Vec<f32>>,
    shown: Option<Stage>,
}

/// Attention of `q` on `k` and `v`, all [batch, heads, length, size]: several heads of `q` may share one of `k` and `v`. Gives what is
/// attended to and the stage to show. A query that sees no key gives zeros.
fn attend(
    q: &Array4<f32>,
    k: &Array4<f32>,
    v: &Array4<f32>,
    rule: &Rule<'_>,
) -> TractResult<(Array4<f32>, Option<Array4<f32>>)> {
    let ((batch, heads, length, size), (_, few, keys, inner), (_, values, _, width)) =
        (q.dim(), k.dim(), v.dim());
    let fits = size == inner && few == values && few > 0 && heads.is_multiple_of(few);
    if !fits || k.dim().0 != batch || v.dim().0 != batch || v.dim().2 != keys {
        bail!(
            "queries of {:?}, keys of {:?} and values of {:?} do not fit together",
            q.dim(),
            k.dim(),
            v.dim()
        );
    }
    let mut made = Array4::zeros((batch, heads, length, width));
    let mut shown = rule.shown.map(|_| Array4::zeros((batch, heads, length, keys)));
    for sample in 0..batch {
        for head in 0..heads {
            let shared = head / (heads / few);
            let place = s![sample, head, .., ..];
            let mut scores: Array2<f32> = q.slice(place).dot(&k.slice(s![sample, shared, .., ..]).t());
            scores *= rule.scale;
            let mut show = |stage: Stage, scores: &Array2<f32>| {
                if let Some(shown) = shown.as_mut().filter(|_| rule.shown == Some(stage)) {
                    shown.slice_mut(place).assign(scores);
                }
            };
            show(Stage::Products, &scores);
            if rule.softcap > 0.0 {
                scores.mapv_inplace(|score| (score / rule.softcap).tanh() * rule.softcap);
            }
            show(Stage::Capped, &scores);
            // Decided by what is added alone: a product may be infinite itself.
            let mut sees = vec![false; length];
            for ((query, key), score) in scores.indexed_iter_mut() {
                let added = (rule.bias)([sample, head, query, key]);
                sees[query] |= added != f32::NEG_INFINITY;
                *score += added;
            }
            show(Stage::Biased, &scores);
            let sink = rule.sinks.as_ref().map(|sinks| sinks[head]);
            for (mut row, sees) in scores.outer_iter_mut().zip(sees) {
                match sees {
                    true => softmax(row.as_slice_mut().context("rows lie together")?, sink),
                    false => row.fill(0.0),
                }
            }
            show(Stage::Weights, &scores);
            made.slice_mut(place).assign(&scores.dot(&v.slice(s![sample, shared, .., ..])));
        }
    }
    Ok((made, shown))
}

/// Softmax of `row` in place; `sink` is one more score that keeps its share.
fn softmax(row: &mut [f32], sink: Option<f32>) {
    let largest = row.iter().copied().chain(sink).fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = row.iter().map(|&score| f64::from(score)).sum();
    let sum = sum + sink.map_or(0.0, |sink| f64::from((sink - largest).exp()));
    row.iter_mut().for_each(|score| *score = (f64::from(*score) / sum) as f32);
}

//! Positions of elements: what moves values without computing.

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use crate::onnx::axis_of;

/// For each axis of a tensor of `dims`, how many elements a step along it passes.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at] * dims[at];
    }
    strides
}

/// Calls `see` with the coordinates of each element of a tensor of `dims`, in row-major order.
pub(super) fn each(dims: &[usize], mut see: impl FnMut(&[usize])) {
    let count: usize = dims.iter().product();
    let mut place = vec![0; dims.len()];
    for _ in 0..count {
        see(&place);
        for at in (0..dims.len()).rev() {
            place[at] += 1;
            if place[at] < dims[at] {
                break;
            }
            place[at] = 0;
        }
    }
}

/// The dimensions that two inputs have together, by ONNX's multidirectional broadcasting.
///
/// # Errors
/// Where the dimensions do not fit.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> TractResult<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |dims: &[usize], at: usize| (at + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    (0..rank)
        .map(|at| match (dim(a, at), dim(b, at)) {
            (one, other) if one == other || other == 1 => Ok(one),
            (1, other) => Ok(other),
            _ => bail!("{a:?} and {b:?} cannot be broadcast together"),
        })
        .collect()
}

/// Where each element of a tensor of `dims` is found in one of `own` that is broadcast to it.
pub(super) fn spread(own: &[usize], dims: &[usize]) -> Vec<usize> {
    let steps = strides(own);
    let lead = dims.len() - own.len();
    let steps: Vec<usize> = (0..dims.len())
        .map(|at| if at < lead || own[at - lead] == 1 { 0 } else { steps[at - lead] })
        .collect();
    let mut found = Vec::with_capacity(dims.iter().product());
    each(dims, |place| found.push(place.iter().zip(&steps).map(|(at, step)| at * step).sum()));
    found
}

/// A tensor of `dims` whose elements are those of `tensor` where `source` says, given their coordinates, and `fill` or zero where it
/// says nothing.
pub(super) fn moved(
    tensor: &Tensor,
    dims: &[usize],
    source: &dyn Fn(&[usize]) -> Option<usize>,
    fill: Option<&Tensor>,
) -> TractResult<Tensor> {
    dispatch_copy!(moved_of(tensor.datum_type())(tensor, dims, source, fill))
}

fn moved_of<T: Datum + Copy + Default>(
    tensor: &Tensor,
    dims: &[usize],
    source: &dyn Fn(&[usize]) -> Option<usize>,
    fill: Option<&Tensor>,
) -> TractResult<Tensor> {
    let filled = match fill {
        Some(fill) => fill.try_as_plain_ram()?.as_slice::<T>()?.first().copied().unwrap_or_default(),
        None => T::default(),
    };
    let plain = tensor.try_as_plain_ram()?;
    let values = plain.as_slice::<T>()?;
    let mut out: Vec<T> = Vec::with_capacity(dims.iter().product());
    each(dims, |place| out.push(source(place).map_or(filled, |at| values[at])));
    Tensor::from_shape(dims, &out)
}

/// The axis that `axis`, which may count from the end, means in a tensor of `rank`.
///
/// # Errors
/// Where there is no such axis.
pub(super) fn axis(axis: i64, rank: usize) -> TractResult<usize> {
    axis_of(axis, rank).with_context(|| format!("axis {axis} of a tensor of rank {rank}"))
}

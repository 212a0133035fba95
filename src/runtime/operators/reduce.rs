//! Sums of exponentials that do not overflow, and extremes. Source: the ONNX operators LogSoftmax-13, ReduceLogSumExp-18 and
//! ReduceMax-20.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, integers, made};
use super::places::{axis, spread};

/// ln of the sum of exponentials of `values`.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    match top.is_finite() {
        true => top + values.map(|value| (value - top).exp()).sum::<f64>().ln(),
        false => values.fold(top, |sum, value| if value.is_nan() { value } else { sum }),
    }
}

#[derive(Clone, Debug)]
struct LogSoftmax {
    axis: i64,
    /// Before opset 13: over all axes from that one on.
    to_the_end: bool,
}

pub(super) fn log_softmax(node: &NodeProto, opset: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let to_the_end = opset < 13;
    let axis = node.get_attr_opt::<i64>("axis")?.unwrap_or(if to_the_end { 1 } else { -1 });
    Ok(Some(Arc::new(LogSoftmax { axis, to_the_end })))
}

impl Kernel for LogSoftmax {
    fn name(&self) -> &'static str {
        "LogSoftmax"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x)] = inputs else { bail!("LogSoftmax takes one input") };
        Ok(vec![(x.dtype, x.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x)] = inputs else { bail!("LogSoftmax takes one input") };
        let dims = x.shape();
        // Flattening at the rank itself is allowed: then each element stands alone.
        let at = match self.to_the_end && self.axis == dims.len() as i64 {
            true => dims.len(),
            false => axis(self.axis, dims.len())?,
        };
        let (length, inner) = match self.to_the_end {
            true => (dims[at..].iter().product(), 1),
            false => (dims[at], dims[at + 1..].iter().product::<usize>()),
        };
        let mut values = floats(x)?;
        if values.is_empty() {
            return Ok(vec![(*x).clone()]);
        }
        for block in values.chunks_mut(length * inner) {
            for start in 0..inner {
                let sum = log_sum_exp(block[start..].iter().step_by(inner).copied());
                block[start..].iter_mut().step_by(inner).for_each(|value| *value -= sum);
            }
        }
        Ok(vec![made(x.datum_type(), dims, &values)?])
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reducer {
    LogSumExp,
    Max,
    Min,
}

#[derive(Clone, Debug)]
struct Reduce {
    reducer: Reducer,
    /// As an attribute, before opset 18.
    axes: Option<Vec<i64>>,
    keeps: bool,
    /// Without axes nothing is reduced, not everything.
    skips: bool,
}

/// tract's own extremes begin at the largest finite number, which is left when all is infinite or nothing is there.
pub(super) fn reduce(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let reducer = match node.op_type.as_str() {
        "ReduceMax" => Reducer::Max,
        "ReduceMin" => Reducer::Min,
        _ => Reducer::LogSumExp,
    };
    let flag = |name: &str, usual: i64| -> TractResult<bool> {
        Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(usual) != 0)
    };
    let (keeps, skips) = (flag("keepdims", 1)?, flag("noop_with_empty_axes", 0)?);
    Ok(Some(Arc::new(Reduce { reducer, axes: node.get_attr_opt_vec("axes")?, keeps, skips })))
}

impl Reducer {
    fn of_floats(self, values: &[f64]) -> f64 {
        let nan = values.iter().copied().find(|value| value.is_nan());
        match self {
            Self::LogSumExp => log_sum_exp(values.iter().copied()),
            Self::Max => nan.unwrap_or_else(|| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            Self::Min => nan.unwrap_or_else(|| values.iter().copied().fold(f64::INFINITY, f64::min)),
        }
    }

    fn of_integers(self, values: &[i64]) -> TractResult<i64> {
        let found = match self {
            Self::Max => values.iter().copied().max(),
            Self::Min => values.iter().copied().min(),
            Self::LogSumExp => {
                Some(self.of_floats(&values.iter().map(|&value| value as f64).collect::<Vec<_>>()) as i64)
            }
        };
        found.context("an extreme of no integers")
    }
}

impl Reduce {
    /// For each axis, whether it is reduced.
    fn reduced(&self, rank: usize, axes: Option<&Tensor>) -> TractResult<Vec<bool>> {
        let axes = match axes {
            Some(axes) => integers(axes)?,
            None => self.axes.clone().unwrap_or_default(),
        };
        let mut reduced = vec![axes.is_empty() && !self.skips; rank];
        for at in axes {
            reduced[axis(at, rank)?] = true;
        }
        Ok(reduced)
    }
}

/// `values` by the group that each belongs to.
fn grouped<T: Copy>(values: &[T], places: &[usize], count: usize) -> Vec<Vec<T>> {
    let mut groups = vec![Vec::new(); count];
    for (&value, &group) in values.iter().zip(places) {
        groups[group].push(value);
    }
    groups
}

impl Kernel for Reduce {
    fn name(&self) -> &'static str {
        match self.reducer {
            Reducer::LogSumExp => "ReduceLogSumExp",
            Reducer::Max => "ReduceMax",
            Reducer::Min => "ReduceMin",
        }
    }

    fn deciding(&self) -> &'static [usize] {
        &[1]
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let Some(Some(x)) = inputs.first() else { bail!("there is nothing to reduce") };
        let axes = inputs.get(1).and_then(Option::as_ref).and_then(|axes| axes.value.as_deref());
        let reduced = self.reduced(x.dims.len(), axes)?;
        let kept = x.dims.iter().zip(reduced).filter(|&(_, reduced)| self.keeps || !reduced);
        Ok(vec![(x.dtype, kept.map(|(&dim, reduced)| if reduced { 1 } else { dim }).collect())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let Some(Some(x)) = inputs.first() else { bail!("there is nothing to reduce") };
        let (dims, dtype) = (x.shape(), x.datum_type());
        let reduced = self.reduced(dims.len(), inputs.get(1).copied().flatten())?;
        if !reduced.contains(&true) && self.skips {
            return Ok(vec![(*x).clone()]);
        }
        let held: Vec<usize> =
            dims.iter().zip(&reduced).map(|(&dim, &reduced)| if reduced { 1 } else { dim }).collect();
        let (places, count) = (spread(&held, dims), held.iter().product());
        let kept: Vec<usize> = held
            .iter()
            .zip(&reduced)
            .filter(|&(_, &reduced)| self.keeps || !reduced)
            .map(|(&dim, _)| dim)
            .collect();
        if dtype.is_float() {
            let values: Vec<f64> = grouped(&floats(x)?, &places, count)
                .iter()
                .map(|group| self.reducer.of_floats(group))
                .collect();
            return Ok(vec![made(dtype, &kept, &values)?]);
        }
        let groups = grouped(&integers(x)?, &places, count);
        let values: Vec<i64> =
            groups.iter().map(|group| self.reducer.of_integers(group)).collect::<TractResult<_>>()?;
        Ok(vec![made(dtype, &kept, &values)?])
    }
}

/// The product of all elements up to each one, along an axis.
#[derive(Clone, Debug)]
struct CumProd {
    is_exclusive: bool,
    is_reverse: bool,
}

/// CumProd-26.
pub(super) fn cum_prod(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_set = |name: &str| -> TractResult<bool> { Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0) };
    Ok(Some(Arc::new(CumProd { is_exclusive: is_set("exclusive")?, is_reverse: is_set("reverse")? })))
}

impl CumProd {
    /// `values` of `dims` along `axis`, multiplied by `product`.
    fn along<T: Copy>(
        &self,
        values: &[T],
        dims: &[usize],
        axis: usize,
        one: T,
        product: fn(T, T) -> T,
    ) -> Vec<T> {
        let (length, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
        let mut made = values.to_vec();
        for start in 0..values.len() / length.max(1) {
            let first = start / inner * inner * length + start % inner;
            let mut so_far = one;
            for step in 0..length {
                let step = if self.is_reverse { length - 1 - step } else { step };
                let at = first + step * inner;
                let next = product(so_far, values[at]);
                made[at] = if self.is_exclusive { so_far } else { next };
                so_far = next;
            }
        }
        made
    }
}

impl Kernel for CumProd {
    fn name(&self) -> &'static str {
        "CumProd"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(_)] = inputs else { bail!("CumProd takes two inputs") };
        Ok(vec![(x.dtype, x.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), Some(along)] = inputs else { bail!("CumProd takes two inputs") };
        let (dtype, dims) = (x.datum_type(), x.shape());
        let &[along] = &integers(along)?[..] else { bail!("CumProd goes along one axis") };
        let axis = axis(along, dims.len())?;
        if dtype.is_float() {
            let made_of = self.along(&floats(x)?, dims, axis, 1.0, |a, b| a * b);
            return Ok(vec![made(dtype, dims, &made_of)?]);
        }
        let made_of = self.along(&integers(x)?, dims, axis, 1, i64::wrapping_mul);
        Ok(vec![made(dtype, dims, &made_of)?])
    }
}

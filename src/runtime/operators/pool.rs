//! Windows that slide over spatial axes. Source: the ONNX operators AveragePool-22, LpPool-22 and GlobalLpPool-22.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, made};
use super::places::{each, strides};

/// Steps of a window's elements over all positions, beyond which a model is not run; images of 4096 x 4096 need 2^28 with 4 x 4.
const MOST_STEPS: usize = 1 << 28;
/// Strides, dilations and windows beyond which a product of two would not fit.
const MOST: usize = 1 << 30;

/// The window of a pooling operator over any number of spatial axes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    auto_pad: String,
    ceil: bool,
}

impl Window {
    /// What `node` says of its window.
    ///
    /// # Errors
    /// Where numbers of axes contradict one another.
    pub fn of(node: &NodeProto) -> TractResult<Self> {
        let kernel: Vec<usize> = node.get_attr_vec("kernel_shape")?;
        let rank = kernel.len();
        let ones = |name: &str, count: usize, usual: usize| -> TractResult<Vec<usize>> {
            let given: Vec<usize> = node.get_attr_opt_vec(name)?.unwrap_or_else(|| vec![usual; count]);
            if given.len() != count {
                bail!("{name} {given:?} for {rank} axes");
            }
            Ok(given)
        };
        let (strides, dilations) = (ones("strides", rank, 1)?, ones("dilations", rank, 1)?);
        let pads = ones("pads", 2 * rank, 0)?;
        if [&kernel, &strides, &dilations].into_iter().flatten().any(|&size| size == 0 || size > MOST)
            || pads.iter().any(|&pad| pad > MOST)
        {
            bail!(
                "a window of {kernel:?} with strides {strides:?}, dilations {dilations:?} and pads {pads:?}"
            );
        }
        let auto_pad = node.get_attr_opt::<&str>("auto_pad")?.unwrap_or("NOTSET").to_owned();
        let ceil = node.get_attr_opt::<i64>("ceil_mode")?.unwrap_or(0) != 0;
        Ok(Self { kernel, strides, dilations, pads, auto_pad, ceil })
    }

    /// Elements before an axis of `length`, and positions of the window.
    fn along(&self, axis: usize, length: usize) -> TractResult<(usize, usize)> {
        let (stride, reach) = (self.strides[axis], (self.kernel[axis] - 1) * self.dilations[axis] + 1);
        if let "SAME_UPPER" | "SAME_LOWER" = self.auto_pad.as_str() {
            let count = length.div_ceil(stride);
            let total = ((count.max(1) - 1) * stride + reach).saturating_sub(length);
            return Ok((if self.auto_pad == "SAME_UPPER" { total / 2 } else { total.div_ceil(2) }, count));
        }
        let rank = self.kernel.len();
        let (before, after) =
            if self.auto_pad == "VALID" { (0, 0) } else { (self.pads[axis], self.pads[axis + rank]) };
        let free = (length + before + after)
            .checked_sub(reach)
            .with_context(|| format!("a window of {reach} on {length} elements"))?;
        let mut count = if self.ceil { free.div_ceil(stride) } else { free / stride } + 1;
        // A window that starts in the padding behind is left out.
        if self.ceil && (count - 1) * stride >= length + before {
            count -= 1;
        }
        Ok((before, count))
    }

    /// Dimensions of what pooling values of `dims` gives.
    ///
    /// # Errors
    /// Where the window does not fit.
    pub fn pooled(&self, dims: &[usize]) -> TractResult<Vec<usize>> {
        if dims.len() != self.kernel.len() + 2 {
            bail!("a window of {} axes on values of {dims:?}", self.kernel.len());
        }
        let mut pooled = dims[..2].to_vec();
        for (axis, &length) in dims[2..].iter().enumerate() {
            pooled.push(self.along(axis, length)?.1);
        }
        Ok(pooled)
    }

    /// For each position of the window, what `make` makes of the elements that it covers and of how many places of it lie in the
    /// values or their padding.
    fn pool(
        &self,
        values: &[f64],
        dims: &[usize],
        make: impl Fn(&[f64], usize) -> f64,
    ) -> TractResult<Vec<f64>> {
        let pooled = self.pooled(dims)?;
        let steps =
            pooled[2..].iter().chain(&self.kernel).try_fold(1_usize, |steps, &more| steps.checked_mul(more));
        if steps.is_none_or(|steps| steps > MOST_STEPS) {
            bail!("windows of {:?} at {:?} positions are too many to run", self.kernel, &pooled[2..]);
        }
        let before: Vec<usize> = dims[2..]
            .iter()
            .enumerate()
            .map(|(axis, &length)| Ok(self.along(axis, length)?.0))
            .collect::<TractResult<_>>()?;
        let (steps, plane) = (strides(&dims[2..]), dims[2..].iter().product::<usize>());
        let padding = match self.auto_pad.as_str() {
            "VALID" => vec![0; self.pads.len()],
            "NOTSET" => self.pads.clone(),
            // As many as the windows reach.
            _ => vec![usize::MAX / 4; self.pads.len()],
        };
        let ends: Vec<usize> = dims[2..]
            .iter()
            .enumerate()
            .map(|(axis, &length)| length + padding[axis] + padding[axis + steps.len()])
            .collect();
        let mut covered: Vec<(Vec<usize>, usize)> = Vec::new();
        each(&pooled[2..], |place| {
            let (mut own, mut count) = (Vec::new(), 0);
            each(&self.kernel, |inside| {
                let at = (0..place.len()).map(|axis| {
                    let at = place[axis] * self.strides[axis] + inside[axis] * self.dilations[axis];
                    let at = at.checked_sub(before[axis]).filter(|&at| at < dims[2 + axis])?;
                    Some(at * steps[axis])
                });
                own.extend(at.sum::<Option<usize>>());
                let padded = |axis: usize| {
                    place[axis] * self.strides[axis] + inside[axis] * self.dilations[axis] < ends[axis]
                };
                count += usize::from((0..place.len()).all(padded));
            });
            covered.push((own, count));
        });
        let mut out = Vec::with_capacity(pooled.iter().product());
        let mut window = Vec::new();
        for plane in values.chunks(plane.max(1)) {
            for (places, count) in &covered {
                window.clear();
                window.extend(places.iter().map(|&at| plane[at]));
                out.push(make(&window, *count));
            }
        }
        Ok(out)
    }
}

/// The mean of each window.
#[derive(Clone, Debug)]
struct AveragePool {
    window: Window,
    counts_padding: bool,
}

/// tract's own is right where the number of windows is rounded down.
pub(super) fn average_pool(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let window = Window::of(node)?;
    let counts_padding = node.get_attr_opt::<i64>("count_include_pad")?.unwrap_or(0) != 0;
    Ok(if window.ceil { Some(Arc::new(AveragePool { window, counts_padding })) } else { None })
}

impl Kernel for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x)] = inputs else { bail!("AveragePool takes one input") };
        Ok(vec![(x.dtype, self.window.pooled(&x.dims)?)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x)] = inputs else { bail!("AveragePool takes one input") };
        let mean = |values: &[f64], count: usize| {
            let count = if self.counts_padding { count } else { values.len() };
            if count == 0 { 0.0 } else { values.iter().sum::<f64>() / count as f64 }
        };
        let pooled = self.window.pool(&floats(x)?, x.shape(), mean)?;
        Ok(vec![made(x.datum_type(), &self.window.pooled(x.shape())?, &pooled)?])
    }
}

/// The p-norm of each window, or of all of each channel.
#[derive(Clone, Debug)]
struct LpPool {
    window: Option<Window>,
    p: f64,
}

pub(super) fn lp_pool(node: &NodeProto, opset: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    // A float in the first version.
    let p = if opset < 2 {
        node.get_attr_opt::<f32>("p")?.map(f64::from)
    } else {
        node.get_attr_opt::<i64>("p")?.map(|p| p as f64)
    };
    let window = if node.op_type == "GlobalLpPool" { None } else { Some(Window::of(node)?) };
    Ok(Some(Arc::new(LpPool { window, p: p.unwrap_or(2.0) })))
}

impl Kernel for LpPool {
    fn name(&self) -> &'static str {
        if self.window.is_some() { "LpPool" } else { "GlobalLpPool" }
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x)] = inputs else { bail!("{} takes one input", self.name()) };
        let dims = match &self.window {
            Some(window) => window.pooled(&x.dims)?,
            None if x.dims.len() < 2 => bail!("values of {:?} have no channels", x.dims),
            None => x.dims.iter().enumerate().map(|(axis, &dim)| if axis < 2 { dim } else { 1 }).collect(),
        };
        Ok(vec![(x.dtype, dims)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x)] = inputs else { bail!("{} takes one input", self.name()) };
        let known = Known { dtype: x.datum_type(), dims: x.shape().to_vec(), value: None };
        let (dtype, dims) = self.facts(&[Some(known)])?.remove(0);
        let norm = |values: &[f64]| {
            values.iter().map(|value| value.abs().powf(self.p)).sum::<f64>().powf(1.0 / self.p)
        };
        let values = floats(x)?;
        let pooled = match &self.window {
            Some(window) => window.pool(&values, x.shape(), |values, _| norm(values))?,
            None => values.chunks(x.shape()[2..].iter().product::<usize>().max(1)).map(norm).collect(),
        };
        Ok(vec![made(dtype, &dims, &pooled)?])
    }
}

/// `node` with padding spelled out where there is none, since tract rounds down then, whatever `ceil_mode` says.
pub(super) fn explicit(node: &NodeProto) -> TractResult<NodeProto> {
    let mut node = node.clone();
    if node.get_attr_opt::<&str>("auto_pad")? == Some("VALID") {
        node.attribute.retain(|attribute| attribute.name != "auto_pad" && attribute.name != "pads");
    }
    Ok(node)
}

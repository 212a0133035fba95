//! GridSample over any number of spatial axes. Source: the ONNX operators GridSample-16 and -20, and for reflections of onnxruntime 1.32.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, made};
use super::places::strides;

#[derive(Clone, Copy, Debug)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

#[derive(Clone, Debug)]
struct GridSample {
    mode: Mode,
    padding: Padding,
    align_corners: bool,
}

/// Coefficient of the cubic convolution.
const CUBIC: f32 = -0.75;

pub(super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let mode = match node.get_attr_opt::<&str>("mode")?.unwrap_or("linear") {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" => Mode::Linear,
        "cubic" | "bicubic" => Mode::Cubic,
        other => bail!("mode {other} is not known"),
    };
    let padding = match node.get_attr_opt::<&str>("padding_mode")?.unwrap_or("zeros") {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        other => bail!("padding_mode {other} is not known"),
    };
    let align_corners = node.get_attr_opt::<i64>("align_corners")?.unwrap_or(0) != 0;
    Ok(Some(Arc::new(GridSample { mode, padding, align_corners })))
}

/// `x`, folded back at both ends until it lies between them.
fn reflected(x: f32, low: f32, high: f32) -> f32 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let beyond = if x < low {
        low - x
    } else if x > high {
        x - high
    } else {
        return x;
    };
    let times = (beyond / range).trunc();
    let rest = beyond - times * range;
    // Below the lower end an even number of turns ends at that, above the upper end at the other.
    if (times % 2.0 == 0.0) == (x < low) { low + rest } else { high - rest }
}

impl GridSample {
    /// The weighted elements that coordinate `x`, between -1 and 1, means on an axis of `length` elements.
    fn sources(&self, x: f32, length: usize) -> Vec<(Option<usize>, f32)> {
        let size = length as f32;
        let (low, high) = if self.align_corners { (0.0, size - 1.0) } else { (-0.5, size - 0.5) };
        let mut x = match self.align_corners {
            true => (x + 1.0) / 2.0 * (size - 1.0),
            false => ((x + 1.0) * size - 1.0) / 2.0,
        };
        if !x.is_finite() {
            x = if self.padding == Padding::Zeros { -2.0 * size } else { 0.0 };
        }
        if x < low || x > high {
            x = match self.padding {
                Padding::Zeros => x,
                // A cubic filter takes the border for each element that it lacks.
                Padding::Border if matches!(self.mode, Mode::Cubic) => x,
                Padding::Border => x.clamp(0.0, size - 1.0),
                Padding::Reflection => reflected(x, low, high),
            };
        }
        let element = |at: f32| match self.padding {
            Padding::Zeros => (0.0..size).contains(&at).then_some(at as usize),
            Padding::Border => Some(at.clamp(0.0, size - 1.0) as usize),
            Padding::Reflection => Some(reflected(at, low, high).clamp(0.0, size - 1.0) as usize),
        };
        let floor = x.floor();
        match self.mode {
            Mode::Nearest => vec![(element(x.round_ties_even()), 1.0)],
            Mode::Linear => {
                let share = x - floor;
                vec![(element(floor), 1.0 - share), (element(floor + 1.0), share)]
            }
            Mode::Cubic => (-1..=2)
                .map(|step: i8| {
                    let at = floor + f32::from(step);
                    (element(at), super::resize::cubic(f64::from(x - at), f64::from(CUBIC)) as f32)
                })
                .collect(),
        }
    }
}

impl Kernel for GridSample {
    fn name(&self) -> &'static str {
        "GridSample"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(grid)] = inputs else { bail!("GridSample takes two inputs") };
        let rank = x.dims.len();
        if rank < 3 || grid.dims.len() != rank || grid.dims[rank - 1] != rank - 2 || grid.dims[0] != x.dims[0]
        {
            bail!("a grid of {:?} does not fit values of {:?}", grid.dims, x.dims);
        }
        let mut dims = x.dims.clone();
        dims[2..].copy_from_slice(&grid.dims[1..rank - 1]);
        Ok(vec![(x.dtype, dims)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), Some(grid)] = inputs else { bail!("GridSample takes two inputs") };
        let known = |tensor: &Tensor| {
            Some(Known { dtype: tensor.datum_type(), dims: tensor.shape().to_vec(), value: None })
        };
        let (dtype, dims) = self.facts(&[known(x), known(grid)])?.remove(0);
        let own = x.shape();
        let (values, places) = (floats(x)?, floats(grid)?);
        let axes = own.len() - 2;
        let (steps, plane) = (strides(&own[2..]), own[2..].iter().product::<usize>());
        let points: usize = dims[2..].iter().product();
        let mut out = vec![0.0; dims.iter().product()];
        for sample in 0..own[0] {
            for point in 0..points {
                let place = &places[(sample * points + point) * axes..][..axes];
                // The last coordinate is of the first spatial axis.
                let mut taps = vec![(Some(0), 1.0_f64)];
                for axis in 0..axes {
                    let own = self.sources(place[axes - 1 - axis] as f32, own[2 + axis]);
                    taps = taps
                        .iter()
                        .flat_map(|&(at, weight): &(Option<usize>, f64)| {
                            let step = steps[axis];
                            own.iter().map(move |&(found, share)| {
                                (
                                    at.zip(found).map(|(at, found)| at + found * step),
                                    weight * f64::from(share),
                                )
                            })
                        })
                        .collect();
                }
                for channel in 0..own[1] {
                    let from = &values[(sample * own[1] + channel) * plane..][..plane];
                    let sum = taps.iter().filter_map(|&(at, weight)| Some(from[at?] * weight)).sum();
                    out[(sample * own[1] + channel) * points + point] = sum;
                }
            }
        }
        Ok(vec![made(dtype, &dims, &out)?])
    }
}

//! Resize and Upsample. Each axis is a list of weighted source positions for every position of the result, and one axis is
//! resized after another. Source: the ONNX operators Resize-10, -11 and -19; where these leave the order of roundings open, that of onnxruntime 1.32.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, integers, made};
use super::places::axis;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfHalfPixel,
    TfCropAndResize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Of opset 10 and before: up when the result is smaller, else down.
    Simple,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nearest(Nearest),
    Linear,
    Cubic(f32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aspect {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// Which input is what.
#[derive(Clone, Copy, Debug)]
struct Slots {
    roi: Option<usize>,
    scales: usize,
    sizes: Option<usize>,
    deciding: &'static [usize],
}

#[derive(Clone, Debug)]
struct Resize {
    name: &'static str,
    coordinates: Coordinates,
    mode: Mode,
    antialias: bool,
    exclude_outside: bool,
    extrapolation: f64,
    aspect: Aspect,
    axes: Option<Vec<i64>>,
    /// As an attribute, in Upsample-7.
    scales: Option<Vec<f32>>,
    slots: Slots,
}

/// How one axis is resized.
#[derive(Clone, Debug)]
struct Along {
    scale: f32,
    size: usize,
    /// Start and end of the region, as shares of the axis.
    region: (f32, f32),
}

pub(super) fn choose(node: &NodeProto, opset: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_old = opset < 11;
    let coordinates = match node.get_attr_opt::<&str>("coordinate_transformation_mode")? {
        _ if is_old => Coordinates::Asymmetric,
        None | Some("half_pixel") => Coordinates::HalfPixel,
        Some("half_pixel_symmetric") => Coordinates::HalfPixelSymmetric,
        Some("pytorch_half_pixel") => Coordinates::PytorchHalfPixel,
        Some("align_corners") => Coordinates::AlignCorners,
        Some("asymmetric") => Coordinates::Asymmetric,
        Some("tf_half_pixel_for_nn") => Coordinates::TfHalfPixel,
        Some("tf_crop_and_resize") => Coordinates::TfCropAndResize,
        Some(other) => bail!("coordinate_transformation_mode {other} is not known"),
    };
    let nearest = match node.get_attr_opt::<&str>("nearest_mode")? {
        _ if is_old => Nearest::Simple,
        None | Some("round_prefer_floor") => Nearest::PreferFloor,
        Some("round_prefer_ceil") => Nearest::PreferCeil,
        Some("floor") => Nearest::Floor,
        Some("ceil") => Nearest::Ceil,
        Some(other) => bail!("nearest_mode {other} is not known"),
    };
    let mode = match node.get_attr_opt::<&str>("mode")?.unwrap_or("nearest") {
        "nearest" => Mode::Nearest(nearest),
        "linear" | "bilinear" => Mode::Linear,
        "cubic" => Mode::Cubic(node.get_attr_opt::<f32>("cubic_coeff_a")?.unwrap_or(-0.75)),
        other => bail!("mode {other} is not known"),
    };
    let aspect = match node.get_attr_opt::<&str>("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
        "stretch" => Aspect::Stretch,
        "not_larger" => Aspect::NotLarger,
        "not_smaller" => Aspect::NotSmaller,
        other => bail!("keep_aspect_ratio_policy {other} is not known"),
    };
    if coordinates == Coordinates::TfCropAndResize && matches!(mode, Mode::Cubic(_)) {
        bail!("mode cubic with tf_crop_and_resize, of which runtimes make different things");
    }
    let axes: Option<Vec<i64>> = node.get_attr_opt_vec("axes")?;
    if aspect != Aspect::Stretch && axes.iter().flatten().any(|&axis| axis < 0) {
        bail!("axes below zero with keep_aspect_ratio_policy, which onnxruntime 1.32 does not resize");
    }
    let flag = |name: &str| -> TractResult<bool> { Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0) };
    let slots = match is_old {
        true => Slots { roi: None, scales: 1, sizes: None, deciding: &[1] },
        false => Slots { roi: Some(1), scales: 2, sizes: Some(3), deciding: &[1, 2, 3] },
    };
    let is_upsample = node.op_type == "Upsample";
    Ok(Some(Arc::new(Resize {
        name: if is_upsample { "Upsample" } else { "Resize" },
        coordinates,
        mode,
        antialias: flag("antialias")?,
        exclude_outside: flag("exclude_outside")?,
        extrapolation: node.get_attr_opt::<f32>("extrapolation_value")?.unwrap_or(0.0).into(),
        aspect,
        axes,
        scales: if is_upsample { node.get_attr_opt_vec("scales")? } else { None },
        slots,
    })))
}

impl Resize {
    fn plan(&self, dims: &[usize], input: &dyn Fn(usize) -> Option<Tensor>) -> TractResult<Vec<Along>> {
        let rank = dims.len();
        let axes: Vec<usize> = match &self.axes {
            Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<TractResult<_>>()?,
            None => (0..rank).collect(),
        };
        let given = |slot: Option<usize>| slot.and_then(input).filter(|tensor| tensor.len() > 0);
        let singles = |tensor: Tensor| -> TractResult<Vec<f32>> {
            Ok(floats(&tensor)?.into_iter().map(|value| value as f32).collect())
        };
        let region = given(self.slots.roi).map(singles).transpose()?;
        let scales = match &self.scales {
            Some(scales) => Some(scales.clone()),
            None => given(Some(self.slots.scales)).map(singles).transpose()?,
        };
        let sizes = given(self.slots.sizes).map(|tensor| integers(&tensor)).transpose()?;
        let mut along: Vec<Along> =
            dims.iter().map(|&size| Along { scale: 1.0, size, region: (0.0, 1.0) }).collect();
        let count = scales.as_ref().map(Vec::len).or(sizes.as_ref().map(Vec::len));
        if count != Some(axes.len()) || region.as_ref().is_some_and(|region| region.len() != 2 * axes.len()) {
            bail!("scales or sizes of {count:?} axes, {} are resized", axes.len());
        }
        let wanted = |at: usize| sizes.as_ref().map(|sizes| sizes[at].max(0) as usize);
        let ratios = (0..axes.len()).filter_map(|at| Some(wanted(at)? as f32 / dims[axes[at]] as f32));
        let common = match self.aspect {
            Aspect::Stretch => None,
            Aspect::NotLarger => ratios.reduce(f32::min),
            Aspect::NotSmaller => ratios.reduce(f32::max),
        };
        for (at, &axis) in axes.iter().enumerate() {
            let dim = dims[axis] as f32;
            let own = &mut along[axis];
            (own.scale, own.size) = match (&scales, wanted(at), common) {
                (Some(scales), _, _) if scales[at] > 0.0 => (scales[at], (scales[at] * dim).floor() as usize),
                (_, Some(_), Some(scale)) => (scale, (scale * dim).round() as usize),
                (_, Some(size), None) => (size as f32 / dim, size),
                _ => bail!("a scale of axis {axis} that is not above zero"),
            };
            if let Some(region) = &region {
                own.region = (region[at], region[at + axes.len()]);
            }
        }
        Ok(along)
    }

    /// Where position `at` of the result lies on the axis of `length` elements.
    fn original(&self, at: usize, length: usize, along: &Along) -> f32 {
        let (x, length, size, scale) = (at as f32, length as f32, along.size as f32, along.scale);
        let (start, end) = along.region;
        match self.coordinates {
            // Without a change there is nothing to compute, in onnxruntime either.
            _ if scale == 1.0 && self.coordinates != Coordinates::TfCropAndResize => x,
            Coordinates::Asymmetric => x / scale,
            Coordinates::HalfPixel => (x + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = size / (scale * length);
                let offset = length / 2.0 * (1.0 - adjustment);
                offset + (x + 0.5) / scale - 0.5
            }
            Coordinates::PytorchHalfPixel if along.size > 1 => (x + 0.5) / scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::AlignCorners if along.size > 1 => x * (length - 1.0) / (size - 1.0),
            Coordinates::AlignCorners => 0.0,
            Coordinates::TfHalfPixel => (x + 0.5) / scale,
            Coordinates::TfCropAndResize if along.size > 1 => {
                start * (length - 1.0) + (x * (end - start) * (length - 1.0)) / (size - 1.0)
            }
            Coordinates::TfCropAndResize => 0.5 * (start + end) * (length - 1.0),
        }
    }

    /// The weighted sources of position `at`; `None` where it lies outside and is extrapolated.
    fn sources(&self, at: usize, length: usize, along: &Along) -> Option<Vec<(usize, f64)>> {
        let x = self.original(at, length, along);
        let last = length as i64 - 1;
        let held = |place: i64| place.clamp(0, last) as usize;
        if self.coordinates == Coordinates::TfCropAndResize && (x < 0.0 || x > last as f32) {
            return None;
        }
        // Narrower filters would skip elements: with antialias they are widened by the scale.
        let wide = if self.antialias && along.scale < 1.0 { f64::from(along.scale) } else { 1.0 };
        Some(match self.mode {
            Mode::Nearest(nearest) => vec![(held(nearest.of(x, along.scale)), 1.0)],
            Mode::Linear if wide == 1.0 => {
                let x = f64::from(x).clamp(0.0, last as f64);
                let share = x - x.floor();
                vec![(held(x.floor() as i64), 1.0 - share), (held(x.floor() as i64 + 1), share)]
            }
            Mode::Linear => self.filtered(f64::from(x), last, 1.0 / wide, |distance| {
                (1.0 - (distance * wide).abs()).max(0.0)
            }),
            Mode::Cubic(a) => {
                let kernel = |distance: f64| cubic(distance * wide, f64::from(a));
                self.filtered(f64::from(x), last, 2.0 / wide, kernel)
            }
        })
    }

    /// The elements within `reach` of `x`, weighted by their distance.
    fn filtered(&self, x: f64, last: i64, reach: f64, weight: impl Fn(f64) -> f64) -> Vec<(usize, f64)> {
        let (first, end) = ((x - reach).floor() as i64, (x + reach).ceil() as i64);
        let is_there = |place: i64| (0..=last).contains(&place);
        let excludes = self.exclude_outside;
        let found = (first..=end).filter(|&place| !excludes || is_there(place));
        let mut found: Vec<(usize, f64)> =
            found.map(|place| (place.clamp(0, last) as usize, weight(x - place as f64))).collect();
        let sum: f64 = found.iter().map(|&(_, weight)| weight).sum();
        if (excludes || self.antialias) && sum != 0.0 {
            found.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        found.retain(|&(_, weight)| weight != 0.0);
        found
    }
}

impl Nearest {
    fn of(self, x: f32, scale: f32) -> i64 {
        let place = match self {
            Self::PreferFloor if x == x.trunc() + 0.5 => x.floor(),
            Self::PreferFloor | Self::PreferCeil => x.round(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Simple if scale < 1.0 => x.ceil(),
            Self::Simple => x.trunc(),
        };
        place as i64
    }
}

/// Keys' cubic convolution with coefficient `a`.
pub(super) fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

impl Kernel for Resize {
    fn name(&self) -> &'static str {
        self.name
    }

    fn deciding(&self) -> &'static [usize] {
        self.slots.deciding
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let Some(Some(data)) = inputs.first() else { bail!("there is nothing to resize") };
        let value = |slot: usize| inputs.get(slot)?.as_ref()?.value.as_deref().cloned();
        let along = self.plan(&data.dims, &value)?;
        Ok(vec![(data.dtype, along.iter().map(|along| along.size).collect())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        let data = input(0).context("there is nothing to resize")?;
        let mut dims = data.shape().to_vec();
        let along = self.plan(&dims, &|slot| input(slot).cloned())?;
        let mut values = floats(data)?;
        let mut outside: Vec<Vec<bool>> = vec![Vec::new(); dims.len()];
        for (axis, along) in along.iter().enumerate() {
            let length = dims[axis];
            let sources: Vec<_> = (0..along.size).map(|at| self.sources(at, length, along)).collect();
            outside[axis] = sources.iter().map(Option::is_none).collect();
            let is_same = |(at, source): (usize, &Option<Vec<(usize, f64)>>)| {
                source.as_ref().is_some_and(
                    |source| matches!(source[..], [(from, 1.0)] | [(from, 1.0), (_, 0.0)] if from == at),
                )
            };
            if length != along.size || !sources.iter().enumerate().all(is_same) {
                let inner: usize = dims[axis + 1..].iter().product();
                values = resized(&values, length, inner, &sources);
                dims[axis] = along.size;
            }
        }
        if outside.iter().flatten().any(|&is_outside| is_outside) {
            let mut at = 0;
            super::places::each(&dims, |place| {
                if place.iter().zip(&outside).any(|(&at, axis)| axis[at]) {
                    values[at] = self.extrapolation;
                }
                at += 1;
            });
        }
        let dtype = data.datum_type();
        // onnxruntime cuts what it interpolates to integers.
        if dtype.is_integer() && !matches!(self.mode, Mode::Nearest(_)) {
            values.iter_mut().for_each(|value| *value = value.trunc());
        }
        Ok(vec![made(dtype, &dims, &values)?])
    }
}

/// `values`, whose axis of `length` elements passes `inner` elements a step, with that axis made of `sources`.
fn resized(values: &[f64], length: usize, inner: usize, sources: &[Option<Vec<(usize, f64)>>]) -> Vec<f64> {
    let outer = values.len().checked_div(length * inner).unwrap_or(0);
    let size = sources.len();
    let mut out = vec![0.0; outer * size * inner];
    for block in 0..outer {
        let from = &values[block * length * inner..(block + 1) * length * inner];
        for (at, sources) in sources.iter().enumerate() {
            let start = (block * size + at) * inner;
            let row = &mut out[start..start + inner];
            for &(source, weight) in sources.iter().flatten() {
                let from = &from[source * inner..(source + 1) * inner];
                row.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
            }
        }
    }
    out
}

//! The codes of one weight tensor: for each kernel the scale, and the side of the odd code, of
//! least squared error (paper, section 3: constrained MMSE, one scale a kernel).

use ndarray::{ArrayView, ArrayViewMut, Axis, IxDyn};

use super::balance::balance;
use super::bias;
use crate::error::{Error, Result};
use crate::mmse::{Grid, Search, encode};
use crate::onnx::{Index, floats};
use crate::options::{Granularity, Options, Storage};
use crate::plan::{Codes, Keep, Observations, Skip, WeightDecision, WeightSite};

/// Weights that stay float.
pub(super) fn skip(site: &WeightSite, reason: Keep) -> Skip {
    Skip {
        name: site.tensor.clone(),
        operator: site.reads[0].operator.clone(),
        dims: site.dims.clone(),
        bytes: 4 * site.dims.iter().product::<i64>().unsigned_abs(),
        reason,
    }
}

/// The grids that a storage type offers by its zero point, the plain one first.
pub(super) fn grids(storage: Storage) -> Vec<Grid> {
    let bits = storage.bits();
    match storage {
        Storage::Int4 => vec![Grid::signed(bits), Grid::flipped(bits)],
        Storage::Uint4 => {
            // From the middle outwards: among equals the nearest to symmetric wins.
            let mut zero_points: Vec<i32> = (0..16).collect();
            zero_points.sort_by_key(|&zero_point| (zero_point - 8).abs());
            zero_points.into_iter().map(|zero_point| Grid::offset(bits, zero_point)).collect()
        }
        Storage::Int8 | Storage::Uint8 => vec![Grid::signed(bits)],
    }
}

/// The decision on `site`, or why it stays float.
pub(super) fn solve(
    site: &WeightSite,
    index: &Index,
    storage: Storage,
    options: &Options,
    observations: Option<&Observations>,
) -> Result<Result<WeightDecision, Skip>> {
    let Some(tensor) = index.constant(&site.tensor) else {
        return Ok(Err(skip(site, Keep::CallersDefault)));
    };
    let values = floats(tensor)?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Ok(Err(skip(site, Keep::NotFinite(at))));
    }
    let axis = site.axis.filter(|_| options.granularity == Granularity::Channel);
    let grids = grids(storage);
    let (lowest, _) = storage.range();
    let mut search = Search::new();
    let (mut kernel, mut codes) = (Vec::new(), Vec::new());
    let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
    let (mut error, mut energy) = (0.0, 0.0);
    let mut stored = vec![0i16; values.len()];
    let balanced = options.bias_correction;
    let dims: Vec<usize> = site.dims.iter().map(|&dim| dim.max(0) as usize).collect();
    // Without an axis the whole tensor is the one slice along an axis of size 1 put in front.
    let (shape, along) = match axis {
        Some(axis) => (dims, axis),
        None => ([vec![1], dims].concat(), 0),
    };
    let misfit =
        |error: ndarray::ShapeError| Error::invalid(format!("tensor {}", site.tensor), error.to_string());
    // The elements of a kernel that meet the same input channel lie side by side.
    let plane = site.dims.get(2..).map_or(1, |spatial| spatial.iter().product::<i64>()).max(1) as usize;
    let weights = ArrayView::from_shape(IxDyn(&shape), &values).map_err(misfit)?;
    let mut slots = ArrayViewMut::from_shape(IxDyn(&shape), &mut stored).map_err(misfit)?;
    for (slice, mut slots) in weights.axis_iter(Axis(along)).zip(slots.axis_iter_mut(Axis(along))) {
        kernel.clear();
        kernel.extend(slice.iter());
        let fit = match search.fit_best(&kernel, None, &grids) {
            Ok(fit) => fit,
            Err(fault) => return Ok(Err(skip(site, Keep::NotFinite(fault.index)))),
        };
        let zero_point = lowest - fit.grid.lo();
        codes.clear();
        encode(&kernel, fit.scale, fit.grid, &mut codes);
        if balanced {
            balance(&kernel, fit.scale, fit.grid, plane, &mut codes);
        }
        let loss = |(&value, &code): (&f32, &i32)| {
            (f64::from(value) - f64::from(fit.scale) * f64::from(code)).powi(2)
        };
        error += kernel.iter().zip(&codes).map(loss).sum::<f64>();
        slots.iter_mut().zip(&codes).for_each(|(slot, code)| *slot = (code + zero_point) as i16);
        energy += fit.energy;
        scales.push(fit.scale);
        zero_points.push(zero_point as i16);
    }
    let mut decision = WeightDecision {
        tensor: site.tensor.clone(),
        dims: site.dims.clone(),
        reads: site.reads.clone(),
        storage,
        axis,
        sqnr_db: (error > 0.0 && energy > 0.0).then(|| 10.0 * (energy / error).log10()),
        reason: reason(site, axis, storage, options, balanced),
        scales,
        zero_points,
        codes: Codes { bits: storage.bits(), values: stored },
        biases: Vec::new(),
    };
    if let Some(observations) = observations.filter(|_| options.bias_correction) {
        decision.biases = bias::correct(site, &decision, &values, index, observations)?;
    }
    Ok(Ok(decision))
}

fn reason(
    site: &WeightSite,
    axis: Option<usize>,
    storage: Storage,
    options: &Options,
    balanced: bool,
) -> String {
    let partition = match (axis, options.granularity) {
        (Some(_), _) => "one scale a kernel",
        (None, Granularity::Channel) if site.axis.is_none() => "one scale: its readers take different axes",
        (None, _) => "one scale a tensor",
    };
    let zero = match storage {
        Storage::Int4 => ", odd code on the better side",
        Storage::Uint4 => ", best of 16 zero points",
        Storage::Int8 | Storage::Uint8 => "",
    };
    let sums = if balanced { ", rounding errors of each kernel cancelled" } else { "" };
    format!("exact MMSE, {partition}{zero}{sums}")
}

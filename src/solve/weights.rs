//! The decision on one weight tensor.

use super::bias;
use super::terms::{fit_term, losses};
use crate::error::{Error, Result};
use crate::onnx::{Index, floats};
use crate::options::{Granularity, Options, Spelling, Storage};
use crate::plan::{Keep, Observations, Partition, Skip, WeightDecision, WeightSite};

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
    let partition = axis.map_or(Partition::Tensor, |axis| Partition::Channel { axis });
    let groups = partition.groups(&site.dims).filter(|groups| groups.elements() == values.len());
    let groups = groups.ok_or_else(|| {
        Error::invalid(
            format!("tensor {}", site.tensor),
            format!("no scales by {partition:?} of {:?}", site.dims),
        )
    })?;
    let balanced = options.bias_correction;
    // The elements of a kernel that meet the same input channel lie side by side.
    let plane = site.dims.get(2..).map_or(1, |spatial| spatial.iter().product::<i64>()).max(1) as usize;
    let term = match fit_term(&values, storage, partition, &groups, balanced.then_some(plane)) {
        Ok(term) => term,
        Err(fault) => return Ok(Err(skip(site, Keep::NotFinite(fault.index)))),
    };
    let mut decision = WeightDecision {
        tensor: site.tensor.clone(),
        dims: site.dims.clone(),
        reads: site.reads.clone(),
        terms: vec![term],
        spelling: Spelling::default(),
        sqnr_db: None,
        reason: reason(site, axis, storage, options, balanced),
        biases: Vec::new(),
    };
    let (error, energy) = losses(&values, &decision.decode());
    decision.sqnr_db = (error > 0.0 && energy > 0.0).then(|| 10.0 * (energy / error).log10());
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

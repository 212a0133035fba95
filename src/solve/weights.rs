//! The decision on one weight tensor.

use super::bias;
use super::terms::{fit_terms, losses};
use super::treatment::Treatment;
use crate::error::{Error, Result};
use crate::onnx::{Index, floats};
use crate::options::{Options, Storage};
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
    treatment: &Treatment,
    options: &Options,
    observations: Option<&Observations>,
) -> Result<Result<WeightDecision, Skip>> {
    let Some(storage) = treatment.weights else {
        return Ok(Err(skip(site, Keep::FloatAsked)));
    };
    let Some(tensor) = index.constant(&site.tensor) else {
        return Ok(Err(skip(site, Keep::CallersDefault)));
    };
    let values = floats(tensor)?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Ok(Err(skip(site, Keep::NotFinite(at))));
    }
    let partition = treatment.partition;
    let groups = partition.groups(&site.dims).filter(|groups| groups.elements() == values.len());
    let groups = groups.ok_or_else(|| {
        let problem = format!("no scales by {partition:?} of {:?}", site.dims);
        Error::invalid(format!("tensor {}", site.tensor), problem)
    })?;
    let balanced = options.bias_correction;
    let plane = balanced.then(|| plane(site, partition));
    let terms = match fit_terms(&values, storage, partition, &groups, treatment.terms, plane) {
        Ok(terms) => terms,
        Err(fault) => return Ok(Err(skip(site, Keep::NotFinite(fault.index)))),
    };
    let mut decision = WeightDecision {
        tensor: site.tensor.clone(),
        dims: site.dims.clone(),
        reads: site.reads.clone(),
        terms,
        spelling: treatment.spelling,
        sqnr_db: None,
        reason: reason(treatment, storage, balanced),
        residuals: treatment.residuals,
        biases: Vec::new(),
    };
    let (error, energy) = losses(&values, &decision.decode());
    decision.sqnr_db = (error > 0.0 && energy > 0.0).then(|| 10.0 * (energy / error).log10());
    if let Some(observations) = observations.filter(|_| options.bias_correction) {
        decision.biases = bias::correct(site, &decision, &values, index, observations)?;
    }
    Ok(Ok(decision))
}

/// How many neighbours in a group meet the same input channel: in a kernel the elements of one plane lie side by side, in
/// a block each element has a channel of its own.
fn plane(site: &WeightSite, partition: Partition) -> usize {
    match partition {
        Partition::Block { .. } => 1,
        _ => site.dims.get(2..).map_or(1, |spatial| spatial.iter().product::<i64>()).max(1) as usize,
    }
}

fn reason(treatment: &Treatment, storage: Storage, balanced: bool) -> String {
    let zero = match storage {
        Storage::Int4 => ", odd code on the better side",
        Storage::Uint4 => ", best of 16 zero points",
        Storage::Int8 | Storage::Uint8 => "",
    };
    let share = if matches!(treatment.partition, Partition::Block { .. }) { "block" } else { "kernel" };
    let sums = if balanced { format!(", rounding errors of each {share} cancelled") } else { String::new() };
    let fit = if treatment.terms > 1 { "MMSE by turns" } else { "exact MMSE" };
    format!("{fit}, {}{zero}{sums}", treatment.reason)
}

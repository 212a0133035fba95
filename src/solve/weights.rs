//! The decision on one weight tensor.

use super::bias;
use super::pieces::{first_not_finite, fit_terms, is_sampled, losses};
use super::terms::Scheme;
use super::treatment::Treatment;
use crate::error::{Error, Result};
use crate::onnx::{Floats, Index, dtype_name, floats};
use crate::options::{OPSET, Spelling};
use crate::plan::{
    Float, Keep, Observations, Partition, Reason, Skip, WeightDecision, WeightSite, WeightTerm,
};

/// Weights that stay float.
pub(super) fn skip(site: &WeightSite, reason: Keep) -> Skip {
    Skip {
        name: site.tensor.clone(),
        operator: site.readers[0].read.operator.clone(),
        dims: site.dims.clone(),
        bytes: site.bytes(),
        reason,
    }
}

/// The decision that `treatment` of `site` came to these `terms`, without what is known only once it is looked at.
pub(super) fn decision(
    site: &WeightSite,
    treatment: &Treatment,
    mut terms: Vec<WeightTerm>,
) -> WeightDecision {
    let nbits = treatment.spelling == Spelling::MatMulNBits;
    // An operator of its own for weights has scales of the type of its data.
    let scales = terms.iter().flat_map(|term| &term.scales);
    let lost = !nbits && !scales.copied().all(|scale| site.scale_float().holds(scale));
    let wide_scales = lost || site.wide_scales && !nbits;
    let float = if wide_scales { Float::Float } else { site.float.of_scale() };
    for scale in terms.iter_mut().flat_map(|term| &mut term.scales) {
        *scale = float.round_scale(*scale);
    }
    if nbits {
        terms.iter_mut().for_each(|term| spread(term, site));
    }
    let (spelling, mut reason) = (treatment.spelling, treatment.reason());
    if lost {
        reason.push(Reason::WideScales(dtype_name(site.float.dtype() as i32)));
    }
    if !nbits && terms.iter().any(|term| term.is_too_small(treatment.storage, OPSET)) {
        reason.push(Reason::TooSmall);
    }
    if let Some(others) = &site.others {
        reason.push(Reason::AlsoReadBy(others.clone()));
    }
    // A Cast stands between each product and its weights then, so that there is nothing to split.
    let spelling = if lost && spelling == Spelling::Branches { Spelling::Sum } else { spelling };
    WeightDecision {
        tensor: site.tensor.clone(),
        dims: site.dims.clone(),
        float: site.float,
        wide_scales,
        reads: site.reads().cloned().collect(),
        terms,
        spelling,
        saturation: treatment.saturation,
        sqnr_db: None,
        reason,
        residuals: treatment.residuals,
        macs: site.macs,
        biases: Vec::new(),
    }
}

/// Gives each kernel the one scale of all: MatMulNBits has no other form of it.
fn spread(term: &mut WeightTerm, site: &WeightSite) {
    let (Partition::Tensor, Some(by_kernel)) = (term.partition, site.by_kernel) else { return };
    let Some(groups) = by_kernel.groups(&site.dims) else { return };
    term.partition = by_kernel;
    term.scales = vec![term.scales.first().copied().unwrap_or(1.0); groups.count()];
    term.zero_points = vec![term.zero_points.first().copied().unwrap_or(0); groups.count()];
}

/// Why the weights at `site` cannot be quantized, if they cannot.
pub(super) fn obstacle(site: &WeightSite, index: &Index) -> Result<Option<Keep>> {
    let Some(tensor) = index.constant(&site.tensor) else { return Ok(Some(Keep::CallersDefault)) };
    Ok(first_not_finite(&Floats::of(tensor)?).map(Keep::NotFinite))
}

/// Signal to noise in dB; `None` where there is no noise, or no signal.
pub(super) fn sqnr_db((error, energy): (f64, f64)) -> Option<f64> {
    (error > 0.0 && energy > 0.0).then(|| 10.0 * (energy / error).log10())
}

/// The decision on `site` by its weights alone, or why it stays float. With means of its inputs biases take up the mean
/// error.
pub(super) fn solve(
    site: &WeightSite,
    index: &Index,
    treatment: &Treatment,
    observations: Option<&Observations>,
) -> Result<Result<WeightDecision, Skip>> {
    if let Some(reason) = obstacle(site, index)? {
        return Ok(Err(skip(site, reason)));
    }
    let Some(tensor) = index.constant(&site.tensor) else { return Ok(Err(skip(site, Keep::CallersDefault))) };
    let values = Floats::of(tensor)?;
    let partition = treatment.partition;
    let groups = partition.groups(&site.dims).filter(|groups| groups.elements() == values.len());
    let groups = groups.ok_or_else(|| {
        Error::invalid(
            format!("tensor {}", site.tensor),
            format!("no scales by {partition:?} of {:?}", site.dims),
        )
    })?;
    let plane = treatment.correct_biases.then(|| plane(site, partition));
    let scheme =
        Scheme { kind: treatment.kind(), partition, terms: treatment.terms, min_max: treatment.min_max };
    let terms = match fit_terms(&values, &groups, scheme, plane, treatment.found.as_deref())? {
        Ok(terms) => terms,
        Err(fault) => return Ok(Err(skip(site, Keep::NotFinite(fault.index)))),
    };
    let mut decision = decision(site, treatment, terms);
    if is_sampled(&groups) {
        decision.reason.push(Reason::Sampled);
    }
    decision.sqnr_db = sqnr_db(losses(&values, &decision.terms, &site.dims));
    if let Some(observations) = observations.filter(|_| treatment.correct_biases) {
        decision.biases = bias::correct(site, &decision, &floats(tensor)?, index, observations)?;
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

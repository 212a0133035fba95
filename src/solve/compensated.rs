//! The decision on one weight tensor by what its codes do to the layer's output.

use faer::Mat;
use rayon::prelude::*;

use super::Evidence;
use super::attempts::{Known, Solution, Unit, best};
use super::notes::{Errors, Notes};
use super::pieces::losses;
use super::treatment::Treatment;
use super::weights::{decision, obstacle, skip, sqnr_db};
use crate::error::Result;
use crate::onnx::{Floats, Index, floats};
use crate::plan::{
    BiasChange, BiasSlot, CodesMut, Layout, Reader, Skip, WeightDecision, WeightSite, WeightTerm,
};
use crate::reconstruct::{Factor, MOST_FEATURES, Residual, Statistics};

/// The decision on `site` from `evidence` of its inputs; or why it stays float. `None` where that says nothing, so that
/// weights have to be judged by themselves.
pub(super) fn solve(
    site: &WeightSite,
    index: &Index,
    treatment: &Treatment,
    evidence: Evidence,
    notes: Option<&Notes>,
) -> Result<Option<Result<WeightDecision, Skip>>> {
    let Evidence { moments: Some(moments), residuals } = evidence else { return Ok(None) };
    if let Some(reason) = obstacle(site, index)? {
        return Ok(Some(Err(skip(site, reason))));
    }
    let Some(tensor) = index.constant(&site.tensor) else { return Ok(None) };
    let values = floats(tensor)?;
    let (Some(layout), Some(groups)) =
        (Layout::new(&site.readers[0].kernel, &site.dims), treatment.partition.groups(&site.dims))
    else {
        return Ok(None);
    };
    let layout = layout.split(MOST_FEATURES);
    if moments.len() != layout.groups {
        return Ok(None);
    }
    // One reader's bias takes up its own mean; the readers of shared weights have none in common.
    let centred = treatment.correct_biases && matches!(&site.readers[..], [reader] if reader.bias.is_some());
    let known = moments.into_par_iter().enumerate().map(|(group, moments)| {
        let (statistics, start) = Statistics::new(moments, centred)?;
        let rows = |row| layout.row(&values, group, row).into_iter().map(f64::from).collect();
        let weights: Vec<Vec<f64>> = (0..layout.rows).map(rows).collect();
        let matrix = Mat::from_fn(layout.rows, layout.features, |row, feature| weights[row][feature]);
        let residual = residuals.as_ref().and_then(|all| all.get(group));
        let targets = start.targets(&statistics, &matrix, residual);
        let targets: Vec<Vec<f64>> =
            (0..layout.rows).map(|row| targets.row(row).iter().copied().collect()).collect();
        let through = statistics.products(&targets);
        let factor = if treatment.compensate { Factor::new(&statistics, start) } else { None };
        Some(Known { diagonal: statistics.diagonal(), statistics, factor, targets, through, weights })
    });
    let known: Vec<Option<Known>> = known.collect();
    if known.iter().any(|known| {
        known.as_ref().is_none_or(|known| known.targets.iter().flatten().any(|&x| !(x as f32).is_finite()))
    }) {
        return Ok(None);
    }
    let known: Vec<Known> = known.into_iter().flatten().collect();
    let units = units(&layout, |at| groups.of(at));
    // Blocks that reach over groups of channels, or over parts of them, have several masters.
    let mut taken = vec![false; groups.count()];
    if units.iter().flat_map(|unit| &unit.scales).any(|&scale| std::mem::replace(&mut taken[scale], true)) {
        return Ok(None);
    }
    let solutions = units.par_iter().map(|unit| best(unit, &known, treatment, notes.is_some()));
    let Some(solutions) = solutions.collect::<Option<Vec<Solution>>>() else { return Ok(None) };

    if let Some(notes) = notes {
        let mut sum = Errors::default();
        solutions.iter().for_each(|solution| sum.add(&solution.errors));
        notes.layer(&site.tensor, &sum);
    }
    let kind = treatment.kind();
    let (scales, zero_points) = (vec![1.0; groups.count()], vec![0; groups.count()]);
    let empty = (scales, zero_points, CodesMut::zeros(treatment.code_type, values.len()));
    let mut terms = vec![empty; treatment.terms];
    for (unit, solution) in units.iter().zip(&solutions) {
        for (local, &group) in unit.scales.iter().enumerate() {
            for (term, target) in terms.iter_mut().enumerate() {
                target.0[group] = solution.scales[local][term] as f32;
                target.1[group] = kind.zero_point(solution.grids[local][term]);
            }
        }
        for (&(group, row), codes) in unit.rows.iter().zip(&solution.codes) {
            for (place, &code) in codes.iter().enumerate() {
                let (term, feature) = (place / layout.features, place % layout.features);
                let (_, zero_points, codes) = &mut terms[term];
                let zero = zero_points[unit.scales[unit.of[feature]]];
                codes.set(layout.element(group, row, feature), code as i16 + zero);
            }
        }
    }
    let terms = terms.into_iter().map(|(scales, zero_points, codes)| {
        let (code_type, partition) = (treatment.code_type, treatment.partition);
        Ok(WeightTerm { code_type, partition, scales, zero_points, codes: codes.finish()? })
    });
    let mut decision = decision(site, treatment, terms.collect::<Result<Vec<WeightTerm>>>()?);
    let decoded = decision.decode();
    decision.sqnr_db = sqnr_db(losses(&Floats::of(tensor)?, &decision.terms, &site.dims));
    if centred {
        decision.biases = biases(site, index, &layout, &known, residuals.as_deref(), &decoded)?;
    }
    Ok(Some(Ok(decision)))
}

fn units(layout: &Layout, group_of: impl Fn(usize) -> usize) -> Vec<Unit> {
    let mut units: std::collections::BTreeMap<Vec<usize>, Unit> = std::collections::BTreeMap::new();
    for group in 0..layout.groups {
        for row in 0..layout.rows {
            let met: Vec<usize> =
                (0..layout.features).map(|feature| group_of(layout.element(group, row, feature))).collect();
            let mut scales = met.clone();
            scales.sort_unstable();
            scales.dedup();
            let of = met.iter().map(|scale| scales.partition_point(|other| other < scale)).collect();
            units.entry(met).or_insert_with(|| Unit { rows: Vec::new(), of, scales }).rows.push((group, row));
        }
    }
    units.into_values().collect()
}

fn biases(
    site: &WeightSite,
    index: &Index,
    layout: &Layout,
    known: &[Known],
    residuals: Option<&[Residual]>,
    decoded: &[f32],
) -> Result<Vec<BiasChange>> {
    let [Reader { bias: Some(BiasSlot { read, tensor }), kernel, .. }] = &site.readers[..] else {
        return Ok(Vec::new());
    };
    let factor = kernel.bias_factor();
    let old = match tensor.as_ref().and_then(|name| index.constant(name)) {
        Some(tensor) => floats(tensor)?,
        None => vec![0.0; layout.groups / layout.parts * layout.rows],
    };
    let mut values = Vec::with_capacity(old.len());
    for (channel, &old) in old.iter().enumerate() {
        let (first, row) = (channel / layout.rows * layout.parts, channel % layout.rows);
        let mut shift = 0.0;
        for group in first..known.len().min(first + layout.parts) {
            let known = &known[group];
            // The other branch's mean is the same in every part.
            let residual = residuals.and_then(|all| all.get(group)).filter(|_| group == first);
            let quantized: Vec<f64> = layout.row(decoded, group, row).into_iter().map(f64::from).collect();
            shift += known.statistics.bias(&known.weights[row], &quantized, residual.map(|all| (all, row)));
        }
        values.push((f64::from(old) + shift * factor) as f32);
    }
    let sound = values.len() == old.len() && values.iter().all(|value| value.is_finite());
    let change = BiasChange { read: read.clone(), tensor: tensor.clone(), values };
    Ok(if sound { vec![change] } else { Vec::new() })
}

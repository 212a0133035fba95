//! What a report tells of single layers beside the decisions: how weights lie on their codes, and where noise arises.

mod flow;

pub(super) use flow::{Networks, noise};

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Ready;
use crate::error::Result;
use crate::mmse::Histogram;
use crate::onnx::{Floats, Index};
use crate::plan::{Decision, Details, Groups, MOST_SCALES, Plan, ScaleList, WeightDecision, WeightDetails};
use crate::solve::{Noted, counts};

/// Weights that are read at a time.
const READ: usize = 1 << 16;

/// What is known of the layers of `plan`, for the model in `ready`.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a weight's data does not fit its dimensions.
pub(super) fn details(ready: &Ready, plan: &Plan, notes: Noted) -> Result<Details> {
    let index = Index::new(ready.opened.model.graph());
    let Noted { mut steps, activations } = notes;
    let weights: Vec<&WeightDecision> = plan.decisions.iter().filter_map(weight).collect();
    let seen = weights.par_iter().map(|weight| {
        let found = match index.constant(&weight.tensor) {
            Some(tensor) => looked_at(&Floats::of(tensor)?, weight),
            None => WeightDetails::default(),
        };
        Ok((weight.tensor.clone(), found))
    });
    let mut weights: BTreeMap<String, WeightDetails> = seen.collect::<Result<_>>()?;
    for (tensor, found) in &mut weights {
        found.steps = steps.remove(tensor).unwrap_or_default();
        let last = found.steps.last().map(|step| step.error).filter(|&error| error > 0.0);
        found.own_db = last.map(|error| -10.0 * error.log10());
    }
    let kept = |tensor: &String| plan.decisions.iter().any(|decision| decision.tensor() == tensor);
    let activations = activations.into_iter().filter(|(tensor, _)| kept(tensor)).collect();
    Ok(Details { weights, activations, samples: 0 })
}

fn weight(decision: &Decision) -> Option<&WeightDecision> {
    match decision {
        Decision::Weight(weight) => Some(weight),
        Decision::Activation(_) => None,
    }
}

/// Noise as a share of the signal.
fn share(ratio: f64) -> f64 {
    10f64.powf(-ratio / 10.0)
}

/// The noise that a layer adds: that of its own weights, or what its output has more than its input, where that is more.
fn added(found: &WeightDetails) -> Option<f64> {
    let own = found.own_db.map(share);
    // An input without noise has no ratio.
    let rise = found.output_db.map(|output| share(output) - found.input_db.map_or(0.0, share));
    let most = [own, rise].into_iter().flatten().reduce(f64::max).filter(|&noise| noise > 0.0)?;
    Some(-10.0 * most.log10())
}

/// Puts layers in the order of the noise that they add: to their outputs where that is known of all, and otherwise to their weights.
pub(super) fn rank(details: &mut Details, plan: &Plan) {
    details.weights.values_mut().for_each(|found| found.added_db = added(found));
    let weights: Vec<&WeightDecision> = plan.decisions.iter().filter_map(weight).collect();
    let known = |weight: &&WeightDecision| {
        details
            .weights
            .get(&weight.tensor)
            .is_some_and(|found| found.output_db.is_some() || !found.steps.is_empty())
    };
    let outputs = weights.iter().all(known);
    let ratio = |weight: &WeightDecision| {
        let own = details.weights.get(&weight.tensor).and_then(|found| found.added_db);
        (if outputs { own } else { weight.sqnr_db }).unwrap_or(f64::INFINITY)
    };
    let mut order: Vec<(f64, usize)> = weights.iter().map(|weight| ratio(weight)).zip(0..).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    for (place, (_, at)) in order.into_iter().enumerate() {
        if let Some(found) = details.weights.get_mut(&weights[at].tensor) {
            found.rank = place + 1;
        }
    }
}

/// How `values` lie on the codes of `decision`.
fn looked_at(values: &Floats, decision: &WeightDecision) -> WeightDetails {
    let Some(term) = decision.terms.first() else { return WeightDetails::default() };
    let groups = term.groups(&decision.dims).filter(|groups| groups.elements() == values.len());
    let (Some(groups), Some((lowest, highest))) = (groups, decision.code_range()) else {
        return WeightDetails::default();
    };
    let zeros = || term.zero_points.iter().map(|&zero| i32::from(zero));
    let (least, most) = (zeros().min().unwrap_or(0), zeros().max().unwrap_or(0));
    let codes = (lowest - most, highest - least);
    let mut seen = Seen { groups, histogram: Histogram::new(), beyond: 0, ratios: Vec::new() };
    values.pieces(READ, |start, values| {
        seen.add(start, values, &term.scales, &term.zero_points, (lowest, highest));
        Some(())
    });
    let Seen { histogram, beyond, .. } = seen;
    let alone = decision.terms.len() == 1;
    WeightDetails {
        histogram: counts(&histogram, (f64::from(codes.0), f64::from(codes.1))).unwrap_or_default(),
        codes,
        clipped: alone.then(|| beyond as f64 / values.len().max(1) as f64),
        scales: scales(&term.scales),
        ..WeightDetails::default()
    }
}

/// Weights as they stream past.
struct Seen {
    groups: Groups,
    histogram: Histogram,
    beyond: u64,
    ratios: Vec<f32>,
}

impl Seen {
    fn add(
        &mut self,
        start: usize,
        values: &[f32],
        scales: &[f32],
        zeros: &[i16],
        (lowest, highest): (i32, i32),
    ) {
        self.ratios.clear();
        while self.ratios.len() < values.len() {
            let done = self.ratios.len();
            let (group, step, run) = self.groups.run(start + done);
            for at in 0..run.min(values.len() - done) {
                let group = group + at * step;
                let (scale, zero) = (scales[group], f32::from(zeros[group]));
                let ratio = values[done + at] / scale;
                let code = ratio + zero;
                self.beyond += u64::from(code < lowest as f32 - 0.5 || code > highest as f32 + 0.5);
                self.ratios.push(ratio);
            }
        }
        self.histogram.add_slice(&self.ratios);
    }
}

/// All of `scales`, or where they are many so many quantiles.
fn scales(scales: &[f32]) -> ScaleList {
    let count = scales.len();
    if count <= MOST_SCALES {
        return ScaleList { count, values: scales.to_vec(), quantiles: false };
    }
    let mut sorted = scales.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |place: usize| sorted[place * (count - 1) / (MOST_SCALES - 1)];
    ScaleList { count, values: (0..MOST_SCALES).map(at).collect(), quantiles: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_scales_become_quantiles() {
        let few = scales(&[3.0, 1.0, 2.0]);
        assert_eq!((few.values, few.quantiles), (vec![3.0, 1.0, 2.0], false));
        let many: Vec<f32> = (0..1000).rev().map(|at| at as f32).collect();
        let found = scales(&many);
        assert_eq!((found.count, found.values.len(), found.quantiles), (1000, MOST_SCALES, true));
        assert_eq!((found.values[0], found.values[MOST_SCALES - 1]), (0.0, 999.0));
    }
}

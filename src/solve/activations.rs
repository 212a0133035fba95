//! The range of one activation: scale and zero point of least squared error on what calibration
//! saw, zero exactly representable (paper, section 3; padding relies on the exact zero).

use std::collections::HashMap;

use super::treatment::Treatment;
use crate::mmse::{Grid, Histogram, RangeFit, Search, encode, fit_range};
use crate::options::Storage;
use crate::plan::{
    ActivationDecision, ActivationSite, ActivationTerm, Analysis, Decision, Keep, Observations, Read,
};

/// By how much one trial of the first of two scales exceeds the one before.
const STRETCH: f32 = 1.1;

/// What the layers want of their inputs: for each node its treatment, and whether its weights are quantized.
pub(super) struct Inputs<'t> {
    layers: HashMap<usize, (&'t Treatment, bool)>,
}

impl<'t> Inputs<'t> {
    /// Reads the treatments of `analysis`'s weights, and which of them led to decisions.
    pub(super) fn new(analysis: &Analysis, treatments: &'t [Treatment], decisions: &[Decision]) -> Self {
        let decided: std::collections::HashSet<&str> = decisions.iter().map(Decision::tensor).collect();
        let mut layers = HashMap::new();
        for (site, treatment) in analysis.weights.iter().zip(treatments) {
            let decided = decided.contains(site.tensor.as_str());
            layers.extend(site.reads.iter().map(|read| (read.at, (treatment, decided))));
        }
        Self { layers }
    }

    /// The treatment of each read that takes a low-bit form, or why there is none.
    fn of(&self, site: &ActivationSite) -> Result<Vec<(Read, &'t Treatment)>, Keep> {
        let asked = site.reads.iter().filter_map(|read| {
            let (treatment, decided) = self.layers.get(&read.at)?;
            treatment.activation.map(|_| (read, *treatment, *decided))
        });
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Err(Keep::FloatAsked);
        }
        // Where weights were meant to be float, activations alone are; where they had to stay so, neither is.
        let met = |(read, treatment, decided): (&Read, &'t Treatment, bool)| {
            (decided || treatment.weights.is_none()).then(|| (read.clone(), treatment))
        };
        let met: Vec<_> = asked.into_iter().filter_map(met).collect();
        if met.is_empty() { Err(Keep::WeightsKept) } else { Ok(met) }
    }
}

/// The decision on `site`, or why it stays float.
pub(super) fn solve(
    site: &ActivationSite,
    inputs: &Inputs,
    observations: &Observations,
) -> Result<ActivationDecision, Keep> {
    let readers = inputs.of(site)?;
    // One form serves all readers: the widest that any of them asks for.
    let storages = || readers.iter().filter_map(|(_, treatment)| treatment.activation);
    let widest = storages().fold(None, |widest: Option<Storage>, storage| match widest {
        Some(widest) if widest.bits() >= storage.bits() => Some(widest),
        _ => Some(storage),
    });
    let storage = widest.ok_or(Keep::FloatAsked)?;
    let count = readers.iter().map(|(_, treatment)| treatment.activation_terms).max().unwrap_or(1);
    let histogram = observations.histograms.get(&site.tensor).filter(|histogram| histogram.count() > 0);
    let histogram = histogram.ok_or(Keep::NoStatistics)?;
    let first = fit_range(histogram, storage.bits());
    let (terms, error) = match count {
        1 => (vec![term(storage, first.scale, first.zero_point)], first.error),
        _ => dual(histogram, storage, first),
    };
    let mut reason = "MMSE range on the calibration samples".to_owned();
    if count > 1 {
        reason += ", two terms as asked";
    }
    if storages().any(|other| other != storage) {
        reason += ", the widest that its readers ask for";
    }
    Ok(ActivationDecision {
        tensor: site.tensor.clone(),
        reads: readers.into_iter().map(|(read, _)| read).collect(),
        terms,
        range: (histogram.min().unwrap_or(0.0), histogram.max().unwrap_or(0.0)),
        sqnr_db: (error > 0.0 && first.energy > 0.0).then(|| 10.0 * (first.energy / error).log10()),
        reason,
    })
}

/// `zero_point` counts from the lowest code.
fn term(storage: Storage, scale: f32, zero_point: i32) -> ActivationTerm {
    ActivationTerm { storage, scale, zero_point: (zero_point + storage.range().0) as i16 }
}

/// Two terms, the second for what the first leaves, and the squared error of both. The first one's scale is tried from
/// its own best upwards until nothing clips: what is clipped is hard on the second.
fn dual(histogram: &Histogram, storage: Storage, best: RangeFit) -> (Vec<ActivationTerm>, f64) {
    let bins: (Vec<f32>, Vec<f64>) =
        histogram.bins().map(|(centre, count)| (centre as f32, count as f64)).unzip();
    let (centres, counts) = bins;
    let (bits, top) = (storage.bits(), (1i32 << storage.bits()) - 1);
    // Rests lie on both sides of zero. At 8 bits one code more on either side is no matter.
    let grids: Vec<Grid> = match bits {
        4 => (0..=top).map(|zero_point| Grid::offset(bits, zero_point)).collect(),
        _ => vec![Grid::signed(bits)],
    };
    let mut search = Search::new();
    let mut codes = Vec::new();
    let mut found = (vec![term(storage, best.scale, best.zero_point)], best.error);
    let mut scale = best.scale;
    loop {
        // Where a wider scale leaves room on one side, the zero point moves to the middle of what is there.
        let (low, high) = (histogram.min().unwrap_or(0.0).min(0.0), histogram.max().unwrap_or(0.0).max(0.0));
        let centred = ((f64::from(top) - f64::from(low + high) / f64::from(scale)) / 2.0).round();
        let zero_point = if scale == best.scale { best.zero_point } else { (centred as i32).clamp(0, top) };
        let zero_point = if low == 0.0 { 0 } else { zero_point };
        let grid = Grid::offset(bits, zero_point);
        encode(&centres, scale, grid, &mut codes);
        let rests: Vec<f32> =
            centres.iter().zip(&codes).map(|(&centre, &code)| centre - code as f32 * scale).collect();
        if let Ok(second) = search.fit_best(&rests, Some(&counts), &grids)
            && second.error < found.1
        {
            let terms =
                vec![term(storage, scale, zero_point), term(storage, second.scale, -second.grid.lo())];
            found = (terms, second.error);
        }
        if scale * top as f32 >= high - low || !scale.is_finite() {
            break;
        }
        scale *= STRETCH;
    }
    // Exact already: the second term has nothing to do, and any scale serves.
    if found.0.len() == 1 {
        found.0.push(term(storage, best.scale, if storage.is_signed() { top / 2 + 1 } else { 0 }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_term_takes_up_what_the_first_leaves() {
        let mut histogram = Histogram::new();
        let values: Vec<f32> = (0..4000).map(|at| (at as f32 / 1999.5 - 1.0).powi(3) * 4.0).collect();
        histogram.add_slice(&values);
        for storage in [Storage::Uint4, Storage::Int4] {
            let first = fit_range(&histogram, 4);
            let (terms, error) = dual(&histogram, storage, first);
            assert_eq!(terms.len(), 2);
            assert!(error < first.error / 100.0, "{error} of {}", first.error);
            // As the two pairs compute it.
            let through = |value: f32, term: &ActivationTerm| {
                let (low, high) = term.storage.range();
                let code = (value / term.scale).round_ties_even() + f32::from(term.zero_point);
                (code.clamp(low as f32, high as f32) - f32::from(term.zero_point)) * term.scale
            };
            let lost: f64 = values
                .iter()
                .map(|&value| {
                    let near = through(value, &terms[0]);
                    f64::from(value - near - through(value - near, &terms[1])).powi(2)
                })
                .sum();
            assert!(lost < first.error / 50.0, "{lost} {error} of {}", first.error);
        }
    }
}

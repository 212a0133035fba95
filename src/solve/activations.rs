//! The range of one activation: scale and zero point of least squared error on what calibration
//! saw, zero exactly representable (paper, section 3; padding relies on the exact zero).

use super::treatment::Layer;
use crate::mmse::{Histogram, fit_range_multi};
use crate::options::Storage;
use crate::plan::{ActivationDecision, ActivationSite, ActivationTerm, Keep, Read};

/// One read of an activation, the layer that reads it, and whether that layer's weights are quantized or will be.
pub(super) type Reader<'l> = (&'l Read, &'l Layer, bool);

/// The decision on `site`, or why it stays float.
pub(super) fn solve(
    site: &ActivationSite,
    readers: &[Reader],
    histogram: Option<&Histogram>,
) -> Result<ActivationDecision, Keep> {
    let asked: Vec<_> = readers
        .iter()
        .filter_map(|&(read, layer, met)| Some((read, layer, met, layer.activation?)))
        .collect();
    if asked.is_empty() {
        return Err(Keep::FloatAsked);
    }
    // Where weights were meant to be float, activations alone are low-bit; where they had to stay so, neither is.
    let taken: Vec<_> =
        asked.into_iter().filter(|(_, layer, met, _)| *met || layer.weights.is_none()).collect();
    let Some(storage) = widest(taken.iter().map(|&(_, _, _, storage)| storage)) else {
        return Err(Keep::WeightsKept);
    };
    let count = taken.iter().map(|(_, layer, _, _)| layer.activation_terms).max().unwrap_or(1);
    let histogram = histogram.filter(|histogram| histogram.count() > 0).ok_or(Keep::NoStatistics)?;
    let fit = fit_range_multi(histogram, storage.bits(), count);
    let (lowest, _) = storage.range();
    let term = |&(scale, zero_point): &(f32, i32)| ActivationTerm {
        storage,
        scale,
        zero_point: (zero_point + lowest) as i16,
    };
    let mut reason = "MMSE range on the calibration samples".to_owned();
    if count > 1 {
        reason += ", two terms as asked";
    }
    if taken.iter().any(|&(_, _, _, other)| other != storage) {
        reason += ", the widest that its readers ask for";
    }
    Ok(ActivationDecision {
        tensor: site.tensor.clone(),
        reads: taken.iter().map(|&(read, ..)| read.clone()).collect(),
        terms: fit.terms.iter().map(term).collect(),
        range: (histogram.min().unwrap_or(0.0), histogram.max().unwrap_or(0.0)),
        sqnr_db: (fit.error > 0.0 && fit.energy > 0.0).then(|| 10.0 * (fit.energy / fit.error).log10()),
        reason,
    })
}

/// The first of those with the most bits: one form serves all readers.
fn widest(storages: impl Iterator<Item = Storage>) -> Option<Storage> {
    storages.reduce(|widest, storage| if storage.bits() > widest.bits() { storage } else { widest })
}

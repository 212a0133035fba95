//! The range of one activation: scale and zero point of least squared error on what calibration
//! saw, zero exactly representable (paper, section 3; padding relies on the exact zero).

use super::treatment::Layer;
use crate::error::Result;
use crate::mmse::{Histogram, fit_range_min_max, fit_range_multi};
use crate::onnx::{Index, floats};
use crate::options::Storage;
use crate::plan::{
    ActivationDecision, ActivationSite, ActivationTerm, Keep, Kernel, Layout, Read, WeightSite,
};

/// One read of an activation, the layer that reads it, and whether that layer's weights are quantized or will be.
pub(super) type Reader<'l> = (&'l Read, &'l Layer, bool);

/// The decision on `site`, or why it stays float.
pub(super) fn solve(
    site: &ActivationSite,
    readers: &[Reader],
    histogram: Option<&Histogram>,
    weighted: Option<&Histogram>,
    min_max: bool,
) -> std::result::Result<ActivationDecision, Keep> {
    let asked: Vec<_> = readers
        .iter()
        .filter_map(|&(read, layer, met)| Some((read, layer, met, layer.activation?)))
        .collect();
    if asked.is_empty() {
        let why = readers.iter().find_map(|(_, layer, _)| layer.activation_why.clone());
        return Err(why.map_or(Keep::FloatAsked, Keep::FloatBecause));
    }
    // Where weights were meant to be float, activations alone are low-bit; where they had to stay so, neither is.
    let taken: Vec<_> =
        asked.into_iter().filter(|(_, layer, met, _)| *met || layer.weights.is_none()).collect();
    let Some(storage) = widest(taken.iter().map(|&(_, _, _, storage)| storage)) else {
        return Err(Keep::WeightsKept);
    };
    // 16 bits leave nothing for a second term.
    let fine = storage.bits() > 8 || min_max;
    let count = taken.iter().map(|(_, layer, _, _)| layer.activation_terms).max().unwrap_or(1);
    let count = if fine { 1 } else { count };
    let histogram = histogram.filter(|histogram| histogram.count() > 0).ok_or(Keep::NoStatistics)?;
    let weighted = weighted.filter(|weighted| weighted.count() > 0);
    let fit = match min_max {
        true => fit_range_min_max(histogram, storage.bits()),
        false => fit_range_multi(weighted.unwrap_or(histogram), storage.bits(), count),
    };
    let (lowest, _) = storage.range();
    let term = |&(scale, zero_point): &(f32, i32)| ActivationTerm {
        storage,
        scale: site.float.round_scale(scale),
        zero_point: (zero_point + lowest) as i16,
    };
    let mut reason = if min_max { "range" } else { "MMSE range" }.to_owned() + " on the calibration samples";
    if weighted.is_some() && !min_max {
        reason += ", channels weighted by what their errors do to the output";
    }
    if count > 1 {
        reason += ", two terms as asked";
    }
    if taken.iter().any(|&(_, _, _, other)| other != storage) {
        reason += ", the widest that its readers ask for";
    }
    if let Some(why) = taken.iter().find_map(|(_, layer, ..)| layer.activation_why.as_ref()) {
        reason += &format!(", {storage} {why}");
    }
    Ok(ActivationDecision {
        tensor: site.tensor.clone(),
        float: site.float,
        reads: taken.iter().map(|&(read, ..)| read.clone()).collect(),
        terms: fit.terms.iter().map(term).collect(),
        range: (histogram.min().unwrap_or(0.0), histogram.max().unwrap_or(0.0)),
        sqnr_db: (fit.error > 0.0 && fit.energy > 0.0).then(|| 10.0 * (fit.energy / fit.error).log10()),
        reason,
    })
}

/// Parts of the largest channel's worth in which others are counted.
const PARTS: f64 = 64.0;

/// See [`super::Solver::worth_of_channels`]: for weights and the position of the reader that multiplies with them.
pub(super) fn worth_of_channels(
    sites: &[(&WeightSite, usize)],
    index: &Index,
) -> Result<Option<(usize, Vec<u64>)>> {
    let mut whole: Option<(usize, Vec<f64>)> = None;
    for (site, at) in sites {
        let kernel = site.reads.iter().position(|read| read.at == *at).map(|place| &site.kernels[place]);
        let (Some(kernel), Some(tensor)) = (kernel, index.constant(&site.tensor)) else { return Ok(None) };
        let Some(layout) = Layout::new(kernel, &site.dims) else { return Ok(None) };
        let values = floats(tensor)?;
        let (axis, offsets) = match kernel {
            Kernel::Conv(_) | Kernel::ConvTranspose(_) => {
                (1, site.dims[2..].iter().product::<i64>() as usize)
            }
            Kernel::Matrix { input_transposed: true, .. } => (0, 1),
            Kernel::Matrix { .. } | Kernel::Other(_) => (usize::MAX, 1),
        };
        let channels = layout.features / offsets.max(1);
        let mut worth = vec![0.0; layout.groups * channels];
        for group in 0..layout.groups {
            for row in 0..layout.rows {
                for (feature, value) in layout.row(&values, group, row).into_iter().enumerate() {
                    worth[group * channels + feature / offsets] += f64::from(value).powi(2);
                }
            }
        }
        match &mut whole {
            None => whole = Some((axis, worth)),
            Some((other, sums)) if *other == axis && sums.len() == worth.len() => {
                sums.iter_mut().zip(&worth).for_each(|(sum, worth)| *sum += worth);
            }
            Some(_) => return Ok(None),
        }
    }
    Ok(whole.and_then(|(axis, worth)| {
        let largest = worth.iter().copied().fold(0.0, f64::max);
        let sound = largest > 0.0 && largest.is_finite();
        let parts = worth.iter().map(|worth| (PARTS * worth / largest).ceil() as u64).collect();
        sound.then_some((axis, parts))
    }))
}

/// The first of those with the most bits: one form serves all readers.
fn widest(storages: impl Iterator<Item = Storage>) -> Option<Storage> {
    storages.reduce(|widest, storage| if storage.bits() > widest.bits() { storage } else { widest })
}

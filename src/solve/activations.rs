//! The range of one activation: scale and zero point of least squared error on what calibration
//! saw, zero exactly representable (paper, section 3; padding relies on the exact zero).

use crate::mmse::{Histogram, fit_range};
use crate::options::Storage;
use crate::plan::{ActivationDecision, ActivationSite, ActivationTerm, Keep, Read};

pub(super) fn solve(
    site: &ActivationSite,
    reads: Vec<Read>,
    storage: Storage,
    histogram: Option<&Histogram>,
) -> Result<ActivationDecision, Keep> {
    if reads.is_empty() {
        return Err(Keep::WeightsKept);
    }
    let histogram = histogram.filter(|histogram| histogram.count() > 0).ok_or(Keep::NoStatistics)?;
    let fit = fit_range(histogram, storage.bits());
    let (lowest, _) = storage.range();
    Ok(ActivationDecision {
        tensor: site.tensor.clone(),
        reads,
        terms: vec![ActivationTerm {
            storage,
            scale: fit.scale,
            zero_point: (fit.zero_point + lowest) as i16,
        }],
        range: (histogram.min().unwrap_or(0.0), histogram.max().unwrap_or(0.0)),
        sqnr_db: (fit.error > 0.0 && fit.energy > 0.0).then(|| 10.0 * (fit.energy / fit.error).log10()),
        reason: "MMSE range on the calibration samples".into(),
    })
}

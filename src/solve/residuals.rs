//! What each treatment of one weight tensor would lose, before anything is rounded for good.

use super::terms::{fit_terms, losses};
use crate::error::Result;
use crate::onnx::{Index, floats};
use crate::options::Storage;
use crate::plan::{Partition, Residuals, WeightSite, WeightTerm};

/// The relative squared errors of `site`'s weights at least-squares scales and nearest codes of `storage`, by partition
/// and, where `dual` is asked, with two terms; `None` where the weights are no finite numbers of the dimensions given.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where the data is not as long as the dimensions say.
pub(super) fn measure(
    site: &WeightSite,
    index: &Index,
    storage: Storage,
    partition: Partition,
    dual: bool,
) -> Result<Option<Residuals>> {
    let Some(tensor) = index.constant(&site.tensor) else { return Ok(None) };
    let values = floats(tensor)?;
    let lost = |partition: Partition, terms: usize| {
        let groups = partition.groups(&site.dims).filter(|groups| groups.elements() == values.len())?;
        let terms = fit_terms(&values, storage, partition, &groups, terms, None, false).ok()?;
        Some(relative(&values, &terms, &site.dims))
    };
    let channel = site.by_kernel;
    let (Some(whole), Some(single)) = (lost(Partition::Tensor, 1), lost(partition, 1)) else {
        return Ok(None);
    };
    let known = |other: Partition| match other {
        Partition::Tensor => Some(whole),
        other if other == partition => Some(single),
        other => lost(other, 1),
    };
    Ok(Some(Residuals {
        tensor: whole,
        channel: channel.and_then(known),
        block: matches!(partition, Partition::Block { .. }).then_some(single),
        single,
        dual: if dual { lost(partition, 2) } else { None },
    }))
}

/// Squared error over energy, 0 where there is nothing to represent.
fn relative(values: &[f32], terms: &[WeightTerm], dims: &[i64]) -> f64 {
    let mut decoded = vec![0.0f32; values.len()];
    for term in terms {
        decoded.iter_mut().zip(term.decode(dims)).for_each(|(sum, value)| *sum += value);
    }
    let (error, energy) = losses(values, &decoded);
    if energy > 0.0 { error / energy } else { 0.0 }
}

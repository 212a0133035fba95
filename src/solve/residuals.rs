//! What each treatment of one weight tensor would lose, before anything is rounded for good.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::notes::Notes;
use super::pieces::{fit_terms, losses, over_groups};
use super::terms::{Found, Kind, Scheme, lost};
use crate::error::Result;
use crate::onnx::{Floats, Index};
use crate::plan::{Partition, Residuals, WeightSite};
use crate::progress::Progress;

/// Elements up to which errors are those of codes as they would be written; beyond, they are the searches' own sums, which
/// are the same but for their last digits.
const WRITTEN: usize = 1 << 22;
/// Scales up to which they are kept for the decision, so that nothing is searched twice.
const KEPT: usize = 1 << 16;

/// What all plans of one model share.
#[derive(Clone, Copy)]
pub struct Shared<'s> {
    /// What was measured of its weights.
    pub measurements: &'s Measurements,
    /// Who hears how far the work is, and may end it.
    pub progress: &'s dyn Progress,
    /// Where what a plan does not hold is noted; `None` where nobody asks for it.
    pub notes: Option<&'s Notes>,
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What was measured of the weights of one model, so that several plans made of it measure nothing twice.
#[derive(Debug, Default)]
pub struct Measurements(Mutex<HashMap<Key, Option<Measured>>>);

/// Tensor, type of codes, partition, and whether two terms were measured as well.
type Key = (String, Kind, Partition, bool);
/// What each treatment would lose, and the scales of a single term where they are few.
pub(super) type Measured = (Residuals, Option<Arc<Found>>);

impl Measurements {
    /// As [`measure`].
    pub(super) fn of(
        &self,
        site: &WeightSite,
        index: &Index,
        kind: Kind,
        partition: Partition,
        dual: bool,
    ) -> Result<Option<Measured>> {
        let key = (site.tensor.clone(), kind, partition, dual);
        let known = |measurements: &Self| {
            measurements.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
        };
        if let Some(measured) = known(self) {
            return Ok(measured);
        }
        let measured = measure(site, index, kind, partition, dual)?
            .map(|(residuals, found)| (residuals, found.map(Arc::new)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, measured.clone());
        Ok(measured)
    }
}

/// The relative squared errors of `site`'s weights at least-squares scales and nearest codes of `kind`, by partition
/// and, where `dual` is asked, with two terms, and the scales of one term where they are few; `None` where the weights are
/// no finite numbers of the dimensions given.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where the data is not as long as the dimensions say, and
/// [`crate::error::Error::Write`] where the folder for temporary files takes no more.
fn measure(
    site: &WeightSite,
    index: &Index,
    kind: Kind,
    partition: Partition,
    dual: bool,
) -> Result<Option<(Residuals, Option<Found>)>> {
    let Some(tensor) = index.constant(&site.tensor) else { return Ok(None) };
    let values = Floats::of(tensor)?;
    let measured = |partition: Partition, terms: usize| relative(site, &values, kind, partition, terms);
    let (whole, single) = rayon::join(|| measured(Partition::Tensor, 1), || measured(partition, 1));
    let (Some((whole, _)), Some((single, found))) = (whole?, single?) else { return Ok(None) };
    let known = |other: Partition| match other {
        Partition::Tensor => Ok(Some(whole)),
        other if other == partition => Ok(Some(single)),
        other => Ok(measured(other, 1)?.map(|(lost, _)| lost)),
    };
    let residuals = Residuals {
        tensor: whole,
        channel: match site.by_kernel {
            Some(by_kernel) => known(by_kernel)?,
            None => None,
        },
        block: matches!(partition, Partition::Block { .. }).then_some(single),
        single,
        dual: if dual { measured(partition, 2)?.map(|(lost, _)| lost) } else { None },
    };
    Ok(Some((residuals, Some(found).filter(|found| found.scales.len() <= KEPT))))
}

/// Squared error over energy, 0 where there is nothing to represent, and the scales at which that is so.
fn relative(
    site: &WeightSite,
    values: &Floats,
    kind: Kind,
    partition: Partition,
    terms: usize,
) -> Result<Option<(f64, Found)>> {
    let groups = partition.groups(&site.dims).filter(|groups| groups.elements() == values.len());
    let Some(groups) = groups else { return Ok(None) };
    let mut found = Found { kind, partition, scales: Vec::new(), zero_points: Vec::new() };
    let (error, energy) = if values.len() <= WRITTEN {
        let scheme = Scheme { kind, partition, terms, min_max: false };
        let Ok(mut terms) = fit_terms(values, &groups, scheme, None, None)? else { return Ok(None) };
        let sums = losses(values, &terms, &site.dims);
        if let Some(first) = terms.first_mut() {
            (found.scales, found.zero_points) =
                (std::mem::take(&mut first.scales), std::mem::take(&mut first.zero_points));
        }
        sums
    } else {
        let mut sums = (0.0, 0.0);
        let each = |_: usize, kernel: &[f32], buffers: &mut _| lost(kernel, kind, terms, buffers);
        let taken = over_groups(values, &groups, each, |_, groups| {
            for group in groups {
                sums = (sums.0 + group.error, sums.1 + group.energy);
                found.scales.push(group.scale);
                found.zero_points.push(group.zero_point);
            }
        });
        if taken.is_err() {
            return Ok(None);
        }
        sums
    };
    Ok(Some((if energy > 0.0 { error / energy } else { 0.0 }, found)))
}

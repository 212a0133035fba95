//! Second moments of the inputs of the weights at the frontier.

use rayon::prelude::*;

use super::columns::Columns;
use super::walk::{Network, Walk};
use crate::error::Result;
use crate::plan::{Layout, Read};
use crate::reconstruct::{MOST_BYTES, MOST_FEATURES, Moments};

/// Output positions taken over all samples: some for every layer, and more for every input element a kernel meets. Positions of
/// one picture tell nearly the same, so that taking all of them costs much and changes little; those taken are spread evenly.
const POSITIONS: usize = 65_536;
const POSITIONS_PER_FEATURE: usize = 48;
/// Values of inputs that are laid out at once: 64 MB, twice where both networks' inputs are.
const TOGETHER: usize = 8 << 20;
/// Memory for partial sums, in bytes; with more, samples are summed one after another.
const PARTIAL_SUMS: usize = 128 << 20;
/// Partial sums at most. Their number does not depend on the threads, so the order of summation does not either.
const PARTS: usize = 8;

/// One read whose input is looked at.
struct Job<'w> {
    read: &'w Read,
    input: &'w str,
    columns: Columns,
}

impl Walk<'_> {
    /// Moments of what reaches the weights at `site`, one a group of channels: over all of its readers that have their input
    /// at the frontier. `None` where no reader's input has the form that its kernel expects. Those of every other sample stand
    /// beside them where the two networks differ.
    ///
    /// # Errors
    /// Whatever reading a sample gives.
    pub fn moments(&self, site: usize) -> Result<Option<Vec<Moments>>> {
        let site = &self.analysis.weights[site];
        let mut jobs = Vec::new();
        for reader in &site.readers {
            let (read, kernel) = (&reader.read, &reader.kernel);
            let Some(layout) = Layout::new(kernel, &site.dims) else { return Ok(None) };
            let columns =
                Columns { kernel: kernel.clone(), groups: layout.groups, features: layout.features };
            if let Some(input) = reader.input().filter(|input| self.is_there(input)) {
                jobs.push(Job { read, input, columns });
            }
        }
        let Some(first) = jobs.first() else { return Ok(None) };
        let Some(layout) = Layout::new(&first.columns.kernel, &site.dims) else { return Ok(None) };
        let split = layout.split(MOST_FEATURES);
        let (groups, features) = (split.groups, split.features);
        let asymmetric = jobs.iter().any(|job| self.differs(job.input));
        let bytes = Moments::all_bytes(groups, features, asymmetric);
        if bytes > MOST_BYTES {
            return Ok(None);
        }
        let halved = asymmetric && self.count > 1 && bytes <= MOST_BYTES / 2;
        let parts = (PARTIAL_SUMS / bytes.max(1)).clamp(1, PARTS);
        let most = most_positions(layout.features, self.count);
        let share = self.count.div_ceil(parts).max(1);
        let sums: Vec<Vec<Vec<Moments>>> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let halves = if halved { 2 } else { 1 };
                let mut sums = vec![vec![Moments::new(features, asymmetric); groups]; halves];
                for at in part * share..self.count.min((part + 1) * share) {
                    for job in &jobs {
                        self.add(job, at, most, &mut sums[at % halves])?;
                    }
                }
                Ok(sums)
            })
            .collect::<Result<_>>()?;
        let mut halves: Vec<Vec<Moments>> = Vec::new();
        for part in sums {
            match halves.is_empty() {
                true => halves = part,
                false => halves
                    .iter_mut()
                    .flatten()
                    .zip(part.iter().flatten())
                    .for_each(|(sum, part)| sum.merge(part)),
            }
        }
        let mut halves = halves.into_iter();
        let mut whole = halves.next().unwrap_or_default();
        for half in halves {
            whole.iter_mut().zip(half).for_each(|(whole, half)| whole.join(half));
        }
        Ok(whole.iter().any(|moments| !moments.is_empty()).then_some(whole))
    }

    fn add(&self, job: &Job, at: usize, most: usize, moments: &mut [Moments]) -> Result<()> {
        let (dims, own) = self.input(job.read, job.input, at, Network::Own)?;
        let float = match self.differs(job.input) {
            true => Some(self.input(job.read, job.input, at, Network::Float)?),
            false => None,
        };
        let Some(field) = job.columns.field(&dims).filter(|field| field.positions() > 0) else {
            return Ok(());
        };
        if float.as_ref().is_some_and(|(other, _)| *other != dims) {
            return Ok(());
        }
        let parts = (moments.len() / job.columns.groups).max(1);
        let together = (TOGETHER / job.columns.features.max(1)).max(1);
        for positions in spread(field.positions(), most, at).chunks(together) {
            let places = field.places(positions);
            for (group, moments) in moments.chunks_mut(parts).enumerate() {
                let columns = |values: &[f32]| field.fill(&job.columns, group, values, &places);
                let own = columns(&own);
                let float = float.as_ref().map(|(_, values)| columns(values));
                let length = own.len() / parts;
                for (part, moments) in moments.iter_mut().enumerate() {
                    let run = part * length..(part + 1) * length;
                    moments.add(&own[run.clone()], float.as_ref().map(|float| &float[run]));
                }
            }
        }
        Ok(())
    }
}

/// Positions that are taken of each of `count` samples.
pub(super) fn most_positions(features: usize, count: usize) -> usize {
    (POSITIONS + POSITIONS_PER_FEATURE * features).div_ceil(count.max(1))
}

/// At most `most` of `count` positions: one of each stretch of equal length, at a place that depends on the sample.
pub(super) fn spread(count: usize, most: usize, sample: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let mut state = (sample as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..most)
        .map(|stretch| {
            let (start, end) = (stretch * count / most, (stretch + 1) * count / most);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            start + (state >> 33) as usize % (end - start).max(1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_spread_without_repetition() {
        for (count, most) in [(10, 20), (1000, 7), (1024, 129), (5, 5)] {
            let positions = spread(count, most, 3);
            assert_eq!(positions.len(), count.min(most));
            assert!(
                positions.windows(2).all(|pair| pair[0] < pair[1]) && positions.iter().all(|&at| at < count)
            );
        }
        assert_ne!(spread(1000, 7, 3), spread(1000, 7, 4));
    }
}

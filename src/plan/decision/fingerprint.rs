//! Samples known again by their digests, whatever their file or order.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Heads of digests that are kept: 4 KB as hexadecimal digits.
const MOST_HEADS: usize = 512;
/// Hexadecimal digits of a head.
const DIGITS: usize = 8;

/// How many of the samples were calibrated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Samples that were calibrated on.
    pub samples: usize,
    /// Samples in all.
    pub of: usize,
    /// Whether that is counted; otherwise it is estimated from a part of them.
    pub exact: bool,
}

/// A set of samples that were calibrated on, in a few bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// How many there were.
    pub samples: usize,
    /// SHA-256 of their digests in ascending order, in hexadecimal.
    pub sha256: String,
    /// The first 32 bits of their digests in ascending order, in hexadecimal, without repetition; of many samples the
    /// lowest ones, which are a random part of them.
    pub heads: String,
}

impl Fingerprint {
    /// Of samples with these digests.
    pub fn of(digests: &[u64]) -> Self {
        let mut sorted = digests.to_vec();
        sorted.sort_unstable();
        let mut heads: Vec<u32> = sorted.iter().map(|&digest| head(digest)).collect();
        heads.dedup();
        heads.truncate(MOST_HEADS);
        Self {
            samples: digests.len(),
            sha256: whole(&sorted),
            heads: heads.iter().map(|head| format!("{head:08x}")).collect(),
        }
    }

    /// How many of the samples with these digests belong to the set.
    pub fn overlap(&self, digests: &[u64]) -> Overlap {
        let of = digests.len();
        let mut sorted = digests.to_vec();
        sorted.sort_unstable();
        if self.samples == of && whole(&sorted) == self.sha256 {
            return Overlap { samples: of, of, exact: true };
        }
        let heads: HashSet<u32> = self
            .heads
            .as_bytes()
            .chunks(DIGITS)
            .filter_map(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .collect();
        let exact = self.samples <= MOST_HEADS || heads.len() < MOST_HEADS;
        // Beyond the highest head that is kept nothing is known.
        let last = if exact { u32::MAX } else { heads.iter().copied().max().unwrap_or(0) };
        let known = sorted.iter().filter(|&&digest| head(digest) <= last).count();
        let found = sorted.iter().filter(|&&digest| heads.contains(&head(digest))).count();
        let samples = match exact {
            true => found,
            false => (found as f64 / known.max(1) as f64 * of as f64).round() as usize,
        };
        Overlap { samples, of, exact }
    }
}

fn head(digest: u64) -> u32 {
    (digest >> 32) as u32
}

fn whole(sorted: &[u64]) -> String {
    let mut sha = Sha256::new();
    sorted.iter().for_each(|digest| sha.update(digest.to_le_bytes()));
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, as digests do.
    fn digests(range: std::ops::Range<u64>) -> Vec<u64> {
        range.map(|at| (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    }

    #[test]
    fn the_same_samples_are_known_in_any_order() {
        let mut samples = digests(0..300);
        let mark = Fingerprint::of(&samples);
        samples.reverse();
        assert_eq!(mark, Fingerprint::of(&samples));
        assert_eq!(mark.overlap(&samples), Overlap { samples: 300, of: 300, exact: true });
        assert_eq!(mark.heads.len(), 300 * DIGITS);
    }

    #[test]
    fn parts_are_counted() {
        let mark = Fingerprint::of(&digests(0..100));
        assert_eq!(mark.overlap(&digests(90..190)), Overlap { samples: 10, of: 100, exact: true });
        assert_eq!(mark.overlap(&digests(100..200)).samples, 0);
        assert_eq!(mark.overlap(&[]), Overlap { samples: 0, of: 0, exact: true });
    }

    #[test]
    fn of_many_samples_parts_are_estimated() {
        let mark = Fingerprint::of(&digests(0..20_000));
        assert_eq!(mark.heads.len(), MOST_HEADS * DIGITS);
        let overlap = mark.overlap(&digests(15_000..25_000));
        assert!(!overlap.exact && (4_000..6_000).contains(&overlap.samples), "{overlap:?}");
        assert_eq!(mark.overlap(&digests(20_000..30_000)).samples, 0);
        assert!(mark.overlap(&digests(0..20_000)).exact);
    }
}

//! Random numbers that stay the same in every version and on every machine.

use std::collections::HashMap;

/// SplitMix64 (Steele, Lea and Flood 2014): a counter in steps of the golden ratio, mixed. Chosen
/// because it is ten lines that nobody will change, so a seed names the same samples for ever.
#[derive(Clone, Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the bias of the multiplication is below `bound` / 2^64.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A uniform number in (0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// A standard-normal number (Box and Muller; the second of the pair is thrown away).
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// `count` different numbers below `len`, ascending: the first `count` places of a Fisher-Yates
/// shuffle, of which only the places that were swapped are kept.
pub(super) fn subset(len: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut random = SplitMix64::new(seed);
    let mut moved: HashMap<usize, usize> = HashMap::new();
    let mut chosen: Vec<usize> = (0..count.min(len))
        .map(|place| {
            let other = place + random.below(len - place);
            let here = moved.get(&place).copied().unwrap_or(place);
            moved.insert(other, here).unwrap_or(other)
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], expected);
    }

    #[test]
    fn subsets_are_ascending_distinct_and_even() {
        let mut hits = [0; 20];
        for seed in 0..2000 {
            let chosen = subset(20, 7, seed);
            assert!(chosen.len() == 7 && chosen.is_sorted_by(|a, b| a < b));
            chosen.iter().for_each(|&at| hits[at] += 1);
        }
        assert!(hits.iter().all(|&hits| (600..800).contains(&hits)), "{hits:?}");
        assert_eq!(subset(5, 9, 1), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_seed_names_the_same_subset_for_ever() {
        assert_eq!(subset(1000, 5, 42), PINNED);
    }

    const PINNED: [usize; 5] = [41, 160, 280, 346, 741];

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = SplitMix64::new(3);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}

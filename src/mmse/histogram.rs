//! Counting values while they stream past.

/// Most bins a [`Histogram`] spans: 32 KiB of counters, at least 2048 of them in use by any spread of values, so at
/// least 8 bins to a step of an 8-bit grid over the whole range.
pub const MAX_BINS: usize = 4096;

/// Bin indices stay within this magnitude, which is finer than f32 resolves and leaves them exact in an i32.
const INDEX_REACH: f64 = 1_073_741_824.0;
/// Exponent of the finest bin width, the spacing of the smallest f32 numbers.
const FINEST: i32 = -149;
/// 1.5 times 2^52: the last bit of what is near it counts units, and its low 32 bits are 0.
const UNITS_LAST: f64 = 6_755_399_441_055_744.0;
/// Values looked at in one go: they stay in the fastest memory between finding their range and counting them.
const BLOCK: usize = 4096;
/// Counters for what is not binned, taken in turn so that runs of zeros do not wait for one counter.
const SPILLS: usize = 8;

/// Counts of the values of a stream, in bounded memory, whose final state depends on which values were added but not on
/// their order, nor on how they were split over histograms that were then merged.
///
/// Bins are `2^k` wide and bin `i` covers `[i 2^k, (i+1) 2^k)`; `k` is the smallest exponent (not below -149, no index
/// beyond 2^30) at which the values from the smallest to the largest span at most [`MAX_BINS`] bins. When the range grows
/// neighbouring bins merge in pairs, which is exact: `floor(floor(x/w)/2) = floor(x/2w)`. Zeros of either sign belong to
/// the range but are counted apart; NaN and infinities are only counted. Counts saturate at `u64::MAX`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Counters of the bins from index `base` on, then [`SPILLS`] that are 0 between calls; empty before the first value.
    bins: Vec<u64>,
    /// Index of the first bin.
    base: i32,
    /// Bin width is 2 to this.
    exponent: i32,
    /// Smallest and largest value; infinite the wrong way round before the first.
    min: f32,
    max: f32,
    zeros: u64,
    others: u64,
    non_finite: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// A histogram of nothing.
    pub fn new() -> Self {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        Self { bins: Vec::new(), base: 0, exponent: FINEST, min, max, zeros: 0, others: 0, non_finite: 0 }
    }

    /// Counts every value of `values`.
    pub fn add_slice(&mut self, values: &[f32]) {
        self.add_slice_times(values, 1);
    }

    /// Counts every value of `values` so many times: as much as each is worth. No times adds nothing, not even to the range.
    pub fn add_slice_times(&mut self, values: &[f32], times: u64) {
        for block in values.chunks(BLOCK).filter(|_| times > 0) {
            self.add_block(block, times);
        }
    }

    /// Counts everything that `other` has counted, as if its values had been added here.
    pub fn merge(&mut self, other: &Self) {
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.others = self.others.saturating_add(other.others);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
        if other.bins.is_empty() {
            return;
        }
        self.cover(other.min, other.max);
        pour(&other.bins, (other.base, other.exponent), &mut self.bins, (self.base, self.exponent));
    }

    /// Smallest finite value, `None` before the first.
    pub fn min(&self) -> Option<f32> {
        (!self.bins.is_empty()).then_some(self.min)
    }

    /// Largest finite value, `None` before the first.
    pub fn max(&self) -> Option<f32> {
        (!self.bins.is_empty()).then_some(self.max)
    }

    /// How many finite values were counted, zeros included.
    pub fn count(&self) -> u64 {
        self.zeros.saturating_add(self.others)
    }

    /// How many of them were exactly 0.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// How many NaN and infinite values were met; they are in no bin.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// Width of a bin, a power of two in the values' unit.
    pub fn bin_width(&self) -> f64 {
        power_of_two(self.exponent)
    }

    /// The bins that hold anything, from the lowest up: centre (held to between [`Histogram::min`] and
    /// [`Histogram::max`]) and count. Zeros are in none of them.
    pub fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = self.bin_width();
        let filled = self.bins.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(move |(place, &count)| {
            let centre = (f64::from(self.base) + place as f64 + 0.5) * width;
            (centre.max(f64::from(self.min)).min(f64::from(self.max)), count)
        })
    }

    fn add_block(&mut self, values: &[f32], times: u64) {
        let seen = Extent::of(values);
        if seen.min <= seen.max {
            self.cover(seen.min, seen.max);
        }
        let finite = (values.len() as u64).saturating_sub(seen.non_finite);
        self.non_finite = self.non_finite.saturating_add(times.saturating_mul(seen.non_finite));
        self.zeros = self.zeros.saturating_add(times.saturating_mul(seen.zeros));
        self.others = self.others.saturating_add(times.saturating_mul(finite.saturating_sub(seen.zeros)));
        if finite == seen.zeros {
            return;
        }
        let scale = power_of_two(-self.exponent);
        let mut places = [0u32; 64];
        for values in values.chunks(places.len()) {
            for (lane, (place, &value)) in places.iter_mut().zip(values).enumerate() {
                let spill = (MAX_BINS + lane % SPILLS) as u32;
                // Exact: an f32 times a power of two. Where it is beyond 2^30, the value spills anyway. Adding
                // rounds to an integer in the low bits; a conversion to i32 would not be done in lanes.
                let position = f64::from(value) * scale;
                let shifted = position + UNITS_LAST;
                let above = shifted - UNITS_LAST > position;
                let index = (shifted.to_bits() as i32).wrapping_sub(i32::from(above));
                let counted = value != 0.0 && value.abs() <= f32::MAX;
                *place = if counted { index.wrapping_sub(self.base) as u32 } else { spill };
            }
            for &place in places.iter().take(values.len()) {
                if let Some(count) = self.bins.get_mut(place as usize) {
                    *count = count.saturating_add(times);
                }
            }
        }
        if let Some(spills) = self.bins.get_mut(MAX_BINS..) {
            spills.fill(0);
        }
    }

    /// Grows so that `min..=max` has bins, in the one way that the range of all values prescribes.
    fn cover(&mut self, min: f32, max: f32) {
        // Adding 0 turns -0 into 0, so that the order of zeros cannot show.
        let (min, max) = (self.min.min(min) + 0.0, self.max.max(max) + 0.0);
        if !self.bins.is_empty() && min == self.min && max == self.max {
            return;
        }
        let exponent = exponent_for(f64::from(min), f64::from(max));
        let base = index_of(f64::from(min), exponent) as i32;
        if self.bins.is_empty() {
            self.bins = vec![0; MAX_BINS + SPILLS];
        } else if (base, exponent) != (self.base, self.exponent) {
            let mut bins = vec![0; MAX_BINS + SPILLS];
            pour(&self.bins, (self.base, self.exponent), &mut bins, (base, exponent));
            self.bins = bins;
        }
        (self.min, self.max, self.base, self.exponent) = (min, max, base, exponent);
    }
}

/// What a first look at some values tells.
struct Extent {
    /// Of the finite values.
    min: f32,
    max: f32,
    zeros: u64,
    non_finite: u64,
}

impl Extent {
    fn of(values: &[f32]) -> Self {
        const LANES: usize = 16;
        let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let (mut zeros, mut strange) = ([0u32; LANES], [0u32; LANES]);
        let mut look = |lane: usize, value: f32| {
            let finite = value.abs() <= f32::MAX;
            let (low, high) = if finite { (value, value) } else { (f32::INFINITY, f32::NEG_INFINITY) };
            min[lane] = if low < min[lane] { low } else { min[lane] };
            max[lane] = if high > max[lane] { high } else { max[lane] };
            zeros[lane] += u32::from(value == 0.0);
            strange[lane] += u32::from(!finite);
        };
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &value) in chunk.iter().enumerate() {
                look(lane, value);
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            look(lane, value);
        }
        Self {
            min: min.into_iter().fold(f32::INFINITY, f32::min),
            max: max.into_iter().fold(f32::NEG_INFINITY, f32::max),
            zeros: zeros.into_iter().map(u64::from).sum(),
            non_finite: strange.into_iter().map(u64::from).sum(),
        }
    }
}

/// Adds the counts of one row of bins (index of its first bin, exponent of its width) to another whose bins are no finer.
fn pour(from: &[u64], (base, exponent): (i32, i32), into: &mut [u64], (new_base, new_exponent): (i32, i32)) {
    let shift = (new_exponent - exponent).clamp(0, 63) as u32;
    for (index, &count) in (i64::from(base)..).zip(from) {
        let place = (index >> shift) - i64::from(new_base);
        if count > 0
            && let Some(total) = usize::try_from(place).ok().and_then(|place| into.get_mut(place))
        {
            *total = total.saturating_add(count);
        }
    }
}

/// The smallest permitted exponent of the bin width for values from `min` to `max`.
fn exponent_for(min: f64, max: f64) -> i32 {
    let fits = |exponent: i32| {
        let (low, high) = (index_of(min, exponent), index_of(max, exponent));
        high - low < MAX_BINS as f64 && low >= -INDEX_REACH && high < INDEX_REACH
    };
    // Widths below these two fit for certain not, which saves the search most of its way.
    let by_span = exponent_of(max - min) - 12;
    let by_reach = exponent_of(min.abs().max(max.abs())) - 31;
    let mut exponent = by_span.max(by_reach).max(FINEST);
    while !fits(exponent) {
        exponent += 1;
    }
    exponent
}

/// `floor(x / 2^exponent)`.
fn index_of(x: f64, exponent: i32) -> f64 {
    (x * power_of_two(-exponent)).floor()
}

/// Floor of the base-two logarithm of `x`; a large negative number for 0.
fn exponent_of(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// `2^exponent`, within the normal numbers of f64.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent.clamp(-1022, 1023) + 1023) as u64) << 52)
}

//! What every part promises, held against slower ways to the same answer.

mod defined;
mod exact;
mod multi;
mod range_multi;
mod ranges;
mod streams;

use proptest::prelude::*;

/// Reproducible numbers of several shapes; standard library only.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    /// Uniform in 0..1.
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn gauss(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(super) fn laplace(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln() * if self.uniform() < 0.5 { -1.0 } else { 1.0 }
    }
}

/// Kernels as layers have them: bell-shaped, heavy-tailed, one-sided, coarse, with equal values and zeros.
pub(super) fn kernel(longest: usize) -> impl Strategy<Value = Vec<f32>> {
    (1..=longest, any::<u64>(), 0..6u8).prop_map(|(length, seed, shape)| {
        let mut noise = Noise::new(seed);
        let draw = |_| match shape {
            0 => noise.gauss() as f32,
            1 => (noise.laplace() * 0.01) as f32,
            2 => (noise.gauss().powi(3) * 1e6) as f32,
            3 => noise.gauss().abs() as f32,
            4 => (noise.gauss() * 2.0).round() as f32,
            _ => (noise.uniform() as f32 - 0.3) * 1e-20,
        };
        (0..length).map(draw).collect()
    })
}

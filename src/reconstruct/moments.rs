//! Second moments of a layer's input, summed while samples stream past.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of a matrix that one task sums. Fixed, so that the order of summation does not depend on the number of threads.
const TILE: usize = 96;

/// Sums over the positions that one group of a layer has met: `x` are the inputs in the float network, `y` those in the
/// quantized one.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    features: usize,
    pub(super) positions: f64,
    /// `sum y y^T`, row-major. It is symmetric, so only the half up to the diagonal is summed to the end.
    pub(super) own: Vec<f64>,
    /// `sum x y^T`, row-major; empty where both inputs are the same.
    pub(super) cross: Vec<f64>,
    /// `sum x` and `sum y`.
    pub(super) sum_float: Vec<f64>,
    pub(super) sum_own: Vec<f64>,
    /// What one half of the samples adds to these sums.
    pub(super) half: Option<Box<Moments>>,
}

impl Moments {
    /// No positions yet. `asymmetric` where the two inputs differ.
    pub fn new(features: usize, asymmetric: bool) -> Self {
        let square = features * features;
        Self {
            features,
            positions: 0.0,
            own: vec![0.0; square],
            cross: if asymmetric { vec![0.0; square] } else { Vec::new() },
            sum_float: vec![0.0; features],
            sum_own: vec![0.0; features],
            half: None,
        }
    }

    /// Moments that are assumed, not seen: the mean of each feature, and `E[x x^T]`, row-major.
    pub fn assumed(mean: Vec<f64>, second: Vec<f64>) -> Self {
        Self {
            features: mean.len(),
            positions: 1.0,
            own: second,
            cross: Vec::new(),
            sum_float: mean.clone(),
            sum_own: mean,
            half: None,
        }
    }

    /// Length of an input vector.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Whether the two inputs are told apart.
    pub fn is_asymmetric(&self) -> bool {
        !self.cross.is_empty()
    }

    /// Whether no position was added.
    pub fn is_empty(&self) -> bool {
        self.positions == 0.0
    }

    /// Bytes that the moments of `groups` groups of so many features take; the largest number where that does not fit.
    pub fn all_bytes(groups: usize, features: usize, asymmetric: bool) -> usize {
        let sums = if asymmetric { 16 } else { 8 };
        groups.saturating_mul(features).saturating_mul(features).saturating_mul(sums)
    }

    /// Adds positions: `own` and `float` are `[features, positions]`, row-major, with the same positions. Without `float` the
    /// float network's input is the same. Lengths that do not fit add nothing.
    pub fn add(&mut self, own: &[f64], float: Option<&[f64]>) {
        let features = self.features;
        if features == 0 || own.is_empty() || !own.len().is_multiple_of(features) {
            return;
        }
        let positions = own.len() / features;
        let other = float.unwrap_or(own);
        if other.len() != own.len() {
            return;
        }
        self.positions += positions as f64;
        let sum = |(sum, row): (&mut f64, &[f64])| *sum += row.iter().sum::<f64>();
        self.sum_own.iter_mut().zip(own.chunks(positions)).for_each(sum);
        self.sum_float.iter_mut().zip(other.chunks(positions)).for_each(sum);
        let right = MatRef::from_row_major_slice(own, features, positions);
        let tiles = |sums: &mut [f64], left: &[f64], symmetric: bool| {
            let rows =
                sums.par_chunks_mut(TILE * features).zip(left.par_chunks(TILE * positions)).enumerate();
            rows.for_each(|(tile, (sums, left))| {
                let count = left.len() / positions;
                let columns = if symmetric { tile * TILE + count } else { features };
                let target = MatMut::from_row_major_slice_mut(sums, count, features);
                let left = MatRef::from_row_major_slice(left, count, positions);
                let right = right.subrows(0, columns).transpose();
                matmul(target.subcols_mut(0, columns), Accum::Add, left, right, 1.0, Par::Seq);
            });
        };
        tiles(&mut self.own, own, true);
        if !self.cross.is_empty() {
            tiles(&mut self.cross, other, false);
        }
    }

    /// Adds `half`, of other samples, which is kept beside the sum of both.
    pub fn join(&mut self, half: Moments) {
        self.merge(&half);
        self.half = Some(Box::new(half));
    }

    /// Adds what `other`, of as many features, has seen.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.own, &other.own),
            (&mut self.cross, &other.cross),
            (&mut self.sum_float, &other.sum_float),
            (&mut self.sum_own, &other.sum_own),
        ];
        for (sums, more) in pairs {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        self.positions += other.positions;
    }
}

//! What another branch, added to a layer's output, has got wrong.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Sums over positions: `e` is the error of the other branch (float minus quantized, a row an output channel), `y` the layer's input
/// in the quantized network.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    rows: usize,
    features: usize,
    /// `sum e y^T`, row-major.
    pub(super) cross: Vec<f64>,
    /// `sum e`.
    pub(super) sum: Vec<f64>,
    /// What one half of the samples adds to these sums; the same samples as in the moments.
    pub(super) half: Option<Box<Residual>>,
}

impl Residual {
    /// No positions yet.
    pub fn new(rows: usize, features: usize) -> Self {
        Self { rows, features, cross: vec![0.0; rows * features], sum: vec![0.0; rows], half: None }
    }

    /// Adds positions: `errors` is `[rows, positions]`, `input` `[features, positions]`, row-major. Lengths that do not fit add
    /// nothing.
    pub fn add(&mut self, errors: &[f64], input: &[f64]) {
        let positions = input.len() / self.features.max(1);
        if positions == 0 || input.len() != positions * self.features || errors.len() != positions * self.rows
        {
            return;
        }
        let target = MatMut::from_row_major_slice_mut(&mut self.cross, self.rows, self.features);
        let left = MatRef::from_row_major_slice(errors, self.rows, positions);
        let right = MatRef::from_row_major_slice(input, self.features, positions);
        matmul(target, Accum::Add, left, right.transpose(), 1.0, Par::Seq);
        self.sum
            .iter_mut()
            .zip(errors.chunks(positions))
            .for_each(|(sum, row)| *sum += row.iter().sum::<f64>());
    }

    /// Adds `half`, of other samples, which is kept beside the sum of both.
    pub fn join(&mut self, half: Residual) {
        self.merge(&half);
        self.half = Some(Box::new(half));
    }

    /// Adds what `other`, of the same size, has seen.
    pub fn merge(&mut self, other: &Self) {
        self.cross.iter_mut().zip(&other.cross).for_each(|(sum, more)| *sum += more);
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, more)| *sum += more);
    }
}

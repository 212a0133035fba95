//! Scales of least output error for frozen codes: the paper's "OMSE + opt" as linear least squares.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// The normal equations of scales that one or more rows share: with the integer vectors `q_j` that the scales `a_j` multiply,
/// `sum_k (q_j H q_k) a_k = q_j H t`, summed over the rows.
#[derive(Clone, Debug)]
pub struct Normal {
    matrix: Mat<f64>,
    right: Vec<f64>,
    energy: f64,
}

impl Normal {
    /// No rows yet, for so many scales.
    pub fn new(scales: usize) -> Self {
        Self { matrix: Mat::zeros(scales, scales), right: vec![0.0; scales], energy: 0.0 }
    }

    /// Adds a row: its target `t`, `H t`, and for each scale the integers that it multiplies and `H` times those.
    pub fn add(&mut self, target: &[f64], through: &[f64], vectors: &[Vec<f64>], products: &[Vec<f64>]) {
        self.energy += dot(target, through);
        for (one, (vector, product)) in vectors.iter().zip(products).enumerate() {
            self.right[one] += dot(vector, through);
            for (other, next) in vectors.iter().enumerate().take(one + 1) {
                let sum = dot(product, next);
                self.matrix[(one, other)] += sum;
                if other < one {
                    self.matrix[(other, one)] += sum;
                }
            }
        }
    }

    /// What the error is where all scales are 0.
    pub fn energy(&self) -> f64 {
        self.energy
    }

    /// The output error at `scales`, damping included.
    pub fn error(&self, scales: &[f64]) -> f64 {
        let mut error = self.energy;
        for (one, &scale) in scales.iter().enumerate() {
            error -= 2.0 * scale * self.right[one];
            let row = scales.iter().enumerate();
            error += row.map(|(other, next)| scale * next * self.matrix[(one, other)]).sum::<f64>();
        }
        error.max(0.0)
    }

    /// The scales of least error, or `scales` where the equations have no positive answer, or no better one; and their error.
    pub fn solve(&self, scales: &[f64]) -> (Vec<f64>, f64) {
        let kept = (scales.to_vec(), self.error(scales));
        // A scale whose codes are all zero multiplies nothing, and stays.
        let used: Vec<usize> = (0..scales.len()).filter(|&at| self.matrix[(at, at)] > 0.0).collect();
        if used.is_empty() {
            return kept;
        }
        let matrix =
            Mat::from_fn(used.len(), used.len(), |row, column| self.matrix[(used[row], used[column])]);
        let Ok(factor) = matrix.llt(Side::Lower) else { return kept };
        let solved = factor.solve(Mat::from_fn(used.len(), 1, |row, _| self.right[used[row]]));
        let mut found = scales.to_vec();
        for (row, &at) in used.iter().enumerate() {
            found[at] = solved[(row, 0)];
        }
        let sound = |scale: &f64| scale.is_finite() && *scale >= f64::from(f32::MIN_POSITIVE);
        if !found.iter().all(sound) {
            return kept;
        }
        let error = self.error(&found);
        if error < kept.1 { (found, error) } else { kept }
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

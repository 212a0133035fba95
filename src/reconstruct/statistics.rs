//! What the moments say of a layer: the metric of its output error, and the best real weights.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Llt;
use faer::prelude::*;
use faer::{Accum, Mat, Par, Side};

use super::{Moments, Residual};

/// Part of the mean diagonal that is added to the metric's diagonal. It keeps weights near their float values in directions
/// that the samples hardly show: less follows the samples more closely, more generalises better from few of them.
pub(super) const DAMPING: f64 = 0.1;
/// The same for moving weights to their best real values, with the gap between the two networks known from few samples: an
/// estimate that follows them closely fits the gaps of these samples more than those of others.
pub(super) const SHIFT_DAMPING: f64 = 0.2;
/// How much damping grows where the metric cannot be factorised, and how often it may.
const DAMPING_GROWTH: f64 = 10.0;
const DAMPING_ATTEMPTS: usize = 12;

/// Moments as means, with damping: what one group of a layer needs to know of its input.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `E[x' x'^T]`, about the means where a bias takes them up, plus damping; symmetric and positive definite.
    pub(super) metric: Mat<f64>,
    mean_float: Vec<f64>,
    mean_own: Vec<f64>,
    positions: f64,
    about: f64,
}

/// What only the search for targets, and then the order of codes, starts from: matrices as large as the metric, to be let go of early.
#[derive(Clone, Debug)]
pub struct Start {
    /// The metric's factor.
    pub(super) factor: Llt<f64>,
    /// `E[x x'^T] - E[x' x'^T]`, about the means as the metric; `None` where it is 0.
    pub(super) shift: Option<Mat<f64>>,
    /// The mean diagonal of the metric before damping.
    typical: f64,
}

impl Start {
    /// The real weights of least output error on the quantized network's inputs, `W + W (C - H) (H + damping)^-1`, a row an
    /// output channel. The ridge holds them to `weights`, `[rows, features]` row-major, not to 0.
    ///
    /// With a `residual` the layer also makes up for the errors of another branch, as far as they can be told from its input:
    /// the sum of both is matched.
    pub fn targets(
        &self,
        statistics: &Statistics,
        weights: &Mat<f64>,
        residual: Option<&Residual>,
    ) -> Mat<f64> {
        let Some(shift) = &self.shift else { return weights.clone() };
        let Statistics { metric, mean_own, positions, about, .. } = statistics;
        let features = statistics.features();
        let mut held = metric.clone();
        (0..features).for_each(|at| held[(at, at)] += SHIFT_DAMPING * self.typical);
        let Ok(held) = held.llt(Side::Lower) else { return weights.clone() };
        let mut moved = Mat::zeros(weights.nrows(), features);
        matmul(&mut moved, Accum::Replace, weights, shift, 1.0, Par::Seq);
        if let Some(residual) = residual {
            moved += Mat::from_fn(weights.nrows(), features, |row, feature| {
                let cross = residual.cross[row * features + feature] / positions;
                cross - about * residual.sum[row] / positions * mean_own[feature]
            });
        }
        let moved = held.solve(moved.transpose());
        weights + moved.transpose()
    }
}

impl Statistics {
    /// Reads `moments`, which are let go of. `centred` where a bias can take up the means. Features that were always 0 count as if
    /// each of them varied as much as the others do on average, independently.
    ///
    /// `None` where nothing finite was seen, or nothing but zeros.
    pub fn new(moments: Moments, centred: bool) -> Option<(Self, Start)> {
        let features = moments.features();
        let positions = moments.positions;
        let finite = moments.own.iter().chain(&moments.cross).all(|value| value.is_finite());
        if features == 0 || positions < 1.0 || !finite {
            return None;
        }
        let mean = |sums: &[f64]| sums.iter().map(|sum| sum / positions).collect::<Vec<_>>();
        let (mean_float, mean_own) = (mean(&moments.sum_float), mean(&moments.sum_own));
        let about = if centred { 1.0 } else { 0.0 };
        let own = |row: usize, column: usize| {
            // The two halves of the sum differ in rounding: the metric takes one.
            let (row, column) = (row.max(column), row.min(column));
            moments.own[row * features + column] / positions - about * mean_own[row] * mean_own[column]
        };
        let mut metric = Mat::from_fn(features, features, own);
        let shift = moments.is_asymmetric().then(|| {
            Mat::from_fn(features, features, |row, column| {
                let cross = moments.cross[row * features + column] / positions;
                cross - about * mean_float[row] * mean_own[column] - metric[(row, column)]
            })
        });
        let unseen: Vec<usize> = (0..features).filter(|&at| moments.own[at * features + at] <= 0.0).collect();
        drop(moments);
        let trace: f64 = (0..features).map(|at| metric[(at, at)].max(0.0)).sum();
        let typical = trace / (features - unseen.len()).max(1) as f64;
        if !(typical > 0.0 && typical.is_finite()) {
            return None;
        }
        unseen.into_iter().for_each(|at| metric[(at, at)] = typical);
        let mut damping = DAMPING * typical;
        for at in 0..features {
            metric[(at, at)] += damping;
        }
        for _ in 0..DAMPING_ATTEMPTS {
            if let Ok(factor) = metric.llt(Side::Lower) {
                let statistics = Self { metric, mean_float, mean_own, positions, about };
                return Some((statistics, Start { factor, shift, typical }));
            }
            for at in 0..features {
                metric[(at, at)] += damping * (DAMPING_GROWTH - 1.0);
            }
            damping *= DAMPING_GROWTH;
        }
        None
    }

    /// Length of an input vector.
    pub fn features(&self) -> usize {
        self.metric.nrows()
    }

    /// The diagonal of the metric: what an error of one weight costs by itself.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.features()).map(|at| self.metric[(at, at)]).collect()
    }

    /// `E[w x] - E[v x']` of one row, and the mean error of the other branch: what the bias must take up.
    pub fn bias(&self, weights: &[f64], quantized: &[f64], residual: Option<(&Residual, usize)>) -> f64 {
        let dot =
            |row: &[f64], mean: &[f64]| row.iter().zip(mean).map(|(one, other)| one * other).sum::<f64>();
        let branch = residual.map_or(0.0, |(residual, row)| residual.sum[row] / self.positions);
        dot(weights, &self.mean_float) - dot(quantized, &self.mean_own) + branch
    }

    /// `H v` of one row.
    pub fn through(&self, row: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.features()];
        for (column, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            product
                .iter_mut()
                .zip(self.metric.col_as_slice(column))
                .for_each(|(sum, entry)| *sum += value * entry);
        }
        product
    }

    /// `H v` of each of several rows.
    pub fn products(&self, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let entries: usize = rows.iter().map(Vec::len).sum();
        let used = rows.iter().flatten().filter(|value| **value != 0.0).count();
        // Rows of which most is 0 (the integers of one scale of many) cost less one by one.
        if rows.len() < 2 || 2 * used < entries {
            return rows.iter().map(|row| self.through(row)).collect();
        }
        let columns = Mat::from_fn(self.features(), rows.len(), |feature, row| rows[row][feature]);
        let mut products = Mat::zeros(self.features(), rows.len());
        matmul(&mut products, Accum::Replace, &self.metric, &columns, 1.0, Par::Seq);
        (0..rows.len()).map(|row| products.col_as_slice(row).to_vec()).collect()
    }

    /// `(t - v) H (t - v)^T` of one row.
    pub fn error(&self, target: &[f64], quantized: &[f64]) -> f64 {
        let difference: Vec<f64> = target.iter().zip(quantized).map(|(one, other)| one - other).collect();
        self.through(&difference).iter().zip(&difference).map(|(one, other)| one * other).sum()
    }
}

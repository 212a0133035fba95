//! What the moments say of a layer: the metric of its output error, and the best real weights.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Llt;
use faer::prelude::*;
use faer::{Accum, Mat, Par, Side};

use super::ridge::{self, Half};
use super::{Moments, Residual};

/// Part of the mean diagonal that is added to the metric's diagonal. It keeps weights near their float values in directions
/// that the samples hardly show: less follows the samples more closely, more generalises better from few of them.
pub(super) const DAMPING: f64 = 0.1;
/// The same for moving weights to their best real values, on top of that, where there are no two halves of the samples that say
/// how far they may be followed.
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
    /// One half of the samples, where there are two.
    half: Option<Part>,
    /// The mean diagonal of the metric before damping.
    typical: f64,
    /// What was added to the metric's diagonal.
    damping: f64,
}

/// What some of the samples say, about the means of all.
#[derive(Clone, Debug)]
struct Part {
    metric: Mat<f64>,
    shift: Mat<f64>,
    mean_own: Vec<f64>,
    positions: f64,
}

impl Start {
    /// The real weights of least output error on the quantized network's inputs, `W + W (C - H) (H + damping)^-1`, a row an
    /// output channel. The ridge holds them to `weights`, `[rows, features]` row-major, not to 0; how strong it is, two halves of
    /// the samples say ([`ridge`]), which may be that nothing is to be moved.
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
        let mut moved = Mat::zeros(weights.nrows(), features);
        matmul(&mut moved, Accum::Replace, weights, shift, 1.0, Par::Seq);
        if let Some(residual) = residual {
            moved += Mat::from_fn(weights.nrows(), features, |row, feature| {
                let cross = residual.cross[row * features + feature] / positions;
                cross - about * residual.sum[row] / positions * mean_own[feature]
            });
        }
        // The metric is damped already.
        let damping = match self.halves(statistics, weights, &moved, residual) {
            Some(halves) => match ridge::damping(&halves, self.typical) {
                Some(damping) => damping * self.typical - self.damping,
                None => return weights.clone(),
            },
            None => SHIFT_DAMPING * self.typical,
        };
        let mut held = metric.clone();
        (0..features).for_each(|at| held[(at, at)] += damping);
        let Ok(held) = held.llt(Side::Lower) else { return weights.clone() };
        weights + held.solve(moved.transpose()).transpose()
    }

    /// What either half of the samples says of some of the rows; `moved` is what all say of all rows.
    fn halves(
        &self,
        statistics: &Statistics,
        weights: &Mat<f64>,
        moved: &Mat<f64>,
        residual: Option<&Residual>,
    ) -> Option<[Half; 2]> {
        let part = self.half.as_ref()?;
        let Statistics { metric, mean_own, positions, about, .. } = statistics;
        let features = statistics.features();
        let rows = ridge::rows(weights.nrows());
        let picked = Mat::from_fn(rows.len(), features, |at, feature| weights[(rows[at], feature)]);
        let mut second = Mat::zeros(rows.len(), features);
        matmul(&mut second, Accum::Replace, &picked, &part.shift, 1.0, Par::Seq);
        if let Some(residual) = residual {
            let half = residual.half.as_deref()?;
            second += Mat::from_fn(rows.len(), features, |at, feature| {
                let row = rows[at];
                let cross = half.cross[row * features + feature] / part.positions;
                let (mean, of_half) = (residual.sum[row] / positions, half.sum[row] / part.positions);
                let apart = part.mean_own[feature] - mean_own[feature];
                cross - about * (of_half * mean_own[feature] + mean * apart)
            });
        }
        // The sums of both halves are those of all samples.
        let share = part.positions / positions;
        let other = |all: f64, half: f64| (all - share * half) / (1.0 - share);
        let pull = Mat::from_fn(rows.len(), features, |at, feature| {
            other(moved[(rows[at], feature)], second[(at, feature)])
        });
        let first = Mat::from_fn(features, features, |row, column| {
            let all = metric[(row, column)] - if row == column { self.damping } else { 0.0 };
            other(all, part.metric[(row, column)])
        });
        Some([Half { metric: first, pull }, Half { metric: part.metric.clone(), pull: second }])
    }
}

impl Part {
    /// The half of the samples of `moments` that is kept by itself; the means are those of all samples.
    fn of(moments: &Moments, about: f64, mean_float: &[f64], mean_own: &[f64]) -> Option<Self> {
        let half = moments.half.as_deref().filter(|half| half.is_asymmetric())?;
        let (features, positions) = (half.features(), half.positions);
        if !(positions > 0.0 && positions < moments.positions) {
            return None;
        }
        // E[(x - a)(y - b)] with a, b the means of all.
        let central = |sum: f64, [x, y]: [f64; 2], [a, b]: [f64; 2]| {
            sum / positions - about * (x / positions * b + a * y / positions - a * b)
        };
        let (float, own) = (&half.sum_float, &half.sum_own);
        let metric = Mat::from_fn(features, features, |row, column| {
            let (row, column) = (row.max(column), row.min(column));
            let sum = half.own[row * features + column];
            central(sum, [own[row], own[column]], [mean_own[row], mean_own[column]])
        });
        let shift = Mat::from_fn(features, features, |row, column| {
            let sum = half.cross[row * features + column];
            let cross = central(sum, [float[row], own[column]], [mean_float[row], mean_own[column]]);
            cross - metric[(row, column)]
        });
        let mean_own = own.iter().map(|sum| sum / positions).collect();
        Some(Self { metric, shift, mean_own, positions })
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
        let half = Part::of(&moments, about, &mean_float, &mean_own);
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
                return Some((statistics, Start { factor, shift, half, typical, damping }));
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

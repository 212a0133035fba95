//! Codes one column after another, each rounding error spread over the columns still free.

use faer::linalg::solvers::{DenseSolveCore, Llt};
use faer::{Mat, Side};

use super::{Quantizer, Start, Statistics};

/// A metric made ready for [`compensate`]: columns by falling diagonal, and the Cholesky factor of the inverse in that order.
#[derive(Clone, Debug)]
pub struct Factor {
    /// Columns in the order in which they are rounded.
    order: Vec<usize>,
    /// Lower factor of the inverse; its column `j` holds how an error in the `j`-th column moves those after it.
    lower: Llt<f64>,
}

impl Factor {
    /// Factorises the metric of `statistics`; `None` where rounding leaves it without a factor.
    pub fn new(statistics: &Statistics, start: Start) -> Option<Self> {
        let Start { factor, shift, .. } = start;
        // Each of them is as large as the metric.
        drop(shift);
        let metric = &statistics.metric;
        let features = metric.nrows();
        let mut order: Vec<usize> = (0..features).collect();
        order.sort_by(|&one, &other| metric[(other, other)].total_cmp(&metric[(one, one)]));
        let inverse = factor.inverse();
        drop(factor);
        let ordered = Mat::from_fn(features, features, |row, column| inverse[(order[row], order[column])]);
        drop(inverse);
        let lower = ordered.llt(Side::Lower).ok()?;
        (0..features).all(|at| lower.L()[(at, at)] > 0.0).then_some(Self { order, lower })
    }

    /// Column `step` from its pivot on.
    fn column(&self, step: usize) -> &[f64] {
        let column = self.lower.L().col(step).try_as_col_major().map(|column| column.as_slice());
        column.and_then(|column| column.get(step..)).unwrap_or_default()
    }
}

/// Codes for `target` under each of several candidates: `[candidates, terms, features]`, flat.
///
/// A candidate is a quantizer for each run of features that share scales; `of` says which of them each feature has, and may
/// be empty where there is one. Columns are rounded in the order of `factor`. After each the columns still free move to where they
/// are best for the error just made (GPTQ). All quantizers must have as many terms.
pub fn compensate(factor: &Factor, target: &[f64], of: &[usize], candidates: &[Vec<Quantizer>]) -> Vec<i32> {
    let features = factor.order.len();
    let terms = candidates.first().and_then(|all| all.first()).map_or(0, |quantizer| quantizer.terms().len());
    let mut codes = vec![0; candidates.len() * terms * features];
    let mut found = vec![0; terms];
    let ordered: Vec<f64> = factor.order.iter().map(|&at| target[at]).collect();
    let mut rows: Vec<Vec<f64>> = candidates.iter().map(|_| ordered.clone()).collect();
    for (step, &column) in factor.order.iter().enumerate() {
        let which = of.get(column).copied().unwrap_or(0);
        let (&pivot, spread) = factor.column(step).split_first().unwrap_or((&1.0, &[]));
        for (candidate, (row, quantizers)) in rows.iter_mut().zip(candidates).enumerate() {
            let value = row[step];
            let error = (value - quantizers[which].nearest(value, &mut found)) / pivot;
            for (term, &code) in found.iter().enumerate() {
                codes[(candidate * terms + term) * features + column] = code;
            }
            row[step + 1..].iter_mut().zip(spread).for_each(|(later, share)| *later -= error * share);
        }
    }
    codes
}

//! Running the float model on samples and keeping what solving needs of its activations: a
//! histogram each, and the mean input of each weight. Memory is bounded by the samples in flight.

mod columns;
mod count;
mod means;
mod moments;
mod reach;
mod residuals;
mod resume;
mod segment;
mod spool;
mod values;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::mmse::Histogram;
use crate::onnx::Model;
use crate::onnx::proto::TensorProto;
use crate::plan::{Analysis, Observations};
use crate::progress::{Progress, Stage};
use crate::runtime::Session;

#[cfg(test)]
mod tests;

pub use count::count;
use means::Gather;
pub use reach::Reach;
pub use resume::{Resume, frontier};
pub use walk::{Feed, Stop, Walk};

/// Samples whose sums are held at a time. The sums are added in the order of the samples, so that
/// the result does not depend on the number of threads.
const CHUNK: usize = 32;

/// The sums of one sample, or of all so far: for each gather its values and their weight.
type Sums = Vec<(Vec<f64>, f64)>;

/// Runs `count` samples, of which `sample` gives the inputs, through `model`. Means are observed
/// only where asked for.
///
/// # Errors
/// Whatever reading a sample or running the model gives; [`Error::Runtime`] where an activation
/// site was not seen.
pub fn observe(
    model: &Model,
    analysis: &Analysis,
    count: usize,
    sample: &(dyn Fn(usize) -> Result<Vec<TensorProto>> + Sync),
    means: bool,
    progress: &dyn Progress,
) -> Result<Observations> {
    let gathers = if means { gathers(analysis) } else { Vec::new() };
    let ranged: BTreeSet<&str> = analysis.activations.iter().map(|site| site.tensor.as_str()).collect();
    let taps: BTreeSet<&str> =
        ranged.iter().copied().chain(gathers.iter().map(|gather| gather.input.as_str())).collect();
    let taps: Vec<String> = taps.into_iter().map(str::to_owned).collect();
    if taps.is_empty() || count == 0 {
        return Ok(Observations { samples: count, ..Observations::default() });
    }
    let session = Session::new(model, "float", &taps)?;
    let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, gather) in gathers.iter().enumerate() {
        readers.entry(&gather.input).or_default().push(at);
    }
    let empty =
        || ranged.iter().map(|&tensor| (tensor.to_owned(), Histogram::new())).collect::<BTreeMap<_, _>>();
    // One set of histograms a worker at most; whichever is free is taken.
    let pool: Mutex<Vec<BTreeMap<String, Histogram>>> = Mutex::default();
    let mut total: Sums = vec![(Vec::new(), 0.0); gathers.len()];
    let stage = Stage::begin(progress, "calibrate", count)?;
    for start in (0..count).step_by(CHUNK) {
        let sums: Vec<Sums> = (start..count.min(start + CHUNK))
            .into_par_iter()
            .map(|at| {
                let mut histograms = lock(&pool).pop().unwrap_or_else(empty);
                let mut sums: Sums = vec![(Vec::new(), 0.0); gathers.len()];
                session.run_tapped(&sample(at)?, &mut |tensor, dims, values| {
                    if let Some(histogram) = histograms.get_mut(tensor) {
                        histogram.add_slice(values);
                    }
                    for &reader in readers.get(tensor).into_iter().flatten() {
                        sums[reader] = gathers[reader].sums(dims, values);
                    }
                })?;
                lock(&pool).push(histograms);
                stage.step()?;
                Ok(sums)
            })
            .collect::<Result<_>>()?;
        sums.into_iter().for_each(|sums| add(&mut total, sums));
    }
    drop(stage);
    let mut histograms = empty();
    for (tensor, part) in
        pool.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_iter().flatten()
    {
        if let Some(whole) = histograms.get_mut(&tensor) {
            whole.merge(&part);
        }
    }
    if let Some((tensor, _)) =
        histograms.iter().find(|(_, histogram)| histogram.count() + histogram.non_finite() == 0)
    {
        let problem = format!("activation {tensor} was never seen");
        return Err(Error::Runtime { action: "calibrate", view: "float".into(), problem });
    }
    let mean = |(sums, weight): (Vec<f64>, f64)| sums.into_iter().map(|sum| sum / weight.max(1.0)).collect();
    let means =
        gathers.iter().zip(total).map(|(gather, sums)| ((gather.weights.clone(), gather.at), mean(sums)));
    Ok(Observations { samples: count, histograms, means: means.collect() })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn gathers(analysis: &Analysis) -> Vec<Gather> {
    let sites = analysis.weights.iter();
    sites
        .flat_map(|site| {
            let readers = site.readers.iter().filter(|reader| reader.bias.is_some());
            readers.filter_map(|reader| {
                Some(Gather {
                    weights: site.tensor.clone(),
                    at: reader.read.at,
                    input: reader.input()?.to_owned(),
                    kernel: reader.kernel.clone(),
                })
            })
        })
        .collect()
}

fn add(total: &mut Sums, sums: Sums) {
    for ((total, weight), (sums, more)) in total.iter_mut().zip(sums) {
        if total.is_empty() {
            *total = sums;
        } else {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        *weight += more;
    }
}

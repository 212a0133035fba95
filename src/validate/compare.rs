//! Float and quantized model side by side.

use rayon::prelude::*;

use super::scores::Tally;
use crate::error::{Error, Result};
use crate::plan::{OutputError, Validation};
use crate::progress::Progress;
use crate::runtime::{Output, Session};
use crate::samples::Samples;

/// Samples whose outputs are held at a time; they are folded in order, so the sums do not depend
/// on the number of threads.
const CHUNK: usize = 32;

/// Errors of one output over all samples.
#[derive(Clone, Debug, Default)]
struct Sums {
    name: String,
    signal: f64,
    noise: f64,
    largest: f64,
    broken: u64,
}

/// Runs both models on every sample. `view` names the form of the written file that is run.
///
/// # Errors
/// Whatever reading samples or running a model gives.
pub fn compare(
    float: &Session,
    quantized: &Session,
    samples: &Samples,
    view: &str,
    progress: &dyn Progress,
) -> Result<Validation> {
    progress.begin("validate", Some(samples.len() as u64));
    let mut tally = Tally::default();
    let mut sums: Vec<Sums> = Vec::new();
    for start in (0..samples.len()).step_by(CHUNK) {
        let end = samples.len().min(start + CHUNK);
        let pairs: Vec<_> = (start..end)
            .into_par_iter()
            .map(|at| {
                let sample = samples.get(at)?;
                let pair = (float.run(&sample.inputs)?, quantized.run(&sample.inputs)?, sample.labels);
                progress.step();
                Ok(pair)
            })
            .collect::<Result<_>>()?;
        for (float, quantized, labels) in pairs {
            add(&mut sums, &float, &quantized)?;
            if let (Some(float), Some(quantized)) = (float.first(), quantized.first()) {
                tally.count(float, quantized, &labels);
            }
        }
    }
    progress.end();
    let decibels = |sums: &Sums| {
        (sums.noise > 0.0).then(|| 10.0 * (sums.signal.max(f64::MIN_POSITIVE) / sums.noise).log10())
    };
    Ok(Validation {
        source: samples.path().display().to_string(),
        synthetic: false,
        calibrated_on: false,
        samples: samples.len(),
        view: view.to_owned(),
        weights_proven: 0,
        scores: tally.score(),
        agreement: tally.agreement(),
        outputs: sums
            .iter()
            .map(|sums| OutputError {
                name: sums.name.clone(),
                sqnr_db: decibels(sums),
                largest: sums.largest,
                broken: sums.broken,
            })
            .collect(),
    })
}

fn add(sums: &mut Vec<Sums>, float: &[Output], quantized: &[Output]) -> Result<()> {
    if sums.is_empty() {
        sums.extend(float.iter().map(|output| Sums { name: output.name.clone(), ..Sums::default() }));
    }
    for ((sums, float), quantized) in sums.iter_mut().zip(float).zip(quantized) {
        if float.dims != quantized.dims {
            let problem =
                format!("output {} is {:?}, the float model's {:?}", float.name, quantized.dims, float.dims);
            return Err(Error::Runtime { action: "compare", view: "quantized".into(), problem });
        }
        for (&value, &other) in float.values.iter().zip(&quantized.values) {
            let (value, other) = (f64::from(value), f64::from(other));
            if value.is_finite() && other.is_finite() {
                sums.signal += value * value;
                sums.noise += (value - other).powi(2);
                sums.largest = sums.largest.max((value - other).abs());
            } else if value.is_finite() {
                sums.broken += 1;
            }
        }
    }
    Ok(())
}

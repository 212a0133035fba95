//! Float and quantized model side by side.

use rayon::prelude::*;

use super::scores::Tally;
use crate::error::{Error, Result};
use crate::plan::{Loss, OutputError, Validation};
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

/// Outputs of a network beside the float network's, sample after sample.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    tally: Tally,
    sums: Vec<Sums>,
}

impl Differences {
    /// Counts the outputs of one sample, of which the first may hold class scores; `labels` may be empty.
    ///
    /// # Errors
    /// [`Error::Runtime`] where an output's dimensions differ.
    pub fn add(&mut self, float: &[Output], quantized: &[Output], labels: &[i64]) -> Result<()> {
        add(&mut self.sums, float, quantized)?;
        if let (Some(float), Some(quantized)) = (float.first(), quantized.first()) {
            self.tally.count(float, quantized, labels);
        }
        Ok(())
    }

    /// What the differences amount to. Each output counts the same, however large its values are.
    pub fn loss(&self) -> Loss {
        // Of an output that is zero throughout, whatever differs is all noise.
        let ratio = |sums: &Sums| match sums.signal > 0.0 {
            true => sums.noise / sums.signal,
            false => f64::from(u8::from(sums.noise > 0.0)),
        };
        let noise = self.sums.iter().map(ratio).sum::<f64>() / self.sums.len().max(1) as f64;
        let score = self.tally.score();
        Loss {
            noise,
            sqnr_db: (noise > 0.0).then(|| -10.0 * noise.log10()),
            drop_points: score.map(|score| score.drop_points),
            drop_error: score.map(|score| score.standard_error),
            broken: self.sums.iter().map(|sums| sums.broken).sum(),
        }
    }
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
    let mut differences = Differences::default();
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
            differences.add(&float, &quantized, &labels)?;
        }
    }
    progress.end();
    let Differences { tally, sums } = differences;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(scores: [f32; 2], other: f32) -> [Output; 2] {
        let output = |name: &str, values: &[f32]| Output {
            name: name.into(),
            dims: vec![1, values.len()],
            values: values.to_vec(),
        };
        [output("scores", &scores), output("other", &[other])]
    }

    #[test]
    fn a_loss_is_the_mean_over_the_outputs() {
        let mut differences = Differences::default();
        differences.add(&outputs([3.0, 1.0], 100.0), &outputs([1.0, 3.0], 100.0), &[0]).unwrap();
        differences.add(&outputs([3.0, 1.0], 100.0), &outputs([3.0, 1.0], f32::NAN), &[0]).unwrap();
        let loss = differences.loss();
        assert!((loss.noise - 0.5 * 8.0 / 20.0).abs() < 1e-12, "{loss:?}");
        assert!((loss.sqnr_db.unwrap() - 10.0 * 5.0f64.log10()).abs() < 1e-9, "{loss:?}");
        assert_eq!((loss.drop_points, loss.broken), (Some(50.0), 1));
    }

    #[test]
    fn noise_on_nothing_is_finite() {
        let mut differences = Differences::default();
        differences.add(&outputs([0.0, 0.0], 1.0), &outputs([1.0, 0.0], 1.0), &[]).unwrap();
        let loss = differences.loss();
        assert_eq!((loss.noise, loss.drop_points), (0.5, None));
    }
}

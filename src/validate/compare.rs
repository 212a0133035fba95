//! Float and quantized model side by side.

use std::collections::HashSet;

use rayon::prelude::*;

use super::boxes::Matches;
use super::runner::Runner;
use super::scores::{Tally, check_labels};
use super::witness::{Seen, Watch};
use crate::error::{Error, Result};
use crate::plan::{Doubt, Flawed, Loss, OutputError, Score, Validation};
use crate::progress::{Progress, Stage};
use crate::runtime::Output;
use crate::samples::{Flaw, Samples};

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
    equal: u64,
    count: u64,
}

/// Outputs of a network beside the float network's, sample after sample.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    tally: Tally,
    sums: Vec<Sums>,
    matches: Matches,
    /// The float outputs of the first sample.
    first: Option<Vec<Output>>,
    /// Whether another sample's float outputs differ from these.
    varied: bool,
    /// Samples with NaN in the float outputs.
    nan: usize,
    samples: usize,
}

/// Values that differ by no more than this share are the same.
const ALIKE: f32 = 1e-5;
/// Who judges unless another is named.
const JUDGE: &str = "tract";
/// Fewer samples than this may well give the same outputs.
const FEW: usize = 4;

/// A judgement, and the samples it was made on.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The figures.
    pub validation: Validation,
    /// Digests of the samples that both models were run on, in their order.
    pub digests: Vec<u64>,
    /// These samples.
    pub samples: Samples,
}

impl Differences {
    /// Counts the outputs of one sample, of which the first may hold class scores; `labels` may be empty.
    ///
    /// # Errors
    /// [`Error::Runtime`] where an output's dimensions differ.
    pub fn add(&mut self, float: &[Output], quantized: &[Output], labels: &[i64]) -> Result<()> {
        add(&mut self.sums, float, quantized)?;
        self.look(float);
        if let (Some(float), Some(quantized)) = (float.first(), quantized.first()) {
            self.tally.count(float, quantized, labels);
        }
        self.tally.next();
        self.matches.add(float, quantized);
        Ok(())
    }

    /// Right answers, where there were labels.
    pub fn score(&self) -> Option<Score> {
        self.tally.score()
    }

    /// What speaks against the samples. `distinct` is how many of them differ from one another; `preprocessed` whether a preset or a file says
    /// what their pixels become.
    pub fn doubts(&self, distinct: usize, preprocessed: bool) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if self.nan > 0 {
            doubts.push(Doubt::NotANumber { samples: self.nan, of: self.samples, preprocessed });
        } else if distinct >= FEW && !self.varied {
            doubts.push(Doubt::Alike { samples: self.samples, preprocessed });
        }
        doubts.extend(self.tally.doubts(preprocessed));
        doubts
    }

    fn look(&mut self, float: &[Output]) {
        self.samples += 1;
        self.nan += usize::from(float.iter().any(|output| output.values.iter().any(|value| value.is_nan())));
        let Some(first) = &self.first else {
            self.first = Some(float.to_vec());
            return;
        };
        let same = |one: &Output, other: &Output| {
            let close = |(a, b): (&f32, &f32)| a == b || (a - b).abs() <= ALIKE * a.abs().max(b.abs());
            one.dims == other.dims && one.values.iter().zip(&other.values).all(close)
        };
        self.varied = self.varied || !first.iter().zip(float).all(|(one, other)| same(one, other));
    }

    /// For each output the energy of the float network's values, and of the differences.
    pub(super) fn energies(&self) -> Vec<[f64; 2]> {
        self.sums.iter().map(|sums| [sums.signal, sums.noise]).collect()
    }

    pub(super) fn agreement(&self) -> Option<f64> {
        self.tally.agreement()
    }

    /// Rows of class scores, of which the agreement is a share.
    pub fn rows(&self) -> usize {
        self.tally.rows()
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
            agreement: self.tally.agreement(),
            agreement_error: self.tally.agreement_error(),
            agreement_bound: self.tally.agreement_bound(),
            broken: self.sums.iter().map(|sums| sums.broken).sum(),
        }
    }
}

/// Runs both models on every sample that can be used. `view` names the form of the written file that is run. `watch` sees all outputs.
///
/// # Errors
/// Whatever reading samples or running a model gives.
pub fn compare(
    float: &dyn Runner,
    quantized: &dyn Runner,
    samples: &Samples,
    view: &str,
    watch: &Watch,
    progress: &dyn Progress,
) -> Result<Compared> {
    let [compared] = watched(float, [quantized], samples, view, watch, ("validate", progress))?;
    Ok(compared)
}

/// Runs several models beside one float model, which runs once a sample. `watch` sees the outputs of the first of them. Progress is that of
/// `stage`.
///
/// # Errors
/// As [`compare`].
pub fn compare_each<const N: usize>(
    float: &dyn Runner,
    quantized: [&dyn Runner; N],
    samples: &Samples,
    (view, stage): (&str, &'static str),
    watch: &Watch,
    progress: &dyn Progress,
) -> Result<[Compared; N]> {
    watched(float, quantized, samples, view, watch, (stage, progress))
}

fn watched<const N: usize>(
    float: &dyn Runner,
    quantized: [&dyn Runner; N],
    samples: &Samples,
    view: &str,
    watch: &Watch,
    (stage, progress): (&'static str, &dyn Progress),
) -> Result<[Compared; N]> {
    let whole = samples.len();
    let flawed = samples.flawed()?;
    if flawed.len() == whole {
        let found = flawed.first().map_or_else(|| "none".into(), |(_, flaw)| format!("{flaw} and so on"));
        return Err(Error::samples(
            samples.path(),
            "samples",
            "a sample without NaN and infinite values",
            found,
        ));
    }
    let kept = samples.clone().without(&flawed.iter().map(|(at, _)| *at).collect::<Vec<_>>());
    let samples = &kept;
    let stage = Stage::begin(progress, stage, samples.len())?;
    let mut differences = [(); N].map(|()| Differences::default());
    let mut digests = Vec::with_capacity(samples.len());
    for start in (0..samples.len()).step_by(CHUNK) {
        let end = samples.len().min(start + CHUNK);
        let pairs: Vec<_> = (start..end)
            .into_par_iter()
            .map(|at| {
                let sample = samples.get(at)?;
                let digest = sample.digest();
                let outputs = float.run(&sample.inputs)?;
                let others = quantized.iter().map(|model| model.run(&sample.inputs));
                let others = others.collect::<Result<Vec<_>>>()?;
                stage.step()?;
                Ok((at, digest, (outputs, others, sample.labels)))
            })
            .collect::<Result<_>>()?;
        for (at, digest, (float, others, labels)) in pairs {
            if let Some(first) = float.first() {
                check_labels(samples, at, first, &labels)?;
            }
            digests.push(digest);
            for (differences, other) in differences.iter_mut().zip(&others) {
                differences.add(&float, other, &labels)?;
            }
            if let Some(quantized) = others.first().filter(|_| watch.is_there()) {
                let name = samples.name(at);
                watch.tell(&Seen { sample: at, name: &name, labels: &labels, float: &float, quantized });
            }
        }
    }
    drop(stage);
    Ok(differences.map(|differences| summed(differences, samples, &flawed, &digests, view)))
}

/// What the differences on `samples`, from which the `flawed` were left out, say.
fn summed(
    differences: Differences,
    samples: &Samples,
    flawed: &[(usize, Flaw)],
    digests: &[u64],
    view: &str,
) -> Compared {
    let whole = samples.len() + flawed.len();
    let distinct = digests.iter().collect::<HashSet<_>>().len();
    let mut doubts = differences.doubts(distinct, samples.is_preprocessed());
    let Differences { tally, sums, matches, .. } = differences;
    let classes = samples.classes();
    if !classes.is_empty() && tally.classes() > classes.len() {
        doubts.push(Doubt::FewerFolders { folders: classes.len(), classes: tally.classes() });
    }
    // Natural order: a pair of neighbours is out of the order of text if any is.
    if let Some(pair) = classes.windows(2).find(|pair| pair[0] > pair[1]) {
        doubts.push(Doubt::OrderOfFolders { folders: [pair[0].clone(), pair[1].clone()] });
    }
    if !flawed.is_empty() {
        let samples = flawed.iter().map(|(_, flaw)| Flawed {
            sample: flaw.sample.clone(),
            input: flaw.input.clone(),
            holds: flaw.holds.clone(),
        });
        doubts.push(Doubt::LeftOut { samples: samples.collect(), of: whole });
    }
    let decibels = |sums: &Sums| {
        (sums.noise > 0.0).then(|| 10.0 * (sums.signal.max(f64::MIN_POSITIVE) / sums.noise).log10())
    };
    let validation = Validation {
        source: samples.path().display().to_string(),
        synthetic: false,
        generated: false,
        calibrated_on: false,
        overlap: None,
        samples: samples.len(),
        judge: JUDGE.into(),
        view: view.to_owned(),
        weights_proven: 0,
        scores: tally.score(),
        agreement: tally.agreement(),
        agreement_bound: tally.agreement_bound(),
        agreement_rows: tally.rows(),
        held_back: None,
        inside: None,
        outputs: sums
            .iter()
            .map(|sums| OutputError {
                name: sums.name.clone(),
                sqnr_db: decibels(sums),
                largest: sums.largest,
                broken: sums.broken,
                equal: Some(sums.equal as f64 / sums.count.max(1) as f64),
            })
            .collect(),
        classes: classes.to_vec(),
        second: None,
        unjudged: None,
        doubts,
        differing: tally.differing(|at| samples.name(at)),
        boxes: matches.whole(),
    };
    Compared { validation, digests: digests.to_vec(), samples: samples.clone() }
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
        sums.count += float.values.len() as u64;
        for (&value, &other) in float.values.iter().zip(&quantized.values) {
            sums.equal += u64::from(value == other);
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

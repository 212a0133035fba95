//! A look at samples, as a model would be fed them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::files::{Guard, Sink};
use crate::onnx::proto::TensorProto;
use crate::onnx::{self, Dtype, Model, floats, integers};
use crate::options::Preprocessing;
use crate::pipeline::{Feeding, reads_model};
use crate::plan::{ShownInput, ShownLabels, ShownSample, ShownSamples};
use crate::samples::{Preprocess, Sample, SampleSet, Samples};

/// Samples whose values are shown.
const FIRST: usize = 5;
/// Values of an input that are shown.
const VALUES: usize = 8;
/// Random samples where there are no others.
const SYNTHETIC: usize = 4;
/// Samples that cannot be used and are named one by one.
const NAMED: usize = 5;

/// Which samples to look at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'l> {
    /// The model that they are for.
    pub model: &'l Path,
    /// The samples; those lying beside the model, or made-up ones, if not given.
    pub samples: Option<&'l SampleSet>,
    /// How stored pixels become the input.
    pub preprocess: Option<&'l Preprocessing>,
    /// How many to look at, from the first one on.
    pub count: usize,
    /// Start of every random choice.
    pub seed: u64,
    /// How the model is fed.
    pub feeding: &'l Feeding,
    /// Where to draw the first pictures.
    pub png: Option<&'l Path>,
    /// Whether that may be replaced.
    pub overwrite: bool,
}

/// Reads samples, and says what the model would be fed.
///
/// # Errors
/// Any: see [`Error`].
pub fn show(look: &Look) -> Result<ShownSamples> {
    let model = onnx::read(look.model)?;
    let beside = Samples::discover(look.model);
    let mut guard = Guard::new();
    reads_model(&mut guard, look.model);
    let given = look.samples.and_then(SampleSet::file);
    let files = [beside.calibration.as_deref(), beside.validation.as_deref(), beside.preprocess.as_deref()];
    let files = files.into_iter().chain([given, look.preprocess.and_then(Preprocessing::file)]);
    files.flatten().for_each(|path| guard.reads(path));
    let sink = look.png.map(|path| Sink::create(path, look.overwrite, &guard)).transpose()?;
    // As conversions do.
    let found = beside.preprocess.filter(|_| given.is_some_and(Path::is_dir)).map(Preprocessing::from);
    let asked = look.preprocess.or(found.as_ref());
    let preprocess = asked.map(|asked| Preprocess::of(asked, &model)).transpose()?;
    let found = beside.calibration.or(beside.validation).map(SampleSet::from);
    let (samples, synthetic) = match look.samples.or(found.as_ref()) {
        Some(set) => (look.feeding.open(set, &model, preprocess.as_ref())?, false),
        None => (Samples::synthetic(&model, &look.feeding.shapes, SYNTHETIC, look.seed)?, true),
    };
    let looked_at = samples.len().min(look.count);
    let drawn = match sink {
        Some(mut sink) => {
            let sheet = samples.sheet(looked_at)?;
            sink.write_all(&sheet).map_err(Error::write(sink.path()))?;
            Some(sink)
        }
        None => None,
    };
    let first = (0..looked_at.min(FIRST)).map(|at| first_values(&samples, at)).collect::<Result<_>>()?;
    let shown = ShownSamples {
        model: look.model.display().to_string(),
        source: samples.path().display().to_string(),
        synthetic,
        samples: samples.len(),
        looked_at,
        preprocess: preprocess.map(|preprocess| preprocess.path().display().to_string()),
        inputs: inputs(&model, &samples, looked_at)?,
        labels: labels(samples.labels()),
        classes: samples.classes().to_vec(),
        first,
        png: look.png.map(Path::to_owned),
        warnings: warnings(&samples)?,
    };
    drawn.map_or(Ok(()), Sink::commit)?;
    Ok(shown)
}

fn first_values(samples: &Samples, at: usize) -> Result<ShownSample> {
    let sample = samples.get(at)?;
    let first = |input: &TensorProto| Ok(values(input)?.into_iter().take(VALUES).collect());
    let values = sample.inputs.iter().map(first).collect::<Result<_>>()?;
    Ok(ShownSample { name: samples.name(at), labels: sample.labels, values })
}

/// Every input over the first `count` samples, merged in their order.
fn inputs(model: &Model, samples: &Samples, count: usize) -> Result<Vec<ShownInput>> {
    let each: Vec<Vec<Range>> =
        (0..count).into_par_iter().map(|at| ranges(&samples.get(at)?)).collect::<Result<_>>()?;
    let declared: Vec<[String; 3]> = Samples::declared(model)?;
    let input = |(slot, [name, dtype, declared]): (usize, [String; 3])| {
        let mut all = Range::default();
        let (mut dims, mut varies) = (None, false);
        for range in each.iter().filter_map(|sample| sample.get(slot)) {
            varies |= dims.get_or_insert_with(|| range.dims.clone()) != &range.dims;
            all.merge(range);
        }
        let mean = (all.count > 0).then(|| all.sum / all.count as f64);
        let variance = mean.map(|mean| (all.squares / all.count as f64 - mean * mean).max(0.0));
        ShownInput {
            name,
            dtype,
            declared,
            dims: dims.unwrap_or_default(),
            varies,
            min: (all.count > 0).then_some(all.min),
            max: (all.count > 0).then_some(all.max),
            mean,
            std: variance.map(f64::sqrt),
            not_finite: all.odd,
        }
    };
    Ok(declared.into_iter().enumerate().map(input).collect())
}

/// The values of one input.
#[derive(Default)]
struct Range {
    dims: Vec<i64>,
    min: f64,
    max: f64,
    sum: f64,
    squares: f64,
    count: u64,
    odd: u64,
}

impl Range {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.odd += 1;
            return;
        }
        let first = self.count == 0;
        self.min = if first { value } else { self.min.min(value) };
        self.max = if first { value } else { self.max.max(value) };
        (self.sum, self.squares, self.count) =
            (self.sum + value, self.squares + value * value, self.count + 1);
    }

    fn merge(&mut self, other: &Self) {
        self.odd += other.odd;
        if other.count == 0 {
            return;
        }
        let first = self.count == 0;
        self.min = if first { other.min } else { self.min.min(other.min) };
        self.max = if first { other.max } else { self.max.max(other.max) };
        self.sum += other.sum;
        self.squares += other.squares;
        self.count += other.count;
    }
}

fn ranges(sample: &Sample) -> Result<Vec<Range>> {
    let range = |input: &TensorProto| {
        let mut range = Range { dims: input.dims.clone(), ..Range::default() };
        values(input)?.into_iter().for_each(|value| range.add(value));
        Ok(range)
    };
    sample.inputs.iter().map(range).collect()
}

/// The values of a tensor of any type that is fed.
fn values(tensor: &TensorProto) -> Result<Vec<f64>> {
    let floating = [Dtype::Float, Dtype::Double, Dtype::Float16, Dtype::Bfloat16].map(|kind| kind as i32);
    Ok(match floating.contains(&tensor.data_type()) {
        true => floats(tensor)?.into_iter().map(f64::from).collect(),
        false => integers(tensor)?.into_iter().map(|value| value as f64).collect(),
    })
}

fn labels(labels: &[i64]) -> Option<ShownLabels> {
    let distinct: BTreeSet<i64> = labels.iter().copied().collect();
    let (&min, &max) = (distinct.first()?, distinct.last()?);
    Some(ShownLabels { count: labels.len(), distinct: distinct.len(), min, max })
}

/// Samples that conversions leave out.
fn warnings(samples: &Samples) -> Result<Vec<String>> {
    let flawed = samples.flawed()?;
    let mut told: Vec<String> =
        flawed.iter().take(NAMED).map(|(_, flaw)| format!("{flaw}; conversions leave it out")).collect();
    if let Some(more) = flawed.len().checked_sub(NAMED).filter(|&more| more > 0) {
        told.push(format!("{more} more samples hold NaN or infinite values"));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_out_what_is_not_finite() {
        let range = |values: &[f64]| {
            let mut range = Range::default();
            values.iter().for_each(|&value| range.add(value));
            range
        };
        let mut all = Range::default();
        for part in [&[f64::NAN][..], &[2.0, -1.0], &[], &[f64::INFINITY, 5.0]] {
            all.merge(&range(part));
        }
        assert_eq!((all.min, all.max, all.sum, all.count, all.odd), (-1.0, 5.0, 6.0, 3, 2));
    }

    #[test]
    fn labels_are_counted() {
        let found = labels(&[3, 1, 3, 0]).unwrap();
        assert_eq!((found.count, found.distinct, found.min, found.max), (4, 3, 0, 3));
        assert_eq!(labels(&[]), None);
    }
}

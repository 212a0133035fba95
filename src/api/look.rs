//! Looks at models: what is in one, what a target takes of it, how one compares with another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Record;
use super::model::Source;
use super::reports::{Offer, Reports};
use crate::error::Result;
use crate::files::Guard;
use crate::options::{Preprocessing, Target};
use crate::pipeline::{self, Comparison, Feeding, State};
use crate::plan::{Checked, Inspection, Verdict};
use crate::progress::{Progress, Silent};
use crate::samples::{Declared, SampleSet};
use crate::validate::{Watch, Witness};

/// What is in a model, what of it can be quantized, and what stands in the way.
///
/// ```
/// let found = fourbit::inspect("models/waves_recurrent/model.onnx")?;
/// assert!(found.operators.iter().any(|(name, _)| name == "LSTM"));
/// # Ok::<(), fourbit::Error>(())
/// ```
///
/// # Errors
/// Of the kind [`crate::ErrorKind::Model`] where it is no model, [`crate::ErrorKind::File`] where it cannot be read.
pub fn inspect(model: impl Into<Source>) -> Result<Inspection> {
    let located = model.into().locate()?;
    located.told(pipeline::inspect(located.path()))
}

/// The inputs that must be fed to a model, in their order, so that a program can make samples of their form.
///
/// ```
/// use fourbit::InputSize;
///
/// let inputs = fourbit::inputs("models/waves_recurrent/model.onnx")?;
/// assert_eq!((inputs[0].name.as_str(), inputs[0].element.as_str()), ("signal", "float32"));
/// assert_eq!(inputs[0].dims.as_deref().unwrap()[1..], [InputSize::Fixed(1), InputSize::Fixed(128)]);
/// # Ok::<(), fourbit::Error>(())
/// ```
///
/// # Errors
/// As [`inspect`].
pub fn inputs(model: impl Into<Source>) -> Result<Vec<Declared>> {
    let located = model.into().locate()?;
    located.told(pipeline::inputs(located.path()))
}

/// What `target` does not take of a model, whoever quantized it.
///
/// # Errors
/// As [`inspect`].
pub fn check(model: impl Into<Source>, target: &Target) -> Result<Checked> {
    let located = model.into().locate()?;
    located.told(pipeline::check(located.path(), target))
}

/// A comparison of a quantized model, whoever made it, with its float original.
///
/// ```no_run
/// use fourbit::{Validate, Verdict};
///
/// let verdict = Validate::new("net.onnx", "net.w4a8.onnx").samples("test.npz").run()?;
/// if let Verdict::Validated(validation) = verdict {
///     println!("{} samples, same class on {:?}", validation.samples, validation.agreement);
/// }
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct Validate {
    float: Source,
    quantized: Source,
    samples: Option<SampleSet>,
    preprocess: Option<Preprocessing>,
    count: Option<usize>,
    seed: u64,
    feeding: Feeding,
    cross_check: bool,
    details: bool,
    watch: Watch,
}

impl Validate {
    /// A comparison of the models `float` and `quantized`.
    pub fn new(float: impl Into<Source>, quantized: impl Into<Source>) -> Self {
        Self {
            float: float.into(),
            quantized: quantized.into(),
            samples: None,
            preprocess: None,
            count: None,
            seed: 0,
            feeding: Feeding::default(),
            cross_check: false,
            details: false,
            watch: Watch::default(),
        }
    }

    /// Samples to run both on, with labels if there are any; without them those that lie beside the float model, or made-up ones.
    pub fn samples(mut self, samples: impl Into<SampleSet>) -> Self {
        self.samples = Some(samples.into());
        self
    }

    /// How stored pixels become the input: the name of a preset, a TOML file, or a [`Preprocessing`].
    pub fn preprocess(mut self, pictures: impl Into<Preprocessing>) -> Self {
        self.preprocess = Some(pictures.into());
        self
    }

    /// Use at most `count` samples.
    pub fn max_samples(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// Start of every random choice; 0 where nothing is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Dimensions of an input in made-up samples.
    pub fn sample_shape(mut self, input: impl Into<String>, dims: impl Into<Vec<i64>>) -> Self {
        self.feeding.shapes.push((input.into(), dims.into()));
        self
    }

    /// An output that is an input of the next call; see [`crate::Quantize::state`].
    pub fn state(mut self, output: impl Into<String>, input: impl Into<String>) -> Self {
        self.feeding.states.push(State { output: output.into(), input: input.into() });
        self
    }

    /// Begin anew with the state after so many calls.
    pub fn sequence_length(mut self, calls: usize) -> Self {
        self.feeding.calls = Some(calls);
        self
    }

    /// All of how the models are fed.
    #[doc(hidden)]
    pub fn feeding(mut self, feeding: Feeding) -> Self {
        self.feeding = feeding;
        self
    }

    /// Have onnxruntime judge as well; its library is found at run time.
    pub fn cross_check(mut self, wanted: bool) -> Self {
        self.cross_check = wanted;
        self
    }

    /// Draw samples that are answered differently, for pages and JSON reports, where they are pictures.
    pub fn details(mut self, wanted: bool) -> Self {
        self.details = wanted;
        self
    }

    /// Opens files for reports before the work, and one for the figures of each sample; see [`crate::Quantize::open_reports`].
    ///
    /// # Errors
    /// As [`crate::Quantize::open_reports`].
    pub fn open_reports(
        &self,
        reports: &[PathBuf],
        per_sample: Option<&Path>,
        overwrite: bool,
    ) -> Result<Reports> {
        let mut guard = Guard::new();
        let (float, quantized) = (self.float.locate()?, self.quantized.locate()?);
        [float.path(), quantized.path()].into_iter().for_each(|path| guard.reads(path));
        let asked = self.preprocess.as_ref().and_then(Preprocessing::file);
        self.samples
            .as_ref()
            .and_then(SampleSet::file)
            .into_iter()
            .chain(asked)
            .for_each(|path| guard.reads(path));
        Reports::open(reports, Offer::Pages, per_sample, overwrite, &mut guard)
    }

    /// Have `witness` see the outputs of both models on each sample; there may be several. It sees none where only a part of the model
    /// can be run.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use fourbit::{Seen, Validate, Witness};
    ///
    /// #[derive(Default)]
    /// struct Largest(Mutex<f32>);
    ///
    /// impl Witness for Largest {
    ///     fn saw(&self, seen: &Seen) {
    ///         let pairs = seen.float[0].values.iter().zip(&seen.quantized[0].values);
    ///         let largest = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    ///         let mut all = self.0.lock().unwrap();
    ///         *all = all.max(largest);
    ///     }
    /// }
    ///
    /// let (model, largest) = ("models/waves_recurrent/model.onnx", Arc::new(Largest::default()));
    /// Validate::new(model, model).max_samples(4).witness(largest.clone()).run()?;
    /// assert_eq!(*largest.0.lock().unwrap(), 0.0);
    /// # Ok::<(), fourbit::Error>(())
    /// ```
    pub fn witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.watch.add(witness);
        self
    }

    /// Keep the figures of each sample in `record`.
    pub fn record(self, record: &Record) -> Self {
        self.witness(record.0.clone())
    }

    /// Runs both models and compares their outputs.
    ///
    /// # Errors
    /// [`crate::Error::kind`] says of what kind. A model that cannot be run is no error but [`Verdict::NotValidated`].
    pub fn run(&self) -> Result<Verdict> {
        self.run_with(&Silent)
    }

    /// Compares as [`Validate::run`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`Validate::run`].
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Verdict> {
        let (float, quantized) = (self.float.locate()?, self.quantized.locate()?);
        let comparison = Comparison {
            float: float.path(),
            quantized: quantized.path(),
            samples: self.samples.as_ref(),
            preprocess: self.preprocess.as_ref(),
            count: self.count,
            seed: self.seed,
            feeding: &self.feeding,
            cross_check: self.cross_check,
            details: self.details,
            watch: &self.watch,
        };
        float.told(pipeline::validate(&comparison, progress))
    }
}

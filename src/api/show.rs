//! What a model is fed.

use std::path::PathBuf;

use super::model::Source;
use crate::error::Result;
use crate::options::Preprocessing;
use crate::pipeline::{self, Feeding, Look};
use crate::plan::ShownSamples;
use crate::samples::SampleSet;

/// Samples looked at where no number is asked for.
pub const SHOWN_SAMPLES: usize = 64;

/// A look at samples as a model is fed them: shapes, types, ranges and labels. Nothing is converted, and the model does not run
/// but for its states.
///
/// ```
/// use fourbit::{Report as _, ShowSamples};
///
/// let shown = ShowSamples::new("models/waves_recurrent/model.onnx").run()?;
/// assert_eq!(shown.inputs[0].name, "signal");
/// println!("{}", shown.to_text(Default::default()));
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct ShowSamples {
    model: Source,
    samples: Option<SampleSet>,
    preprocess: Option<Preprocessing>,
    count: usize,
    seed: u64,
    feeding: Feeding,
    png: Option<PathBuf>,
    overwrite: bool,
}

impl ShowSamples {
    /// The samples of `model`: those beside it, or random ones, unless others are given.
    pub fn new(model: impl Into<Source>) -> Self {
        Self {
            model: model.into(),
            samples: None,
            preprocess: None,
            count: SHOWN_SAMPLES,
            seed: 0,
            feeding: Feeding::default(),
            png: None,
            overwrite: false,
        }
    }

    /// The samples to look at.
    pub fn samples(mut self, samples: impl Into<SampleSet>) -> Self {
        self.samples = Some(samples.into());
        self
    }

    /// How stored pixels become the input; see [`crate::Quantize::preprocess`].
    pub fn preprocess(mut self, pictures: impl Into<Preprocessing>) -> Self {
        self.preprocess = Some(pictures.into());
        self
    }

    /// Look at the first `count` samples at most; 64 where nothing is said.
    pub fn max_samples(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Start of every random choice; 0 where nothing is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// All of how the model is fed.
    #[doc(hidden)]
    pub fn feeding(mut self, feeding: Feeding) -> Self {
        self.feeding = feeding;
        self
    }

    /// Write a PNG file with the first pictures as the model is fed them: on one scale from the least value to the largest, channels in
    /// their order as red, green and blue.
    pub fn png(mut self, file: impl Into<PathBuf>) -> Self {
        self.png = Some(file.into());
        self
    }

    /// Whether an existing file may be replaced.
    pub fn overwrite(mut self, allowed: bool) -> Self {
        self.overwrite = allowed;
        self
    }

    /// Reads the samples.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Samples`] where they cannot be read or do not fit, [`crate::ErrorKind::Options`] where there are no
    /// pictures to draw.
    pub fn run(&self) -> Result<ShownSamples> {
        let located = self.model.locate()?;
        let look = Look {
            model: located.path(),
            samples: self.samples.as_ref(),
            preprocess: self.preprocess.as_ref(),
            count: self.count,
            seed: self.seed,
            feeding: &self.feeding,
            png: self.png.as_deref(),
            overwrite: self.overwrite,
        };
        located.told(pipeline::show(&look))
    }
}

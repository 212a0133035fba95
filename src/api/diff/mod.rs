//! Conversions side by side.

mod rows;
mod sides;

use std::path::{Path, PathBuf};

use super::look::Validate;
use super::model::{Located, Source};
use super::reports::{Offer, Reports};
use crate::error::{Error, Result};
use crate::files::Guard;
use crate::options::Preprocessing;
use crate::pipeline::Feeding;
use crate::plan::{Between, Difference, Side, SideKind, Verdict};
use crate::progress::{Progress, Silent};
use crate::samples::{SampleSet, Samples};
use sides::{Read, read};

/// Several conversions of one model side by side: quantized models, JSON reports, or plans, in any mixture.
///
/// ```
/// use fourbit::{Diff, Precision, Quantize};
///
/// # let folder = tempfile::tempdir()?;
/// let model = "models/waves_recurrent/model.onnx";
/// let (four, eight) = (folder.path().join("w4.onnx"), folder.path().join("w8.onnx"));
/// Quantize::new(model).precision(Precision::W4).output(&four).run()?;
/// Quantize::new(model).precision(Precision::W8).output(&eight).run()?;
/// let found = Diff::new([four, eight]).max_samples(16).run()?;
/// assert!(found.sides[0].bytes < found.sides[1].bytes);
/// assert!(found.rows.iter().any(|row| row.differs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct Diff {
    sources: Vec<Source>,
    float: Option<Source>,
    samples: Option<SampleSet>,
    preprocess: Option<Preprocessing>,
    count: Option<usize>,
    seed: u64,
    feeding: Feeding,
}

impl Diff {
    /// A comparison of `sources`, of which there must be two at least.
    pub fn new<S: Into<Source>>(sources: impl IntoIterator<Item = S>) -> Self {
        Self {
            sources: sources.into_iter().map(Into::into).collect(),
            float: None,
            samples: None,
            preprocess: None,
            count: None,
            seed: 0,
            feeding: Feeding::default(),
        }
    }

    /// Also compare each model with the float one on the samples.
    pub fn float(mut self, float: impl Into<Source>) -> Self {
        self.float = Some(float.into());
        self
    }

    /// Samples to run models on; without them those that lie beside the float model, or beside the first one, or made-up ones.
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

    /// All of how models are fed.
    #[doc(hidden)]
    pub fn feeding(mut self, feeding: Feeding) -> Self {
        self.feeding = feeding;
        self
    }

    /// Opens files for reports before the work; see [`crate::Quantize::open_reports`].
    ///
    /// # Errors
    /// As [`crate::Quantize::open_reports`].
    pub fn open_reports(&self, reports: &[PathBuf], overwrite: bool) -> Result<Reports> {
        let mut guard = Guard::new();
        let located = self.located()?;
        located.iter().for_each(|located| guard.reads(located.path()));
        let float = self.float.as_ref().map(Source::locate).transpose()?;
        let beside = [
            float.as_ref().map(Located::path),
            self.samples.as_ref().and_then(SampleSet::file),
            self.preprocess.as_ref().and_then(Preprocessing::file),
        ];
        beside.into_iter().flatten().for_each(|path| guard.reads(path));
        Reports::open(reports, Offer::Pages, None, overwrite, &mut guard)
    }

    /// Reads all, and runs models on samples where at least two are models.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Options`] where there are fewer than two; of the kind [`crate::ErrorKind::Model`] where a file is
    /// neither a model, a report nor a plan; and those of [`Validate::run`].
    pub fn run(&self) -> Result<Difference> {
        self.run_with(&Silent)
    }

    /// Compares as [`Diff::run`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`Diff::run`].
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Difference> {
        let located = self.located()?;
        if located.len() < 2 {
            return Err(Error::options("there is nothing to compare with", "give two files or more"));
        }
        let sides: Vec<Read> = located.iter().map(|located| read(located.path())).collect::<Result<_>>()?;
        let rows = rows::aligned(&sides);
        let mut found = Difference {
            notes: notes(&sides),
            sides: sides.into_iter().map(|read| read.side).collect(),
            rows,
            between: Vec::new(),
        };
        self.measure(&located, &mut found, progress)?;
        Ok(found)
    }

    fn located(&self) -> Result<Vec<Located>> {
        self.sources.iter().map(Source::locate).collect()
    }

    /// Runs the models among the sides.
    fn measure(&self, located: &[Located], found: &mut Difference, progress: &dyn Progress) -> Result<()> {
        let is_model = |side: &Side| side.kind == SideKind::Model;
        let models: Vec<usize> =
            found.sides.iter().enumerate().filter(|(_, side)| is_model(side)).map(|(at, _)| at).collect();
        let reported = found.sides.len() - models.len();
        if reported > 0 && (self.float.is_some() || self.samples.is_some() || models.len() > 1) {
            found.notes.push("only models are run on samples, not what reports and plans speak of".into());
        }
        if let Some(float) = &self.float {
            for &at in &models {
                let verdict = self.compared(float.locate()?.path(), located[at].path(), progress)?;
                found.sides[at].verdict = Some(verdict);
            }
        }
        let Some((&first, others)) = models.split_first() else { return Ok(()) };
        for &other in others {
            let verdict = self.compared(located[first].path(), located[other].path(), progress)?;
            found.between.push(Between { sides: [first, other], verdict });
        }
        Ok(())
    }

    fn compared(&self, one: &Path, other: &Path, progress: &dyn Progress) -> Result<Verdict> {
        let mut comparison = Validate::new(one, other).seed(self.seed).feeding(self.feeding.clone());
        // Whatever is compared, the samples are the same.
        let beside = || -> Result<Option<SampleSet>> {
            let Some(float) = &self.float else { return Ok(None) };
            Ok(Samples::discover(float.locate()?.path()).validation.map(SampleSet::from))
        };
        let samples = match &self.samples {
            Some(samples) => Some(samples.clone()),
            None => beside()?,
        };
        if let Some(samples) = samples {
            comparison = comparison.samples(samples);
        }
        if let Some(pictures) = self.preprocess.clone() {
            comparison = comparison.preprocess(pictures);
        }
        if let Some(count) = self.count {
            comparison = comparison.max_samples(count);
        }
        comparison.run_with(progress)
    }
}

/// What stands against comparing them at all.
fn notes(sides: &[Read]) -> Vec<String> {
    let subjects: Vec<&str> = sides.iter().filter_map(|read| read.side.subject.as_deref()).collect();
    let other = subjects.iter().find(|subject| Some(*subject) != subjects.first());
    other
        .map(|other| format!("these are conversions of different models, {} and {other}", subjects[0]))
        .into_iter()
        .collect()
}

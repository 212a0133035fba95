//! Conversions: float models to low-bit ones.

use std::path::{Path, PathBuf};

use super::model::{Located, Source};
use super::reports::{Offer, Reports};
use crate::error::{Error, Result};
use crate::files::Guard;
use crate::options::{Budget, Granularity, Options, Precision, Preprocessing, Target, Wishes};
use crate::pipeline::{self, Feeding, Job, State};
use crate::plan::{Outcome, Plan, Planned};
use crate::progress::{Progress, Silent};
use crate::samples::SampleSet;

/// What an outcome calls an output that no file holds.
const IN_MEMORY: &str = "model in memory";

/// A conversion: what is asked for, and then [`Quantize::run`].
///
/// Without anything else asked for it is one to `w4a8`, 4-bit weights and 8-bit activations, which needs calibration samples; `w4` needs
/// none. Samples that lie beside the model under the usual names are found by themselves (`calibration.npz`, `validation.npz`,
/// `test_data_set_0` ...).
///
/// ```
/// use fourbit::{Precision, Quantize, Verdict};
///
/// # let folder = tempfile::tempdir()?;
/// # let out = folder.path().join("digits.w4.onnx");
/// let outcome = Quantize::new("models/digits_attention/model.onnx")
///     .precision(Precision::W4)
///     .validation("models/digits_attention/validation.npz")
///     .max_samples(64)
///     .output(&out)
///     .run()?;
/// println!("{} bytes of {}", outcome.sizes.after, outcome.sizes.before);
/// if let Verdict::Validated(validation) = &outcome.verdict {
///     let scores = validation.scores.expect("the samples have labels");
///     println!("top-1 {:.3} -> {:.3}", scores.float_top1, scores.quantized_top1);
/// }
/// # assert!(out.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct Quantize {
    model: Source,
    wishes: Wishes,
    target: &'static Target,
    /// Where given, in the place of wishes and target.
    options: Option<Options>,
    include: Vec<String>,
    exclude: Vec<String>,
    limits: Budget,
    strict_bits: bool,
    /// All but the model and the options.
    job: Job,
    /// More files that are read, so that no output takes their place.
    reads: Vec<PathBuf>,
    reports: Vec<PathBuf>,
}

impl Quantize {
    /// A conversion of `model`, a path or [`Source::from_bytes`].
    pub fn new(model: impl Into<Source>) -> Self {
        Self {
            model: model.into(),
            wishes: Wishes::default(),
            target: &crate::options::GENERIC,
            options: None,
            include: Vec::new(),
            exclude: Vec::new(),
            limits: Budget::default(),
            strict_bits: false,
            job: Job::new(Path::new(""), Options::default()),
            reads: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// The width of weights and activations; `w4a8` where nothing is said.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.wishes.precision = Some(precision);
        self
    }

    /// The runtime that the file is meant for, as in `Target::named("ort-cpu")?`: it chooses the forms that are not asked for.
    pub fn target(mut self, target: &'static Target) -> Self {
        self.target = target;
        self
    }

    /// How many weights share one scale.
    pub fn granularity(mut self, granularity: Granularity) -> Self {
        self.wishes.granularity = Some(granularity);
        self
    }

    /// Everything that shapes a plan, in the place of [`Quantize::precision`], [`Quantize::target`] and
    /// [`Quantize::granularity`].
    pub fn options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Quantize only weights whose tensor or node matches this pattern, or another one given so; `*` and `?` stand for any signs.
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.include.push(pattern.into());
        self
    }

    /// Leave weights float whose tensor or node matches this pattern.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// What the conversion may cost: single layers get finer forms until the file keeps to it.
    pub fn limits(mut self, limits: Budget) -> Self {
        self.limits = limits;
        self
    }

    /// Give all weights the bits asked for. Otherwise single tensors get 8 bits, which bring much of the noise and add few bytes: at
    /// most 5 % of the file.
    pub fn strict_bits(mut self, wanted: bool) -> Self {
        self.strict_bits = wanted;
        self
    }

    /// Samples to calibrate on: a path, or [`SampleSet::from_source`] and the like. A few hundred of them, not used for anything
    /// else. Where there are no validation samples, [`Quantize::run`] judges on a part of these and calibrates on the rest: on what
    /// [`Quantize::max_samples`] leaves over, or a fifth, held back; a plan, which nothing judges, is calibrated on all.
    pub fn calibration(mut self, samples: impl Into<SampleSet>) -> Self {
        self.job.calibration = Some(samples.into());
        self
    }

    /// Samples to judge the written file on, with labels if there are any. The calibration samples once more, where nothing is to be
    /// held back of these.
    pub fn validation(mut self, samples: impl Into<SampleSet>) -> Self {
        self.job.validation = Some(samples.into());
        self
    }

    /// How stored pixels become the input: the name of a preset (`imagenet`, `0..1`, `-1..1`, `0..255`), a TOML file, or a
    /// [`Preprocessing`].
    pub fn preprocess(mut self, pictures: impl Into<Preprocessing>) -> Self {
        self.job.preprocess = Some(pictures.into());
        self
    }

    /// Use at most `count` calibration samples, and where there are no others, at most as many of what is left to judge on, 8 at least.
    pub fn max_samples(mut self, count: usize) -> Self {
        self.job.samples = Some(count);
        self
    }

    /// Start of every random choice; 0 where nothing is said. Equal seeds give equal files.
    pub fn seed(mut self, seed: u64) -> Self {
        self.job.seed = seed;
        self
    }

    /// Dimensions of an input that the model leaves open, in the written model too.
    pub fn shape(mut self, input: impl Into<String>, dims: impl Into<Vec<i64>>) -> Self {
        self.job.shapes.push((input.into(), dims.into()));
        self
    }

    /// Dimensions of an input in made-up samples, where none are given; the written model stays as free as before.
    pub fn sample_shape(mut self, input: impl Into<String>, dims: impl Into<Vec<i64>>) -> Self {
        self.job.feeding.shapes.push((input.into(), dims.into()));
        self
    }

    /// An output that is an input of the next call, as recurrent state or a cache; a `*` in both names stands for the same part of
    /// each. Samples are then calls in their order.
    pub fn state(mut self, output: impl Into<String>, input: impl Into<String>) -> Self {
        self.job.feeding.states.push(State { output: output.into(), input: input.into() });
        self
    }

    /// Begin anew with the state after so many calls.
    pub fn sequence_length(mut self, calls: usize) -> Self {
        self.job.feeding.calls = Some(calls);
        self
    }

    /// All of how the model is fed.
    #[doc(hidden)]
    pub fn feeding(mut self, feeding: Feeding) -> Self {
        self.job.feeding = feeding;
        self
    }

    /// Have onnxruntime judge the written file as well; its library is found at run time.
    pub fn cross_check(mut self, wanted: bool) -> Self {
        self.job.cross_check = wanted;
        self
    }

    /// The file to write. Where nothing is said, it lies beside the model and is called after it and the precision.
    pub fn output(mut self, file: impl Into<PathBuf>) -> Self {
        self.job.output = Some(file.into());
        self
    }

    /// Whether existing outputs may be replaced. They never may where nothing is said.
    pub fn overwrite(mut self, allowed: bool) -> Self {
        self.job.overwrite = allowed;
        self
    }

    /// Whether large tensors go to a file of their own beside the model, and not only where one file would be too large.
    pub fn external_data(mut self, wanted: bool) -> Self {
        self.job.external_data = wanted;
        self
    }

    /// Whether the options are for many models, so that patterns may fit none of this one.
    #[doc(hidden)]
    pub fn one_of_many(mut self, many: bool) -> Self {
        self.job.one_of_many = many;
        self
    }

    /// Notes a file that the caller has read, so that no output takes its place.
    pub fn reads(mut self, file: impl Into<PathBuf>) -> Self {
        self.reads.push(file.into());
        self
    }

    /// Write a report of the conversion, or one more: a page if the name ends in `.html`, text if in `.txt`, otherwise JSON. Only
    /// [`Quantize::run`] and [`Quantize::run_with`] write reports.
    ///
    /// ```
    /// use fourbit::{Precision, Quantize};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let (out, page) = (folder.path().join("digits.w4.onnx"), folder.path().join("digits.html"));
    /// let conversion = Quantize::new("models/digits_attention/model.onnx").precision(Precision::W4).max_samples(64);
    /// conversion.output(&out).report(&page).run()?;
    /// # assert!(page.is_file());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report(mut self, file: impl Into<PathBuf>) -> Self {
        self.reports.push(file.into());
        self
    }

    /// Gather what pages and JSON reports tell of single layers: histograms, scales, errors step by step. It takes a few percent of the
    /// time, and [`Quantize::report`] does it by itself.
    pub fn details(mut self, wanted: bool) -> Self {
        self.job.details = wanted;
        self
    }

    /// Opens files for reports of the conversion before the work, so that a wrong name is told before it. A name that ends in `.html`
    /// gets a page, one in `.txt` text, one in `.json` or without an ending JSON. `plan` gets the plan.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Options`] for another ending, [`crate::ErrorKind::File`] where a file exists or is one of
    /// the conversion's own.
    pub fn open_reports(&self, reports: &[PathBuf], plan: Option<&Path>) -> Result<Reports> {
        let located = self.model.locate()?;
        let job = self.job(&located)?;
        let mut guard = self.guard(&job);
        guard.writes(&job.model_path())?;
        if job.external_data {
            guard.writes(&job.model_path().with_file_name(crate::onnx::side_name(&job.model_path())))?;
        }
        Reports::open(reports, Offer::Pages, plan, job.overwrite, &mut guard)
    }

    /// Opens files for reports of [`Quantize::write_plan`].
    ///
    /// # Errors
    /// As [`Quantize::open_reports`].
    pub fn open_plan_reports(&self, reports: &[PathBuf]) -> Result<Reports> {
        let located = self.model.locate()?;
        let job = self.job(&located)?;
        let mut guard = self.guard(&job);
        guard.writes(&job.plan_path())?;
        Reports::open(reports, Offer::Pages, None, job.overwrite, &mut guard)
    }

    /// Converts the model, writes the file, and judges what was written.
    ///
    /// # Errors
    /// [`Error::kind`] says of what kind. No output is left behind then.
    pub fn run(&self) -> Result<Outcome> {
        self.run_with(&Silent)
    }

    /// Converts as [`Quantize::run`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Outcome> {
        let located = self.model.locate()?;
        let job = self.job(&located)?;
        if located.is_temporary() && job.output.is_none() {
            return Err(Error::options(
                "a model in memory has no folder to write beside it",
                "give the output a path, or take the result with run_to_bytes",
            ));
        }
        if self.reports.is_empty() {
            return located.told(pipeline::quantize(&job, progress));
        }
        let reports = self.open_reports(&self.reports, None)?;
        let job = Job { details: job.details || reports.hold_details(), ..job };
        let outcome = located.told(pipeline::quantize(&job, progress))?;
        reports.write(&outcome)?;
        Ok(outcome)
    }

    /// Converts the model and gives the bytes of the file; [`Quantize::output`] and [`Quantize::external_data`] do not count. The
    /// outcome calls the output `model in memory`.
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn run_to_bytes(&self, progress: &dyn Progress) -> Result<(Outcome, Vec<u8>)> {
        let (located, result) = (self.model.locate()?, Located::temporary()?);
        let job = Job {
            output: Some(result.path().to_owned()),
            overwrite: true,
            external_data: false,
            ..self.job(&located)?
        };
        let mut outcome = located.told(pipeline::quantize(&job, progress))?;
        let bytes = std::fs::read(result.path()).map_err(Error::read(result.path()))?;
        // The file that it was is gone.
        outcome.output = IN_MEMORY.into();
        Ok((outcome, bytes))
    }

    /// Decides on everything and writes nothing. The plan can be looked at, edited, kept as JSON, and carried out by
    /// [`crate::Apply`].
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn plan(&self) -> Result<Plan> {
        self.plan_with(&Silent)
    }

    /// Plans as [`Quantize::plan`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn plan_with(&self, progress: &dyn Progress) -> Result<Plan> {
        let located = self.model.locate()?;
        located.told(pipeline::planned(&self.job(&located)?, progress))
    }

    /// Decides on everything, and writes the plan in the place of a model: to [`Quantize::output`], or beside the model.
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn write_plan(&self, progress: &dyn Progress) -> Result<Planned> {
        let located = self.model.locate()?;
        located.told(pipeline::plan(&self.job(&located)?, progress))
    }

    pub(super) fn guard(&self, job: &Job) -> Guard {
        let mut guard = job.guard();
        self.reads.iter().for_each(|path| guard.reads(path));
        guard
    }

    /// The conversion as the pipeline takes it, of the model where it was found.
    pub(super) fn job(&self, model: &Located) -> Result<Job> {
        let mut options = match &self.options {
            Some(options) => options.clone(),
            None => self.wishes.clone().options(self.target)?,
        };
        options.include.extend(self.include.iter().cloned());
        options.exclude.extend(self.exclude.iter().cloned());
        options.strict_bits |= self.strict_bits;
        if !self.limits.is_none() {
            options.budget = self.limits;
        }
        Ok(Job { input: model.path().to_owned(), options, ..self.job.clone() })
    }

    pub(super) fn source(&self) -> &Source {
        &self.model
    }
}

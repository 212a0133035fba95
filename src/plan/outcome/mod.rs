//! What came of it all: the data behind every report.

mod boxes;
mod checked;
mod details;
mod difference;
mod doubt;
mod gated;
mod inside;
mod inspection;
mod per_sample;
mod reported;
mod second;
mod shown;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use boxes::Boxes;
pub use checked::{Checked, Finding};
pub use details::{
    ActivationDetails, Advice, BINS, Counts, Details, Differing, MOST_SCALES, ScaleList, SolveStep,
    StepError, WeightDetails,
};
pub use difference::{Between, Difference, DifferenceRow, Side, SideKind, Treated};
pub use doubt::{Doubt, DoubtKind, Flawed};
pub use gated::{Gated, Limit};
pub use inside::{Enough, Inside};
pub use inspection::{ActivationRow, Inspection, SiteRow};
pub use per_sample::PerSample;
pub use reported::{
    AGREEMENT_UNSHOWN, DROP_UNSHOWN, LITTLE_QUANTIZED, Reported, ReportedBudget, ReportedDoubt,
    ReportedInside, ReportedOutput, ReportedScore, ReportedSite, ReportedSizes, ReportedTerm,
    ReportedValidation, ReportedVerdict,
};
pub use second::{Figures, Measure, Measured, Opinion, Parting, Second, Unjudged};
pub use shown::{ShownInput, ShownLabels, ShownSample, ShownSamples};

use crate::plan::budget::Budgeted;
use crate::plan::decision::{Overlap, Plan};
use crate::plan::summary::POOR_AGREEMENT;

/// One exact change that preparation made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// The pass.
    pub pass: String,
    /// How many places it changed.
    pub count: usize,
    /// What it did.
    pub detail: String,
}

/// Sizes before and after, in bytes, side files included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// The input file.
    pub before: u64,
    /// The written file.
    pub after: u64,
    /// `after / before`.
    pub ratio: f64,
    /// Bits that stand for one float parameter in the written file: codes, scales, zero points
    /// and the parameters left float, all counted.
    pub effective_bits: f64,
    /// Bits a weight, over the quantized weights alone: codes, scales and zero points.
    pub quantized_bits: Option<f64>,
    /// How many times smaller the quantized weights are than in 32 bits: `32 sum N / bits`, with all their terms, scales
    /// and zero points.
    pub compression: Option<f64>,
    /// Multiplications of one run in the layers whose weights were quantized, before; `None` where no run showed the sizes of
    /// their inputs.
    pub macs: Option<u64>,
    /// Multiplications that second terms add, where they are computed by themselves: in branches, and on integer hardware in
    /// sums too.
    pub extra_macs: Option<u64>,
}

/// Whether the written file was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verdict {
    /// It was run beside the float model.
    Validated(Box<Validation>),
    /// It could not be.
    NotValidated {
        /// Why.
        reason: String,
    },
}

/// Both models on the same samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Where the samples came from.
    pub source: String,
    /// Whether they are random numbers, which exercise the graph but say little of accuracy.
    pub synthetic: bool,
    /// Whether they are pictures drawn by chance, in the place of random numbers.
    pub generated: bool,
    /// Whether any of the samples were used for calibration.
    pub calibrated_on: bool,
    /// How many of the samples were; `None` where the file does not say what it was calibrated on.
    pub overlap: Option<Overlap>,
    /// How many there were.
    pub samples: usize,
    /// The runtime whose figures these are.
    pub judge: String,
    /// Which form of the written file was run.
    pub view: String,
    /// Weights proven equal, bit for bit, between the written file and the plan.
    pub weights_proven: usize,
    /// Right answers, where the samples are labelled and the first output holds class scores.
    pub scores: Option<Score>,
    /// Share of samples on which both models choose the same class; `None` where the first output
    /// has no classes.
    pub agreement: Option<f64>,
    /// What that share is at least, at 95 % confidence.
    pub agreement_bound: Option<f64>,
    /// Rows of class scores that it is a share of, usually one a sample.
    pub agreement_rows: usize,
    /// How many samples the calibration file holds, where the samples are some of these that were not calibrated on.
    pub held_back: Option<usize>,
    /// The file on samples that it was calibrated on, where the others are real ones.
    pub inside: Option<Inside>,
    /// The outputs, in graph order.
    pub outputs: Vec<OutputError>,
    /// The class folders in the order of their indices, where the samples lie in such.
    pub classes: Vec<String>,
    /// What a second runtime says, where one was asked.
    pub second: Option<Second>,
    /// The runtime that should have judged, and why it could not, where these are the figures of another.
    pub unjudged: Option<Unjudged>,
    /// What stands against taking these figures for what they seem to be.
    pub doubts: Vec<Doubt>,
    /// Samples for which the models choose different classes, a few of them: those first that are answered wrongly now.
    #[serde(default)]
    pub differing: Vec<Differing>,
    /// The boxes that both models find, where the outputs are those of a detector.
    #[serde(default)]
    pub boxes: Option<Boxes>,
}

impl Validation {
    /// The measured figures alone.
    pub fn figures(&self) -> Figures {
        Figures { scores: self.scores, agreement: self.agreement, outputs: self.outputs.clone() }
    }

    /// Whether the figures say nothing, since the float model's outputs say nothing.
    pub fn is_meaningless(&self) -> bool {
        self.doubts.iter().any(Doubt::is_fatal)
    }
}

impl Validation {
    /// SQNR of an output, in dB, below which a person should look at the layers.
    pub const NOISY_DB: f64 = 15.0;

    /// The first output that is not finite where the float model's is, or whose SQNR is below [`Validation::NOISY_DB`] on real
    /// samples.
    pub fn noisy(&self) -> Option<&OutputError> {
        let noisy = |output: &&OutputError| {
            output.broken > 0 || output.sqnr_db.is_some_and(|ratio| ratio < Self::NOISY_DB)
        };
        self.outputs.iter().find(noisy).filter(|_| !self.synthetic)
    }

    /// SQNR of an output, in dB, below which a file is broken: a tenth of the energy is noise. Classifiers then answer otherwise on a
    /// third of the samples and more.
    pub const BROKEN_DB: f64 = 10.0;
    /// Agreement below which a file is broken, as a share of the samples.
    pub const BROKEN_AGREEMENT: f64 = 0.5;
    /// Points of top-1, less chance, up to which a drop is what one hopes for.
    pub const WELL_WITHIN: f64 = 1.0;

    /// Whether the right answers are kept, where samples are labelled.
    pub fn keeps_answers(&self) -> Option<bool> {
        let score = self.scores.as_ref()?;
        Some(score.drop_points - 2.0 * score.standard_error <= Self::WELL_WITHIN)
    }

    /// Whether the file is of no use, as far as the samples say: an output is not finite where the float model's is, is mostly
    /// noise, or the models choose other classes. Right answers that are kept say more than noise does.
    pub fn is_broken(&self) -> bool {
        let broken = |output: &OutputError| output.broken > 0;
        let noisy = |output: &OutputError| output.sqnr_db.is_some_and(|ratio| ratio < Self::BROKEN_DB);
        let parted = self.agreement.is_some_and(|share| share < Self::BROKEN_AGREEMENT);
        let lost = parted || self.outputs.iter().any(noisy);
        !self.is_meaningless()
            && (self.outputs.iter().any(broken) || lost && self.keeps_answers() != Some(true))
    }

    /// The share of real samples on which both models choose the same class, where it is under [`POOR_AGREEMENT`].
    pub fn parting(&self) -> Option<f64> {
        self.agreement.filter(|&share| share < POOR_AGREEMENT && !self.synthetic)
    }
}

/// Accuracy, as shares of the labelled rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Labelled rows.
    pub rows: usize,
    /// Float model: the right class is the first choice.
    pub float_top1: f64,
    /// Quantized model: the right class is the first choice.
    pub quantized_top1: f64,
    /// Float model: among the first five; `None` with fewer than six classes.
    pub float_top5: Option<f64>,
    /// Quantized model: among the first five.
    pub quantized_top5: Option<f64>,
    /// `100 * (float_top1 - quantized_top1)`, in points.
    pub drop_points: f64,
    /// Standard error of `drop_points`, from the samples on which the two models differ.
    pub standard_error: f64,
    /// The float model is right and the quantized one is not, in rows.
    pub lost: usize,
    /// The quantized model is right and the float one is not, in rows.
    pub won: usize,
    /// What the drop is at most, in points, at 95 % confidence: few rows say little, even where no answer differs.
    pub drop_bound: f64,
}

/// How far one output is from the float model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputError {
    /// The output.
    pub name: String,
    /// `10 log10(sum y^2 / sum (y - y')^2)` over all samples, in dB; `None` where there is no
    /// difference.
    pub sqnr_db: Option<f64>,
    /// Largest absolute difference.
    #[serde(deserialize_with = "infinite")]
    pub largest: f64,
    /// Elements that are not finite in the quantized model but are in the float one.
    pub broken: u64,
    /// Share of the elements that are equal, where they are integers or booleans: classes, places, decisions. A ratio of energies
    /// says nothing of such.
    pub equal: Option<f64>,
}

/// JSON has no infinite numbers.
fn infinite<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// Everything about one conversion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The input.
    pub input: PathBuf,
    /// The file written.
    pub output: PathBuf,
    /// The input's opset and the output's.
    pub opsets: (i64, i64),
    /// What preparation changed.
    pub prepared: Vec<Prepared>,
    /// What was decided.
    pub plan: Plan,
    /// Where calibration samples came from, and how many were used.
    pub calibration: Option<(String, usize)>,
    /// Sizes.
    pub sizes: Sizes,
    /// The judgement.
    pub verdict: Verdict,
    /// How a budget was kept, where there was one.
    pub budget: Option<Budgeted>,
    /// What a person should know before trusting the result.
    pub warnings: Vec<String>,
    /// What is known of the layers, where that was asked for.
    pub details: Option<Details>,
    /// What to try next.
    pub advice: Vec<Advice>,
    /// The arguments of `fourbit` that find the layers to leave float, where an output is noisy; empty where nobody knows them.
    pub next: Vec<String>,
    /// Seconds a stage, in order.
    pub seconds: Vec<(String, f64)>,
    /// Largest resident memory of the process, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl Outcome {
    /// This outcome without what differs between equal conversions: times, memory, and where files lie.
    #[must_use]
    pub fn reproducible(mut self) -> Self {
        let folder = self.input.parent().map(Path::to_owned).unwrap_or_default();
        let shown = |path: &Path| {
            let inside = path.strip_prefix(&folder).ok().filter(|_| !folder.as_os_str().is_empty());
            let name = inside.map(Path::as_os_str).or(path.file_name()).unwrap_or(path.as_os_str());
            if name.is_empty() { PathBuf::from(".") } else { PathBuf::from(name) }
        };
        let text = |source: &str| shown(Path::new(source)).display().to_string();
        if let Some((source, _)) = &mut self.calibration {
            *source = text(source);
        }
        if let Verdict::Validated(validation) = &mut self.verdict {
            validation.source = text(&validation.source);
        }
        let name = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
        (self.input, self.output) = (name(&self.input), name(&self.output));
        (self.seconds, self.peak_memory, self.next) = (Vec::new(), None, Vec::new());
        self.advice.iter_mut().for_each(|advice| advice.command.clear());
        self
    }
}

/// A plan that was made and written, with nothing applied yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// What was decided.
    pub plan: Plan,
    /// The plan's file.
    pub path: PathBuf,
    /// How a budget was kept, where there was one.
    pub budget: Option<Budgeted>,
    /// What is known of the layers, where that was asked for.
    pub details: Option<Details>,
    /// What a person should know before applying it.
    pub warnings: Vec<String>,
    /// Seconds a stage, in order.
    pub seconds: Vec<(String, f64)>,
}

/// A plan that was applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// The file written.
    pub output: PathBuf,
    /// How many decisions were applied.
    pub decisions: usize,
    /// How many the plan holds.
    pub of: usize,
    /// Sizes.
    pub sizes: Sizes,
}

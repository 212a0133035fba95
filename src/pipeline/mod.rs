//! The story: read, prepare, analyse, calibrate, solve, rewrite, validate. Each call is one use of
//! the library; the command line is a thin shell around them.

mod advice;
mod apply;
mod bench;
mod bits;
mod budget;
mod check;
mod coverage;
mod decide;
mod details;
mod feeding;
mod generated;
mod inspect;
mod judge;
mod measure;
mod patterns;
mod proportion;
mod quantize;
mod samples;
mod sensitivity;
mod solved;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use apply::{Application, PlanSource, apply};
pub use budget::{unshown, unshown_agreement};
pub use check::check;
pub use feeding::{Feeding, State};
pub use inspect::{Look, inputs, inspect, show};
pub use judge::{Comparison, validate};
pub use quantize::{plan, planned, quantize};
pub use sensitivity::{Effort, TRIED_LAYERS, sensitivity};

/// Samples that standard errors take at least.
pub const FEWEST_SAMPLES: usize = crate::validate::FEWEST;

pub use crate::plan::{Applied, Checked, Inspection, Planned, Sensitivity, SiteRow};

use crate::error::{Error, Result};
use crate::files::{Draft, Guard};
use crate::onnx::{self, Dtype, Model};
use crate::options::{OPSET, Opset, Options, Preprocessing};
use crate::plan::{Expected, Prepared, Subject};
use crate::runtime::{Fault, faults};
use crate::samples::{SampleSet, Samples};
use crate::solve::Measurements;

/// Calibration samples used where no number is asked for: more of them change the ranges little.
pub const CALIBRATION_SAMPLES: usize = 512;

/// Samples that estimates are made on where no number is asked for; conversions are judged on more.
pub const MEASURED_SAMPLES: usize = 64;

/// One conversion, as asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The float model.
    pub input: PathBuf,
    /// Where the result goes; beside the input if not given.
    pub output: Option<PathBuf>,
    /// What shapes the plan.
    pub options: Options,
    /// Calibration samples; those lying beside the input if not given.
    pub calibration: Option<SampleSet>,
    /// Validation samples; those lying beside the input if not given.
    pub validation: Option<SampleSet>,
    /// How stored pixels become the input.
    pub preprocess: Option<Preprocessing>,
    /// How many calibration samples to use; [`CALIBRATION_SAMPLES`] if not given.
    pub samples: Option<usize>,
    /// Seed of the choice of samples.
    pub seed: u64,
    /// Whether existing outputs may be replaced.
    pub overwrite: bool,
    /// Whether large tensors go to a side file in any case, and not only where one file would be too large.
    pub external_data: bool,
    /// Dimensions of inputs that the model leaves open; those of the written model too.
    pub shapes: Vec<(String, Vec<i64>)>,
    /// How the model is fed.
    pub feeding: Feeding,
    /// Whether onnxruntime is to judge the written file as well.
    pub cross_check: bool,
    /// Whether to gather what reports tell of single layers.
    pub details: bool,
    /// Whether the options are for many models, so that patterns of names and states may fit none of this one.
    pub one_of_many: bool,
}

impl Job {
    /// The conversion of `input` with `options` and nothing else asked for.
    pub fn new(input: &Path, options: Options) -> Self {
        Self {
            input: input.to_owned(),
            output: None,
            options,
            calibration: None,
            validation: None,
            preprocess: None,
            samples: None,
            seed: 0,
            overwrite: false,
            external_data: false,
            shapes: Vec::new(),
            feeding: Feeding::default(),
            cross_check: false,
            details: false,
            one_of_many: false,
        }
    }

    /// The model that [`quantize`] writes.
    pub fn model_path(&self) -> PathBuf {
        output(&self.input, self.output.as_deref(), &format!("{}.onnx", self.options.precision()))
    }

    /// The plan that [`plan`] writes.
    pub fn plan_path(&self) -> PathBuf {
        output(&self.input, self.output.as_deref(), "plan.json")
    }

    /// The files that are read, so that none of them is written.
    pub fn guard(&self) -> Guard {
        let mut guard = Guard::new();
        reads_model(&mut guard, &self.input);
        let beside = Samples::discover(&self.input);
        let given = [&self.calibration, &self.validation].into_iter().flatten().filter_map(SampleSet::file);
        let found = [&beside.calibration, &beside.validation, &beside.preprocess];
        let asked = self.preprocess.as_ref().and_then(Preprocessing::file);
        given
            .chain(asked)
            .chain(found.into_iter().flatten().map(PathBuf::as_path))
            .for_each(|path| guard.reads(path));
        guard
    }
}

/// A model as read, and as it is analysed.
pub(crate) struct Opened {
    pub model: Model,
    pub prepared: Vec<Prepared>,
    /// What folded normalisations say of activations.
    pub expected: Expected,
    /// The opset of the model as read.
    pub opset: i64,
    pub warnings: Vec<String>,
    /// The model as read, for running.
    pub float: Model,
}

impl Opened {
    /// Prepares `float` at the opset wanted, with inputs of the shapes given.
    pub fn new(mut float: Model, wanted: Opset, shapes: &[(String, Vec<i64>)]) -> Result<Self> {
        let mut warnings = Vec::new();
        if float.unknown_bytes > 0 {
            warnings.push(format!(
                "{} bytes of the input are in fields that this version of the format does not know; they are not written",
                float.unknown_bytes
            ));
        }
        let opset = float.opset();
        let fixed = crate::prepare::fix(&mut float, shapes)?;
        let half = onnx::tensors(float.graph()).into_iter().any(|tensor| is_half(tensor.data_type()))
            || float
                .graph()
                .input
                .iter()
                .any(|input| onnx::value_shape(input).is_some_and(|(kind, _)| is_half(kind)));
        let wanted = if half { wanted.for_half() } else { wanted };
        let (model, changes, expected) = crate::prepare::with_statistics(float.clone(), wanted.least())?;
        let prepared = fixed
            .into_iter()
            .chain(changes)
            .map(|change| Prepared { pass: change.pass.into(), count: change.count, detail: change.detail })
            .collect();
        Ok(Self { model, prepared, expected, opset, warnings, float })
    }
}

/// A model ready to be converted, and what identifies it.
pub(crate) struct Ready {
    pub opened: Opened,
    pub subject: Subject,
    /// Found when they are first asked for.
    faults: OnceLock<Vec<Fault>>,
    /// Of the weights of the prepared model, shared by all plans made of it.
    pub measurements: Measurements,
    /// Whether to note what plans do not hold.
    pub details: bool,
}

impl Ready {
    /// What tract cannot run of the prepared model, or runs wrongly.
    pub fn faults(&self) -> &[Fault] {
        self.faults.get_or_init(|| faults(&self.opened.model))
    }

    /// The first of these faults, in words.
    pub fn first_fault(&self) -> Option<String> {
        first(self.faults())
    }
}

/// Reads `path` and prepares it at the opset wanted, with inputs of the shapes given.
pub(crate) fn ready(path: &Path, wanted: Opset, shapes: &[(String, Vec<i64>)]) -> Result<Ready> {
    let float = onnx::read(path)?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let subject = Subject { file, sha256: measure::sha256(&float) };
    Ok(Ready {
        opened: Opened::new(float, wanted, shapes)?,
        subject,
        faults: OnceLock::new(),
        measurements: Measurements::default(),
        details: false,
    })
}

/// The first of `faults`, in words.
fn first(faults: &[Fault]) -> Option<String> {
    let more = if faults.len() > 1 { format!(" (and {} more)", faults.len() - 1) } else { String::new() };
    faults.first().map(|fault| format!("node {}: {}{more}", fault.node, fault.problem))
}

fn is_half(kind: i32) -> bool {
    matches!(Dtype::try_from(kind), Ok(Dtype::Float16 | Dtype::Bfloat16))
}

/// Refuses what the opset of the prepared model has no form for, before the work. MatMulNBits has blocks at any opset, and
/// what cannot be written so gives its reasons.
pub(crate) fn refuse_opset(options: &Options, model: &Model) -> Result<()> {
    let (least, most) = options.target.opsets;
    if !(least..=most).contains(&model.opset()) {
        return Err(Error::options(
            format!("the target {} takes no model of opset {}", options.target.name, model.opset()),
            format!("it takes opsets {least} to {most}; leave `.opset` keep out, or choose one of these"),
        ));
    }
    // Blocks of floats are broadcast, which DequantizeLinear does not have to know.
    let unpacked = options.storage.unpacks() && options.activations.is_none();
    match options.blocks().filter(|_| model.opset() < OPSET && !options.matmul_nbits && !unpacked) {
        Some(blocks) => Err(Error::options(
            match options.opset {
                Opset::Keep => format!(
                    "{blocks} needs opset {OPSET}, and `.opset` keep leaves the model at {}",
                    model.opset()
                ),
                Opset::AtLeast(_) => {
                    format!("{blocks} needs opset {OPSET}, and the model is at {}", model.opset())
                }
            },
            "choose `.granularity` channel or tensor, or `.opset` 21; `.matmul_nbits` has blocks at any opset, and so has `.storage` bytes with float activations",
        )),
        None => Ok(()),
    }
}

/// `output`, or the input's name with `suffix` in place of `.onnx`.
fn output(input: &Path, output: Option<&Path>, suffix: &str) -> PathBuf {
    let stem = input.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    output.map_or_else(|| input.with_file_name(format!("{stem}.{suffix}")), Path::to_owned)
}

/// Notes a model and its side files as read.
fn reads_model(guard: &mut Guard, path: &Path) {
    guard.reads(path);
    // A model that cannot be looked through is told of where it is read.
    onnx::outline(path)
        .into_iter()
        .flat_map(|outline| outline.side_files)
        .for_each(|side| guard.reads(&side));
}

/// Prepares for writing a model, before the work, so that nobody waits for a result that cannot be kept.
fn draft(path: &Path, overwrite: bool, external_data: bool, guard: &Guard) -> Result<Draft> {
    let draft = Draft::create(path, overwrite, guard)?;
    if external_data {
        draft.check_side(onnx::side_name(path).as_ref())?;
    }
    Ok(draft)
}

//! Judging a written file: read back, lowered to a view that tract can run, run beside the float
//! model.

mod made_up;
mod runs;
mod second;

use std::collections::HashSet;
use std::path::Path;

use super::feeding::Feeding;
use super::first;
use super::measure::{float_bytes, is_large, nodes};
use super::proportion::in_proportion;
use crate::error::{Error, Result};
use crate::onnx::{self, Model};
use crate::onnxruntime;
use crate::options::{LARGE_WITHOUT_SAMPLES, OPSET, Preprocessing};
use crate::plan::{Doubt, Fingerprint, Overlap, Plan, Verdict};
use crate::prepare::prepare;
use crate::progress::Progress;
use crate::rewrite::{Dialect, calibrated, is_plain, lower};
use crate::runtime::{Fault, faults};
use crate::samples::{Preprocess, SampleSet, Samples};
use crate::validate::{Compared, Watch, is_quantized, loadable, prove, sound};
pub(super) use made_up::Known;
use made_up::{made_up, range_of, sized};
use runs::{at_the_edge, by_tract, tell_apart};
use second::Files;

/// Bytes of memory that running both models takes for each byte of float weights.
const RUN_BYTES: u64 = 6;

/// A file that was just written, and what it is held against.
pub(super) struct Judged<'j> {
    pub float: &'j Model,
    /// What tract cannot run of it.
    pub faults: &'j [Fault],
    pub plan: &'j Plan,
    pub first: Option<usize>,
    pub written: &'j Path,
    pub samples: Option<&'j SampleSet>,
    /// These samples, where they are open.
    pub opened: Option<&'j Samples>,
    pub preprocess: Option<&'j Preprocess>,
    /// Digests of the samples that were calibrated on.
    pub calibrated: &'j HashSet<u64>,
    /// The samples that were calibrated on.
    pub inside: Option<&'j Samples>,
    /// How many samples the file holds of which `opened` were held back from calibration.
    pub held_back: Option<usize>,
    /// Whether the samples are the calibration samples, for want of others.
    pub same: bool,
    /// How many samples to use at most.
    pub most: Option<usize>,
    /// Whether samples were given, which asks for a run however large the model.
    pub asked: bool,
    pub seed: u64,
    pub feeding: &'j Feeding,
    /// What is known of generated samples.
    pub made_up: Known<'j>,
    /// The float file, where onnxruntime is to judge as well.
    pub cross_check: Option<&'j Path>,
    /// Whether to draw samples that are answered differently.
    pub pictures: bool,
}

/// Reads the file back, proves its weights, and runs it. Returns the file as read as well.
pub(super) fn written(judged: &Judged, progress: &dyn Progress) -> Result<(Verdict, Model)> {
    let back = onnx::read(judged.written)?;
    sound(&back, judged.float)?;
    let proven = prove(judged.plan, judged.first, &back)?;
    let second = judged.cross_check.map(|float| Files { float, written: judged.written });
    let dialect = dialect_of(&back);
    let view = match !judged.asked && is_large(judged.float, judged.samples.is_some()) {
        true => Err(too_large(judged.float)),
        false => Ok(lower(&back, dialect)?),
    };
    if let (Err(reason), None) = (&view, second) {
        return Ok((Verdict::NotValidated { reason: reason.clone() }, back));
    }
    let samples = match (judged.opened, judged.samples) {
        (Some(opened), _) => Some(opened.clone()),
        (None, Some(set)) => Some(judged.feeding.open(set, judged.float, judged.preprocess)?),
        (None, None) => None,
    };
    let samples = samples.map(|samples| samples.choose(judged.most, judged.seed));
    let known = |digests: &[u64]| {
        let samples = digests.iter().filter(|digest| judged.calibrated.contains(digest)).count();
        Some(Overlap { samples, of: digests.len(), exact: true })
    };
    let &Judged { float, faults, seed, feeding, .. } = judged;
    // States of another file's calls would have to be found for this alone.
    let elsewhere = !judged.same || judged.held_back.is_some();
    let inside = judged.inside.filter(|_| elsewhere && feeding.states.is_empty() && samples.is_some());
    let (pictures, made_up, watch) = (judged.pictures, judged.made_up, &Watch::NOBODY);
    let pair =
        Pair { float, faults, view, dialect, second, seed, feeding, inside, known: made_up, pictures, watch };
    let mut verdict = run(&pair, samples, &known, progress)?;
    if let Verdict::Validated(validation) = &mut verdict {
        validation.weights_proven = proven;
        validation.held_back = judged.held_back;
        if judged.same {
            // What was asked for is no surprise: it is told where the samples are.
            validation.doubts.retain(|doubt| !matches!(doubt, Doubt::Calibrated(_)));
        }
    }
    Ok((verdict, back))
}

/// What tract is to run: the file itself wherever it can.
fn dialect_of(written: &Model) -> Dialect {
    if is_plain(written) { Dialect::Int4 } else { Dialect::Folded }
}

/// Why a model of this size is not run unasked.
fn too_large(float: &Model) -> String {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let bytes = float_bytes(float);
    if bytes <= LARGE_WITHOUT_SAMPLES {
        let count = nodes(float.graph());
        let all_the_same = "every code and scale in the file was compared with the plan; on samples given by `.validation` both models run all the same";
        return format!("preparing {count} nodes to run them would take long; {all_the_same}");
    }
    format!(
        "running {:.1} GB of float weights beside the quantized ones would take about {:.0} GB of memory; \
         every code and scale in the file was compared with the plan; on samples given by `.validation` both models run all the same",
        gigabytes(bytes),
        gigabytes(RUN_BYTES * bytes).ceil()
    )
}

/// Two files to compare, and on what.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'c> {
    /// The float model.
    pub float: &'c Path,
    /// Its quantized form, whoever made it.
    pub quantized: &'c Path,
    /// Samples; those lying beside the float model, or made-up ones, if not given.
    pub samples: Option<&'c SampleSet>,
    /// How stored pixels become the input.
    pub preprocess: Option<&'c Preprocessing>,
    /// How many samples to use at most.
    pub count: Option<usize>,
    /// Start of every random choice.
    pub seed: u64,
    /// How both are fed.
    pub feeding: &'c Feeding,
    /// Whether onnxruntime is to judge as well.
    pub cross_check: bool,
    /// Whether to draw samples that are answered differently.
    pub details: bool,
    /// Who sees the outputs.
    pub watch: &'c Watch,
}

/// Judges any quantized file against its float model, without a plan.
///
/// # Errors
/// Any: see [`Error`].
pub fn validate(files: &Comparison, progress: &dyn Progress) -> Result<Verdict> {
    if files.cross_check {
        onnxruntime::library()?;
    }
    let model = onnx::read(files.float)?;
    let written = onnx::read(files.quantized).map_err(|error| error.of(files.quantized))?;
    if is_quantized(&model) && !is_quantized(&written) {
        let order = "the order is FLOAT QUANTIZED";
        return Err(Error::options("the first model is already quantized", order));
    }
    loadable(&written, &model).map_err(|error| error.of(files.quantized))?;
    // Of two quantized files the first stands in the place of the float one, as what it decodes to.
    let model = match is_quantized(&model) {
        true => lower(&model, dialect_of(&model)).map_err(|error| error.of(files.float))?,
        false => model,
    };
    let (model, faults) = runnable(model);
    let mark = calibrated(&written.proto);
    let dialect = dialect_of(&written);
    let view = match lower(&written, dialect) {
        // The other runtime needs no view.
        Err(error) if files.cross_check => Err(error.to_string()),
        view => Ok(view.map_err(|error| error.of(files.quantized))?),
    };
    let preprocess = files.preprocess.map(|asked| Preprocess::of(asked, &model)).transpose()?;
    let beside = files.samples.is_none().then(|| Samples::discover(files.float).validation).flatten();
    let beside = beside.map(SampleSet::from);
    let samples = match files.samples.or(beside.as_ref()) {
        Some(set) => {
            let samples = files.feeding.open(set, &model, preprocess.as_ref())?;
            Some(samples.choose(files.count, files.seed))
        }
        None => None,
    };
    let known = |digests: &[u64]| mark.as_ref().map(|mark: &Fingerprint| mark.overlap(digests));
    let second = files.cross_check.then_some(Files { float: files.float, written: files.quantized });
    let (seed, feeding) = (files.seed, files.feeding);
    let range = range_of(&written);
    let made_up = Known { expected: None, range: range.as_deref(), preprocess: preprocess.as_ref() };
    let pair = Pair {
        float: &model,
        faults: &faults,
        view,
        dialect,
        second,
        seed,
        feeding,
        inside: None,
        known: made_up,
        pictures: files.details,
        watch: files.watch,
    };
    run(&pair, samples, &known, progress)
}

/// `model`, or its prepared form where tract can run only that; and what tract cannot run of it.
fn runnable(model: Model) -> (Model, Vec<Fault>) {
    let found = faults(&model);
    if found.is_empty() {
        return (model, found);
    }
    match prepare(model.clone(), OPSET) {
        Ok((prepared, _)) if faults(&prepared).is_empty() => (prepared, Vec::new()),
        _ => (model, found),
    }
}

/// A float model and the view of its quantized form, and both files where another runtime is to judge as well.
struct Pair<'p> {
    float: &'p Model,
    /// What tract cannot run of it.
    faults: &'p [Fault],
    /// Or why there is none.
    view: std::result::Result<Model, String>,
    /// What the view is.
    dialect: Dialect,
    second: Option<Files<'p>>,
    seed: u64,
    feeding: &'p Feeding,
    /// Samples that the quantized form was calibrated on, where the others are not.
    inside: Option<&'p Samples>,
    known: Known<'p>,
    /// Whether to draw samples that are answered differently.
    pictures: bool,
    watch: &'p Watch,
}

fn run(
    pair: &Pair,
    samples: Option<Samples>,
    known: &dyn Fn(&[u64]) -> Option<Overlap>,
    progress: &dyn Progress,
) -> Result<Verdict> {
    let not = |reason: String| Ok(Verdict::NotValidated { reason });
    let view = pair.view.as_ref().map_err(String::clone);
    if let (Err(problem), None) = (&view, pair.second) {
        return not(problem.clone());
    }
    let synthetic = samples.is_none();
    let (samples, generated) = match samples {
        Some(samples) => (samples, false),
        None => match made_up(pair)? {
            Ok(made) => made,
            Err(problem) => return not(problem),
        },
    };
    let (mut samples, excess) = match in_proportion(pair.float, samples, pair.seed) {
        Err(error @ Error::Runtime { .. }) => return not(error.to_string()),
        kept => kept?,
    };
    let first = match view {
        Ok(view) => {
            let whole = match fault(pair.faults, view) {
                Some(problem) => Err(problem),
                None => run_sized(pair, view, &mut samples, synthetic, progress)?,
            };
            match whole {
                Err(problem) => at_the_edge(pair, view, &samples, problem, progress)?,
                done => done,
            }
        }
        Err(problem) => Err(problem),
    };
    // Each sample is seen once, by the judge that counts.
    let watch = if first.is_err() { pair.watch } else { &Watch::NOBODY };
    let second = pair
        .second
        .map(|files| second::judge(files, pair.float, pair.feeding, &samples, watch, progress))
        .transpose()?;
    let (Compared { mut validation, digests, samples: compared }, beside) =
        match second::settle(first, second, synthetic) {
            Ok(settled) => settled,
            Err(reason) => return not(reason),
        };
    tell_apart(pair.float, &mut validation.outputs);
    for differing in validation.differing.iter_mut().filter(|_| pair.pictures) {
        differing.picture = compared.thumbnail(differing.at, differing.row)?;
    }
    (validation.synthetic, validation.generated) = (synthetic, generated);
    if synthetic {
        // Noise is no picture of anything.
        validation.doubts.retain(|doubt| matches!(doubt, Doubt::Edge { .. }));
    } else if let Some(overlap) = known(&digests) {
        validation.overlap = Some(overlap);
        validation.calibrated_on = overlap.samples > 0;
        if validation.calibrated_on {
            // Figures that calibration made better are beside themselves then.
            validation.inside = None;
            validation.doubts.push(Doubt::Calibrated(overlap));
        }
    }
    validation.doubts.extend(beside);
    validation.doubts.extend(excess.filter(|_| !synthetic));
    Ok(Verdict::Validated(Box::new(validation)))
}

/// The first of `of_float`, the float model's faults, or else of those of the view of its quantized form.
fn fault(of_float: &[Fault], view: &Model) -> Option<String> {
    first(of_float).or_else(|| first(&faults(view)))
}

/// What tract says of these samples, or where they are made up and the model cannot take their sizes, of larger ones.
fn run_sized(
    pair: &Pair,
    view: &Model,
    samples: &mut Samples,
    synthetic: bool,
    progress: &dyn Progress,
) -> Result<std::result::Result<Compared, String>> {
    let first = by_tract(pair, view, samples, progress)?;
    let Err(problem) = &first else { return Ok(first) };
    if !synthetic {
        return Ok(first);
    }
    for size in 1..=2 {
        let Ok(larger) = sized(pair, size) else { break };
        if larger.get(0)?.inputs == samples.get(0)?.inputs {
            break;
        }
        let judged = by_tract(pair, view, &larger, progress)?;
        if judged.is_ok() {
            *samples = larger;
            return Ok(judged);
        }
    }
    let sizes: Vec<String> =
        samples.get(0)?.inputs.iter().map(|input| format!("{} {:?}", input.name(), input.dims)).collect();
    Ok(Err(format!(
        "{problem} (on made-up samples, {}; `.sample_shape` says other dimensions)",
        sizes.join(", ")
    )))
}

//! Models that nobody thought of: made up by seed, converted at every precision, and judged by onnxruntime.

mod bodies;
pub mod chance;
mod graphs;
mod images;
mod layers;
pub mod samples;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fourbit::error::Error;
use fourbit::onnx::proto::GraphProto;
use fourbit::onnx::{Dtype, Model, bodies, element_count, write};
use fourbit::options::{CodeType, Granularity, Keys, Opset, Options, Precision, Spelling};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::{Decision, Outcome, Verdict};
use fourbit::prepare::prepare;
use fourbit::progress::Silent;
use rayon::prelude::*;

use self::chance::Chance;
use self::graphs::grow;
use super::oracle::{Near, assert_near, reported};
use super::structures::left;

/// Seeds that every run of the tests tries; more are asked for with the variable `SEEDS`, as in `SEEDS=1000..2000`.
const SEEDS: std::ops::Range<u64> = 0..60;
/// Samples of each model.
const COUNT: i64 = 4;

fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("SEEDS").ok();
    let range = asked.as_deref().and_then(|asked| {
        let (from, to) = asked.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    range.unwrap_or(SEEDS)
}

/// Options by name, and the least SQNR of outputs that they should reach, in dB.
type Configuration = (String, Options, f64);

fn options(precision: &str) -> Options {
    Options::new(precision.parse::<Precision>().expect("a precision"))
}

/// Bell-shaped weights have an SQNR of about 20 dB at 4 bits and 44 dB at 8. Layers in a row add their noise, and some make small
/// differences large: what is demanded is what a few dozen models had at least, not what a good model has.
fn configurations(seed: u64) -> Vec<Configuration> {
    let mut configurations: Vec<Configuration> = [("w8", 28.0), ("w4", 9.0), ("w8a8", 25.0), ("w4a8", 8.0)]
        .map(|(precision, least)| (precision.to_owned(), options(precision), least))
        .to_vec();
    let mut dual = options("w4");
    dual.dual.keys = Keys::All;
    let spelled = |spelling| {
        let mut dual = dual.clone();
        dual.dual.spelling = spelling;
        dual
    };
    let size = 1 + (seed / 7) as usize % 9;
    configurations.push(match seed % 7 {
        0 => ("blocks".into(), Options { granularity: Granularity::Block(size), ..options("w4") }, 9.0),
        1 => ("uint4".into(), Options { weights: Some(CodeType::Uint4), ..options("w4") }, 9.0),
        2 => ("sums".into(), spelled(Spelling::Sum), 30.0),
        3 => ("branches".into(), spelled(Spelling::Branches), 30.0),
        4 => ("kept".into(), Options { opset: Opset::Keep, ..options("w4a8") }, 8.0),
        5 => ("raised".into(), Options { opset: Opset::AtLeast(27), ..options("w4") }, 9.0),
        _ => ("tensor".into(), Options { granularity: Granularity::Tensor, ..options("w8a8") }, 25.0),
    });
    if seed.is_multiple_of(5) {
        let granularity = if seed.is_multiple_of(2) { Granularity::Block(16) } else { Granularity::Channel };
        let opset = if seed.is_multiple_of(3) { Opset::Keep } else { Opset::default() };
        let nbits = Options { matmul_nbits: true, granularity, opset, ..options("w4") };
        configurations.push(("matmul-nbits".into(), nbits, 9.0));
    }
    configurations
}

/// Bytes of the float constants in `graph` and in the graphs inside its nodes.
fn floats(graph: &GraphProto, gone: &dyn Fn(&str) -> bool) -> u64 {
    let size = |dtype: i32| match Dtype::try_from(dtype) {
        Ok(Dtype::Double) => 8,
        Ok(Dtype::Float) => 4,
        Ok(Dtype::Float16 | Dtype::Bfloat16) => 2,
        _ => 0,
    };
    let held = graph.node.iter().flat_map(|node| &node.attribute);
    let held = held.flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
    let own = graph.initializer.iter().filter(|tensor| !gone(tensor.name()));
    let own: u64 = own
        .chain(held)
        .map(|tensor| size(tensor.data_type()) * element_count(tensor).expect("a count") as u64)
        .sum();
    let inner = graph.node.iter().flat_map(bodies).map(|body| floats(body, &|_| false));
    own + inner.sum::<u64>()
}

struct Case<'c> {
    seed: u64,
    model: &'c Model,
    input: &'c Path,
    samples: &'c Path,
}

impl Case<'_> {
    /// Converts, and gives the file and what was said of it; `None` where tract would have to run the model and cannot.
    fn convert(
        &self,
        name: &str,
        options: &Options,
        again: bool,
    ) -> Result<Option<(PathBuf, Outcome)>, String> {
        let end = if again { "again.onnx" } else { "onnx" };
        let output = self.input.with_extension(format!("{name}.{end}"));
        let job = Job {
            output: Some(output.clone()),
            calibration: options.quantizes_activations().then(|| self.samples.into()),
            validation: Some(self.samples.into()),
            ..Job::new(self.input, options.clone())
        };
        match catch_unwind(AssertUnwindSafe(|| quantize(&job, &Silent))) {
            Err(_) => Err("a panic".into()),
            Ok(Err(Error::NotRunnable { .. })) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(outcome)) => Ok(Some((output, outcome))),
        }
    }

    /// What of the model no decision took, which is what there are reasons for.
    fn accounts(&self, options: &Options, outcome: &Outcome) -> Result<(), String> {
        let (prepared, _) = prepare(self.model.clone(), options.opset.least()).expect("it was before");
        let weights = outcome.plan.decisions.iter().filter_map(|decision| match decision {
            Decision::Weight(weight) => Some(weight.tensor.as_str()),
            Decision::Activation(_) => None,
        });
        let weights: Vec<&str> = weights.collect();
        let there = floats(prepared.graph(), &|name| weights.contains(&name));
        match left(outcome) {
            said if said == there => Ok(()),
            said => Err(format!("{there} bytes stay float, {said} have a reason: {:?}", outcome.plan.skips)),
        }
    }

    fn near(&self, (name, options, least): &Configuration) -> Result<Option<Near>, String> {
        let Some((quantized, outcome)) = self.convert(name, options, false)? else { return Ok(None) };
        self.accounts(options, &outcome)?;
        if *name == "w4a8" {
            let Some((again, _)) = self.convert(name, options, true)? else {
                return Err("once it could be run".into());
            };
            let bytes = [&quantized, &again].map(|path| std::fs::read(path).expect("a file"));
            if bytes[0] != bytes[1] {
                return Err("other bytes the second time".into());
            }
        }
        let reported = match &outcome.verdict {
            Verdict::Validated(validation) => reported(validation),
            Verdict::NotValidated { .. } => Vec::new(),
        };
        Ok(Some(Near {
            name: format!("{} {name}", self.seed),
            float: self.input.to_owned(),
            quantized,
            least_db: *least,
            samples: Some(self.samples.into()),
            reported,
            fused: false,
        }))
    }
}

/// The files of one seed for the judge, and what went wrong before.
fn tried(seed: u64, folder: &Path) -> (Vec<Near>, Vec<String>) {
    let made = grow(seed);
    let (input, samples) = (folder.join(format!("{seed}.onnx")), folder.join(format!("{seed}.npz")));
    write(&made.model, &input, true).expect("the model can be written");
    samples::write(&samples, &made.inputs, COUNT, &mut Chance::new(!seed));
    let case = Case { seed, model: &made.model, input: &input, samples: &samples };
    let (mut pairs, mut problems) = (Vec::new(), Vec::new());
    for configuration in configurations(seed) {
        match case.near(&configuration) {
            Ok(near) => pairs.extend(near),
            Err(problem) => problems.push(format!("{seed} {}: {problem}", configuration.0)),
        }
    }
    (pairs, problems)
}

#[test]
fn random_models_are_converted_and_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tried: Vec<_> = seeds().into_par_iter().map(|seed| tried(seed, folder.path())).collect();
    let (pairs, problems): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
    let (pairs, problems) = (pairs.into_iter().flatten().collect::<Vec<_>>(), problems.concat());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Most can be calibrated, and most tract runs.
    assert!(pairs.len() as u64 >= 4 * (seeds().end - seeds().start), "{} pairs", pairs.len());
    assert!(pairs.iter().filter(|pair| !pair.reported.is_empty()).count() * 2 >= pairs.len());
    assert_near(&pairs);
}

//! Which layer is guilty: each layer's share in what quantization does to the outputs, measured by quantizing it alone and
//! by leaving it alone.

use super::Job;
use super::bench::Bench;
use super::measure::weight_bits;
use super::quantize::{Solved, first_fault, solved};
use crate::calibrate::frontier;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::plan::{
    Analysis, Layer, LayerSensitivity, Loss, OutputError, Plan, Sensitivities, Sensitivity, Validation,
};
use crate::progress::Progress;
use crate::samples::Samples;

/// Samples measured on where no number is asked for. Each layer takes about as long as running the network once on all
/// of them, and the order of the layers is clear after few.
pub const MEASURED_SAMPLES: usize = 64;

/// Plans as [`super::quantize`] does and measures, on `count` of the validation samples, or of the calibration samples where
/// there are none, what each layer costs. The guiltiest layer comes first.
///
/// # Errors
/// Any: see [`Error`]; [`Error::Options`] where there are no samples, or tract cannot run the model.
pub fn sensitivity(job: &Job, count: Option<usize>, progress: &dyn Progress) -> Result<Sensitivity> {
    if let Some(path) = &job.validation {
        // Told before the work; whether they fit is seen after it.
        std::fs::metadata(path).map_err(Error::read(path))?;
    }
    let beside = Samples::discover(&job.input);
    let validation = job.validation.clone().or(beside.validation);
    let calibrated_on = validation.is_none();
    let Some(path) = validation.or_else(|| job.calibration.clone()).or(beside.calibration) else {
        return Err(Error::options(
            "sensitivity needs samples to run the model on",
            "pass --calibration FILE, or --validation FILE",
        ));
    };
    let Solved { ready, analysis, plan, calibration, preprocess, mut clock, .. } = solved(job, progress)?;
    if let Some(problem) = first_fault(&ready.model) {
        return Err(unable(&problem));
    }
    let samples = Samples::open(&path, &ready.float, preprocess.as_ref())?;
    let samples = samples.choose(Some(count.unwrap_or(MEASURED_SAMPLES)), job.seed);
    let mut found = match sensitivities(&ready.model, &analysis, &plan, &samples, progress) {
        Err(error @ Error::Runtime { .. }) => return Err(unable(&error.to_string())),
        other => other?,
    };
    clock.lap("measure");
    found.layers.sort_by(guiltiest);
    let mut warnings = ready.warnings;
    warnings.extend(found.not_resumed.map(|problem| format!("each layer took whole runs: {problem}")));
    Ok(Sensitivity {
        input: job.input.clone(),
        precision: plan.precision,
        calibrated_on: calibrated_on && calibration.is_some(),
        calibration,
        source: samples.path().display().to_string(),
        samples: samples.len(),
        whole: found.whole,
        layers: found.layers,
        warnings,
        seconds: clock.seconds,
    })
}

/// SQNR of an output, in dB, below which a report says where the noise comes from.
const POOR_DB: f64 = 15.0;
/// Samples that this is measured on, and layers named.
const FEW: usize = 4;
const NAMED: usize = 3;

/// A warning that names the guiltiest layers where `validation` found an output that is mostly noise. `samples` are those
/// that it was found on.
pub(super) fn guilty(
    model: &Model,
    analysis: &Analysis,
    plan: &Plan,
    validation: &Validation,
    samples: Samples,
    progress: &dyn Progress,
) -> Option<String> {
    let poor =
        |output: &&OutputError| output.broken > 0 || output.sqnr_db.is_some_and(|ratio| ratio < POOR_DB);
    let output = validation.outputs.iter().find(poor)?;
    let mut layers = match sensitivities(model, analysis, plan, &samples.choose(Some(FEW), 0), progress) {
        Ok(found) => found.layers,
        // Whoever cannot be measured cannot be named; the file stands without.
        Err(_) => return None,
    };
    layers.sort_by(guiltiest);
    let name = |layer: &LayerSensitivity| {
        let share = layer.share.map_or(String::new(), |share| format!(" ({:.0} %)", 100.0 * share));
        format!("{}{share}", layer.tensor)
    };
    let names: Vec<String> = layers.iter().take(NAMED).map(name).collect();
    let ratio = output.sqnr_db.map_or("broken values".into(), |ratio| format!("an SQNR of {ratio:.1} dB"));
    Some(format!(
        "output {} has {ratio}; most of the noise in the outputs comes from {}. fourbit sensitivity tells more, --min-sqnr gives such \
         layers more bits",
        output.name,
        names.join(", ")
    ))
}

/// The guiltiest first; among equals, with a stable sort, the earlier layer.
fn guiltiest(one: &LayerSensitivity, other: &LayerSensitivity) -> std::cmp::Ordering {
    let spoilt = |layer: &LayerSensitivity| layer.alone.broken.saturating_sub(layer.without.broken);
    spoilt(other).cmp(&spoilt(one)).then_with(|| other.guilt.total_cmp(&one.guilt))
}

fn unable(problem: &str) -> Error {
    Error::options(
        format!("the layers cannot be measured, since this model cannot be run: {problem}"),
        "fourbit inspect lists what stands in the way; export the model without it",
    )
}

/// What each layer that `plan` changes in `model`, which is prepared and has the sites of `analysis`, does to the outputs on
/// `samples`; in graph order. The float network and the one that `plan` makes advance together from layer to layer, and
/// for each layer both are resumed there: the one with this layer quantized, the other with this layer float.
///
/// # Errors
/// Whatever reading samples or running the model gives, and [`Error::Plan`] where the plan does not fit the model.
pub fn sensitivities(
    model: &Model,
    analysis: &Analysis,
    plan: &Plan,
    samples: &Samples,
    progress: &dyn Progress,
) -> Result<Sensitivities> {
    let layers = Layer::all(analysis, plan);
    let bench = Bench::new(model, samples)?;
    match measure(&bench, plan, &layers, true, progress) {
        // Parts may be harder to run than the whole, where shapes are computed.
        Err(error @ Error::Runtime { .. }) => {
            progress.end();
            let measured = measure(&bench, plan, &layers, false, progress)?;
            Ok(Sensitivities { not_resumed: Some(error.to_string()), ..measured })
        }
        other => other,
    }
}

fn measure(
    bench: &Bench,
    plan: &Plan,
    layers: &[Layer],
    resumed: bool,
    progress: &dyn Progress,
) -> Result<Sensitivities> {
    progress.begin("measure", Some(layers.len() as u64));
    let whole_model = bench.changed(plan)?;
    let (mut float, mut quantized) = (bench.start.clone(), bench.start.renamed("quantized"));
    let whole = bench.loss(&quantized, &whole_model)?;
    let mut rows = Vec::new();
    for layer in layers {
        if resumed {
            let cut = frontier(bench.model.graph(), layer.first());
            float.advance(&bench.float, &cut)?;
            quantized.advance(&whole_model, &cut)?;
        }
        let alone = bench.loss(&float, &bench.changed(&layer.only())?)?;
        let without = bench.loss(&quantized, &bench.changed(&layer.without())?)?;
        rows.push(row(layer, alone, without, &whole));
        progress.step();
    }
    progress.end();
    Ok(Sensitivities { whole, layers: rows, not_resumed: None })
}

fn row(layer: &Layer, alone: Loss, without: Loss, whole: &Loss) -> LayerSensitivity {
    let site = layer.site;
    let weights = site.dims.iter().product::<i64>().unsigned_abs();
    let guilt = 0.5 * (alone.noise + whole.noise - without.noise);
    LayerSensitivity {
        tensor: site.tensor.clone(),
        node: site.reads[0].node.clone(),
        operator: site.reads[0].operator.clone(),
        weights,
        bytes_float: 4 * weights,
        bytes_low: layer
            .weights
            .map_or(4 * weights, |weights| weight_bits(weights, layer.container()).div_ceil(8)),
        alone,
        without,
        guilt,
        share: (whole.noise > 0.0).then(|| guilt / whole.noise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::calibrate::observe;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::tensor_f32;
    use crate::options::Options;
    use crate::plan::{Decision, Subject};
    use crate::progress::Silent;
    use crate::rewrite::{Dialect, apply, lower};
    use crate::runtime::Session;
    use crate::solve::solve;
    use crate::validate::compare;

    /// Two layers read one activation, two share their weights, and one output comes early. The weights called `bad` hold
    /// large values, which leave no codes for the small ones, and meet an input that is always zero.
    fn model() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 16]);
        let first = graph.weights("first", &[16, 16]);
        let bias = graph.initializer(tensor_f32("bias", &[16], &[0.1; 16]));
        let a = graph.node("Gemm", &[&x, &first, &bias], &[]);
        let a = graph.node("Relu", &[&a], &[]);
        let [left, right] = ["left", "right"].map(|name| graph.weights(name, &[16, 16]));
        let small = |at: usize| (at as f32 * 0.7).sin() * 0.3;
        let shared: Vec<f32> = (0..256).map(|at| if at % 16 == 0 { 0.0 } else { small(at + 5) }).collect();
        let shared = graph.initializer(tensor_f32("shared", &[16, 16], &shared));
        let [l, r] = [&left, &right].map(|weights| graph.node("MatMul", &[&a, weights], &[]));
        let sum = graph.node("Add", &[&l, &r], &[]);
        let once = graph.node("MatMul", &[&sum, &shared], &[]);
        let once = graph.node("Relu", &[&once], &[]);
        let bad: Vec<f32> = (0..256).map(|at| if at < 16 { 40.0 } else { small(at) }).collect();
        let bad = graph.initializer(tensor_f32("bad", &[16, 16], &bad));
        let spoilt = graph.node("MatMul", &[&once, &bad], &[]);
        let y = graph.node("MatMul", &[&spoilt, &shared], &[]);
        graph.output(&a);
        graph.output(&y);
        graph.model()
    }

    fn planned(model: &Model, samples: &Samples) -> (Analysis, Plan) {
        let options = Options::default();
        let analysis = analyse(model, &options).unwrap();
        let feed = |at: usize| Ok(samples.get(at)?.inputs);
        let observed = observe(model, &analysis, samples.len(), &feed, true, &Silent).unwrap();
        let subject = Subject { file: "m".into(), sha256: String::new() };
        let plan = solve(model, &analysis, Some(&observed), &options, &crate::plan::Expected::new(), subject)
            .unwrap();
        (analysis, plan)
    }

    /// The noise of the output `y`, from whole runs of the model with those decisions that concern the nodes in `kept`.
    fn by_hand(model: &Model, plan: &Plan, samples: &Samples, kept: &dyn Fn(usize) -> bool) -> f64 {
        let mut part = plan.clone();
        part.decisions.retain_mut(|decision| match decision {
            Decision::Weight(weight) => kept(weight.reads[0].at),
            Decision::Activation(activation) => {
                activation.reads.retain(|read| kept(read.at));
                !activation.reads.is_empty()
            }
        });
        let float = Session::new(model, "float", &[]).unwrap();
        let view = lower(&apply(model, &part, None).unwrap(), Dialect::Folded).unwrap();
        let quantized = Session::new(&view, "quantized", &[]).unwrap();
        let validation = compare(&float, &quantized, samples, "folded", &Silent).unwrap().validation;
        let noise = validation
            .outputs
            .iter()
            .map(|output| output.sqnr_db.map_or(0.0, |decibels| 10f64.powf(-decibels / 10.0)));
        noise.sum::<f64>() / validation.outputs.len() as f64
    }

    #[test]
    fn layers_cost_what_whole_runs_say_and_the_guilty_is_found() {
        let model = model();
        let samples = Samples::synthetic(&model, 40, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let found = sensitivities(&model, &analysis, &plan, &samples, &Silent).unwrap();
        assert_eq!(found.not_resumed, None);
        let names: Vec<&str> = found.layers.iter().map(|layer| layer.tensor.as_str()).collect();
        assert_eq!(names, ["first", "left", "right", "shared", "bad"]);
        let close = |one: f64, other: f64, what: &str| {
            assert!((one - other).abs() <= 1e-4 * other, "{what}: {one} is not {other}");
        };
        close(found.whole.noise, by_hand(&model, &plan, &samples, &|_| true), "whole");
        for (layer, row) in Layer::all(&analysis, &plan).iter().zip(&found.layers) {
            let own = |at: usize| layer.site.reads.iter().any(|read| read.at == at);
            close(row.alone.noise, by_hand(&model, &plan, &samples, &own), &row.tensor);
            close(row.without.noise, by_hand(&model, &plan, &samples, &|at| !own(at)), &row.tensor);
            assert!(row.tensor == "bad" || row.guilt < 0.3 * found.layers[4].guilt, "{found:#?}");
            assert!(row.alone.noise > 0.0 && row.bytes_float == 1024 && row.bytes_low < 256, "{row:?}");
        }
    }

    #[test]
    fn whole_runs_take_the_place_of_resumed_ones() {
        let model = model();
        let samples = Samples::synthetic(&model, 10, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let layers = Layer::all(&analysis, &plan);
        let bench = Bench::new(&model, &samples).unwrap();
        let [resumed, whole] =
            [true, false].map(|how| measure(&bench, &plan, &layers, how, &Silent).unwrap());
        for (one, other) in resumed.layers.iter().zip(&whole.layers) {
            assert!(
                (one.guilt - other.guilt).abs() <= 1e-4 * other.guilt.abs().max(1e-6),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn a_plan_comes_apart_into_its_layers() {
        let model = model();
        let samples = Samples::synthetic(&model, 10, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let reads = |plan: &Plan| {
            let reads = plan.decisions.iter().map(|decision| match decision {
                Decision::Weight(weight) => weight.reads.len(),
                Decision::Activation(activation) => activation.reads.len(),
            });
            reads.sum::<usize>()
        };
        let layers = Layer::all(&analysis, &plan);
        let own: usize = layers.iter().map(|layer| reads(&layer.only())).sum();
        assert_eq!(own, reads(&plan));
        for layer in &layers {
            assert_eq!(reads(&layer.only()) + reads(&layer.without()), reads(&plan));
            assert_eq!(reads(&layer.only()), 2 * layer.site.reads.len());
        }
    }
}

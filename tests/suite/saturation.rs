//! Weights of 8 bits on processors whose kernels add products in saturating 16 bits.

use std::path::Path;

use fourbit::check::check;
use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, Model, attr, floats, read, tensor_f32, write};
use fourbit::options::{CodeType, HELD, LayerRule, Options, Precision, TARGETS, Target, Wishes};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::{Decision, Outcome, Saturation, Verdict, WeightDecision};
use fourbit::progress::Silent;

use super::oracle::{Near, assert_near};
use super::random::chance::Chance;
use super::random::samples;

const COUNT: i64 = 8;

/// Convolutions and a product of mostly positive weights with positive inputs: the sums of many pairs of products are large.
fn model() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 8, 8, 8]);
    let mut positive = |name: &str, dims: &[i64]| {
        let mut made = GraphBuilder::new(21);
        made.weights(name, dims);
        let bell = made.proto().graph.expect("a graph").initializer.remove(0);
        let values: Vec<f32> = floats(&bell).expect("floats").iter().map(|value| value.abs()).collect();
        graph.initializer(tensor_f32(name, dims, &values))
    };
    let (full, depthwise) = (positive("full", &[16, 8, 3, 3]), positive("depthwise", &[16, 1, 3, 3]));
    let (point, matrix) = (positive("point", &[8, 16, 1, 1]), positive("matrix", &[8, 10]));
    let x = graph.node("Sigmoid", &[&x], &[]);
    let y = graph.node("Conv", &[&x, &full], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = graph.node("Conv", &[&y, &depthwise], &[attr::int("group", 16)]);
    let y = graph.node("Conv", &[&y, &point], &[]);
    let y = graph.node("GlobalAveragePool", &[&y], &[]);
    let y = graph.node("Flatten", &[&y], &[]);
    let y = graph.node("MatMul", &[&y, &matrix], &[]);
    graph.output(&y);
    graph.model()
}

fn options(target: &str, precision: &str) -> Options {
    let wishes = Wishes { precision: precision.parse::<Precision>().ok(), ..Wishes::default() };
    wishes.options(Target::named(target).expect("a target")).expect("options")
}

fn converted(folder: &Path, name: &str, options: Options) -> (Outcome, Near) {
    let (input, archive) = (folder.join("model.onnx"), folder.join("samples.npz"));
    if !input.exists() {
        write(&model(), &input, false).expect("the model can be written");
        let inputs = [("x".to_owned(), Dtype::Float, vec![1, 8, 8, 8])];
        samples::write(&archive, &inputs, COUNT, &mut Chance::new(7));
    }
    let output = folder.join(format!("{name}.onnx"));
    let job = Job {
        output: Some(output.clone()),
        calibration: Some(archive.clone().into()),
        validation: Some(archive.clone().into()),
        ..Job::new(&input, options)
    };
    let outcome = quantize(&job, &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Verdict::Validated(validation) = &outcome.verdict else { panic!("{:?}", outcome.verdict) };
    let reported = validation.outputs.iter();
    let reported = reported.map(|it| (it.name.clone(), it.sqnr_db.expect("noise"))).collect();
    let near = Near {
        name: name.to_owned(),
        float: input,
        quantized: output,
        least_db: 20.0,
        samples: Some(archive),
        reported,
        fused: true,
    };
    (outcome, near)
}

fn weights(outcome: &Outcome) -> Vec<&WeightDecision> {
    let weights = outcome.plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some(weight),
        Decision::Activation(_) => None,
    });
    weights.collect()
}

/// Whether codes of `tensor` lie beyond the range in which no sum saturates.
fn goes_beyond(outcome: &Outcome, tensor: &str) -> bool {
    let weight = *weights(outcome).iter().find(|it| it.tensor == tensor).expect("the weights");
    let beyond = |code: i16| !(HELD.0..=HELD.1).contains(&i32::from(code));
    weight.terms.iter().flat_map(|term| term.codes.iter()).any(beyond)
}

fn saturating(outcome: &Outcome, target: &str) -> Vec<String> {
    let written = read(&outcome.output).expect("a model");
    let (findings, _) = check(&written, Target::named(target).expect("a target"));
    let found = findings.into_iter().filter(|finding| finding.saturates);
    found.inspect(|finding| assert!(!finding.refused, "{finding:?}")).map(|finding| finding.tensor).collect()
}

#[test]
fn onnxruntime_gives_what_the_report_says_on_this_processor() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut pairs = Vec::new();
    for target in ["generic", "portable", "ort-cpu", "ort-cpu-int8", "openvino"] {
        let (outcome, near) = converted(folder.path(), target, options(target, "w8a8"));
        for tensor in ["full", "point", "matrix"] {
            assert!(!goes_beyond(&outcome, tensor), "{target} {tensor}");
        }
        assert!(goes_beyond(&outcome, "depthwise"), "{target}: its kernel is exact");
        assert_eq!(saturating(&outcome, target), [""; 0], "{target}");
        assert!(
            outcome.warnings.iter().all(|warning| !warning.contains("saturate")),
            "{:?}",
            outcome.warnings
        );
        pairs.push(near);
    }
    assert_near(&pairs);
}

#[test]
fn the_full_range_is_given_back_and_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let full = Options { full_range: true, ..options("ort-cpu-int8", "w8a8") };
    let (outcome, _) = converted(folder.path(), "full", full);
    for tensor in ["full", "depthwise", "point", "matrix"] {
        assert!(goes_beyond(&outcome, tensor), "{tensor}");
    }
    let possible = weights(&outcome).into_iter().filter(|it| it.saturation == Some(Saturation::Possible));
    assert_eq!(possible.count(), 3);
    assert!(
        outcome.warnings.iter().any(|warning| warning.contains("may saturate")),
        "{:?}",
        outcome.warnings
    );
    assert_eq!(saturating(&outcome, "ort-cpu-int8").len(), 3);
    assert_eq!(saturating(&outcome, "tract"), [""; 0]);

    let rule = LayerRule { matching: "point".into(), full_range: Some(true), ..LayerRule::default() };
    let single = Options { layers: vec![rule], ..options("ort-cpu-int8", "w8a8") };
    let (outcome, _) = converted(folder.path(), "single", single);
    assert!(goes_beyond(&outcome, "point") && !goes_beyond(&outcome, "full"));
    assert_eq!(saturating(&outcome, "ort-cpu-int8").len(), 1);
}

#[test]
fn single_layers_of_8_bits_are_held_beside_those_of_4() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rule =
        LayerRule { matching: "full".into(), weights: Some(Some(CodeType::Int8)), ..LayerRule::default() };
    for target in ["generic", "ort-cpu-int8"] {
        let mixed = Options { layers: vec![rule.clone()], strict_bits: true, ..options(target, "w4a8") };
        let (outcome, _) = converted(folder.path(), &format!("mixed-{target}"), mixed);
        let held: Vec<&str> = weights(&outcome)
            .into_iter()
            .filter(|it| it.saturation == Some(Saturation::Avoided))
            .map(|it| it.tensor.as_str())
            .collect();
        assert_eq!(held, ["full"]);
        assert!(!goes_beyond(&outcome, "full") && saturating(&outcome, target).is_empty());
    }
}

#[test]
fn what_cannot_saturate_uses_all_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (outcome, _) = converted(folder.path(), "only", options("generic", "w8"));
    assert!(goes_beyond(&outcome, "full") && goes_beyond(&outcome, "matrix"), "float activations");
    let (outcome, _) = converted(folder.path(), "tract", options("tract", "w8a8"));
    assert!(goes_beyond(&outcome, "full") && goes_beyond(&outcome, "matrix"), "32-bit sums");
    let named: Vec<&str> =
        TARGETS.iter().filter(|it| !it.saturating.is_empty()).map(|target| target.name).collect();
    assert_eq!(named, ["generic", "portable", "ort-cpu", "ort-cpu-int8", "openvino"]);
}

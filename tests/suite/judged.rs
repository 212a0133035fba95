//! What a report says of a file is what onnxruntime makes of that file, where layers stand beside operators that tract computes
//! otherwise than the standard.

use std::path::{Path, PathBuf};

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, Model, attr, tensor_f32, tensor_i64, value_shape, write};
use fourbit::options::{Options, Precision};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::Verdict;
use fourbit::progress::Silent;
use rayon::prelude::*;

use super::oracle::{Near, assert_near, reported};
use super::random::chance::Chance;
use super::random::samples::write as write_samples;

/// Samples of each model.
const COUNT: i64 = 24;
/// SQNR that every conversion has at least, in dB: only a file that is ruined has less.
const LEAST: f64 = 10.0;

/// A convolution, `between`, and a small classifier behind it.
fn convolutions(opset: i64, between: impl Fn(&mut GraphBuilder, &str) -> String) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[1, 3, 13, 13]);
    let (v, w, f) = (
        graph.weights("v", &[8, 3, 3, 3]),
        graph.weights("w", &[12, 8, 3, 3]),
        graph.weights("f", &[12, 10]),
    );
    let y = graph.node("Conv", &[&x, &v], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = between(&mut graph, &y);
    let y = graph.node("Conv", &[&y, &w], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("GlobalAveragePool", &[&y], &[]);
    let y = graph.node("Flatten", &[&y], &[]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    graph.model()
}

/// A recurrent operator and a layer behind its last state.
fn recurrent(operator: &str, gates: i64, activations: &[&str]) -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[7, 1, 6]);
    let (w, r, f) = (
        graph.weights("w", &[1, 16 * gates, 6]),
        graph.weights("r", &[1, 16 * gates, 16]),
        graph.weights("f", &[16, 10]),
    );
    let attributes = [attr::int("hidden_size", 16), attr::strings("activations", activations)];
    let y = graph.node(operator, &[&x, &w, &r], &attributes);
    let axes = graph.initializer(tensor_i64("axes", &[1], &[1]));
    let y = graph.node("Squeeze", &[&y, &axes], &[]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    graph.model()
}

fn models() -> Vec<(&'static str, Model)> {
    let simple = |operator: &'static str, attributes: Vec<_>| {
        convolutions(17, move |graph, y| graph.node(operator, &[y], &attributes))
    };
    vec![
        ("rnn-relu", recurrent("RNN", 1, &["Relu"])),
        ("gru-sigmoid-relu", recurrent("GRU", 3, &["Sigmoid", "Relu"])),
        ("lstm-relu", recurrent("LSTM", 4, &["Sigmoid", "Relu", "Relu"])),
        ("lstm-hard-sigmoid", recurrent("LSTM", 4, &["HardSigmoid", "Tanh", "Tanh"])),
        ("celu", simple("Celu", vec![attr::float("alpha", 0.3)])),
        ("softplus", simple("Softplus", Vec::new())),
        ("lp-pool", simple("LpPool", vec![attr::ints("kernel_shape", &[2, 2]), attr::int("p", 3)])),
        (
            "pad-reflect-value",
            convolutions(17, |graph, y| {
                let pads = graph.initializer(tensor_i64("p", &[8], &[0, 0, 1, 1, 0, 0, 1, 1]));
                let value = graph.initializer(tensor_f32("value", &[], &[3.0]));
                graph.node("Pad", &[y, &pads, &value], &[attr::string("mode", "reflect")])
            }),
        ),
        (
            "constant-minus-layer",
            convolutions(17, |graph, y| {
                let one = graph.initializer(tensor_f32("one", &[1, 8, 1, 1], &[1.0; 8]));
                let y = graph.node("Sub", &[&one, y], &[]);
                graph.node("Relu", &[&y], &[])
            }),
        ),
        (
            "steps",
            convolutions(17, |graph, y| {
                let [start, end, axis, step] = [("start", 1), ("end", 100), ("axis", 3), ("step", 2)]
                    .map(|(name, value)| graph.initializer(tensor_i64(name, &[1], &[value])));
                let y = graph.node("Slice", &[y, &start, &end, &axis, &step], &[]);
                graph.node("Relu", &[&y], &[])
            }),
        ),
        (
            "resize-10",
            convolutions(10, |graph, y| {
                let scales = graph.initializer(tensor_f32("scales", &[4], &[1.0, 1.0, 1.5, 1.5]));
                graph.node("Resize", &[y, &scales], &[attr::string("mode", "nearest")])
            }),
        ),
    ]
}

/// Converts the model at `input` and says what was reported of the file.
fn converted(name: &str, input: &Path, samples: &[PathBuf; 2], precision: &str) -> Near {
    let options = Options::new(precision.parse::<Precision>().expect("a precision"));
    let quantized = input.with_extension(format!("{precision}.onnx"));
    let job = Job {
        output: Some(quantized.clone()),
        calibration: Some(samples[0].clone().into()),
        validation: Some(samples[1].clone().into()),
        ..Job::new(input, options)
    };
    let outcome = quantize(&job, &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
    let reported = match &outcome.verdict {
        Verdict::Validated(validation) => reported(validation),
        Verdict::NotValidated { reason } => panic!("{name} {precision} is not judged: {reason}"),
    };
    Near {
        name: format!("{name} {precision}"),
        float: input.to_owned(),
        quantized,
        least_db: LEAST,
        samples: Some(samples[1].clone()),
        reported,
        fused: false,
    }
}

#[test]
fn what_is_reported_is_what_onnxruntime_gives() {
    assert_reported(models());
}

/// Converts models of one input and demands that onnxruntime gives the SQNR that is reported of the files.
pub fn assert_reported(models: Vec<(&'static str, Model)>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pairs: Vec<Near> = models
        .into_par_iter()
        .flat_map_iter(|(name, model)| {
            let (_, dims) = value_shape(&model.graph().input[0]).expect("a shape");
            let dims = dims.into_iter().map(|dim| dim.expect("a size")).collect();
            let inputs = [("x".to_owned(), Dtype::Float, dims)];
            let input = folder.path().join(format!("{name}.onnx"));
            write(&model, &input, true).expect("the model can be written");
            let samples =
                ["calibration", "validation"].map(|kind| folder.path().join(format!("{name}-{kind}.npz")));
            for (at, path) in (1..).zip(&samples) {
                write_samples(path, &inputs, COUNT, &mut Chance::new(at));
            }
            ["w4", "w4a8", "w8a8"].map(|precision| converted(name, &input, &samples, precision))
        })
        .collect();
    assert_near(&pairs);
}

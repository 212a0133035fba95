//! The other exact passes, before and after in onnxruntime.

use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::{attr, tensor_f32};
use fourbit::prepare::prepare;

use super::oracle::{Pair, assert_same};

/// Relative to the largest output value: folding rounds each weight once more.
const FOLDED: f64 = 2e-6;

fn normalised(graph: &mut GraphBuilder, value: &str, count: i64) -> String {
    let names = ["scale", "shift", "mean", "variance"]
        .map(|part| graph.weights(&format!("{value}_{part}"), &[count]));
    let [scale, shift, mean, variance] = names.each_ref().map(String::as_str);
    // A variance is positive; its square root is taken of its square plus one here.
    let positive: Vec<f32> = (0..count).map(|at| 0.5 + at as f32).collect();
    let positive = graph.initializer(tensor_f32(format!("{variance}_positive"), &[count], &positive));
    graph.node("BatchNormalization", &[value, scale, shift, mean, &positive], &[attr::float("epsilon", 1e-3)])
}

/// A name, the size of the input, the layer, and how many nodes are to be left.
type Layer = (&'static str, &'static [i64], fn(&mut GraphBuilder, &str) -> (String, i64), usize);

const LAYERS: &[Layer] = &[
    (
        "conv, grouped, with bias",
        &[2, 4, 6, 6],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[6, 2, 3, 3]), graph.weights("b", &[6]));
            (graph.node("Conv", &[x, &w, &b], &[attr::int("group", 2)]), 6)
        },
        1,
    ),
    (
        "conv, one dimension, no bias",
        &[2, 3, 9],
        |graph, x| {
            let w = graph.weights("w", &[5, 3, 2]);
            (graph.node("Conv", &[x, &w], &[]), 5)
        },
        1,
    ),
    (
        "transposed conv, grouped",
        &[1, 4, 5, 5],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[4, 3, 2, 2]), graph.weights("b", &[6]));
            (
                graph.node(
                    "ConvTranspose",
                    &[x, &w, &b],
                    &[attr::int("group", 2), attr::ints("strides", &[2, 2])],
                ),
                6,
            )
        },
        1,
    ),
    (
        "transposed conv, no bias",
        &[1, 2, 5, 5],
        |graph, x| {
            let w = graph.weights("w", &[2, 3, 2, 2]);
            (graph.node("ConvTranspose", &[x, &w], &[]), 3)
        },
        1,
    ),
    (
        "gemm, alpha, beta, transB",
        &[3, 4],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[5, 4]), graph.weights("b", &[1, 5]));
            let how = [attr::int("transB", 1), attr::float("alpha", 0.5), attr::float("beta", 3.0)];
            (graph.node("Gemm", &[x, &w, &b], &how), 5)
        },
        1,
    ),
    (
        "gemm, transA, scalar bias",
        &[4, 3],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[4, 5]), graph.weights("b", &[]));
            (graph.node("Gemm", &[x, &w, &b], &[attr::int("transA", 1)]), 5)
        },
        1,
    ),
    (
        "gemm whose bias is by row",
        &[3, 4],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[4, 5]), graph.weights("b", &[3, 1]));
            (graph.node("Gemm", &[x, &w, &b], &[]), 5)
        },
        2,
    ),
    (
        "conv behind a dropout",
        &[1, 2, 4, 4],
        |graph, x| {
            let w = graph.weights("w", &[3, 2, 1, 1]);
            let conv = graph.node("Conv", &[x, &w], &[]);
            (graph.node("Dropout", &[&conv], &[]), 3)
        },
        1,
    ),
    (
        "two layers that share weight and bias",
        &[1, 2, 4, 4],
        |graph, x| {
            let (w, b) = (graph.weights("w", &[2, 2, 1, 1]), graph.weights("b", &[2]));
            let first = graph.node("Conv", &[x, &w, &b], &[]);
            let first = normalised(graph, &first, 2);
            (graph.node("Conv", &[&first, &w, &b], &[]), 2)
        },
        2,
    ),
    ("nothing to fold into", &[2, 3, 4], |graph, x| (graph.node("Relu", &[x], &[]), 3), 2),
];

#[test]
fn folding_keeps_the_values() {
    let pairs: Vec<Pair> = LAYERS
        .iter()
        .map(|(name, dims, layer, left)| {
            let mut graph = GraphBuilder::new(15);
            let x = graph.input("x", dims);
            let (value, channels) = layer(&mut graph, &x);
            let y = normalised(&mut graph, &value, channels);
            graph.output(&y);
            let before = graph.model();
            let (after, _) = prepare(before.clone(), 21).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(after.graph().node.len(), *left, "{name}");
            Pair { name: (*name).into(), before, after, tolerance: FOLDED }
        })
        .collect();
    assert_same(&pairs);
}

#[test]
fn identities_constants_and_old_inputs_go_without_a_trace_in_the_values() {
    let mut graph = GraphBuilder::new(9).ir_version(3);
    let x = graph.input("x", &[2, 3]);
    let w = graph.weights("w", &[3, 3]);
    graph.input("w", &[3, 3]);
    let half = graph.node("Constant", &[], &[attr::tensor("value", tensor_f32("", &[1], &[0.5]))]);
    let copy = graph.node("Identity", &[&x], &[]);
    let product = graph.node("MatMul", &[&copy, &w], &[]);
    graph.push(node("Identity", "again", &[&product], &["kept"], &[]));
    let scaled = graph.node("Mul", &["kept", &half], &[]);
    graph.output("kept");
    graph.output(&scaled);
    let before = graph.model();
    let (after, changes) = prepare(before.clone(), 21).unwrap();
    assert_eq!(after.graph().node.len(), 2);
    assert_eq!(after.graph().input.len(), 1);
    assert_eq!(changes.len(), 4);
    assert_same(&[Pair { name: "passes".into(), before, after, tolerance: 0.0 }]);
}

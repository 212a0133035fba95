//! Models of every structure that weights come in, converted and judged by onnxruntime.

use std::path::Path;

use fourbit::onnx::build::{GraphBuilder, node, value};
use fourbit::onnx::proto::{FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto};
use fourbit::onnx::{Dtype, Model, attr, floats, tensor_i64, tensor_of, write};
use fourbit::options::{Granularity, Opset, Options, Precision, Storage};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::{Decision, Outcome};
use fourbit::progress::Silent;

use crate::oracle::{Near, assert_near};

/// Bell-shaped weights, the same for the same name, in any float type.
pub fn weights(name: &str, dtype: Dtype, dims: &[i64]) -> TensorProto {
    let mut graph = GraphBuilder::new(21);
    graph.weights(name, dims);
    let made = graph.proto().graph.expect("a graph").initializer.remove(0);
    tensor_of(name, dtype, dims, &floats(&made).expect("floats"))
}

pub fn convert(model: &Model, folder: &Path, name: &str, precision: &str) -> (Outcome, Near) {
    convert_with(model, folder, name, Options::new(precision.parse::<Precision>().expect("a precision")))
}

fn convert_with(model: &Model, folder: &Path, name: &str, options: Options) -> (Outcome, Near) {
    let precision = options.precision().to_string();
    let input = folder.join(format!("{name}.onnx"));
    write(model, &input, true).expect("the model can be written");
    let output = folder.join(format!("{name}.{precision}.onnx"));
    let job = Job { output: Some(output.clone()), ..Job::new(&input, options) };
    let outcome = quantize(&job, &Silent).unwrap_or_else(|error| panic!("{name} {precision}: {error}"));
    let least_db = if precision == "w8" { 30.0 } else { 10.0 };
    let near = Near {
        name: format!("{name} {precision}"),
        float: input,
        quantized: output,
        least_db,
        samples: None,
        reported: Vec::new(),
        fused: false,
    };
    (outcome, near)
}

/// What of the float constants of `model` no decision took, in bytes: the sum over the reasons.
pub fn left(outcome: &Outcome) -> u64 {
    outcome.plan.skips.iter().map(|skip| skip.bytes).sum()
}

pub fn quantized(outcome: &Outcome) -> Vec<(String, usize)> {
    let weights = outcome.plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some((weight.reads[0].operator.clone(), weight.terms[0].scales.len())),
        Decision::Activation(_) => None,
    });
    weights.collect()
}

fn recurrent(operator: &str, gates: i64, directions: i64) -> Model {
    let mut graph = GraphBuilder::new(14);
    let x = graph.input("x", &[5, 2, 16]);
    let w = graph.weights("w", &[directions, gates * 8, 16]);
    let r = graph.weights("r", &[directions, gates * 8, 8]);
    let direction = if directions == 2 { "bidirectional" } else { "forward" };
    let attributes = [attr::int("hidden_size", 8), attr::string("direction", direction)];
    let y = graph.node(operator, &[&x, &w, &r], &attributes);
    graph.output(&y);
    graph.model()
}

fn embedding(tied: bool) -> Model {
    let mut graph = GraphBuilder::new(17);
    let ids = graph.typed_input("ids", Dtype::Int64, &[2, 5]);
    let table = graph.weights("table", &[24, 32]);
    let x = graph.node("Gather", &[&table, &ids], &[]);
    let y = match tied {
        // Behind a Transpose that cannot be computed beforehand, since the table is looked up too.
        true => {
            let turned = graph.node("Transpose", &[&table], &[attr::ints("perm", &[1, 0])]);
            graph.node("MatMul", &[&x, &turned], &[])
        }
        false => graph.node("Relu", &[&x], &[]),
    };
    graph.output(&y);
    graph.model()
}

fn einsum(equation: &str, x: &[i64], w: &[i64]) -> Model {
    let mut graph = GraphBuilder::new(13);
    let x = graph.input("x", x);
    let w = graph.weights("w", w);
    let y = graph.node("Einsum", &[&x, &w], &[attr::string("equation", equation)]);
    graph.output(&y);
    graph.model()
}

/// MatMul with its weights left, right, in a stack, and cast on the way.
fn factors(dtype: Dtype) -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.typed_input("x", dtype, &[2, 16, 16]);
    let [left, right] = ["left", "right"].map(|name| graph.initializer(weights(name, dtype, &[16, 16])));
    let stack = graph.initializer(weights("stack", dtype, &[2, 16, 8]));
    let a = graph.node("MatMul", &[&left, &x], &[]);
    let b = graph.node("MatMul", &[&a, &right], &[]);
    let y = graph.node("MatMul", &[&b, &stack], &[]);
    graph.output(&y);
    let mut model = graph.model();
    model.graph_mut().output[0] = value(&y, dtype, &[2, 16, 8]);
    model
}

/// Half precision in the file, whole in the arithmetic.
fn cast(dtype: Dtype) -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 16]);
    let w = graph.initializer(weights("w", dtype, &[16, 16]));
    let w = graph.node("Cast", &[&w], &[attr::int("to", Dtype::Float as i64)]);
    let a = graph.node("MatMul", &[&x, &w], &[]);
    let y = graph.node("MatMul", &[&a, &w], &[]);
    graph.output(&y);
    graph.model()
}

/// An If whose branches hold weights of their own under one name, one in parts, and read one of the outer graph.
fn branches() -> Model {
    let mut graph = GraphBuilder::new(17);
    graph.input("x", &[2, 16]);
    let condition = graph.typed_input("condition", Dtype::Bool, &[]);
    graph.weights("outer", &[16, 16]);
    let body = |output: &str, name: &str| GraphProto {
        name: Some(name.into()),
        node: vec![
            node("Gemm", "", &["x", "w"], &["hidden"], &[]),
            node("Concat", "", &["upper", "lower"], &["whole"], &[attr::int("axis", 0)]),
            node("MatMul", "", &["hidden", "whole"], &["next"], &[]),
            node("MatMul", "", &["next", "outer"], &[output], &[]),
        ],
        initializer: vec![
            TensorProto { name: Some("w".into()), ..weights(name, Dtype::Float, &[16, 16]) },
            TensorProto { name: Some("upper".into()), ..weights("u", Dtype::Float, &[8, 16]) },
            TensorProto { name: Some("lower".into()), ..weights("l", Dtype::Float, &[8, 16]) },
        ],
        output: vec![value(output, Dtype::Float, &[2, 16])],
        ..Default::default()
    };
    let attributes =
        [attr::graph("then_branch", body("a", "one")), attr::graph("else_branch", body("b", "other"))];
    let y = graph.node("If", &[&condition], &attributes);
    graph.output(&y);
    graph.model()
}

/// A Loop that multiplies its state by weights of its own, three times.
fn repeated() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[2, 16]);
    let trips = graph.initializer(tensor_i64("trips", &[], &[3]));
    let mut go = tensor_i64("go", &[], &[1]);
    go = fourbit::onnx::tensor(go.name().to_owned(), Dtype::Bool, &[], vec![1u8]);
    let go = graph.initializer(go);
    let body = GraphProto {
        name: Some("body".into()),
        node: vec![
            node("Identity", "", &["go_in"], &["go_out"], &[]),
            node("MatMul", "", &["state", "w"], &["product"], &[]),
            node("Tanh", "", &["product"], &["next"], &[]),
        ],
        input: vec![
            value("at", Dtype::Int64, &[]),
            value("go_in", Dtype::Bool, &[]),
            value("state", Dtype::Float, &[2, 16]),
        ],
        output: vec![value("go_out", Dtype::Bool, &[]), value("next", Dtype::Float, &[2, 16])],
        initializer: vec![weights("w", Dtype::Float, &[16, 16])],
        ..Default::default()
    };
    let y = graph.node("Loop", &[&trips, &go, &x], &[attr::graph("body", body)]);
    graph.output(&y);
    graph.model()
}

/// Two calls of a function that itself calls another, in the form of an old opset.
fn functions() -> Model {
    let mut graph = GraphBuilder::new(16);
    let x = graph.input("x", &[2, 16]);
    let [v, w] = ["v", "w"].map(|name| graph.weights(name, &[16, 16]));
    let call = |name: &str, inputs: &[&str], output: &str| NodeProto {
        domain: Some("own".into()),
        ..node(name, output, inputs, &[output], &[])
    };
    graph.push(call("Layer", &[&x, &v], "hidden"));
    graph.push(call("Layer", &["hidden", &w], "y"));
    graph.output("y");
    let mut model = graph.model();
    let function = |name: &str, inputs: &[&str], nodes: Vec<NodeProto>| FunctionProto {
        name: Some(name.into()),
        domain: Some("own".into()),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec!["result".into()],
        node: nodes,
        opset_import: vec![
            OperatorSetIdProto { domain: Some(String::new()), version: Some(16) },
            OperatorSetIdProto { domain: Some("own".into()), version: Some(1) },
        ],
        ..Default::default()
    };
    model.proto.functions = vec![
        function(
            "Layer",
            &["a", "w"],
            vec![
                node("MatMul", "product", &["a", "w"], &["product"], &[]),
                call("Act", &["product"], "result"),
            ],
        ),
        function(
            "Act",
            &["a"],
            vec![
                node("ReduceMean", "mean", &["a"], &["mean"], &[attr::ints("axes", &[-1])]),
                node("Sub", "sub", &["a", "mean"], &["centred"], &[]),
                node("Tanh", "tanh", &["centred"], &["result"], &[]),
            ],
        ),
    ];
    model.proto.opset_import.push(OperatorSetIdProto { domain: Some("own".into()), version: Some(1) });
    model
}

#[test]
fn weights_of_every_structure_are_quantized_and_run() {
    let cases: Vec<(&str, Model, usize)> = vec![
        ("lstm", recurrent("LSTM", 4, 1), 2),
        ("lstm both ways", recurrent("LSTM", 4, 2), 2),
        ("gru", recurrent("GRU", 3, 1), 2),
        ("rnn", recurrent("RNN", 1, 1), 2),
        ("embedding", embedding(false), 1),
        ("tied embedding", embedding(true), 1),
        ("einsum of matrices", einsum("bi,ij->bj", &[2, 16], &[16, 16]), 1),
        ("einsum turned", einsum("bsi,ji->bsj", &[2, 3, 16], &[16, 16]), 1),
        ("einsum to heads", einsum("bsd,dhk->bshk", &[2, 3, 16], &[16, 4, 8]), 1),
        ("einsum from heads", einsum("bshk,hkd->bsd", &[2, 3, 4, 8], &[4, 8, 16]), 1),
        ("factors", factors(Dtype::Float), 3),
        ("half factors", factors(Dtype::Float16), 3),
        ("double factors", factors(Dtype::Double), 3),
        ("half in the file", cast(Dtype::Float16), 1),
        ("bfloat16 in the file", cast(Dtype::Bfloat16), 1),
        ("double in the file", cast(Dtype::Double), 1),
        ("branches", branches(), 4),
        ("loop", repeated(), 1),
        ("functions", functions(), 2),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut pairs = Vec::new();
    for (name, model, count) in &cases {
        for precision in ["w8", "w4"] {
            let (outcome, near) = convert(model, folder.path(), &name.replace(' ', "_"), precision);
            let found = quantized(&outcome);
            assert_eq!(found.len(), *count, "{name}: {found:?} {:?}", outcome.plan.skips);
            assert_eq!(left(&outcome), 0, "{name}: {:?}", outcome.plan.skips);
            pairs.push(near);
        }
        for storage in [Storage::Cast, Storage::Bytes] {
            let opset = Opset::usual(storage, false);
            let options =
                Options { storage, opset, ..Options::new("w4".parse::<Precision>().expect("a precision")) };
            let label = format!("{}_{}", name.replace(' ', "_"), storage.name());
            let (outcome, near) = convert_with(model, folder.path(), &label, options);
            assert_eq!((quantized(&outcome).len(), left(&outcome)), (*count, 0), "{label}");
            pairs.push(near);
        }
    }
    assert_near(&pairs);
}

#[test]
fn each_gate_row_of_each_direction_has_its_scale() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (directions, scales) in [(1, 32), (2, 64)] {
        let (outcome, _) = convert(&recurrent("LSTM", 4, directions), folder.path(), "lstm", "w4");
        std::fs::remove_file(folder.path().join("lstm.w4.onnx")).expect("the output");
        assert_eq!(quantized(&outcome), [("LSTM".to_owned(), scales), ("LSTM".to_owned(), scales)]);
    }
}

#[test]
fn an_old_opset_has_no_blocks_and_onnxruntime_its_own_operators_in_branches_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[2, 3, 16]);
    let w = graph.weights("w", &[2, 16, 8]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    let cases = [
        ("stack", graph.model(), 1, 8),
        ("lstm", recurrent("LSTM", 4, 2), 2, 32),
        ("branches", branches(), 4, 16),
    ];
    let mut pairs = Vec::new();
    for (name, model, count, scales) in &cases {
        let options = Options { opset: Opset::Keep, ..Options::new("w4".parse().expect("a precision")) };
        let (outcome, near) = convert_with(model, folder.path(), name, options);
        let found = quantized(&outcome);
        assert!(found.len() == *count && found.iter().all(|(_, found)| found == scales), "{name}: {found:?}");
        pairs.push(near);
    }
    assert_near(&pairs);
}

#[test]
fn blocks_that_reach_over_groups_lose_no_more_than_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 6, 7, 5]);
    let w = graph.weights("w", &[6, 2, 2, 3]);
    let y = graph.node("ConvTranspose", &[&x, &w], &[attr::int("group", 2)]);
    graph.output(&y);
    let options = Options {
        granularity: Granularity::Block(4),
        ..Options::new("w4".parse::<Precision>().expect("a precision"))
    };
    let (outcome, _) = convert_with(&graph.model(), folder.path(), "blocks", options);
    let Some(Decision::Weight(weight)) = outcome.plan.decisions.first() else { panic!("no weights") };
    assert!(weight.sqnr_db.is_some_and(|ratio| ratio > 20.0), "{:?}", weight.sqnr_db);
}

#[test]
fn what_is_quantized_in_a_branch_stays_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, near) = convert(&branches(), folder.path(), "branches", "w4");
    let written = fourbit::onnx::read(&near.quantized).expect("it can be read");
    let graph = written.graph();
    // Only what both branches read is dequantized before them.
    let outer: Vec<&str> = graph.node.iter().map(|node| node.op_type()).collect();
    assert_eq!(outer, ["DequantizeLinear", "DequantizeLinear", "If"]);
    for body in fourbit::onnx::bodies(&graph.node[2]) {
        let operators: Vec<&str> = body.node.iter().map(|node| node.op_type()).collect();
        assert_eq!(operators, ["DequantizeLinear", "Gemm", "MatMul", "MatMul"]);
        assert!(body.initializer.iter().any(|tensor| tensor.data_type() == Dtype::Int4 as i32));
    }
}

/// A model with all that may stand beside the graph, and a detour through a sequence.
fn decorated() -> Model {
    use fourbit::onnx::proto::{StringStringEntryProto, TensorAnnotation, TrainingInfoProto};
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[2, 16]);
    let w = graph.weights("w", &[16, 16]);
    let product = graph.node("MatMul", &[&x, &w], &[]);
    let held = graph.node("SequenceConstruct", &[&product, &x], &[]);
    let first = graph.initializer(tensor_i64("first", &[], &[0]));
    let y = graph.node("SequenceAt", &[&held, &first], &[]);
    graph.output(&y);
    let mut model = graph.model();
    let entry = |key: &str| StringStringEntryProto { key: Some(key.into()), value: Some("kept".into()) };
    model.proto.metadata_props.push(entry("author"));
    model.proto.doc_string = Some("a model".into());
    model.proto.training_info.push(TrainingInfoProto::default());
    let graph = model.graph_mut();
    graph.metadata_props.push(entry("graph"));
    graph.node[0].metadata_props.push(entry("node"));
    graph.node[0].doc_string = Some("a product".into());
    graph.quantization_annotation.push(TensorAnnotation {
        tensor_name: Some(product),
        quant_parameter_tensor_names: vec![entry("SCALE_TENSOR")],
    });
    model
}

#[test]
fn what_stands_beside_the_graph_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (outcome, near) = convert(&decorated(), folder.path(), "decorated", "w4");
    assert!(matches!(outcome.verdict, fourbit::plan::Verdict::Validated(_)), "{:?}", outcome.verdict);
    let (before, after) = (decorated().proto, fourbit::onnx::read(&near.quantized).expect("the file").proto);
    assert_eq!(after.metadata_props[..1], before.metadata_props[..]);
    assert_eq!((&after.doc_string, &after.training_info), (&before.doc_string, &before.training_info));
    let (before, after) = (before.graph.expect("a graph"), after.graph.expect("a graph"));
    assert_eq!(after.metadata_props, before.metadata_props);
    assert_eq!(after.quantization_annotation, before.quantization_annotation);
    let product = after.node.iter().find(|node| node.op_type() == "MatMul").expect("the product");
    assert_eq!(product.metadata_props, before.node[0].metadata_props);
    assert_eq!(product.doc_string, before.node[0].doc_string);
    assert_near(&[near]);
}

//! Graphs in which pairs beyond the inputs of layers, and INT32 biases, are easily put wrong: what is written runs in
//! onnxruntime with its optimizations, and says what its view says.

use std::path::Path;

use fourbit::onnx::build::{GraphBuilder, node, value};
use fourbit::onnx::proto::GraphProto;
use fourbit::onnx::{Dtype, Model, attr, tensor, tensor_f32, tensor_i64};
use fourbit::options::{CodeType, Dual, Keys, Options, Placement, Spelling, Target, Wishes};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::Verdict;
use fourbit::progress::Silent;

use super::targets::{agree, converted, entry, runtime_of};

fn conv(graph: &mut GraphBuilder, x: &str, name: &str) -> String {
    let w = graph.weights(name, &[4, 4, 1, 1]);
    graph.node("Conv", &[x, &w], &[])
}

/// A Split of which one part is given back.
fn split() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4, 6, 6]);
    let y = conv(&mut graph, &x, "a");
    let sizes = graph.initializer(tensor_i64("sizes", &[2], &[2, 2]));
    graph.push(node("Split", "split", &[&y, &sizes], &["one", "other"], &[attr::int("axis", 1)]));
    let w = graph.weights("b", &[4, 2, 1, 1]);
    let z = graph.node("Conv", &["one", &w], &[]);
    graph.output(&z);
    graph.output("other");
    graph.model()
}

/// A MaxPool that also gives the places of its values.
fn indices() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4, 6, 6]);
    let y = conv(&mut graph, &x, "a");
    let pool = [attr::ints("kernel_shape", &[2, 2]), attr::ints("strides", &[2, 2])];
    graph.push(node("MaxPool", "pool", &[&y], &["largest", "places"], &pool));
    let z = conv(&mut graph, "largest", "b");
    let places = graph.node("Cast", &["places"], &[attr::int("to", 1)]);
    graph.output(&z);
    graph.output(&places);
    graph.model()
}

/// A Gemm whose bias is `dims`.
fn biased(dims: &[i64]) -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[3, 8]);
    let w = graph.weights("w", &[8, 4]);
    let bias = graph.weights("bias", dims);
    let y = graph.node("Gemm", &[&x, &w, &bias], &[]);
    graph.output(&y);
    graph.model()
}

/// A value that is given back, and read by a layer and by the branches of an If.
fn captured() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4, 6, 6]);
    let condition = graph.initializer(tensor("condition", Dtype::Bool, &[], vec![1]));
    let y = conv(&mut graph, &x, "a");
    let inner = graph.weights("inner", &[4, 4, 1, 1]);
    let body = |operator: &str| {
        let made = match operator {
            "Conv" => node("Conv", "inside", &[&y, &inner], &["given"], &[]),
            other => node(other, "inside", &[&y], &["given"], &[]),
        };
        GraphProto {
            name: Some(operator.into()),
            node: vec![made],
            output: vec![value("given", Dtype::Float, &[1, 4, 6, 6])],
            ..GraphProto::default()
        }
    };
    let branches = [attr::graph("then_branch", body("Conv")), attr::graph("else_branch", body("Relu"))];
    let z = graph.node("If", &[&condition], &branches);
    let last = conv(&mut graph, &y, "b");
    let sum = graph.node("Add", &[&z, &last], &[]);
    graph.output(&sum);
    graph.output(&y);
    graph.model()
}

/// Residual sums behind one another, with outputs that are read inside too.
fn sums() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4, 6, 6]);
    let a = conv(&mut graph, &x, "a");
    let b = conv(&mut graph, &a, "b");
    let sum = graph.node("Add", &[&a, &b], &[]);
    let [lo, hi] =
        [("lo", 0.0), ("hi", 2.0)].map(|(name, end)| graph.initializer(tensor_f32(name, &[], &[end])));
    let clip = graph.node("Clip", &[&sum, &lo, &hi], &[]);
    let joined = graph.node("Concat", &[&clip, &a], &[attr::int("axis", 1)]);
    let w = graph.weights("c", &[4, 8, 1, 1]);
    let c = graph.node("Conv", &[&joined, &w], &[]);
    let leaky = graph.node("LeakyRelu", &[&c], &[]);
    let d = conv(&mut graph, &leaky, "d");
    graph.output(&d);
    graph.output(&sum);
    graph.model()
}

fn wishes(target: &str, change: impl FnOnce(&mut Wishes)) -> Options {
    let mut wishes = Wishes::default();
    change(&mut wishes);
    let target = Target::named(target).expect("a target");
    wishes.options(target).unwrap_or_else(|error| panic!("{}: {error}", target.name))
}

#[test]
fn awkward_graphs_run_with_pairs_everywhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let branches = |it: &mut Wishes| {
        it.placement = Some(Placement::Everywhere);
        it.dual = Dual { keys: Keys::All, spelling: Spelling::Branches, ..Dual::default() };
    };
    let twice = |it: &mut Wishes| {
        it.storage = Some(fourbit::options::Storage::Int8);
        it.activations = Some(Some(CodeType::Uint4));
        it.dual.activations = true;
    };
    let settings = [
        ("int8", wishes("ort-cpu-int8", |_| {})),
        ("everywhere", wishes("qnn-htp", |_| {})),
        ("joins", wishes("tensorrt", |it| it.activations = Some(Some(CodeType::Int8)))),
        ("branches everywhere", wishes("generic", branches)),
        ("twice in eight bits", wishes("generic", twice)),
    ];
    let models = [
        ("split", split()),
        ("indices", indices()),
        ("captured", captured()),
        ("sums", sums()),
        ("bias of all", biased(&[3, 4])),
        ("bias of rows", biased(&[3, 1])),
        ("bias of one", biased(&[1])),
        ("bias of columns", biased(&[1, 4])),
    ];
    let mut entries = Vec::new();
    for (setting, options) in &settings {
        let options = Options { min_elements: 1, ..options.clone() };
        for (name, model) in &models {
            let (_, shipped) = converted(model, &options);
            let name = format!("{name}, {setting}");
            let number = entries.len();
            entries.push(entry(
                &name,
                runtime_of(options.target),
                &shipped,
                true,
                serde_json::json!({}),
                folder.path(),
                number,
            ));
        }
    }
    agree(&entries, folder.path());
}

#[test]
fn limits_keep_to_what_the_target_takes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shapes_resnet/model.onnx");
    for target in ["ort-cpu-int8", "qnn-htp", "openvino"] {
        let mut options = wishes(target, |_| {});
        options.budget.min_sqnr_db = Some(30.0);
        let output = folder.path().join(format!("{target}.onnx"));
        let job =
            Job { output: Some(output.clone()), samples: Some(24), ..Job::new(&model, options.clone()) };
        let outcome = quantize(&job, &Silent).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert!(matches!(outcome.verdict, Verdict::Validated(_)), "{target}");
        let written = fourbit::onnx::read(&output).expect("the file");
        let (findings, _) = fourbit::check::check(&written, options.target);
        assert!(findings.iter().all(|finding| !finding.refused), "{target}: {findings:?}");
    }
}

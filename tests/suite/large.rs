//! Models that are large beside the memory that converting them may take, and side files.

use std::path::Path;
use std::process::{Command, Output};

use fourbit::files::{Draft, Guard};
use fourbit::onnx::build::{GraphBuilder, node, value};
use fourbit::onnx::proto::GraphProto;
use fourbit::onnx::{Dequantized, Dtype, Floats, Index, Model, attr, read, tensor, write_to};

use crate::oracle::run_script;

/// Elements of each of the large tensors.
const ELEMENTS: usize = 1 << 24;
const INPUTS: i64 = 1024;
const OUTPUTS: i64 = ELEMENTS as i64 / INPUTS;

fn fourbit(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    command.args(arguments).current_dir(folder).output().expect("the program starts")
}

/// Bell-shaped values, the same each time, as little-endian bytes.
fn bell(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).flat_map(|_| (0.02 * (0..4).map(|_| uniform()).sum::<f32>()).to_le_bytes()).collect()
}

/// With the output's shape, which the checker of onnx asks for.
fn shaped(mut model: Model, dims: &[i64]) -> Model {
    let output = &mut model.graph_mut().output[0];
    *output = value(output.name(), Dtype::Float, dims);
    model
}

/// Five matrices of 64 MB each, one of them behind a Transpose, that lie in one place in memory and in five in the file.
fn large() -> Model {
    let pool = bytes::Bytes::from(bell(ELEMENTS));
    let mut graph = GraphBuilder::new(21);
    let weights = |graph: &mut GraphBuilder, name: &str, dims: &[i64]| {
        graph.initializer(tensor(name, Dtype::Float, dims, pool.clone()))
    };
    let x = graph.input("x", &[1, INPUTS]);
    let wide = weights(&mut graph, "wide", &[INPUTS, OUTPUTS]);
    let narrow = weights(&mut graph, "narrow", &[OUTPUTS, INPUTS]);
    let turned = weights(&mut graph, "turned", &[OUTPUTS, INPUTS]);
    let rows = weights(&mut graph, "rows", &[INPUTS, OUTPUTS]);
    let head = weights(&mut graph, "head", &[INPUTS, OUTPUTS]);
    let first = graph.node("MatMul", &[&x, &wide], &[]);
    let second = graph.node("MatMul", &[&first, &narrow], &[]);
    let back = graph.node("Transpose", &[&turned], &[]);
    let third = graph.node("MatMul", &[&second, &back], &[]);
    let fourth = graph.node("Gemm", &[&third, &rows], &[attr::int("transB", 1)]);
    let last = graph.node("MatMul", &[&fourth, &head], &[]);
    graph.output(&last);
    shaped(graph.model(), &[1, OUTPUTS])
}

fn write_model(model: &Model, path: &std::path::Path, external_data: bool) {
    let mut draft = Draft::create(path, false, &Guard::new()).expect("a draft");
    write_to(model, &mut draft, external_data).expect("it is written");
    draft.commit().expect("it is in place");
}

#[test]
fn memory_is_bounded_by_the_largest_tensor_and_not_by_the_model() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("m.onnx"), folder.path().join("q.onnx"));
    write_model(&large(), &input, true);
    let arguments =
        ["quantize", "m.onnx", "--precision", "w4", "-o", "q.onnx", "--external-data", "--format", "json"];
    let done = fourbit(folder.path(), &arguments);
    assert_eq!(done.status.code(), Some(4), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    if let Some(peak) = report["peak_memory"].as_u64() {
        let bound = 4 * ELEMENTS as u64 * 13 / 10 + (256 << 20);
        assert!(peak < bound, "{peak} of {bound} bytes");
    }
    assert!(report["verdict"].to_string().contains("`.validation`"), "{}", report["verdict"]);
    let side = std::fs::metadata(folder.path().join("q.onnx.data")).expect("the side file").len();
    let main = std::fs::metadata(&output).expect("the file").len();
    assert_eq!(report["sizes"]["after"].as_u64(), Some(main + side));
    assert!(main < 1 << 20 && side < 5 * ELEMENTS as u64 * 11 / 20, "{main} {side}");

    let written = read(&output).expect("the file");
    let index = Index::new(written.graph());
    let source = read(&input).expect("the model");
    for name in ["wide", "narrow", "rows", "head"] {
        let tensor = source.graph().initializer.iter().find(|tensor| tensor.name() == name);
        let before = Floats::of(tensor.expect("the weights")).expect("floats");
        let node = index.producer(name).expect("a node makes the weights");
        let after = Dequantized::of(node, &index).expect("it is sound").expect("a DequantizeLinear");
        let (mut error, mut energy) = (0.0, 0.0);
        let mut decoded = vec![0.0; 1 << 20];
        before.pieces(1 << 20, |start, values| {
            after.read(start, &mut decoded);
            for (&value, &decoded) in values.iter().zip(&decoded) {
                error += f64::from(value - decoded).powi(2);
                energy += f64::from(value).powi(2);
            }
            Some(())
        });
        assert!((0.005..0.013).contains(&(error / energy)), "{name}: {}", error / energy);
    }

    let names = [&input, &output].map(|path| path.to_string_lossy().into_owned());
    if let Some(said) = run_script("relative_error.py", &[&names[0], &names[1]]) {
        let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let lost: f64 = text.parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&said.stderr)));
        assert!(lost < 0.1, "{lost}");
    }
}

/// A small model with weights in the graph, in a body and in an attribute there.
fn nested() -> Model {
    let weights =
        |name: &str, side: i64| tensor(name, Dtype::Float, &[side, side], bell((side * side) as usize));
    let body = |output: &str| {
        let mut inner = GraphBuilder::new(21);
        let inside = inner.initializer(weights(&format!("inside_{output}"), 32));
        let constant = inner.node("Constant", &[], &[attr::tensor("value", weights("", 32))]);
        let product = format!("{output}_product");
        inner.push(node("MatMul", &product, &["x", &inside], &[&product], &[]));
        inner.push(node("Add", output, &[&product, &constant], &[output], &[]));
        let nodes = inner.proto().graph.unwrap_or_default();
        GraphProto { output: vec![value(output, Dtype::Float, &[32, 32])], ..nodes }
    };
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[32, 32]);
    let w = graph.initializer(weights("w", 32));
    let condition = graph.initializer(tensor("condition", Dtype::Bool, &[], vec![1]));
    let branches = [attr::graph("then_branch", body("yes")), attr::graph("else_branch", body("no"))];
    let chosen = graph.node("If", &[&condition], &branches);
    let both = graph.node("MatMul", &[&chosen, &w], &[]);
    let y = graph.node("Add", &[&both, &x], &[]);
    graph.output(&y);
    shaped(graph.model(), &[32, 32])
}

#[test]
fn side_files_hold_what_bodies_and_attributes_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    write_model(&nested(), &path("in.onnx"), false);
    write_model(&nested(), &path("out.onnx"), true);
    assert_eq!(read(&path("out.onnx")).expect("the file").proto, nested().proto);
    assert!(std::fs::metadata(path("out.onnx")).expect("the file").len() < 3000);
    let names = ["in.onnx", "out.onnx"].map(|name| path(name).to_string_lossy().into_owned());
    if let Some(said) = run_script("relative_error.py", &[&names[0], &names[1]]) {
        let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        assert_eq!(text.parse(), Ok(0.0), "{}", String::from_utf8_lossy(&said.stderr));
    }

    let plan = fourbit(folder.path(), &["plan", "out.onnx", "--precision", "w4", "-o", "plan.json"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    for (more, model) in [(&["--external-data"][..], "a.onnx"), (&[], "b.onnx")] {
        // The plan is for the model, wherever its data lies.
        let applied =
            fourbit(folder.path(), &[&["apply", "in.onnx", "plan.json", "-o", model], more].concat());
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        assert_eq!(path(&format!("{model}.data")).exists(), !more.is_empty());
    }
    assert_eq!(read(&path("a.onnx")).expect("a").proto, read(&path("b.onnx")).expect("b").proto);
}

#[test]
fn side_files_are_kept_and_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let refuses = |arguments: &[&str], words: &str| {
        let before = std::fs::read_dir(folder.path()).expect("the folder").count();
        let refused = fourbit(folder.path(), arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{words:?} is not in {said:?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), before, "{arguments:?}");
    };
    write_model(&nested(), &path("m.onnx"), true);
    let quantize = ["quantize", "m.onnx", "--precision", "w4", "--external-data", "-o"];

    // Somebody else's file stands where the side file would go.
    std::fs::write(path("q.onnx.data"), "precious").expect("it can be written");
    refuses(&[&quantize[..], &["q.onnx"]].concat(), "q.onnx.data exists");
    assert_eq!(std::fs::read(path("q.onnx.data")).expect("the file"), b"precious");
    std::fs::remove_file(path("q.onnx.data")).expect("it can be removed");

    // The output's side file would be the input's, or the output itself.
    let data = std::fs::read(path("m.onnx.data")).expect("the side file");
    refuses(&[&quantize[..], &["m.onnx.data", "--overwrite"]].concat(), "is read by this run");
    std::fs::rename(path("m.onnx"), path("n.onnx")).expect("another name");
    let other = ["quantize", "n.onnx", "--precision", "w4", "--external-data", "--overwrite", "-o", "m.onnx"];
    refuses(&other, "is read by this run");
    assert_eq!(std::fs::read(path("m.onnx.data")).expect("the side file"), data);

    // A file cut short is named.
    std::fs::write(path("m.onnx.data"), &data[..data.len() - 1]).expect("it can be written");
    refuses(&["quantize", "n.onnx", "--precision", "w4", "-o", "q.onnx"], "beyond the end of m.onnx.data");
    std::fs::remove_file(path("m.onnx.data")).expect("it can be removed");
    refuses(&["quantize", "n.onnx", "--precision", "w4", "-o", "q.onnx"], "m.onnx.data");
}

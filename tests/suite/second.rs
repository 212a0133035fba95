//! The second opinion: onnxruntime as a shared library, beside tract and in its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::proto::OperatorSetIdProto;
use fourbit::onnx::{Dtype, Model, attr, tensor_f32, tensor_i64, write};
use serde_json::Value;

use super::oracle::{Near, assert_near, python};
use super::random::chance::Chance;
use super::random::samples::write as write_samples;

const COUNT: i64 = 24;

/// `fourbit` where only the tests' own Python is seen.
fn fourbit(python: &Path, arguments: &[&str]) -> Output {
    let environment = python.parent().and_then(Path::parent).expect("an environment");
    Command::new(env!("CARGO_BIN_EXE_fourbit"))
        .args(arguments)
        .env("VIRTUAL_ENV", environment)
        .env("PATH", "")
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .expect("the program starts")
}

/// The JSON that a run gives, which ends with exit code 0.
fn report(python: &Path, arguments: &[&str]) -> Value {
    let done = fourbit(python, &[arguments, &["--format", "json"]].concat());
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

/// A small classifier: two convolutions and a product.
fn classifier() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 3, 13, 13]);
    let (v, w, f) = (
        graph.weights("v", &[8, 3, 3, 3]),
        graph.weights("w", &[12, 8, 3, 3]),
        graph.weights("f", &[12, 10]),
    );
    let y = graph.node("Conv", &[&x, &v], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("Conv", &[&y, &w], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("GlobalAveragePool", &[&y], &[]);
    let y = graph.node("Flatten", &[&y], &[]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    graph.model()
}

/// An operator of onnxruntime's own in front of a layer, which tract lacks.
fn inverse() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4, 4]);
    let w = graph.weights("w", &[4, 16]);
    let identity: Vec<f32> = (0..16).map(|at| if at % 5 == 0 { 8.0 } else { 0.0 }).collect();
    let identity = graph.initializer(tensor_f32("eight", &[1, 4, 4], &identity));
    let regular = graph.node("Add", &[&x, &identity], &[]);
    let y = graph.node("Inverse", &[&regular], &[]);
    let y = graph.node("MatMul", &[&y, &w], &[]);
    graph.output(&y);
    let mut proto = graph.proto();
    let nodes = &mut proto.graph.as_mut().expect("a graph").node;
    let inverse = nodes.iter_mut().find(|node| node.op_type() == "Inverse").expect("the node");
    inverse.domain = Some("com.microsoft".into());
    let domain = OperatorSetIdProto { domain: Some("com.microsoft".into()), version: Some(1) };
    proto.opset_import.push(domain);
    Model::new(proto).expect("a model")
}

/// Regions are cut out behind the last convolution.
fn regions() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 3, 13, 13]);
    let w = graph.weights("w", &[8, 3, 3, 3]);
    let y = graph.node("Conv", &[&x, &w], &[]);
    let boxes = graph.initializer(tensor_f32("boxes", &[2, 4], &[0.0, 0.0, 6.0, 6.0, 2.0, 3.0, 9.0, 10.0]));
    let rows = graph.initializer(tensor_i64("rows", &[2], &[0, 0]));
    let size = [attr::int("output_height", 3), attr::int("output_width", 3), attr::int("sampling_ratio", 2)];
    let y = graph.node("RoiAlign", &[&y, &boxes, &rows], &size);
    graph.output(&y);
    graph.model()
}

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(model: &Model, dims: &[i64]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let case = Self { folder };
        write(model, &case.path("m.onnx"), true).expect("the model can be written");
        for (seed, name) in [(1, "calibration.npz"), (2, "validation.npz")] {
            let inputs = [("x".to_owned(), Dtype::Float, dims.to_vec())];
            write_samples(&case.path(name), &inputs, COUNT, &mut Chance::new(seed));
        }
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// The SQNR of each output, in dB.
fn sqnr(figures: &Value) -> Vec<(String, f64)> {
    let outputs = figures["outputs"].as_array().expect("outputs").iter();
    let ratio = |output: &Value| output["sqnr_db"].as_f64().unwrap_or(1000.0);
    outputs.map(|output| (output["name"].as_str().expect("a name").to_owned(), ratio(output))).collect()
}

fn assert_close(verdict: &Value, most: f64) {
    let second = &verdict["second"];
    assert_eq!(second["state"], "validated", "{verdict}");
    assert!(second["judge"].as_str().expect("a judge").starts_with("onnxruntime 1."), "{second}");
    for figures in [second, &second["unoptimized"]] {
        for ((name, one), (_, other)) in sqnr(verdict).iter().zip(sqnr(figures)) {
            assert!((one - other).abs() <= most, "{name}: tract {one}, onnxruntime {other}");
        }
    }
}

#[test]
fn both_judges_agree_and_so_does_onnxruntime_in_python() {
    let Some(python) = python() else { return };
    let case = Case::new(&classifier(), &[1, 3, 13, 13]);
    let mut pairs = Vec::new();
    let cases: [(&str, f64, &[&str]); 3] =
        [("w4", 0.1, &[]), ("w8a8", 1.0, &[]), ("w4a8", 1.0, &["--external-data"])];
    for (precision, most, more) in cases {
        let output = case.text(&format!("{precision}.onnx"));
        let arguments = ["quantize", &case.text("m.onnx"), "--precision", precision, "-o", &output];
        let found = report(&python, &[&arguments[..], more, &["--cross-check", "onnxruntime"]].concat());
        let verdict = &found["verdict"];
        assert_eq!((&verdict["judge"], &verdict["unjudged"]), (&"tract".into(), &Value::Null));
        assert_close(verdict, most);
        assert!(!found["warnings"].to_string().contains("give other figures"), "{found}");
        pairs.push(Near {
            name: precision.into(),
            float: case.path("m.onnx"),
            quantized: PathBuf::from(&output),
            least_db: 5.0,
            samples: Some(case.path("validation.npz")),
            reported: sqnr(&verdict["second"]),
            fused: true,
        });
        // Without being asked nothing is loaded, and nothing said.
        let plain = report(&python, &["validate", &case.text("m.onnx"), &output]);
        assert_eq!(plain["verdict"]["second"], Value::Null);
        let asked = ["validate", &case.text("m.onnx"), &output, "--runtime", "onnxruntime"];
        let again = report(&python, &asked);
        assert_close(&again["verdict"], most);
        assert_eq!(again["verdict"]["second"]["outputs"], verdict["second"]["outputs"]);
    }
    assert_near(&pairs);
    let line = fourbit(
        &python,
        &["validate", &case.text("m.onnx"), &case.text("w4.onnx"), "--runtime", "onnxruntime"],
    );
    let line = String::from_utf8_lossy(&line.stdout).into_owned();
    assert!(line.contains("cross-check") && line.contains("onnxruntime 1."), "{line}");
}

#[test]
fn onnxruntime_judges_what_tract_cannot() {
    let Some(python) = python() else { return };
    let case = Case::new(&inverse(), &[1, 4, 4]);
    let quantize =
        ["quantize", &case.text("m.onnx"), "--precision", "w4", "-o", &case.text("q.onnx"), "--overwrite"];
    let alone = fourbit(&python, &quantize);
    assert_eq!(alone.status.code(), Some(4), "{}", String::from_utf8_lossy(&alone.stderr));
    let found = report(&python, &[&quantize[..], &["--cross-check", "onnxruntime"]].concat());
    let verdict = &found["verdict"];
    assert_eq!((&verdict["state"], &verdict["unjudged"]["judge"]), (&"validated".into(), &"tract".into()));
    assert!(verdict["judge"].as_str().expect("a judge").starts_with("onnxruntime"), "{verdict}");
    assert!(verdict["unjudged"]["reason"].to_string().contains("Inverse"), "{verdict}");
    assert!(verdict["weights_proven"] == 1 && sqnr(verdict)[0].1 > 15.0, "{verdict}");
    let validate = ["validate", &case.text("m.onnx"), &case.text("q.onnx")];
    assert_eq!(fourbit(&python, &validate).status.code(), Some(4));
    let second = report(&python, &[&validate[..], &["--runtime", "onnxruntime"]].concat());
    assert_eq!(second["verdict"]["outputs"], verdict["outputs"]);

    let case = Case::new(&regions(), &[1, 3, 13, 13]);
    let (input, output) = (case.text("m.onnx"), case.text("q.onnx"));
    let quantize = ["quantize", &input, "--precision", "w4", "-o", &output, "--cross-check", "onnxruntime"];
    let verdict = &report(&python, &quantize)["verdict"];
    assert_eq!((&verdict["state"], &verdict["second"]["state"]), (&"validated".into(), &"validated".into()));
    assert!(sqnr(&verdict["second"])[0].1 > 15.0, "{verdict}");
}

#[test]
fn what_onnxruntime_refuses_is_a_warning() {
    let Some(python) = python() else { return };
    // A version of the format that is to come.
    let mut model = classifier();
    model.proto.ir_version = Some(99);
    let case = Case::new(&model, &[1, 3, 13, 13]);
    let (input, output) = (case.text("m.onnx"), case.text("q.onnx"));
    let quantize = ["quantize", &input, "--precision", "w4", "-o", &output, "--cross-check", "onnxruntime"];
    let found = report(&python, &quantize);
    let second = &found["verdict"]["second"];
    assert_eq!((&found["verdict"]["judge"], &second["state"]), (&"tract".into(), &"not_validated".into()));
    assert!(second["reason"].to_string().contains("cannot load the float file"), "{second}");
    assert!(found["warnings"].to_string().contains("no second opinion"), "{found}");
}

#[test]
fn a_library_that_is_missing_or_none_is_told_before_the_work() {
    let case = Case::new(&classifier(), &[1, 3, 13, 13]);
    fs::write(case.path("text.so"), "no library").expect("it can be written");
    let before = case.names();
    let run = |library: &str, arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_fourbit"))
            .args(arguments)
            .env("ORT_DYLIB_PATH", library)
            .env("PATH", "")
            .env_remove("VIRTUAL_ENV")
            .output()
            .expect("the program starts");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (input, output, nowhere) = (case.text("m.onnx"), case.text("q.onnx"), case.text("nowhere.so"));
    let quantize = ["quantize", &input, "--precision", "w4", "-o", &output, "--cross-check", "onnxruntime"];
    let validate = ["validate", &input, &input, "--runtime", "onnxruntime"];
    for arguments in [&quantize[..], &validate] {
        let (code, message) = run(&nowhere, arguments);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("ORT_DYLIB_PATH") && message.contains(&nowhere), "{message}");
        let (code, message) = run(&case.text("text.so"), arguments);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("text.so cannot be loaded as onnxruntime"), "{message}");
        assert!(message.contains("pip install"), "{message}");
        let (code, message) = run("", arguments);
        // Where the system has a library of its own, there is nothing to complain of.
        if code != Some(0) {
            for part in ["onnxruntime was not found", "ORT_DYLIB_PATH is not set", "pip install onnxruntime"]
            {
                assert!(message.contains(part), "{part} in {message}");
            }
            assert_eq!((code, message.lines().count()), (Some(1), 1), "{message}");
        }
        drop(fs::remove_file(case.path("q.onnx")));
    }
    assert_eq!(case.names(), before);
}

#[test]
fn a_batch_passes_it_on() {
    let Some(python) = python() else { return };
    let case = Case::new(&classifier(), &[1, 3, 13, 13]);
    let (folder, out) = (case.text(""), tempfile::tempdir().expect("a temporary folder"));
    let to = out.path().to_string_lossy().into_owned();
    let batch =
        ["batch", &folder, "-o", &to, "--precision", "w4", "--cross-check", "onnxruntime", "--overwrite"];
    let done = fourbit(&python, &batch);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read(out.path().join("m.report.json")).expect("the report");
    let found: Value = serde_json::from_slice(&text).expect("JSON");
    assert_close(&found["verdict"], 0.1);
}

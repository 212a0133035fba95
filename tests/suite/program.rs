//! The program as a person meets it: messages, exit codes, and nothing left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, attr};

fn fourbit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fourbit")).args(arguments).output().expect("the program starts")
}

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/waves_recurrent/model.onnx")
}

/// Runs in an empty folder that holds `input` as `m.onnx`, and expects failure with `code`, one
/// line that holds each of `words`, and no new file.
fn refuses(input: Option<&[u8]>, arguments: &[&str], code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    if let Some(input) = input {
        std::fs::write(&path, input).expect("it can be written");
    }
    let before = std::fs::read_dir(folder.path()).expect("the folder").count();
    let output = Command::new(env!("CARGO_BIN_EXE_fourbit"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{arguments:?}: {word:?} is not in {message:?}");
    }
    if code == 1 {
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), before, "{arguments:?}");
}

#[test]
fn wrong_inputs_are_named() {
    let whole = std::fs::read(model()).expect("the model");
    let quantize = ["quantize", "m.onnx", "--precision", "w4"];
    refuses(None, &quantize, 1, &["m.onnx", "No such file"]);
    refuses(Some(b""), &quantize, 1, &["m.onnx", "not an ONNX model", "empty"]);
    refuses(Some(b"hello, this is a text\n"), &quantize, 1, &["m.onnx", "not an ONNX model"]);
    refuses(Some(&whole[..whole.len() / 2]), &quantize, 1, &["m.onnx", "not an ONNX model"]);
    refuses(Some(&whole), &["quantize", ".", "--precision", "w4"], 1, &["directory"]);
    refuses(Some(&whole), &["quantize", "m.onnx"], 1, &["--calibration", "--precision w4"]);
    refuses(Some(&whole), &["quantize", "m.onnx", "--calibration", "nowhere.npz"], 1, &["nowhere.npz"]);
    refuses(
        Some(&whole),
        &["quantize", "m.onnx", "--precision", "w4", "-o", "m.onnx"],
        1,
        &["is read by this run"],
    );
    refuses(
        Some(&whole),
        &["quantize", "m.onnx", "--precision", "w4", "-o", "no/where.onnx"],
        1,
        &["no/where.onnx"],
    );
    refuses(
        Some(&whole),
        &["quantize", "m.onnx", "--precision", "w4", "--op-types", "Conf"],
        1,
        &["Conf", "ConvTranspose"],
    );
    let dual = |more: &[&'static str]| [&["quantize", "m.onnx", "--precision", "w4"], more].concat();
    refuses(Some(&whole), &dual(&["--dual-layers", "nowhere*"]), 1, &["nowhere*", "inspect"]);
    refuses(Some(&whole), &dual(&["--dual", "none", "--dual-budget", "5%"]), 1, &["--dual auto"]);
    refuses(Some(&whole), &dual(&["--config", "layers.toml"]), 1, &["layers.toml"]);
    refuses(Some(&whole), &["apply", "m.onnx", "m.onnx"], 1, &["m.onnx"]);
}

#[test]
fn wrong_samples_are_named_and_leave_no_output() {
    let whole = std::fs::read(model()).expect("the model");
    let good = model().with_file_name("calibration.npz").to_string_lossy().into_owned();
    let inputs = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| inputs.path().join(name);
    std::fs::create_dir(path("nothing")).expect("a folder");
    std::fs::write(path("empty.npz"), "").expect("it can be written");
    std::fs::write(path("cut.npz"), &std::fs::read(&good).expect("samples")[..1000])
        .expect("it can be written");
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shapes_resnet/validation.npz");
    std::fs::copy(other, path("other.npz")).expect("a copy");
    for (name, words) in [
        ("nothing", "expected samples: .npz or .npy files, pictures"),
        ("empty.npz", "damaged"),
        ("cut.npz", "damaged"),
        ("other.npz", "expected"),
        ("missing.npz", "No such file"),
    ] {
        let bad = path(name).to_string_lossy().into_owned();
        refuses(Some(&whole), &["quantize", "m.onnx", "--calibration", &bad], 1, &[&bad, words]);
        // Seen after the conversion, when there is a file to take away again.
        let arguments =
            ["quantize", "m.onnx", "--calibration", &good, "--max-samples", "2", "--validation", &bad];
        refuses(Some(&whole), &arguments, 1, &[&bad, words]);
    }
}

#[test]
fn unwritable_outputs_are_named_without_temporary_files() {
    let whole = std::fs::read(model()).expect("the model");
    let start = ["quantize", "m.onnx", "--precision", "w4"];
    for arguments in [["-o", "no/where.onnx"], ["--report", "no/where.json"]] {
        refuses(
            Some(&whole),
            &[&start[..], &arguments].concat(),
            1,
            &[arguments[1], "no folder no; make it first"],
        );
    }
    if cfg!(target_os = "linux") {
        refuses(
            Some(&whole),
            &[&start[..], &["-o", "/proc/x.onnx"]].concat(),
            1,
            &["/proc/x.onnx: no file can be made"],
        );
    }
}

#[test]
fn wrong_usage_is_told_apart() {
    refuses(None, &["quantize"], 2, &["Usage"]);
    refuses(None, &["quantize", "m.onnx", "--precision", "w7"], 2, &["w7"]);
    refuses(None, &["quantize", "m.onnx", "--granularity", "block:0"], 2, &["block:0", "block:N"]);
    refuses(None, &["quantize", "m.onnx", "--dual-threshold", "NaN"], 2, &["threshold"]);
    refuses(
        None,
        &["quantize", "m.onnx", "--opset", "12"],
        2,
        &["12", "--storage bytes or int8", "--opset keep"],
    );
    refuses(
        None,
        &["quantize", "m.onnx", "--opset", "20", "--storage", "packed"],
        1,
        &["no 4-bit types", "--opset keep"],
    );
    refuses(None, &["plan", "m.onnx", "--opset", "99"], 2, &["99", "--opset keep"]);
    refuses(None, &["squash", "m.onnx"], 2, &["squash"]);
}

#[test]
fn what_has_no_newer_form_may_stay_but_not_in_blocks() {
    let mut graph = GraphBuilder::new(9);
    let x = graph.input("x", &[1, 16]);
    let weights = graph.weights("w", &[16, 16]);
    let product = graph.node("MatMul", &[&x, &weights], &[]);
    let y = graph.node("ConstantFill", &[&product], &[]);
    graph.output(&product);
    graph.output(&y);
    let old = fourbit::onnx::encode(&graph.model());
    let quantize = ["quantize", "m.onnx", "--precision", "w4"];
    let words = ["constantfill_1_node", "ConstantFill (opset 9)", "opset 21", "--opset keep"];
    refuses(Some(&old), &quantize, 1, &words);
    let blocks = ["--opset", "keep", "--granularity", "block:4"];
    refuses(Some(&old), &[&quantize[..], &blocks].concat(), 1, &["block:4", "opset 21", "--opset keep"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [input, output] =
        ["m.onnx", "q.onnx"].map(|name| folder.path().join(name).to_string_lossy().into_owned());
    std::fs::write(&input, &old).expect("it can be written");
    let done = fourbit(&["quantize", &input, "--precision", "w4", "--opset", "keep", "-o", &output]);
    // Nobody runs ConstantFill any more: what it is given is judged.
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stdout).contains("the end of the model was not run"));
    assert_eq!(fourbit::onnx::read(output.as_ref()).expect("the file").opset(), 9);
    let inspected = fourbit(&["inspect", &input]);
    assert!(
        inspected.status.success() && String::from_utf8_lossy(&inspected.stdout).contains("ConstantFill")
    );
}

#[test]
fn an_existing_output_is_kept_unless_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (model(), folder.path().join("out.onnx"));
    std::fs::write(&output, "precious").expect("it can be written");
    let [input, output] = [input, output].map(|path| path.to_string_lossy().into_owned());
    let arguments = ["quantize", &input, "--precision", "w4", "-o", &output];
    let refused = fourbit(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--overwrite"));
    assert_eq!(std::fs::read(&output).expect("the file"), b"precious");
    let done = fourbit(&[&arguments[..], &["--overwrite"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(std::fs::metadata(&output).expect("the file").len() > 1000);
}

#[test]
fn swapped_models_are_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [input, output] =
        [model(), folder.path().join("q.onnx")].map(|path| path.to_string_lossy().into_owned());
    let done = fourbit(&["quantize", &input, "--precision", "w4", "--opset", "21", "-o", &output]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let swapped = fourbit(&["validate", &output, &input]);
    let told = String::from_utf8_lossy(&swapped.stderr).into_owned();
    assert_eq!(
        (swapped.status.code(), told.trim()),
        (Some(1), "error: the first model is already quantized; the order is FLOAT QUANTIZED")
    );
    assert!(fourbit(&["validate", &input, &output]).status.success());
}

#[test]
fn weights_that_are_too_small_are_told_with_the_flag() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 3]);
    let (w, bias) = (graph.weights("w", &[3, 4]), graph.weights("bias", &[64, 4]));
    let product = graph.node("MatMul", &[&x, &w], &[]);
    let y = graph.node("Add", &[&product, &bias], &[]);
    graph.output(&y);
    let small = fourbit::onnx::encode(&graph.model());
    refuses(
        Some(&small),
        &["quantize", "m.onnx", "--precision", "w4"],
        6,
        &["fewer than 16", "set --min-elements, now 16"],
    );
}

#[test]
fn the_report_has_what_it_promises() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = model().to_string_lossy().into_owned();
    let output = folder.path().join("out.onnx").to_string_lossy().into_owned();
    let done = fourbit(&["quantize", &input, "--max-samples", "20", "-o", &output, "--format", "json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(report["schema"], "fourbit.report");
    assert_eq!(report["sizes"]["after"].as_u64(), Some(std::fs::metadata(&output).expect("the file").len()));
    assert!(report["verdict"].to_string().contains("top1"), "{report}");
    let inspected = fourbit(&["inspect", &output, "--format", "json"]);
    assert!(String::from_utf8_lossy(&inspected.stdout).contains("int4"));
}

#[test]
fn equal_conversions_give_equal_files() {
    let input = model().to_string_lossy().into_owned();
    let convert = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let names = ["out.onnx", "report.json", "report.txt", "plan.json"];
        let [output, json, text, plan] = names.map(path);
        let files = ["-o", &output, "--report", &json, "--report", &text, "--plan", &plan, "--reproducible"];
        let done = fourbit(
            &[&["quantize", &input, "--precision", "w4", "--max-samples", "20"][..], &files].concat(),
        );
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        names.map(|name| std::fs::read(folder.path().join(name)).expect("the file"))
    };
    let files = convert();
    assert!(files == convert());
    let [_, json, text, plan] = files.map(|file| String::from_utf8_lossy(&file).into_owned());
    assert!(text.starts_with("✓ out.onnx ") && !text.contains("Peak memory"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&report["input"], &report["calibration"]["source"]),
        (&"model.onnx".into(), &"calibration.npz".into())
    );
    assert_eq!(report["verdict"]["source"], "validation.npz");
    assert!(plan.contains("\"decisions\""));
}

#[test]
fn a_plan_does_not_depend_on_the_number_of_threads() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shapes_mobile");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = |jobs: &str| {
        let written = folder.path().join(jobs);
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let (network, samples) = (path(&model.join("model.onnx")), path(&model.join("calibration.npz")));
        let output = path(&written);
        let done = fourbit(&["plan", &network, "--calibration", &samples, "--jobs", jobs, "-o", &output]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(written).expect("the plan")
    };
    assert!(plan("1") == plan("4"));
}

#[test]
fn layers_are_listed_by_gain() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = model().to_string_lossy().into_owned();
    let file = folder.path().join("layers.json");
    let report = file.to_string_lossy().into_owned();
    let arguments = [
        "sensitivity",
        &input,
        "--precision",
        "w4",
        "--max-samples",
        "20",
        "--measure",
        "8",
        "--report",
        &report,
    ];
    let done = fourbit(&arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the report")).expect("JSON");
    assert_eq!((&written["schema"], &written["version"]), (&"fourbit.sensitivity".into(), &3.into()));
    assert_eq!((&written["judges"]["measured"], &written["calibration"]["samples"]), (&8.into(), &20.into()));
    let layers = written["layers"].as_array().expect("layers");
    let confirmed: Vec<f64> =
        layers.iter().filter_map(|layer| layer["confirmed"]["gain"]["sqnr_db"]["value"].as_f64()).collect();
    assert!(confirmed.len() == 3 && confirmed.is_sorted_by(|one, other| one >= other), "{written}");
    let first = layers[0]["tensor"].as_str().expect("a name");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains(&format!("With {first} in float")) && text.contains("SQNR gain, dB"), "{text}");
    assert!(layers[0]["estimate"]["top1_points"]["value"].is_number(), "{written}");
    let again = fourbit(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--overwrite"));
}

#[test]
fn layers_that_cannot_be_measured_say_why() {
    let whole = std::fs::read(model()).expect("the model");
    let sensitivity = ["sensitivity", "m.onnx", "--precision", "w4"];
    refuses(Some(&whole), &sensitivity, 1, &["needs samples", "--calibration"]);
    let missing = [&sensitivity[..], &["--validation", "nowhere.npz"]].concat();
    refuses(Some(&whole), &missing, 1, &["nowhere.npz", "No such file"]);
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 16]);
    let weights = graph.weights("w", &[16, 16]);
    let product = graph.node("MatMul", &[&x, &weights], &[]);
    let half = graph.node("Cast", &[&product], &[attr::int("to", Dtype::Float8e4m3fn as i64)]);
    let y = graph.node("Cast", &[&half], &[attr::int("to", Dtype::Float as i64)]);
    graph.output(&y);
    let odd = fourbit::onnx::encode(&graph.model());
    let inputs = tempfile::tempdir().expect("a temporary folder");
    let path = inputs.path().join("x.npy");
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 16), }\n";
    let array = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 64]]
        .concat();
    std::fs::write(&path, array).expect("it can be written");
    let path = path.to_string_lossy();
    let samples = [&sensitivity[..], &["--validation", &path]].concat();
    refuses(Some(&odd), &samples, 1, &["cannot be run", "cast_1_node", "FLOAT8E4M3FN", "fourbit inspect"]);
}

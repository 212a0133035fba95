//! Which layer to leave float: what `sensitivity` says, and what its commands do when they are pasted.

use std::path::Path;
use std::process::{Command, Output};

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, Model, encode, tensor_f32};
use serde_json::Value;

use super::random::chance::Chance;
use super::random::samples::write;

/// Names that a shell and a glob would make something else of.
const NASTY: &str = "it's a [w]*{1,2}\\ $HOME/\u{1b}`x`;!";

/// Two classifying layers one after another; codes of the last have a few large weights in their way.
fn model() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 16]);
    let mut chance = Chance::new(5);
    let mut weights = |name: &str, dims: &[i64], large: f32| {
        let count = dims.iter().product::<i64>();
        let values: Vec<f32> =
            (0..count).map(|at| chance.normal() * if at % 37 == 0 { large } else { 1.0 }).collect();
        graph.initializer(tensor_f32(name, dims, &values))
    };
    let (first, last) = (weights("first", &[16, 32], 1.0), weights(NASTY, &[32, 10], 9.0));
    let y = graph.node("MatMul", &[&x, &first], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("MatMul", &[&y, &last], &[]);
    graph.output(&y);
    graph.model()
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("my net.onnx"), encode(&model())).expect("it can be written");
    let inputs = [("x".to_owned(), Dtype::Float, vec![1, 16])];
    for (name, count, seed) in [("calib data.npz", 90, 1), ("test.npz", 40, 2)] {
        write(&folder.path().join(name), &inputs, count, &mut Chance::new(seed));
    }
    folder
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_fourbit"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    let program = if program == "fourbit" { binary } else { Path::new(program) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PATH", path).output().expect("the program starts")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_command_does_what_was_measured_when_it_is_pasted() {
    let folder = prepared();
    let asked =
        ["sensitivity", "my net.onnx", "--precision", "w4", "--calibration", "calib data.npz", "--seed", "3"];
    let judged = [&asked[..], &["--validation", "test.npz"]].concat();
    let found = json(&run(folder.path(), "fourbit", &[&judged[..], &["--format", "json"]].concat()));
    assert_eq!((&found["schema"], &found["version"]), (&"fourbit.sensitivity".into(), &3.into()));
    let judges = &found["judges"];
    assert_eq!(
        (&judges["samples"], &judges["held_back"], &judges["left_out"]),
        (&40.into(), &false.into(), &0.into())
    );
    let best = &found["layers"][0];
    assert_eq!(best["tensor"], NASTY);
    let gain = &best["confirmed"]["gain"];
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("a number: {found}"));
    assert!(number(&gain["sqnr_db"]["value"]) > 2.0 * number(&gain["sqnr_db"]["error"]), "{found}");
    assert!(gain["agreement_points"]["value"].is_number() && gain["top1_points"].is_null(), "{found}");

    let text = run(folder.path(), "fourbit", &judged);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    let pasted = text
        .lines()
        .find_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with("fourbit quantize")));
    let pasted = pasted.unwrap_or_else(|| panic!("no command in {text}"));
    for part in [
        "'my net.onnx'",
        "--calibration 'calib data.npz'",
        "--validation test.npz",
        "--seed 3",
        "--precision w4",
        "--exclude",
    ] {
        assert!(pasted.contains(part), "{part} in {pasted}");
    }
    let report = json(&run(folder.path(), "sh", &["-c", &format!("{pasted} --format json")]));
    let sites: Vec<&Value> =
        report["sites"].as_array().expect("sites").iter().map(|site| &site["tensor"]).collect();
    assert_eq!(sites, ["first"]);
    // The whole validation set judged, so the figures are the same.
    let seen = number(&report["verdict"]["outputs"][0]["sqnr_db"]);
    let promised = number(&best["confirmed"]["without"]["sqnr_db"]);
    assert!((seen - promised).abs() < 0.01, "{seen} is not {promised}");
}

#[test]
fn samples_to_judge_on_are_held_back_where_there_are_no_others() {
    let folder = prepared();
    std::fs::remove_file(folder.path().join("test.npz")).expect("it is there");
    let asked = ["sensitivity", "my net.onnx", "--precision", "w4", "--calibration", "calib data.npz"];
    let same = [&asked[..], &["--validation", "calib data.npz"]].concat();
    for (arguments, words) in
        [(&asked[..], "held back from calibration"), (&same, "calibration samples, and were left out")]
    {
        let found = json(&run(folder.path(), "fourbit", &[arguments, &["--format", "json"]].concat()));
        assert_eq!((&found["judges"]["samples"], &found["judges"]["held_back"]), (&30.into(), &true.into()));
        assert_eq!(found["calibration"]["samples"], 60);
        let text = run(folder.path(), "fourbit", arguments);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.contains(words), "{words} in {text}");
    }
    let few = [&asked[..], &["--max-samples", "90", "--measure", "7"]].concat();
    assert_eq!(run(folder.path(), "fourbit", &few).status.code(), Some(2));
}

#[test]
fn a_poor_output_says_which_command_finds_the_layers() {
    let folder = prepared();
    // A model whose outputs are nearly all noise: large weights leave no codes for the others, and meet zeros.
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 16]);
    let values: Vec<f32> = (0..256).map(|at| if at < 16 { 1e4 } else { (at as f32).sin() }).collect();
    let w = graph.initializer(tensor_f32("w", &[16, 16], &values));
    let mask: Vec<f32> = (0..16).map(|at| f32::from(u8::from(at > 0))).collect();
    let mask = graph.initializer(tensor_f32("mask", &[1, 16], &mask));
    let x = graph.node("Mul", &[&x, &mask], &[]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    std::fs::write(folder.path().join("poor net.onnx"), encode(&graph.model())).expect("it can be written");
    let asked = [
        "quantize",
        "poor net.onnx",
        "--precision",
        "w4",
        "--compensation",
        "none",
        "--no-bias-correction",
        "--validation",
        "test.npz",
    ];
    let output = run(folder.path(), "fourbit", &asked);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = "fourbit sensitivity 'poor net.onnx' --precision w4 --compensation none --no-bias-correction --validation test.npz";
    assert!(text.contains(&format!("  {named}\n")) && text.contains("has an SQNR of"), "{text}");
    assert!(!text.contains("most of the noise"), "{text}");
    let found = run(folder.path(), "sh", &["-c", named]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        text.contains("With w in float: output SQNR"),
        "{text}{}",
        String::from_utf8_lossy(&found.stderr)
    );
}

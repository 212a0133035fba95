//! Conversions side by side, and the table of samples.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::oracle::run_script;
use crate::pages::check_tags;

const COUNT: &str = "120";

fn fourbit(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fourbit"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = fourbit(folder, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("text")
}

fn of(model: &str, file: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "models", model, file].iter().collect();
    path.to_str().expect("a path of text").to_owned()
}

/// Two conversions of a small network, with reports, and a plan.
fn converted(folder: &Path) {
    let model = of("shapes_resnet", "model.onnx");
    for precision in ["w4", "w4a8"] {
        let [output, report] = ["onnx", "json"].map(|ending| format!("{precision}.{ending}"));
        let line = ["quantize", &model, &output, "--precision", precision, "--max-samples", "32", "-q"];
        done(folder, &[&line[..], &["--report", &report]].concat());
    }
    done(folder, &["plan", &model, "w8.plan.json", "--precision", "w8", "--max-samples", "8", "-q"]);
}

#[test]
fn models_reports_and_plans_are_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    converted(folder);
    let samples = of("shapes_resnet", "validation.npz");
    let told = done(
        folder,
        &[
            "diff",
            "w4.onnx",
            "w4a8.onnx",
            "--validation",
            &samples,
            "--max-samples",
            COUNT,
            "--seed",
            "0",
            "--json",
        ],
    );
    let found: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&found["schema"], &found["sides"][0]["kind"]), (&"fourbit.diff".into(), &"model".into()));
    let rows = found["rows"].as_array().expect("rows");
    let differing: Vec<&Value> = rows.iter().filter(|row| row["differs"] == true).collect();
    assert!(!differing.is_empty() && differing.iter().all(|row| row["is_activation"] == true), "{told}");
    let weights: Vec<&Value> = rows.iter().filter(|row| row["is_activation"] == false).collect();
    assert!(weights.iter().all(|row| row["tensor"].as_str().is_some_and(|name| name.ends_with(".weight"))));
    let verdict = &found["between"][0]["verdict"];
    assert_eq!((&verdict["state"], &verdict["samples"]), (&"validated".into(), &120.into()));

    // The report of the same conversion says the same of its tensors.
    let told = done(folder, &["diff", "w4.onnx", "w4.json", "w8.plan.json", "--json"]);
    let mixed: Value = serde_json::from_str(&told).expect("JSON");
    for row in mixed["rows"].as_array().expect("rows") {
        let [model, report, plan] = [0, 1, 2].map(|at| row["cells"][at]["form"].as_str().unwrap_or("-"));
        assert_eq!(model, report, "{row}");
        assert!(plan.starts_with("int8"), "{row}");
    }
    let bits = |at: usize| mixed["sides"][at]["bits"].as_f64().expect("bits");
    assert!((bits(0) - bits(1)).abs() < 0.02, "{} and {}", bits(0), bits(1));
    assert_eq!(mixed["between"].as_array().map(Vec::len), Some(0));

    done(folder, &["diff", "w4.json", "w4a8.json", "--report", "diff.html", "--report", "diff.json", "-q"]);
    let page = fs::read_to_string(folder.join("diff.html")).expect("the page");
    check_tags(&page);
    done(folder, &["report", "diff.json", "-o", "again.html", "-q"]);
    assert_eq!(fs::read_to_string(folder.join("again.html")).expect("the page"), page);
}

#[test]
fn onnxruntime_finds_the_same_between_two_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    converted(folder);
    let samples = of("shapes_resnet", "validation.npz");
    let told = done(folder, &["diff", "w4.onnx", "w4a8.onnx", "--validation", &samples, "--json"]);
    let found: Value = serde_json::from_str(&told).expect("JSON");
    let verdict = &found["between"][0]["verdict"];
    let files = ["w4.onnx", "w4a8.onnx"].map(|name| folder.join(name).to_str().expect("text").to_owned());
    let Some(output) = run_script("answers.py", &[&files[0], &files[1], &samples, "100000"]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let other: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let [one, two] = [&verdict["agreement"], &other["agreement"]].map(|it| it.as_f64().expect("a share"));
    assert!((one - two).abs() < 0.003, "{one} and {two}");
    let [one, two] =
        [&verdict["outputs"][0]["sqnr_db"], &other["sqnr_db"]].map(|it| it.as_f64().expect("dB"));
    assert!((one - two).abs() < 0.3, "{one} and {two}");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let model = of("waves_recurrent", "model.onnx");
    fs::write(folder.join("other.json"), "{\"schema\": \"fourbit.sensitivity\"}").expect("a file");
    fs::write(folder.join("broken.json"), "{\"schema\": ").expect("a file");
    fs::write(folder.join("text.onnx"), "no model").expect("a file");
    for (arguments, code, words) in [
        (vec!["diff", &model], 2, "2 values required"),
        (vec!["diff", &model, "other.json"], 1, "other.json: report: a fourbit.sensitivity"),
        (vec!["diff", &model, "broken.json"], 1, "broken.json: report: this is no JSON report"),
        (vec!["diff", &model, "text.onnx"], 1, "text.onnx: not an ONNX model"),
        (vec!["diff", &model, "missing.onnx"], 1, "cannot read missing.onnx"),
        (vec!["diff", &model, &model, "--report", &model], 1, "is read by this run, and would be lost"),
        (vec!["diff", &model, &model, "--report", "r.pdf"], 1, "no report of the kind"),
        (vec!["report", "text.onnx"], 1, "text.onnx: report: this is no JSON report"),
    ] {
        let output = fourbit(folder, &arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(words), "{words} in {told}");
    }
}

#[test]
fn the_table_of_samples_has_the_worst_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let [model, samples] = ["model.onnx", "validation.npz"].map(|name| of("digits_attention", name));
    done(folder, &["quantize", &model, "net.onnx", "--precision", "w4a4", "--max-samples", "16", "-q"]);
    let line =
        ["validate", &model, "net.onnx", "--validation", &samples, "--per-sample", "samples.csv", "--json"];
    let report: Value = serde_json::from_str(&done(folder, &line)).expect("JSON");
    let text = fs::read_to_string(folder.join("samples.csv")).expect("the table");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let scores = &report["verdict"]["scores"];
    assert_eq!(scores["rows"], rows.len());
    let lost = |row: &&Vec<&str>| row[2] == row[3] && row[3] != row[4];
    let differs = |row: &&Vec<&str>| row[3] != row[4];
    let count = rows.iter().take_while(|row| lost(row)).count();
    assert!(count > 0 && scores["lost"] == count && !rows[count..].iter().any(|row| lost(&row)), "{count}");
    let parted = rows.iter().take_while(|row| differs(row)).count();
    let agreement = report["verdict"]["agreement"].as_f64().expect("a share");
    assert_eq!(parted as f64, ((1.0 - agreement) * rows.len() as f64).round());
    let ratios: Vec<f64> = rows[parted..].iter().map(|row| row[7].parse().unwrap_or(f64::INFINITY)).collect();
    assert!(ratios.is_sorted(), "{ratios:?}");
    // A file that exists is not replaced unasked.
    let output = fourbit(folder, &line);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

//! Whole conversions of the models in `models/`, judged by onnxruntime on the written file.

use std::path::{Path, PathBuf};

use fourbit::Apply;
use fourbit::options::{CodeType, Compensation, Options, Precision};
use fourbit::pipeline::{Job, plan, quantize};
use fourbit::plan::{Decision, Outcome, Verdict};
use fourbit::progress::Silent;

use crate::oracle;

/// Largest difference between the accuracy reported and onnxruntime's, in points. Codes are rounded
/// alike; sums in another order may still flip a single answer.
const TOLERANCE: f64 = 0.1;
/// The same where the runtime fuses layers into integers.
const TOLERANCE_FUSED: f64 = 0.3;

fn models() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let entries = std::fs::read_dir(folder).expect("the models' folder");
    let paths = entries.map(|entry| entry.expect("an entry").path().join("model.onnx"));
    let mut found: Vec<PathBuf> = paths.filter(|path| path.exists()).collect();
    found.sort();
    found
}

fn job(model: &Path, output: &Path, precision: &str) -> Job {
    Job {
        output: Some(output.to_owned()),
        ..Job::new(model, Options::new(precision.parse::<Precision>().expect("a precision")))
    }
}

fn reported(outcome: &Outcome) -> (f64, f64) {
    let Verdict::Validated(validation) = &outcome.verdict else {
        panic!("not validated: {:?}", outcome.verdict)
    };
    let scores = validation.scores.expect("the samples are labelled");
    assert!(!validation.synthetic && !validation.calibrated_on);
    (scores.float_top1, scores.quantized_top1)
}

#[test]
fn onnxruntime_confirms_the_accuracy_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut models = models();
    // The decoder has calls in the place of samples, and a test of its own.
    models.retain(|model| model.with_file_name("validation.npz").is_file());
    assert!(models.len() >= 4, "{models:?}");
    let (mut manifest, mut expected) = (Vec::new(), Vec::new());
    for model in &models {
        let name = model.parent().and_then(Path::file_name).expect("a name").to_string_lossy().into_owned();
        for (precision, most) in [("w8a8", 1.0), ("w4a8", 12.0)] {
            let output = folder.path().join(format!("{name}.{precision}.onnx"));
            let outcome = quantize(&job(model, &output, precision), &Silent).expect("it converts");
            let (float, quantized) = reported(&outcome);
            assert!(100.0 * (float - quantized) <= most, "{name} {precision}: {float} -> {quantized}");
            let samples = model.with_file_name("validation.npz");
            manifest.push(serde_json::json!({ "model": output, "samples": samples }));
            expected.push((format!("{name} {precision}"), quantized));
        }
    }
    let path = folder.path().join("manifest.json");
    std::fs::write(&path, serde_json::to_vec(&manifest).expect("JSON")).expect("it can be written");
    let Some(output) = oracle::run_script("score.py", &[&path.to_string_lossy()]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    for ((name, quantized), result) in expected.iter().zip(&results) {
        for (key, tolerance) in [("as_written", TOLERANCE), ("fused", TOLERANCE_FUSED)] {
            let there = result[key].as_f64().expect("a number");
            println!("{name} {key}: {:+.3}", 100.0 * (there - quantized));
            assert!(
                (there - quantized).abs() * 100.0 <= tolerance,
                "{name} {key}: reported {quantized}, onnxruntime {there}"
            );
        }
    }
    assert_eq!(results.len(), expected.len());
}

#[test]
fn reading_and_writing_changes_no_byte() {
    for path in models() {
        let bytes = std::fs::read(&path).expect("the model");
        let model = fourbit::onnx::read(&path).expect("a model");
        assert_eq!(model.unknown_bytes, 0, "{}", path.display());
        assert!(fourbit::onnx::encode(&model) == bytes, "{}", path.display());
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_whatever_the_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = models().remove(0);
    let bytes = |threads: usize| {
        let output = folder.path().join(format!("{threads}.onnx"));
        let mut job = job(&model, &output, "w4a8");
        job.samples = Some(40);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let plan = pool.install(|| plan(&job, &Silent)).expect("a plan");
        std::fs::read(plan.path).expect("the plan")
    };
    assert_eq!(bytes(1), bytes(3));
}

#[test]
fn a_plan_applied_later_gives_the_same_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = models().remove(0);
    let [direct, planned, later, part] =
        ["a.onnx", "plan.json", "b.onnx", "c.onnx"].map(|name| folder.path().join(name));
    quantize(&job(&model, &direct, "w4"), &Silent).expect("it converts");
    plan(&job(&model, &planned, "w4"), &Silent).expect("a plan");
    Apply::new(&model, &planned).output(&later).run().expect("it applies");
    assert_eq!(std::fs::read(&direct).expect("a file"), std::fs::read(&later).expect("a file"));
    let applied = Apply::new(&model, &planned).output(&part).first(1).run().expect("it applies");
    assert_eq!(applied.decisions, 1);
    assert!(applied.sizes.after > std::fs::metadata(&later).expect("a file").len());
}

#[test]
fn folding_batch_normalization_first_gives_the_same_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = models()
        .into_iter()
        .find(|path| path.to_string_lossy().contains("shapes_resnet"))
        .expect("the model");
    let read = fourbit::onnx::read(&model).expect("a model");
    let (folded, changes) = fourbit::prepare::prepare(read, 13).expect("it prepares");
    assert!(changes.iter().any(|change| change.pass.to_lowercase().contains("batch")), "{changes:?}");
    // Both without samples beside them, and without what the normalisation says of activations.
    let [original, path] = ["original.onnx", "folded.onnx"].map(|name| folder.path().join(name));
    std::fs::copy(&model, &original).expect("a copy");
    fourbit::onnx::write(&folded, &path, false).expect("it is written");
    let decisions = |model: &Path, name: &str| {
        let mut job = job(model, &folder.path().join(name), "w4");
        job.options.compensation = Compensation::None;
        let plan = plan(&job, &Silent).expect("a plan").plan;
        let weights = plan.decisions.into_iter().filter_map(|decision| match decision {
            Decision::Weight(weight) => Some(weight.terms),
            Decision::Activation(_) => None,
        });
        weights.collect::<Vec<_>>()
    };
    assert_eq!(decisions(&original, "a.json"), decisions(&path, "b.json"));
}

#[test]
fn unsigned_codes_choose_among_sixteen_zero_points() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = models().remove(0);
    let mut job = job(&model, &folder.path().join("u.json"), "w4");
    job.options.weights = Some(CodeType::Uint4);
    let plan = plan(&job, &Silent).expect("a plan").plan;
    let mut zeros = std::collections::BTreeSet::new();
    for decision in &plan.decisions {
        let Decision::Weight(weight) = decision else { continue };
        zeros.extend(weight.terms.iter().flat_map(|term| term.zero_points.iter().copied()));
    }
    assert!(zeros.len() > 2 && zeros.iter().all(|zero| (0..16).contains(zero)), "{zeros:?}");
}

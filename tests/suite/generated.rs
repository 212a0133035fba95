//! Calibration without samples, from the command line's own code: pictures where a model takes some.

use std::path::Path;

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, attr, write};
use fourbit::options::{Compensation, Options, Precision};
use fourbit::pipeline::{Comparison, Feeding, Job, quantize, validate};
use fourbit::plan::{Generation, Outcome, Verdict};
use fourbit::progress::Silent;
use fourbit::validate::Watch;
use fourbit::{ErrorKind, SampleSet};

/// A small classifier of pictures.
fn classifier(path: &Path) {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, 3, 24, 24]);
    let (v, f) = (graph.weights("v", &[8, 3, 3, 3]), graph.weights("f", &[8, 10]));
    let y = graph.node("Conv", &[&x, &v], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("GlobalAveragePool", &[&y], &[]);
    let y = graph.node("Flatten", &[&y], &[]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    write(&graph.model(), path, false).unwrap();
}

fn job(folder: &Path, precision: Precision) -> Job {
    Job { overwrite: true, ..Job::new(&folder.join("net.onnx"), Options::new(precision)) }
}

fn synthetic(outcome: &Outcome) -> (bool, bool) {
    match &outcome.verdict {
        Verdict::Validated(validation) => (validation.synthetic, validation.generated),
        Verdict::NotValidated { reason } => panic!("{reason}"),
    }
}

#[test]
fn preprocessing_tells_the_range_of_pixels() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("net.onnx"));
    let made = |calibration| {
        let preprocess = Some("0..255".into());
        let job = Job { calibration, preprocess, samples: Some(16), ..job(folder.path(), Precision::W4A8) };
        let outcome = quantize(&job, &Silent).unwrap();
        (outcome.plan.generated.unwrap(), outcome.warnings.join(" "))
    };
    let (made, warnings) = made(Some(SampleSet::generated()));
    assert_eq!((made.range.as_deref(), made.chosen_by.as_deref()), (Some("0..255"), Some("`.preprocess`")));
    assert!(!warnings.contains("guess"), "{warnings}");
    let job = Job { calibration: Some(SampleSet::generated()), ..job(folder.path(), Precision::W4A8) };
    let warnings = quantize(&job, &Silent).unwrap().warnings.join(" ");
    assert!(warnings.contains("is a guess from the network's answers"), "{warnings}");
}

#[test]
fn weights_alone_are_calibrated_on_generated_pictures() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("net.onnx"));
    let first = quantize(&job(folder.path(), Precision::W4), &Silent).unwrap();
    let made = first.plan.generated.clone().expect("pictures are generated");
    assert_eq!((made.what, made.samples), (Generation::Pictures, 256));
    assert!(made.range.is_some() && made.chosen_by.is_some());
    assert_eq!(synthetic(&first), (true, true));
    let bytes = std::fs::read(&first.output).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("generated pictures, range"));
    quantize(&job(folder.path(), Precision::W4), &Silent).unwrap();
    assert!(std::fs::read(&first.output).unwrap() == bytes, "the same seed gives the same file");
    let judged = validate(
        &Comparison {
            float: &folder.path().join("net.onnx"),
            quantized: &first.output,
            samples: None,
            preprocess: None,
            count: None,
            seed: 0,
            feeding: &Feeding::default(),
            cross_check: false,
            details: false,
            watch: &Watch::default(),
        },
        &Silent,
    );
    let Verdict::Validated(validation) = judged.unwrap() else { panic!("validated") };
    assert!(validation.generated && !validation.calibrated_on);
    assert!(validation.source.ends_with(made.range.as_deref().unwrap()), "{}", validation.source);
}

#[test]
fn none_means_none() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("net.onnx"));
    let none = Job { calibration: Some(SampleSet::none()), ..job(folder.path(), Precision::W4) };
    let outcome = quantize(&none, &Silent).unwrap();
    assert!(outcome.plan.generated.is_none() && outcome.calibration.is_none());
    let mut plain = job(folder.path(), Precision::W4);
    plain.options.compensation = Compensation::None;
    assert!(quantize(&plain, &Silent).unwrap().plan.generated.is_none());
}

#[test]
fn activations_are_calibrated_on_generated_samples_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("net.onnx"));
    let plain = job(folder.path(), Precision::W8A8);
    assert_eq!(quantize(&plain, &Silent).unwrap_err().kind(), ErrorKind::Options);
    let asked = Job { calibration: Some(SampleSet::generated()), samples: Some(20), ..plain };
    let outcome = quantize(&asked, &Silent).unwrap();
    assert_eq!(outcome.plan.generated.map(|made| made.samples), Some(20));
}

#[test]
fn a_language_model_writes_its_own_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphBuilder::new(17);
    let ids = graph.typed_input("ids", Dtype::Int64, &[1, -1]);
    let (table, head) = (graph.weights("table", &[40, 16]), graph.weights("head", &[16, 40]));
    let y = graph.node("Gather", &[&table, &ids], &[]);
    let y = graph.node("MatMul", &[&y, &head], &[]);
    graph.output(&y);
    write(&graph.model(), &folder.path().join("net.onnx"), false).unwrap();
    let outcome = quantize(&job(folder.path(), Precision::W4), &Silent).unwrap();
    assert_eq!(outcome.plan.generated.map(|made| made.what), Some(Generation::Sequences));
}

//! Wrong data is told: what a new user forgets about samples, as the program answers it.

mod asked;
mod fed;
mod measured;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fourbit::onnx::build::{GraphBuilder, value};
use fourbit::onnx::{Dtype, Model, attr, tensor_f32, tensor_i64, write};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::random::chance::Chance;

/// Classes of the models here.
const CLASSES: usize = 10;

/// What the program printed, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_fourbit"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
}

/// A successful run with JSON.
fn data(folder: &Path, arguments: &[&str]) -> Value {
    let said = run(folder, &[arguments, &["--format", "json"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.error);
    serde_json::from_str(&said.out).expect("JSON")
}

fn npy(kind: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    npy("<f4", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

fn labels(labels: &[i64]) -> Vec<u8> {
    npy("<i8", &[labels.len()], &labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>())
}

fn npz(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut archive = ZipWriter::new(File::create(path).expect("a file"));
    for (key, bytes) in members {
        archive.start_file(format!("{key}.npy"), SimpleFileOptions::default()).expect("a member");
        archive.write_all(bytes).expect("it can be written");
    }
    archive.finish().expect("an archive");
}

/// A layer that adds ten other values to each of ten, behind it one that tells the largest.
fn classifier(graph: &mut GraphBuilder, x: &str) -> String {
    let one = |at: usize| f32::from(u8::from(at.is_multiple_of(CLASSES + 1)));
    let values: Vec<f32> =
        (0..CLASSES * CLASSES).map(|at| one(at) + 0.01 * ((at * 7 % 13) as f32 - 6.0)).collect();
    let dims = [CLASSES as i64, CLASSES as i64];
    let w = graph.initializer(tensor_f32("w", &dims, &values));
    graph.node("MatMul", &[x, &w], &[])
}

fn model() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, CLASSES as i64]);
    let y = classifier(&mut graph, &x);
    graph.output(&y);
    graph.model()
}

/// Rows of ten values of which the class's is the largest, and the classes.
fn rows(count: usize, seed: u64) -> (Vec<f32>, Vec<i64>) {
    let mut chance = Chance::new(seed);
    let classes: Vec<i64> = (0..count).map(|_| chance.below(CLASSES as i64)).collect();
    let values = classes.iter().flat_map(|&class| {
        let row: Vec<f32> = (0..CLASSES as i64)
            .map(|at| 0.3 * chance.normal() + if at == class { 3.0 } else { 0.0 })
            .collect();
        row
    });
    (values.collect(), classes)
}

/// A folder with the model as `m.onnx`, and these samples as `s.npz`.
fn folder(values: &[f32], classes: &[i64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&model(), &folder.path().join("m.onnx"), false).expect("it can be written");
    let shape = [classes.len(), CLASSES];
    npz(&folder.path().join("s.npz"), &[("x", floats(&shape, values)), ("labels", labels(classes))]);
    folder
}

const QUANTIZE: [&str; 6] = ["quantize", "m.onnx", "--calibration", "s.npz", "-o", "q.onnx"];

#[test]
fn a_float_model_that_guesses_is_told_above_the_verdict() {
    let (values, classes) = rows(200, 1);
    let wrong: Vec<i64> = classes.iter().map(|class| (class + 3) % CLASSES as i64).collect();
    let wrong_folder = folder(&values, &wrong);
    let said = run(wrong_folder.path(), &QUANTIZE);
    assert_eq!(said.code, Some(0), "{}", said.error);
    let warning = said.out.find("the float model itself is right on 0.00 % of 40").expect(&said.out);
    let verdict = said.out.find("top-1").expect("a verdict");
    assert!(warning < verdict && said.out.contains("scaled and laid out as in training"), "{}", said.out);
    // No limit on the drop counts as kept.
    let limited = run(wrong_folder.path(), &[&QUANTIZE[..], &["--overwrite", "--max-drop", "1"]].concat());
    assert_eq!(limited.code, Some(3), "{}", limited.out);
    assert!(limited.out.contains("NOT shown"), "{}", limited.out);
    // A handful of samples may miss by accident, and right ones are no reason to warn.
    for (count, shift) in [(4, 3), (200, 0)] {
        let shifted: Vec<i64> =
            classes.iter().take(count).map(|class| (class + shift) % CLASSES as i64).collect();
        let other = folder(&values[..count * CLASSES], &shifted);
        let said = run(other.path(), &QUANTIZE);
        assert!(!said.out.contains("float model itself"), "{count}\n{}", said.out);
    }
}

#[test]
fn outputs_that_are_all_alike_are_told() {
    let (values, _) = rows(20, 2);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, CLASSES as i64]);
    let y = classifier(&mut graph, &x);
    let high = graph.initializer(tensor_f32("high", &[], &[1e6]));
    let y = graph.node("Add", &[&y, &high], &[]);
    let y = graph.node("Sigmoid", &[&y], &[]);
    graph.output(&y);
    let folder = folder(&values, &[0; 20]);
    write(&graph.model(), &folder.path().join("m.onnx"), true).expect("it can be written");
    npz(&folder.path().join("s.npz"), &[("x", floats(&[20, CLASSES], &values))]);
    let report = data(folder.path(), &QUANTIZE);
    let doubt = &report["verdict"]["doubts"][0];
    assert_eq!((&doubt["kind"], &doubt["preprocessed"]), (&"alike".into(), &false.into()), "{report}");
    assert!(report["warnings"][0].as_str().is_some_and(|text| text.contains("same outputs on all 8")));
}

#[test]
fn labels_beyond_the_classes_are_refused() {
    let (values, mut classes) = rows(20, 3);
    classes[7] = 10;
    let folder = folder(&values, &classes);
    let said = run(folder.path(), &[&QUANTIZE[..], &["--validation", "s.npz"]].concat());
    assert_eq!(said.code, Some(1), "{}", said.out);
    for part in ["sample 7", "labels from 0 to 9", "10 classes", "label 10"] {
        assert!(said.error.contains(part), "{part} in {}", said.error);
    }
    assert!(!folder.path().join("q.onnx").exists());
}

#[test]
fn samples_with_nan_are_named_and_left_out() {
    let (mut values, classes) = rows(30, 4);
    values[3 * CLASSES + 2] = f32::NAN;
    values[8 * CLASSES] = f32::INFINITY;
    let folder = folder(&values, &classes);
    let report = data(folder.path(), &[&QUANTIZE[..], &["--validation", "s.npz"]].concat());
    let warnings: Vec<&str> =
        report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for part in [
        "sample 3 holds NaN at [0, 2] in input x",
        "sample 8 holds an infinite value",
        "calibration, 2 of 30",
    ] {
        assert!(warnings.iter().any(|text| text.contains(part)), "{part} in {warnings:?}");
    }
    assert_eq!(report["verdict"]["samples"], 28);
    assert!(
        report["verdict"]["outputs"][0]["sqnr_db"].as_f64().is_some_and(|ratio| ratio > 15.0),
        "{report}"
    );
}

#[test]
fn masks_may_be_infinite() {
    let (values, _) = rows(24, 5);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, CLASSES as i64]);
    let mask = graph.input("mask", &[-1, CLASSES as i64]);
    let y = classifier(&mut graph, &x);
    let y = graph.node("Add", &[&y, &mask], &[]);
    let y = graph.node("Softmax", &[&y], &[attr::int("axis", -1)]);
    graph.output(&y);
    let folder = folder(&values, &[0; 24]);
    write(&graph.model(), &folder.path().join("m.onnx"), true).expect("it can be written");
    let mut masks = vec![0.0; 24 * CLASSES];
    masks[5] = f32::NEG_INFINITY;
    let shape = [24, CLASSES];
    npz(&folder.path().join("s.npz"), &[("x", floats(&shape, &values)), ("mask", floats(&shape, &masks))]);
    let report = data(folder.path(), &QUANTIZE);
    assert_eq!((&report["verdict"]["samples"], &report["warnings"]), (&8.into(), &Value::Array(vec![])));
}

/// A model that takes pictures of 5 by 2, gray.
fn pictures(classes: i64) -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, 1, 2, 5]);
    let y = graph.node("Flatten", &[&x], &[]);
    let w = graph.weights("w", &[CLASSES as i64, classes]);
    let y = graph.node("MatMul", &[&y, &w], &[]);
    graph.output(&y);
    graph.model()
}

fn picture(path: &Path, seed: u64) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    let mut chance = Chance::new(seed);
    let picture = image::GrayImage::from_fn(5, 2, |_, _| image::Luma([chance.below(256) as u8]));
    picture.save(path).expect("it can be written");
}

#[test]
fn class_folders_are_counted_listed_and_sorted_by_number() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    std::fs::write(root.join("p.toml"), "channel_order = \"gray\"\ndivide_by = 255\n")
        .expect("it can be written");
    for class in 1..=12 {
        picture(&root.join(format!("s/class{class}/a.png")), class);
    }
    let convert = |classes: i64| {
        write(&pictures(classes), &root.join("m.onnx"), true).expect("it can be written");
        let common = [
            "quantize",
            "m.onnx",
            "--precision",
            "w4",
            "--validation",
            "s",
            "--preprocess",
            "p.toml",
            "-o",
            "q.onnx",
        ];
        run(root, &[&common[..], &["--overwrite", "-v"]].concat())
    };
    let said = convert(12);
    assert_eq!(said.code, Some(0), "{}", said.error);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("0 = class1, 1 = class2, 2 = class3") && words.contains("11 = class12"),
        "{words}"
    );
    assert!(!words.contains("order of the folders"), "{words}");
    let said = convert(20);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("12 class folders and the model has 20 classes"), "{words}");
    let said = convert(10);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.error.contains("at most 10 class folders") && said.error.contains("1 = class2"),
        "{}",
        said.error
    );
}

#[test]
fn truncated_pictures_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    std::fs::write(root.join("p.toml"), "channel_order = \"gray\"\nresize = [2, 5]\n")
        .expect("it can be written");
    write(&pictures(10), &root.join("m.onnx"), true).expect("it can be written");
    for ending in ["jpg", "png", "bmp", "webp", "gif", "tiff", "ppm"] {
        let pictures = root.join(ending);
        std::fs::create_dir(&pictures).expect("it can be made");
        let mut chance = Chance::new(7);
        let whole =
            image::RgbImage::from_fn(64, 48, |_, _| image::Rgb([0; 3].map(|_: u8| chance.below(256) as u8)));
        whole.save(pictures.join(format!("a.{ending}"))).expect("it can be written");
        whole.save(pictures.join(format!("b.{ending}"))).expect("it can be written");
        let bad = pictures.join(format!("b.{ending}"));
        let bytes = std::fs::read(&bad).expect("a picture");
        std::fs::write(&bad, &bytes[..bytes.len() * 2 / 3]).expect("it can be written");
        let arguments = [
            "quantize",
            "m.onnx",
            "--precision",
            "w4",
            "--validation",
            ending,
            "--preprocess",
            "p.toml",
            "-o",
            "q.onnx",
        ];
        let said = run(root, &arguments);
        assert_eq!(said.code, Some(1), "{ending}: {}", said.out);
        assert!(said.error.contains(&format!("b.{ending}")), "{ending}: {}", said.error);
    }
}

#[test]
fn caches_without_a_past_are_samples() {
    let (values, _) = rows(24, 6);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 1, CLASSES as i64]);
    let past = graph.input("past", &[1, -1, CLASSES as i64]);
    let both = graph.node("Concat", &[&past, &x], &[attr::int("axis", 1)]);
    let y = classifier(&mut graph, &both);
    graph.output(&y);
    let folder = folder(&values, &[0; 24]);
    write(&graph.model(), &folder.path().join("m.onnx"), true).expect("it can be written");
    let x = floats(&[24, 1, 1, CLASSES], &values);
    npz(&folder.path().join("s.npz"), &[("x", x.clone()), ("past", floats(&[24, 1, 0, CLASSES], &[]))]);
    let report = data(folder.path(), &QUANTIZE);
    assert_eq!(
        (&report["verdict"]["state"], &report["verdict"]["samples"]),
        (&"validated".into(), &8.into())
    );
    let fixed = ["--shape", "past:1x0x10", "--overwrite"];
    let report = data(folder.path(), &[&QUANTIZE[..], &fixed].concat());
    assert_eq!(report["verdict"]["samples"], 8);
    npz(
        &folder.path().join("s.npz"),
        &[("x", floats(&[0, 1, 1, CLASSES], &[])), ("past", floats(&[0, 1, 0, 10], &[]))],
    );
    let said = run(folder.path(), &[&QUANTIZE[..], &["--overwrite"]].concat());
    assert!(said.code == Some(1) && said.error.contains("no sample"), "{}", said.error);
}

#[test]
fn labels_go_along_the_axis_of_the_batch() {
    let (values, classes) = rows(40, 8);
    let mut graph = GraphBuilder::new(17);
    // Time first, as recurrent networks have it.
    let x = graph.input("x", &[1, -1, CLASSES as i64]);
    let axes = graph.initializer(tensor_i64("axes", &[1], &[0]));
    let y = graph.node("Squeeze", &[&x, &axes], &[]);
    let y = classifier(&mut graph, &y);
    graph.output(&y);
    let mut model = graph.model();
    let folder = folder(&values, &classes);
    let members = |shape: &[usize]| [("x", floats(shape, &values)), ("labels", labels(&classes))];
    let pairs = folder.path().join("s.npz");
    npz(&pairs, &members(&[20, 1, 2, CLASSES]));
    // Nothing in the model tells.
    write(&model, &folder.path().join("m.onnx"), true).expect("it can be written");
    assert_eq!(run(folder.path(), &QUANTIZE).code, Some(1));
    std::fs::write(folder.path().join("p.toml"), "batch_axis = 1\n").expect("it can be written");
    let report = data(folder.path(), &[&QUANTIZE[..], &["--preprocess", "p.toml"]].concat());
    assert_eq!(report["verdict"]["scores"]["rows"], 16, "{report}");
    assert!(report["verdict"]["scores"]["float_top1"].as_f64().is_some_and(|share| share > 0.95), "{report}");
    // The output's first dimension has the name of the input's second.
    let name = model.graph().output[0].name().to_owned();
    model.graph_mut().output = vec![value(&name, Dtype::Float, &[-1, CLASSES as i64])];
    write(&model, &folder.path().join("m.onnx"), true).expect("it can be written");
    let report = data(folder.path(), &[&QUANTIZE[..], &["--overwrite"]].concat());
    assert_eq!(report["verdict"]["scores"]["rows"], 16, "{report}");
}

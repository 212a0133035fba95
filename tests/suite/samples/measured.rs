//! What is said of figures: samples that were calibrated on, and labels that are few.

use super::*;

#[test]
fn samples_that_were_calibrated_on_are_known_in_any_file_and_order() {
    let (values, classes) = rows(120, 9);
    let folder = folder(&values[..80 * CLASSES], &classes[..80]);
    let root = folder.path();
    let file = |name: &str, order: &[usize]| -> PathBuf {
        let some: Vec<f32> =
            order.iter().flat_map(|&at| values[at * CLASSES..(at + 1) * CLASSES].to_vec()).collect();
        let path = root.join(name);
        std::fs::write(&path, floats(&[order.len(), CLASSES], &some)).expect("it can be written");
        path
    };
    let part: Vec<usize> = (60..100).rev().collect();
    file("part.npy", &part);
    let report = data(root, &[&QUANTIZE[..], &["--validation", "part.npy"]].concat());
    let overlap = |report: &Value| {
        let overlap = &report["verdict"]["overlap"];
        (overlap["samples"].as_u64(), overlap["of"].as_u64(), overlap["exact"].as_bool())
    };
    assert_eq!(overlap(&report), (Some(20), Some(40), Some(true)), "{report}");
    assert!(
        report["warnings"][0].as_str().is_some_and(|text| text.starts_with("20 of 40 samples")),
        "{report}"
    );
    // The file remembers.
    let validate = |samples: &str| data(root, &["validate", "m.onnx", "q.onnx", "--validation", samples]);
    file("whole.npy", &(0..80).rev().collect::<Vec<_>>());
    file("new.npy", &(80..120).collect::<Vec<_>>());
    assert_eq!(overlap(&validate("whole.npy")), (Some(80), Some(80), Some(true)));
    assert_eq!(overlap(&validate("part.npy")), (Some(20), Some(40), Some(true)));
    let report = validate("new.npy");
    assert_eq!(overlap(&report), (Some(0), Some(40), Some(true)));
    assert!(
        report["verdict"]["calibrated_on"] == false && report["warnings"] == Value::Array(vec![]),
        "{report}"
    );
    let said = run(root, &["validate", "m.onnx", "q.onnx", "--validation", "whole.npy"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("80 of 80 samples are samples that the file was calibrated on"), "{words}");
    // So does a plan, and what is made of it.
    let planned = run(root, &["plan", "m.onnx", "--calibration", "s.npz", "-o", "p.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.error);
    let applied = run(root, &["apply", "m.onnx", "p.json", "-o", "q.onnx", "--overwrite"]);
    assert_eq!(applied.code, Some(0), "{}", applied.error);
    assert_eq!(overlap(&validate("part.npy")), (Some(20), Some(40), Some(true)));
}

#[test]
fn few_labels_bound_a_drop_loosely() {
    let (values, classes) = rows(150, 10);
    let folder = folder(&values, &classes);
    let (new, labels_of_new) = rows(100, 11);
    let members = [("x", floats(&[100, CLASSES], &new)), ("labels", labels(&labels_of_new))];
    npz(&folder.path().join("v.npz"), &members);
    let limited = ["--validation", "v.npz", "--max-drop", "1"];
    let said = run(folder.path(), &[&QUANTIZE[..], &limited].concat());
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("drop 0.00 points, at most 3.00 at 95 % (100 labelled)"), "{words}");
    assert!(
        words.contains("100 labelled samples cannot show that it is at most 1; about 300 would"),
        "{words}"
    );
    assert!(!words.contains("± 0.00"), "{words}");
}

#[test]
fn what_lies_beside_a_model_judges_it_and_is_left_alone_where_it_does_not_fit() {
    let (values, classes) = rows(60, 12);
    let folder = folder(&values, &classes);
    let root = folder.path();
    let into = |name: &str| root.join(name).to_string_lossy().into_owned();
    std::fs::rename(into("s.npz"), into("calibration.npz")).expect("it has a name");
    let report = data(root, &["quantize", "m.onnx"]);
    let verdict = &report["verdict"];
    assert_eq!((&verdict["overlap"]["samples"], &verdict["samples"]), (&60.into(), &60.into()), "{report}");
    assert_eq!(verdict["synthetic"], false);
    let said = run(root, &["quantize", "m.onnx", "--overwrite"]);
    assert!(said.out.contains("! judged in tract on the samples it was calibrated on"), "{}", said.out);
    // Weights need no samples, and some that nobody named are no reason to stop.
    npz(&root.join("calibration.npz"), &[("other", floats(&[60, CLASSES], &values))]);
    let said = run(root, &["quantize", "m.onnx", "--precision", "w4"]);
    assert!(
        said.code == Some(0) && said.out.contains("which lie beside the model, are not used"),
        "{said:?}"
    );
    assert!(said.out.contains("made-up samples"), "{}", said.out);
    let said = run(root, &["quantize", "m.onnx", "--overwrite"]);
    assert!(said.code == Some(1) && said.error.contains("other"), "{said:?}");
}

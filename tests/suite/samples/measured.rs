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
    assert_eq!((&verdict["overlap"]["samples"], &verdict["samples"]), (&0.into(), &12.into()), "{report}");
    assert_eq!((&verdict["synthetic"], &verdict["held_back"]), (&false.into(), &60.into()), "{report}");
    assert_eq!(report["calibration"]["samples"], 48);
    let said = run(root, &["quantize", "m.onnx", "--overwrite"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("judged in tract on 12 of the 60 calibration samples of"), "{words}");
    // Whoever names the same file for both wants all of it used.
    let same = ["quantize", "m.onnx", "--overwrite", "--validation", "calibration.npz"];
    let report = data(root, &same);
    let verdict = &report["verdict"];
    assert_eq!((&verdict["overlap"]["samples"], &verdict["samples"]), (&60.into(), &60.into()), "{report}");
    assert_eq!((&verdict["held_back"], &verdict["inside"]), (&Value::Null, &Value::Null), "{report}");
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

#[test]
fn few_calibration_samples_all_calibrate_and_those_not_asked_for_judge() {
    let (values, classes) = rows(60, 13);
    let folder = folder(&values[..10 * CLASSES], &classes[..10]);
    let root = folder.path();
    let report = data(root, &QUANTIZE);
    assert_eq!(
        (&report["calibration"]["samples"], &report["verdict"]["held_back"]),
        (&10.into(), &Value::Null)
    );
    assert_eq!(report["verdict"]["calibrated_on"], true, "{report}");
    let said = run(root, &[&QUANTIZE[..], &["--overwrite"]].concat());
    assert!(said.out.contains("! judged in tract on the samples it was calibrated on"), "{}", said.out);
    npz(&root.join("more.npz"), &[("x", floats(&[60, CLASSES], &values)), ("labels", labels(&classes))]);
    let some = ["quantize", "m.onnx", "s.onnx", "--calibration", "more.npz", "--max-samples", "20"];
    let report = data(root, &some);
    let verdict = &report["verdict"];
    assert_eq!(
        (&report["calibration"]["samples"], &verdict["samples"]),
        (&20.into(), &20.into()),
        "{report}"
    );
    assert_eq!((&verdict["held_back"], &verdict["calibrated_on"]), (&60.into(), &false.into()), "{report}");
    let inside = &verdict["inside"];
    assert_eq!((&inside["samples"], &inside["calibrated"]), (&20.into(), &20.into()), "{report}");
}

#[test]
fn agreement_is_kept_without_labels_or_said_not_to_be() {
    let (values, classes) = rows(300, 14);
    let folder = folder(&values, &classes);
    let root = folder.path();
    npz(&root.join("bare.npz"), &[("x", floats(&[300, CLASSES], &values))]);
    let bare =
        ["quantize", "m.onnx", "b.onnx", "--overwrite", "--calibration", "bare.npz", "--min-agreement"];
    let said = run(root, &[&bare[..], &["90%"]].concat());
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.code, Some(0), "{words} {}", said.error);
    assert!(words.contains("limit met: --min-agreement 90.00 %: expected"), "{words}");
    let report = data(root, &[&bare[..], &["99.75"]].concat());
    let found = &report["budget"]["trials"][0];
    assert_eq!(report["budget"]["asked"]["min_agreement"], 0.9975, "{report}");
    assert!(found["loss"]["agreement"].is_number() && found["expected_agreement"].is_number(), "{report}");
    let warned = report["warnings"].as_array().is_some_and(|warnings| {
        warnings
            .iter()
            .any(|text| text.as_str().is_some_and(|text| text.starts_with("`.min_agreement` 99.75%")))
    });
    // So few samples show it in no plan.
    assert!(warned, "{report}");
    let checked =
        run(root, &["validate", "m.onnx", "b.onnx", "--validation", "bare.npz", "--min-agreement", "90"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("limit met: agreement"), "{checked:?}");
}

//! What new users write: presets of preprocessing, a look at samples, limits for a comparison, defaults in a file.

use super::*;

/// A folder with a model of pictures as `m.onnx` and a picture of each of ten classes in `s`.
fn of_pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&pictures(10), &folder.path().join("m.onnx"), true).expect("it can be written");
    for class in 1..=10 {
        picture(&folder.path().join(format!("s/class{class}/a.png")), class);
    }
    folder
}

#[test]
fn a_preset_turns_pictures_into_inputs() {
    let folder = of_pictures();
    let root = folder.path();
    let quantize = ["quantize", "m.onnx", "q.onnx", "--precision", "int4", "--validation", "s"];
    let said = run(root, &quantize);
    assert_eq!(said.code, Some(1), "{}", said.out);
    let words = ["s holds pictures; tell fourbit how", "`x` FLOAT [", "imagenet, 0..1, -1..1 or 0..255"];
    assert!(words.iter().all(|words| said.error.contains(words)), "{}", said.error);
    let said = run(root, &[&quantize[..], &["--preprocess", "imagenet"]].concat());
    assert!(said.error.contains("three channels"), "{}", said.error);
    let report = data(root, &[&quantize[..], &["--preprocess", "0..1"]].concat());
    assert_eq!(report["verdict"]["samples"], 10, "{report}");
    let validate =
        ["validate", "m.onnx", "q.onnx", "--validation", "s", "--divide-by", "255", "--max-samples", "4"];
    assert_eq!(data(root, &validate)["verdict"]["samples"], 4);
    let wrong = [&validate[..7], &["--resize", "7"]].concat();
    let said = run(root, &wrong);
    assert!(said.error.contains("1x7x7 after preprocessing; give --resize "), "{}", said.error);
}

#[test]
fn samples_are_shown_as_they_are_fed() {
    let folder = of_pictures();
    let root = folder.path();
    let shown = data(root, &["samples", "m.onnx", "s", "--preprocess", "-1..1", "--png", "sheet.png"]);
    assert_eq!((&shown["schema"], &shown["samples"]), (&"fourbit.samples".into(), &10.into()));
    assert_eq!((&shown["labels"]["distinct"], &shown["first"][2]["labels"][0]), (&10.into(), &2.into()));
    let input = &shown["inputs"][0];
    let number = |key: &str| input[key].as_f64().expect(key);
    assert!(number("min") >= -1.0 && number("max") <= 1.0 && number("std") >= 0.0, "{shown}");
    let sheet = image::open(root.join("sheet.png")).expect("a picture");
    assert!(sheet.width() > 4 && sheet.height() > 4);
    let said = run(root, &["samples", "m.onnx", "s", "--preprocess", "-1..1", "--png", "sheet.png"]);
    assert!(said.code == Some(1) && said.error.contains("--overwrite"), "{}", said.error);
    let (values, classes) = rows(20, 5);
    let arrays = super::folder(&values, &classes);
    let said = run(arrays.path(), &["samples", "m.onnx", "s.npz"]);
    assert_eq!(said.code, Some(0), "{}", said.error);
    for words in ["20 samples from s.npz", "20 labels", "float", "sample 0"] {
        assert!(said.out.contains(words), "{words} in {}", said.out);
    }
    let said = run(arrays.path(), &["samples", "m.onnx", "s.npz", "--png", "x.png"]);
    assert!(said.code == Some(1) && said.error.contains("no input holds pictures"), "{}", said.error);
    let said = run(arrays.path(), &["samples", "m.onnx", "--json"]);
    assert!(
        said.out.contains("\"synthetic\":true") || said.out.contains("\"synthetic\": true"),
        "{}",
        said.out
    );
}

#[test]
fn a_comparison_with_limits_is_a_gate() {
    let (values, classes) = rows(120, 9);
    let folder = folder(&values, &classes);
    let root = folder.path();
    assert_eq!(run(root, &QUANTIZE).code, Some(0));
    let validate = |more: &[&str]| {
        run(root, &[&["validate", "m.onnx", "q.onnx", "--validation", "s.npz"][..], more].concat())
    };
    let said = validate(&["--max-drop", "100", "--min-agreement", "1%", "--min-sqnr", "0"]);
    assert_eq!(said.code, Some(0), "{}", said.error);
    assert_eq!(said.out.matches("✓ limit met: ").count(), 3, "{}", said.out);
    let said = validate(&["--min-sqnr", "300", "--json"]);
    assert!(said.code == Some(3) && said.out.contains("\"min_sqnr_db\""), "{}", said.out);
    let said = validate(&["--min-sqnr", "300"]);
    assert_eq!(said.code, Some(3), "{}", said.error);
    assert!(said.out.starts_with("! q.onnx  beside m.onnx\n  ! limit not met: output "), "{}", said.out);
    assert!(said.out.contains("300 dB"), "{}", said.out);
    std::fs::write(root.join("u.npy"), floats(&[20, CLASSES], &values[..20 * CLASSES]))
        .expect("it can be written");
    let said = run(root, &["validate", "m.onnx", "q.onnx", "--validation", "u.npy", "--max-drop", "1"]);
    assert!(said.code == Some(1) && said.error.contains("labelled"), "{}", said.error);
    let said = run(root, &["validate", "m.onnx", "q.onnx", "--min-sqnr", "1"]);
    assert!(said.code == Some(1) && said.error.contains("random samples"), "{}", said.error);
}

#[test]
fn guesses_are_answered_by_the_program() {
    let (values, classes) = rows(40, 3);
    let folder = folder(&values, &classes);
    let answers = |arguments: &[&str], code: i32, words: &str| {
        let said = run(folder.path(), arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.error);
        assert!(
            said.error.contains(words) && said.error.lines().count() == 1,
            "{arguments:?}: {}",
            said.error
        );
    };
    answers(&["quantize", "m.onnx", "--bits", "4"], 2, "error: fourbit has no --bits: write --precision w4");
    answers(&["difference", "m.onnx", "q.onnx"], 2, "write fourbit diff ONE OTHER");
    answers(&["quantize", "m.onnx", "--target", "arm"], 2, "--target ort-cpu-int8");
    let quantize = ["quantize", "m.onnx", "--precision", "w4"];
    answers(
        &[&quantize[..], &["--exclude", "conv_999*"]].concat(),
        1,
        "--exclude \"conv_999*\" fits no tensor",
    );
    answers(&[&quantize[..], &["--report", "r.pdf"]].concat(), 1, ".html, .json or .txt");
}

#[test]
fn a_file_gives_what_is_not_given() {
    let (values, classes) = rows(40, 4);
    let folder = folder(&values, &classes);
    let root = folder.path();
    let text = "precision = 'w8'\n[quantize]\ncalibration = 's.npz'\nmax-samples = 12\njson = true\n";
    std::fs::write(root.join("fourbit.toml"), text).expect("it can be written");
    std::fs::create_dir(root.join("in")).expect("it can be made");
    let report = |arguments: &[&str]| -> Value {
        let said = run(&root.join("in"), arguments);
        assert_eq!(said.code, Some(0), "{}", said.error);
        assert!(
            said.error.contains("defaults from ") && said.error.contains("fourbit.toml"),
            "{}",
            said.error
        );
        serde_json::from_str(&said.out).expect("JSON")
    };
    let found = report(&["quantize", "../m.onnx", "q.onnx"]);
    assert_eq!((&found["precision"], &found["calibration"]["samples"]), (&"w8".into(), &12.into()));
    let found = report(&["quantize", "../m.onnx", "p.onnx", "--precision", "w4", "--max-samples", "9"]);
    assert_eq!((&found["precision"], &found["calibration"]["samples"]), (&"w4".into(), &9.into()));
    std::fs::write(root.join("fourbit.toml"), "seed = 1\nprecsion = 'w8'\n").expect("it can be written");
    let said = run(root, &["inspect", "m.onnx"]);
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(said.error.contains("fourbit.toml: line 2: precsion"), "{}", said.error);
    // Help is there in any case.
    assert_eq!(run(root, &["--version"]).code, Some(0));
}

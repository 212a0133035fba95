//! The library as a program of somebody else's uses it: its examples, samples and models in memory, errors by kind, an end asked for.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fourbit::{
    Apply, ErrorKind, Inputs, Precision, Progress, Quantize, Report as _, SampleSet, SampleSource, Silent,
    Source, Tensor, Validate, Verdict,
};

#[allow(dead_code)]
#[path = "../../examples/convert.rs"]
mod convert;
#[allow(dead_code)]
#[path = "../../examples/edited_plan.rs"]
mod edited_plan;
#[allow(dead_code)]
#[path = "../../examples/own_data.rs"]
mod own_data;
#[allow(dead_code)]
#[path = "../../examples/which_layer.rs"]
mod which_layer;

const WAVES: &str = "models/waves_recurrent/model.onnx";

fn arguments(texts: &[&str]) -> impl Iterator<Item = String> {
    texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().into_iter()
}

/// Waves as the model takes them, of batches of `rows`.
struct Waves {
    count: usize,
    rows: usize,
    fails_at: Option<usize>,
}

fn wave(at: usize) -> impl Iterator<Item = f32> {
    (0..128).map(move |time| (time as f32 * (0.05 + 0.02 * at as f32)).sin() * 1.5)
}

impl SampleSource for Waves {
    fn len(&self) -> usize {
        self.count
    }

    fn inputs(&self, index: usize) -> Result<Inputs, Box<dyn std::error::Error + Send + Sync>> {
        if self.fails_at == Some(index) {
            return Err("the disk is gone".into());
        }
        let values = (0..self.rows).flat_map(|row| wave(index * self.rows + row));
        Ok(vec![("signal".into(), Tensor::new(&[self.rows, 1, 128], values)?)])
    }
}

fn figures(verdict: &Verdict) -> (usize, f64) {
    match verdict {
        Verdict::Validated(validation) => {
            (validation.samples, validation.outputs[0].sqnr_db.expect("there is a difference"))
        }
        Verdict::NotValidated { reason } => panic!("not validated: {reason}"),
    }
}

#[test]
fn the_examples_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).display().to_string();
    convert::run(arguments(&["models/digits_attention/model.onnx", &out("a.onnx")])).unwrap();
    own_data::run(arguments(&[&out("b.onnx")])).unwrap();
    edited_plan::run(arguments(&["models/digits_attention/model.onnx", &out("c.onnx")])).unwrap();
    which_layer::run(arguments(&[WAVES])).unwrap();
    for name in ["a.onnx", "b.onnx", "c.onnx"] {
        assert!(Path::new(&out(name)).is_file(), "{name}");
    }
    assert!(convert::run(arguments(&[])).is_err());
}

#[test]
fn samples_of_all_kinds_give_the_same_file() {
    let all: Vec<f32> = (0..24).flat_map(wave).collect();
    let stacked = ndarray::Array3::from_shape_vec((24, 1, 128), all.clone()).unwrap();
    let double = stacked.mapv(f64::from);
    let calls = (0..24).map(|at| vec![("signal".to_owned(), Tensor::new(&[1, 1, 128], wave(at)).unwrap())]);
    let sets = [
        SampleSet::from_arrays([("signal", stacked)]),
        SampleSet::from_arrays([("signal", double)]),
        SampleSet::from_samples(calls),
        SampleSet::from_source(Waves { count: 24, rows: 1, fails_at: None }),
    ];
    let files = sets.map(|set| {
        let conversion = Quantize::new(WAVES).calibration(set.clone()).validation(set).max_samples(24);
        let (outcome, bytes) = conversion.run_to_bytes(&Silent).unwrap();
        assert_eq!(outcome.output, Path::new("model in memory"));
        assert_eq!(figures(&outcome.verdict).0, 24);
        bytes
    });
    assert!(files.iter().all(|file| *file == files[0]));
}

#[test]
fn labels_beside_arrays_are_scored() {
    let archive = fourbit::SampleSet::from("models/waves_recurrent/validation.npz");
    let conversion = Quantize::new(WAVES).precision(Precision::W4).max_samples(64);
    let (outcome, bytes) = conversion.clone().validation(archive).run_to_bytes(&Silent).unwrap();
    let Verdict::Validated(found) = outcome.verdict else { panic!("not validated") };
    let of_file = found.scores.unwrap();

    let signals = ndarray::Array3::from_shape_vec((8, 1, 128), (0..8).flat_map(wave).collect()).unwrap();
    let set = SampleSet::from_labelled_arrays([("signal", signals)], [0; 8]);
    let verdict = Validate::new(WAVES, Source::from_bytes(bytes)).samples(set).run().unwrap();
    let Verdict::Validated(found) = verdict else { panic!("not validated") };
    assert_eq!((of_file.rows, found.scores.unwrap().rows), (2000, 8));
}

#[test]
fn samples_that_do_not_fit_are_told_with_what_fits() {
    let told = |set: SampleSet| {
        let error = Quantize::new(WAVES).calibration(set).plan().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Samples, "{error}");
        error.to_string()
    };
    let one = |name: &str, tensor: Tensor| SampleSet::from_samples([vec![(name.to_owned(), tensor)]]);
    let flat = |dims: &[usize]| Tensor::new(dims, vec![0.5_f32; dims.iter().product()]).unwrap();
    let error = told(one("wave", flat(&[1, 1, 128])));
    assert!(error.contains("a tensor called signal") && error.contains("found wave"), "{error}");
    let error = told(one("signal", flat(&[1, 1, 127])));
    assert!(error.contains("[N, 1, 128]") && error.contains("[1, 1, 127]"), "{error}");
    let error = told(one("signal", Tensor::new(&[1, 1, 128], vec![1_i64; 128]).unwrap()));
    assert!(error.contains("float32") && error.contains("int64"), "{error}");
    let error = told(SampleSet::from_source(Waves { count: 4, rows: 1, fails_at: Some(2) }));
    assert!(error.contains("sample 2") && error.contains("the disk is gone"), "{error}");
    let arrays = SampleSet::from_labelled_arrays([("signal", flat(&[4, 1, 128]))], [1, 2]);
    assert!(told(arrays).contains("4 labels"));
    assert!(Tensor::new(&[2, 3], vec![1.0_f32; 5]).unwrap_err().to_string().contains("[2, 3]"));
}

#[test]
fn models_in_memory_are_as_good_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let source = || Source::from_bytes(std::fs::read(WAVES).unwrap());
    let (file, back) = (folder.path().join("w.onnx"), folder.path().join("p.onnx"));
    let conversion = |model: Source| Quantize::new(model).precision(Precision::W4).exclude("classifier*");
    let outcome = conversion(source()).output(&file).run().unwrap();
    assert!(outcome.to_text(Default::default()).contains("w.onnx") && outcome.to_json().starts_with('{'));
    let error = conversion(source()).run().unwrap_err();
    assert!(error.kind() == ErrorKind::Options && error.to_string().contains("run_to_bytes"), "{error}");

    let (_, bytes) = conversion(source()).run_to_bytes(&Silent).unwrap();
    assert_eq!(bytes, std::fs::read(&file).unwrap());
    let plan = conversion(source()).plan().unwrap();
    assert!(plan.decisions.iter().all(|decision| !decision.tensor().starts_with("classifier")));
    let applied = Apply::new(source(), plan).output(&back).run().unwrap();
    assert_eq!((applied.decisions, std::fs::read(&back).unwrap()), (applied.of, bytes.clone()));

    let verdict = Validate::new(source(), Source::from_bytes(bytes)).max_samples(16).run().unwrap();
    assert_eq!(figures(&verdict).0, 4);
    let inspection = fourbit::inspect(source()).unwrap();
    assert!(inspection.operators.iter().any(|(name, _)| name == "LSTM"));
    let target = fourbit::Target::named("ort-cpu").unwrap();
    assert!(!fourbit::check(&file, target).unwrap().has_objections());
}

#[test]
fn errors_say_of_what_kind_and_of_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let error = Quantize::new(&path).run().unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::File, Some(path.as_path())));
    std::fs::write(&path, "no model").unwrap();
    let error = fourbit::inspect(&path).unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::Model, Some(path.as_path())));
    let error = Quantize::new(WAVES).output(&path).precision(Precision::W4).run().unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::File, Some(path.as_path())));
    assert!(error.to_string().ends_with("exists; set `.overwrite` to replace it"), "{error}");
}

/// Stops at the step `at`.
struct Until {
    at: usize,
    steps: AtomicUsize,
}

impl Progress for Until {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        self.steps.load(Ordering::Relaxed) >= self.at
    }
}

#[test]
fn work_ends_where_the_caller_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let conversion = |to: &Path| Quantize::new(WAVES).max_samples(16).output(to);
    let until = |at: usize| Until { at, steps: AtomicUsize::new(0) };
    let counted = until(usize::MAX);
    conversion(&folder.path().join("whole.onnx")).run_with(&counted).unwrap();
    let whole = counted.steps.into_inner();
    assert!(whole > 20);
    for at in [0, 1, whole / 2, whole - 1] {
        let path = folder.path().join(format!("{at}.onnx"));
        let error = conversion(&path).run_with(&until(at)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{at} of {whole}: {error}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["whole.onnx"]);
}

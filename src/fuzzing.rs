//! What is fed with anything, by the fuzzer in `fuzz/` and by a test: each target takes bytes as a file would hold them, and must
//! give a value or an error, soon, whatever they are.

use std::path::Path;

use tempfile::TempDir;

use crate::files;
use crate::onnx::{self, Dtype, build::GraphBuilder, floats, integers, pack, unpack};
use crate::options::LayerRule;
use crate::plan;
use crate::samples::{Preprocess, Samples};
use crate::zoo::{self, Grammar, Known};

/// What is done with bytes, and with a folder for files of its own.
type FuzzTarget = fn(&[u8], &Path);

/// The targets by name, which is also that of the folder of seeds.
const TARGETS: &[(&str, FuzzTarget)] = &[
    ("reader", reader),
    ("tensor", tensor),
    ("npy", |bytes, folder| samples("x.npy", bytes, folder)),
    ("npz", |bytes, folder| samples("x.npz", bytes, folder)),
    ("plan", read_plan),
    ("preprocess", preprocess),
    ("config", config),
    ("list", |bytes, _| listed("list.toml", bytes)),
    ("manifest", |bytes, _| listed("ONNX_HUB_MANIFEST.json", bytes)),
];

thread_local! {
    static FOLDER: Option<TempDir> = tempfile::tempdir().ok();
}

/// The names of the targets.
pub fn targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _)| *name)
}

/// Feeds the target `name` with `bytes`. Does nothing where there is no such target, or no temporary folder.
///
/// # Panics
/// Where there is a fault in fourbit.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    FOLDER.with(|folder| {
        if let (Some((_, target)), Some(folder)) = (target, folder) {
            target(bytes, folder.path());
        }
    });
}

/// Samples read of each file.
const FEW: usize = 4;

/// Models: what is read is written and read again as the same.
fn reader(bytes: &[u8], folder: &Path) {
    let Ok(model) = onnx::decode(bytes.to_vec().into()) else { return };
    let written = onnx::encode(&model);
    let again = onnx::decode(written.clone().into());
    // As bytes, since NaN is not equal to itself.
    assert!(again.is_ok_and(|again| onnx::encode(&again) == written));
    for tensor in onnx::tensors(model.graph()) {
        drop((floats(tensor), integers(tensor)));
    }
    drop(onnx::Index::new(model.graph()));
    let path = folder.join("m.onnx");
    if std::fs::write(&path, bytes).is_ok() {
        drop((onnx::read(&path), onnx::outline(&path)));
    }
}

/// Tensors by themselves, and 4-bit codes.
fn tensor(bytes: &[u8], folder: &Path) {
    let path = folder.join("t.pb");
    if std::fs::write(&path, bytes).is_ok()
        && let Ok(tensor) = onnx::read_tensor(&path)
    {
        drop((floats(&tensor), integers(&tensor), onnx::element_count(&tensor)));
    }
    for signed in [false, true] {
        let count = 2 * bytes.len();
        if let Some(codes) = unpack(bytes, count, signed) {
            assert_eq!(pack(&codes), bytes);
        }
        drop(unpack(bytes, bytes.first().copied().unwrap_or(0).into(), signed));
    }
}

fn samples(name: &str, bytes: &[u8], folder: &Path) {
    let mut graph = GraphBuilder::new(21);
    let x = graph.typed_input("x", Dtype::Float, &[-1, 3]);
    let y = graph.node("Relu", &[&x], &[]);
    graph.output(&y);
    let path = folder.join(name);
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    if let Ok(samples) = Samples::open(&path, &graph.model(), None) {
        let samples = samples.choose(Some(FEW), 0);
        (0..samples.len()).for_each(|at| drop(samples.get(at)));
    }
}

fn read_plan(bytes: &[u8], folder: &Path) {
    let path = folder.join("plan.json");
    if std::fs::write(&path, bytes).is_ok()
        && let Ok(plan) = plan::read(&path)
    {
        drop(plan::write(&plan, &folder.join("again.json"), true));
    }
}

fn preprocess(bytes: &[u8], folder: &Path) {
    let path = folder.join("p.toml");
    if std::fs::write(&path, bytes).is_ok() {
        drop(Preprocess::read(&path));
    }
}

fn config(bytes: &[u8], folder: &Path) {
    let path = folder.join("c.toml");
    if std::fs::write(&path, bytes).is_ok() {
        drop((LayerRule::read(&path), files::text(&path)));
    }
}

/// Options of every kind, with any value.
struct Anything(Vec<Known>);

impl Anything {
    fn new() -> Self {
        let known = |name: &str| Known {
            name: name.into(),
            is_flag: name == "flag",
            is_choice: name == "choice",
            is_list: name == "list",
            is_path: name == "path",
            ..Known::default()
        };
        Self(["flag", "choice", "list", "path", "text"].map(known).into())
    }
}

impl Grammar for Anything {
    fn known(&self) -> &[Known] {
        &self.0
    }

    fn check(&self, _: &[String]) -> Result<(), String> {
        Ok(())
    }
}

fn listed(name: &str, bytes: &[u8]) {
    drop(zoo::listed(Path::new(name), bytes.to_vec(), &Anything::new()));
}

//! What the runtime computes, against onnxruntime and the standard: every operator and attribute, the test cases of the onnx package, and
//! random chains of operators. A result is the same, or is refused with a reason; all else fails.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fourbit::onnx::proto::TensorProto;
use fourbit::onnx::{Dtype, element_count, read, tensor};
use fourbit::runtime::{Session, faults};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::oracle::run_script;

/// Chains that every run of the tests tries; more are asked for with the variable `JUDGE_SEEDS`, as in `JUDGE_SEEDS=0..20000`.
const SEEDS: &str = "0..300";
/// Chains that lie in one folder.
const BATCH: usize = 2000;
/// How long one small model may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What running a case gave: outputs, or why there are none.
enum Outcome {
    Ran(Vec<TensorProto>),
    Refused(String),
}

/// The inputs of a case, from a file that holds their bytes one after the other. `None` where one is no tensor.
fn inputs(case: &Value, path: &Path) -> Option<Vec<TensorProto>> {
    let data = fs::read(path).expect("the script writes the inputs");
    let mut at = 0;
    let listed = case["inputs"].as_array().expect("a list");
    listed
        .iter()
        .map(|input| {
            let code = i32::try_from(input["dtype"].as_i64()?).expect("a type");
            let dtype = Dtype::try_from(code).expect("a type");
            let dims: Vec<i64> =
                input["dims"].as_array()?.iter().map(|dim| dim.as_i64().expect("a size")).collect();
            let count = element_count(&tensor("", dtype, &dims, Vec::new())).expect("a count");
            let bytes = data[at..].get(..size(dtype, count)).expect("all data are there").to_vec();
            at += bytes.len();
            Some(tensor("", dtype, &dims, bytes))
        })
        .collect()
}

/// Bytes that elements take in a file of inputs, where each stands for itself.
fn size(dtype: Dtype, count: usize) -> usize {
    let width = match dtype {
        Dtype::Double | Dtype::Int64 | Dtype::Uint64 | Dtype::Complex64 => 8,
        Dtype::Float | Dtype::Int32 | Dtype::Uint32 => 4,
        Dtype::Float16 | Dtype::Bfloat16 | Dtype::Int16 | Dtype::Uint16 => 2,
        Dtype::Complex128 => 16,
        _ => 1,
    };
    count * width
}

/// Runs a case as validation does.
fn run(case: &Value, path: &Path) -> Outcome {
    let model = match read(path) {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    if let Some(fault) = faults(&model).first() {
        return Outcome::Refused(format!("{}: {}", fault.operator, fault.problem));
    }
    let ran = Session::new(&model, "float", &[]).and_then(|session| {
        let Some(inputs) = inputs(case, &path.with_extension("in")) else { return Ok(None) };
        session.run_tensors(&inputs).map(Some)
    });
    match ran {
        Ok(Some(outputs)) => Outcome::Ran(outputs),
        Ok(None) => Outcome::Refused("an input is no tensor".into()),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// What became of a case, for the script. Outputs go to a file.
fn tried(case: &Value, folder: &Path) -> Value {
    let name = case["name"].as_str().expect("a name");
    let path: PathBuf = folder.join(format!("{name}.onnx"));
    let (send, receive) = mpsc::channel();
    let (own, own_path) = (case.clone(), path.clone());
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&own, &own_path)));
        drop(send.send(outcome));
    });
    match receive.recv_timeout(PATIENCE) {
        Ok(Ok(Outcome::Ran(outputs))) => {
            let bytes: Vec<u8> = outputs
                .iter()
                .flat_map(|output| output.raw_data.as_deref().unwrap_or_default().to_vec())
                .collect();
            fs::write(path.with_extension("out"), bytes).expect("the outputs can be written");
            let forms: Vec<Value> = outputs
                .iter()
                .map(|output| json!({"dtype": output.data_type(), "dims": output.dims}))
                .collect();
            json!({"name": name, "outcome": "ran", "outputs": forms})
        }
        Ok(Ok(Outcome::Refused(problem))) => json!({"name": name, "outcome": "refused", "problem": problem}),
        Ok(Err(_)) => json!({"name": name, "outcome": "panicked"}),
        Err(_) => json!({"name": name, "outcome": "not done in time"}),
    }
}

/// What the script says of a part, its counts, and whether nothing is wrong.
struct Verdict {
    counts: Value,
    right: bool,
}

/// Has the script write cases, runs them, and has it compare. `None` without Python.
fn compared(what: &str, which: &str) -> Option<Verdict> {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = match std::env::var_os("JUDGE_FOLDER") {
        Some(kept) => PathBuf::from(kept).join(format!("{what}-{}", which.replace('/', "-"))),
        None => temporary.path().to_owned(),
    };
    fs::create_dir_all(&folder).expect("the folder can be made");
    let place = folder.to_string_lossy().into_owned();
    let mut arguments = vec!["write", &place, "--what", what];
    let side = if what == "models" { "--models" } else { "--seeds" };
    arguments.extend([side, which]);
    let written = run_script("judge.py", &arguments)?;
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let listed = fs::read(folder.join("cases.json")).expect("the script lists the cases");
    let cases: Vec<Value> = serde_json::from_slice(&listed).expect("a list");
    let found: Vec<Value> = cases.par_iter().map(|case| tried(case, &folder)).collect();
    fs::write(folder.join("found.json"), Value::from(found).to_string()).expect("it is written");
    let judged = run_script("judge.py", &["compare", &place])?;
    let said = String::from_utf8_lossy(&judged.stdout);
    println!("{what} {which}\n{said}");
    let counts = said.lines().last().and_then(|last| serde_json::from_str(last).ok());
    let counts = counts.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&judged.stderr)));
    Some(Verdict { counts, right: judged.status.success() })
}

/// Demands that nothing is wrong, and that there were so many cases.
fn assert_right(verdicts: &[Verdict], least: u64) {
    let cases: u64 = verdicts.iter().filter_map(|verdict| verdict.counts["cases"].as_u64()).sum();
    assert!(cases >= least, "{cases} cases");
    assert!(verdicts.iter().all(|verdict| verdict.right), "the runtime gives what is wrong: see above");
}

#[test]
fn the_judge_computes_what_operators_mean() {
    let Some(verdict) = compared("operators", SEEDS) else { return };
    assert_right(&[verdict], 1500);
}

#[test]
fn the_judge_computes_attention_and_what_onnxruntime_fuses() {
    let Some(verdict) = compared("fused", SEEDS) else { return };
    for word in ["refused", "not decided"] {
        assert_eq!(verdict.counts["counts"][word], Value::Null, "some are {word}: see above");
    }
    assert_right(&[verdict], 1200);
}

#[test]
fn the_judge_computes_the_test_cases_of_onnx() {
    let Some(verdict) = compared("nodes", SEEDS) else { return };
    assert_right(&[verdict], 1000);
}

#[test]
fn the_judge_computes_chains_of_operators() {
    let seeds = std::env::var("JUDGE_SEEDS").unwrap_or_else(|_| SEEDS.into());
    let (from, to) = seeds.split_once("..").expect("a range of seeds");
    let (from, to): (usize, usize) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let starts = (from..to).step_by(BATCH);
    let batches = starts.map(|start| compared("chains", &format!("{start}..{}", to.min(start + BATCH))));
    let Some(verdicts) = batches.collect::<Option<Vec<_>>>() else { return };
    assert_right(&verdicts, (to - from) as u64 * 7 / 10);
}

/// On demand: a folder of models, each `model.onnx` with a sample in `x.npz` beside it.
#[test]
fn the_judge_computes_given_models() {
    let Ok(models) = std::env::var("JUDGE_MODELS") else { return };
    let Some(verdict) = compared("models", &models) else { return };
    assert_right(&[verdict], 1);
}

//! Plans that keep a budget, on a model of our own.

use std::path::{Path, PathBuf};

use fourbit::options::{Budget, CodeType, LayerRule, Options};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::{Decision, Outcome, Verdict};
use fourbit::progress::Silent;

fn convert(folder: &Path, budget: Budget, change: impl FnOnce(&mut Options)) -> Result<Outcome, String> {
    let mut options = Options::new("w4a8".parse().expect("a precision"));
    options.budget = budget;
    change(&mut options);
    let job = Job {
        output: Some(PathBuf::from(folder).join("out.onnx")),
        samples: Some(90),
        overwrite: true,
        ..Job::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits_attention/model.onnx"), options)
    };
    quantize(&job, &Silent).map_err(|error| error.to_string())
}

fn output_db(outcome: &Outcome) -> f64 {
    let Verdict::Validated(validation) = &outcome.verdict else { panic!("{:?}", outcome.verdict) };
    validation.outputs[0].sqnr_db.unwrap_or(f64::INFINITY)
}

#[test]
fn bits_are_added_until_the_limit_is_kept_and_no_further() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plain = convert(folder.path(), Budget::default(), |_| ()).expect("it converts");
    assert!(plain.budget.is_none());
    let asked = output_db(&plain) + 8.0;
    let limit = Budget { min_sqnr_db: Some(asked), ..Budget::default() };
    let better = convert(folder.path(), limit, |_| ()).expect("it converts");
    let found = better.budget.as_ref().expect("a search");
    assert!(
        found.met && found.taken > 0 && found.taken < found.steps && found.in_the_way.is_empty(),
        "{found:#?}"
    );
    // Judged on samples that were held back, and true on others within a decibel or two.
    assert!(output_db(&better) > asked - 2.0, "{} of {asked}", output_db(&better));
    assert!(better.sizes.after > plain.sizes.after && better.sizes.after < plain.sizes.before);
    let reasons = better.plan.decisions.iter().map(|decision| match decision {
        Decision::Weight(weight) => &weight.reason,
        Decision::Activation(activation) => &activation.reason,
    });
    assert!(reasons.clone().any(|reason| reason.to_string().contains("to meet the limit")));
    // One step less was tried, and was too little.
    let trials = found.trials.iter().filter(|trial| !trial.all_samples);
    let (enough, short): (Vec<_>, Vec<_>) = trials.partition(|trial| trial.kept);
    let least = enough.iter().map(|trial| trial.taken).min();
    assert_eq!(least.and_then(|least| least.checked_sub(1)), short.iter().map(|trial| trial.taken).max());
}

#[test]
fn sizes_are_kept_or_the_best_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plain = convert(folder.path(), Budget::default(), |_| ()).expect("it converts");
    let room = plain.sizes.after + plain.sizes.after / 4;
    let limit = Budget { max_bytes: Some(room), ..Budget::default() };
    let larger = convert(folder.path(), limit, |_| ()).expect("it converts");
    assert!(larger.budget.as_ref().is_some_and(|found| found.met), "{:#?}", larger.budget);
    assert!(larger.sizes.after <= room && output_db(&larger) > output_db(&plain));
    let limit = Budget { max_bytes: Some(room), min_sqnr_db: Some(200.0), ..Budget::default() };
    let best = convert(folder.path(), limit, |_| ()).expect("it converts");
    let found = best.budget.as_ref().expect("a search");
    assert!(!found.met && !found.in_the_way.is_empty() && best.sizes.after <= room, "{found:#?}");
}

#[test]
fn rules_of_a_person_stand() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let limit = Budget { min_sqnr_db: Some(45.0), ..Budget::default() };
    let rule =
        LayerRule { matching: "*".into(), weights: Some(Some(CodeType::Int8)), ..LayerRule::default() };
    let ruled = convert(folder.path(), limit, |options| options.layers = vec![rule]).expect("it converts");
    let eight = |decision: &Decision| match decision {
        Decision::Weight(weight) => weight.terms[0].code_type == CodeType::Int8 && weight.terms.len() == 1,
        Decision::Activation(_) => true,
    };
    assert!(ruled.plan.decisions.iter().all(eight));
    assert!(ruled.budget.expect("a search").met);
}

#[test]
fn drops_need_labels() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let limit = Budget { max_drop: Some(1.0), ..Budget::default() };
    let error = convert(folder.path(), limit, |_| ()).expect_err("no labels there");
    assert!(
        error.contains("no labels") && error.contains("`.min_sqnr_db`") && error.contains("max_drop` "),
        "{error}"
    );
    assert!(!folder.path().join("out.onnx").exists());
}

//! The opset upgrade against onnx's own history and against onnxruntime.

mod cases;
mod experiments;
mod legacy;
mod shapes;
mod spatial;

use std::collections::BTreeMap;

use fourbit::onnx::Model;
use fourbit::onnx::build::GraphBuilder;
use fourbit::options::{NEWEST_OPSET, OPSET};
use fourbit::prepare::{prepare, upgrade};

use super::oracle::{Pair, assert_same, run_script};
use cases::cases;

/// Relative to the largest output value: what another order of the same additions may change.
const TOLERANCE: f64 = 1e-6;

/// What onnxruntime 1.32 runs at 21, and not at the newest opset.
const NOT_AT_THE_NEWEST: [&str; 2] = ["GlobalLpPool", "RoiAlign"];

/// What the table leaves out on purpose: nothing yet.
const UNSETTLED: [&str; 0] = [];

#[test]
fn the_table_knows_every_version_that_onnx_knows() {
    let newest = NEWEST_OPSET.to_string();
    let Some(output) = run_script("operator_history.py", &["1", &newest]) else { return };
    let history: BTreeMap<String, Vec<i64>> =
        serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let table = upgrade::known_operators();
    for (operator, versions) in &table {
        assert_eq!(history.get(*operator).map(Vec::as_slice), Some(*versions), "{operator}");
    }
    let left_out: Vec<&String> =
        history.keys().filter(|name| !table.iter().any(|(operator, _)| operator == name)).collect();
    assert_eq!(left_out, UNSETTLED);
}

#[test]
fn each_conversion_keeps_every_value() {
    let mut pairs = Vec::new();
    for case in cases() {
        let before = built(case.opset, &case.build);
        pairs.extend(raised(&case.name, &before, &before));
    }
    assert_same(&pairs);
}

#[test]
fn forms_too_old_to_run_become_what_they_mean() {
    let mut pairs = Vec::new();
    for case in legacy::cases() {
        let meant = built(legacy::MEANT, &case.meant);
        pairs.extend(raised(&case.name, &built(case.opset, &case.old), &meant));
    }
    assert_same(&pairs);
}

fn built(opset: i64, build: &cases::Build) -> Model {
    let mut graph = GraphBuilder::new(opset);
    for output in build(&mut graph) {
        graph.output(&output);
    }
    graph.model()
}

/// `old` at the oldest opset that is written and at the newest, beside the model that it is held against.
fn raised(name: &str, old: &Model, before: &Model) -> Vec<Pair> {
    let at = |&opset: &i64| {
        let (after, _) = prepare(old.clone(), opset).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(after.opset(), opset.max(old.opset()));
        Pair { name: format!("{name} to {opset}"), before: before.clone(), after, tolerance: TOLERANCE }
    };
    let unknown = NOT_AT_THE_NEWEST.iter().any(|operator| name.starts_with(operator));
    let opsets = if unknown { &[OPSET][..] } else { &[OPSET, NEWEST_OPSET] };
    opsets.iter().map(at).collect()
}

//! The opset upgrade against onnx's own history and against onnxruntime.

mod cases;
mod shapes;
mod spatial;

use std::collections::BTreeMap;

use fourbit::onnx::build::GraphBuilder;
use fourbit::options::NEWEST_OPSET;
use fourbit::prepare::{prepare, upgrade};

use super::oracle::{Pair, assert_same, run_script};
use cases::cases;

/// Relative to the largest output value: what another order of the same additions may change.
const TOLERANCE: f64 = 1e-6;

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
    let pairs: Vec<Pair> = cases()
        .into_iter()
        .map(|case| {
            let mut graph = GraphBuilder::new(case.opset);
            for output in (case.build)(&mut graph) {
                graph.output(&output);
            }
            let before = graph.model();
            let (after, _) =
                prepare(before.clone(), 21).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert_eq!(after.opset(), 21);
            Pair { name: case.name, before, after, tolerance: TOLERANCE }
        })
        .collect();
    assert_same(&pairs);
}

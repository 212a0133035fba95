//! Which tensors of a small network get 8 bits.

use std::path::Path;

use crate::onnx::build::GraphBuilder;
use crate::onnx::{attr, encode};
use crate::options::{CodeType, LayerRule, Options, Precision, Storage};
use crate::pipeline::{Job, planned};
use crate::plan::{Decision, Plan};
use crate::progress::Silent;

/// A depthwise convolution of 72 weights in front of two large ones.
fn written(folder: &Path) -> std::path::PathBuf {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 8, 6, 6]);
    let small = graph.weights("small", &[8, 1, 3, 3]);
    let (wide, large) = (graph.weights("wide", &[128, 8, 1, 1]), graph.weights("large", &[64, 128, 1, 1]));
    let y = graph.node("Conv", &[&x, &small], &[attr::int("group", 8)]);
    let y = graph.node("Conv", &[&y, &wide], &[]);
    let y = graph.node("Conv", &[&y, &large], &[]);
    graph.output(&y);
    let path = folder.join("m.onnx");
    std::fs::write(&path, encode(&graph.model())).unwrap();
    path
}

fn plan(options: Options) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    planned(&Job::new(&written(folder.path()), options), &Silent).unwrap()
}

/// The tensors in 8 bits, and why.
fn eight(plan: &Plan) -> Vec<(String, String)> {
    let wide = |decision: &Decision| match decision {
        Decision::Weight(weight) if weight.terms[0].code_type == CodeType::Int8 => {
            Some((weight.tensor.clone(), weight.reason.to_string()))
        }
        _ => None,
    };
    plan.decisions.iter().filter_map(wide).collect()
}

fn w4() -> Options {
    Options::new("w4".parse::<Precision>().unwrap())
}

#[test]
fn a_small_tensor_that_brings_noise_gets_eight_bits_and_says_why() {
    let found = eight(&plan(w4()));
    let names: Vec<&str> = found.iter().map(|(tensor, _)| tensor.as_str()).collect();
    assert_eq!(names, ["small"]);
    assert!(found[0].1.contains("% more bytes: as int4 it alone brings"), "{}", found[0].1);
    let blocks = Options { granularity: crate::options::Granularity::Block(4), ..w4() };
    assert!(eight(&plan(blocks)).iter().any(|(tensor, _)| tensor == "small"));
}

#[test]
fn who_asks_for_bits_gets_them() {
    assert!(eight(&plan(Options { strict_bits: true, ..w4() })).is_empty());
    assert!(eight(&plan(Options { storage: Storage::Int8, ..w4() })).is_empty());
    let rule =
        LayerRule { matching: "small".into(), weights: Some(Some(CodeType::Uint4)), ..LayerRule::default() };
    assert!(eight(&plan(Options { layers: vec![rule], ..w4() })).is_empty());
}

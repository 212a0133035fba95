use super::*;
use crate::onnx::Model;
use crate::onnx::build::GraphBuilder;
use crate::samples::arrays::npy::tests::npy;

fn model() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[-1, 3]);
    let y = graph.node("Relu", &[&x], &[]);
    graph.output(&y);
    graph.model()
}

/// Samples of three values each, as an `.npy` file.
fn samples(rows: &[[f32; 3]]) -> (tempfile::TempDir, Samples) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&path, npy("<f4", "False", &format!("({}, 3)", rows.len()), &bytes)).unwrap();
    let samples = Samples::open(&path, &model(), None).unwrap();
    (folder, samples)
}

#[test]
fn samples_with_nan_are_named_with_their_place() {
    let (_folder, samples) = samples(&[[1.0, 2.0, 3.0], [1.0, f32::INFINITY, f32::NAN], [0.0; 3]]);
    let flawed = samples.flawed().unwrap();
    assert_eq!(flawed.len(), 1);
    assert_eq!(
        (flawed[0].0, flawed[0].1.to_string().as_str()),
        (1, "sample 1 holds NaN at [0, 2] in input x")
    );
    let left = samples.without(&[1]);
    assert!(left.len() == 2 && left.flawed().unwrap().is_empty());
    assert_eq!(left.name(1), "sample 2");
}

#[test]
fn infinite_values_are_flaws_unless_they_are_the_rule() {
    let lone = f32::NEG_INFINITY;
    let (_folder, one) = samples(&[[1.0, 2.0, 3.0], [1.0, 2.0, lone], [0.5, 1.0, 2.0]]);
    assert_eq!(one.flawed().unwrap().len(), 1);
    let (_folder, rule) = samples(&[[1.0, 2.0, lone], [1.0, 2.5, lone], [0.5, 1.0, 2.0]]);
    assert!(rule.flawed().unwrap().is_empty());
    let (_folder, mask) = samples(&[[0.0, 0.0, lone], [0.0; 3], [0.0; 3]]);
    assert!(mask.flawed().unwrap().is_empty());
}

#[test]
fn digests_depend_on_the_values_alone() {
    let (_one, one) = samples(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let (_other, other) = samples(&[[4.0, 5.0, 6.0], [1.0, 2.0, 3.5]]);
    let (one, other) = (one.digests().unwrap(), other.digests().unwrap());
    assert_eq!(one[1], other[0]);
    assert!(one[0] != other[1] && one[0] != one[1]);
}

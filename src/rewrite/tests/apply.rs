use super::dump::{dump, golden};
use super::*;
use crate::onnx::build::value;
use crate::rewrite::apply;

fn weights(decisions: Vec<WeightDecision>) -> Plan {
    plan(decisions.into_iter().map(Decision::Weight).collect())
}

#[test]
fn conv_by_channel_with_its_bias_in_place() {
    let model = conv();
    let mut decision = weight(&model, "w", CodeType::Int4, Some(0), &[(0, 1)]);
    decision.biases = vec![bias(&model, 0, 2, Some("b"), &[1.5, 2.5])];
    golden("conv", &apply(&model, &weights(vec![decision]), None).unwrap());
}

#[test]
fn conv_transpose_on_axis_1_gets_a_bias_and_zero_points() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2, 4]);
    let w = graph.weights("w", &[2, 3, 1]);
    let y = graph.node("ConvTranspose", &[&x, &w], &[]);
    graph.output(&y);
    let model = graph.model();
    let mut decision = weight(&model, "w", CodeType::Uint4, Some(1), &[(0, 1)]);
    decision.terms[0].zero_points = vec![0, 7, 15];
    decision.biases = vec![bias(&model, 0, 2, None, &[1.0, 2.0, 3.0])];
    golden("conv_transpose", &apply(&model, &weights(vec![decision]), None).unwrap());
}

#[test]
fn gemm_both_ways_with_one_bias_for_two() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2]);
    let v = graph.weights("v", &[2, 2]);
    let w = graph.weights("w", &[2, 2]);
    let b = graph.initializer(tensor_f32("b", &[2], &[0.0, 0.0]));
    let y = graph.node("Gemm", &[&x, &v, &b], &[attr::int("transB", 1)]);
    let z = graph.node("Gemm", &[&y, &w, &b], &[]);
    graph.output(&z);
    let model = graph.model();
    let mut first = weight(&model, "v", CodeType::Int4, Some(0), &[(0, 1)]);
    first.biases = vec![bias(&model, 0, 2, Some("b"), &[1.0, 2.0])];
    let mut second = weight(&model, "w", CodeType::Int8, Some(1), &[(1, 1)]);
    second.biases = vec![bias(&model, 1, 2, Some("b"), &[3.0, 4.0])];
    golden("gemm", &apply(&model, &weights(vec![first, second]), None).unwrap());
}

#[test]
fn shared_weights_keep_their_readers() {
    let model = shared();
    let decision = weight(&model, "w", CodeType::Int4, None, &[(0, 1), (1, 1)]);
    let out = apply(&model, &weights(vec![decision]), None).unwrap();
    golden("shared", &out);
    assert_eq!(out.graph().node[1..], model.graph().node);
}

#[test]
fn a_capturing_if_counts_as_reader() {
    let model = captured();
    let decision = weight(&model, "w", CodeType::Int4, None, &[(2, 1)]);
    let out = apply(&model, &weights(vec![decision]), None).unwrap();
    golden("captured", &out);
    assert_eq!(out.graph().node[2..], model.graph().node[1..]);
}

fn branching() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 2]);
    let w = graph.weights("w", &[2, 2]);
    let r = graph.node("Relu", &[&x], &[]);
    let p = graph.node("MatMul", &[&r, &w], &[]);
    let q = graph.node("MatMul", &[&r, &w], &[]);
    let s = graph.node("Add", &[&p, &r], &[]);
    let t = graph.node("Add", &[&s, &q], &[]);
    graph.output(&t);
    graph.model()
}

#[test]
fn an_activation_is_shared_by_the_listed_reads_alone() {
    let model = branching();
    let decisions = vec![
        Decision::Weight(weight(&model, "w", CodeType::Int4, Some(1), &[(1, 1), (2, 1)])),
        Decision::Activation(activation(&model, "relu_0", &[(1, 0), (2, 0)])),
        Decision::Activation(activation(&model, "x", &[(0, 0)])),
    ];
    let plan = plan(decisions);
    let out = apply(&model, &plan, None).unwrap();
    golden("activation", &out);
    assert_eq!(out.graph().node[8..], model.graph().node[3..], "readers not listed");
    assert_eq!(apply(&model, &plan, Some(9)).unwrap(), out);

    let one = apply(&model, &plan, Some(1)).unwrap();
    assert_eq!(one.graph().node.len(), 6);
    let none = apply(&model, &plan, Some(0)).unwrap();
    assert_eq!(none.graph(), model.graph());
}

#[test]
fn clashing_names_are_numbered() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 2]);
    let w = graph.weights("w", &[2, 2]);
    let a = graph.initializer(tensor_f32("w_scale", &[], &[1.0]));
    let b = graph.initializer(tensor_f32("w_scale_1", &[], &[1.0]));
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.push(node("Mul", "w_DequantizeLinear", &[&y, &a], &["m"], &[]));
    graph.push(node("Mul", "x_quantized", &["m", &b], &["n"], &[]));
    graph.output("n");
    let model = graph.model();
    let decisions = vec![
        Decision::Weight(weight(&model, "w", CodeType::Int4, None, &[(0, 1)])),
        Decision::Activation(activation(&model, "x", &[(0, 0)])),
    ];
    golden("clash", &apply(&model, &plan(decisions), None).unwrap());
}

#[test]
fn metadata_is_replaced_and_types_of_the_gone_are_dropped() {
    let mut model = conv();
    let entry = |key: &str| crate::onnx::proto::StringStringEntryProto {
        key: Some(key.into()),
        value: Some("old".into()),
    };
    model.proto.metadata_props = vec![entry("author"), entry("fourbit.precision")];
    let graph = model.graph_mut();
    graph.value_info = vec![value("w", Dtype::Float, &[2, 1, 1, 2]), value("conv_0", Dtype::Float, &[])];
    graph.quantization_annotation =
        vec![crate::onnx::proto::TensorAnnotation { tensor_name: Some("w".into()), ..Default::default() }];
    let decision = weight(&model, "w", CodeType::Int8, None, &[(0, 1)]);
    let out = apply(&model, &weights(vec![decision]), None).unwrap();
    assert!(dump(&out).starts_with(
        "ir 9 opset 21\nauthor old\nfourbit.version *\nfourbit.precision w4a8\nfourbit.quantized 1\nfourbit.source_sha256 00ff\n"
    ));
    assert_eq!(out.graph().value_info, model.graph().value_info, "w is a value still");
    assert!(out.graph().quantization_annotation.is_empty());
}

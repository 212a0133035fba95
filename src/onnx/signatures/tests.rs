//! Small graphs, each with one breach.

use super::breaches;
use crate::onnx::build::{GraphBuilder, node};
use crate::onnx::proto::{ModelProto, OperatorSetIdProto};
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32, tensor_of};

fn found(graph: GraphBuilder) -> String {
    told(graph.ir_version(10).proto())
}

fn told(proto: ModelProto) -> String {
    let found = breaches(&Model::new(proto).unwrap());
    found
        .into_iter()
        .map(|breach| format!("{} {}: {}\n", breach.operator, breach.tensor, breach.problem))
        .collect()
}

/// A product of an activation pair with weights, scales of the types given.
fn product(
    opset: i64,
    scale: Dtype,
    codes: Dtype,
    attributes: &[crate::onnx::proto::AttributeProto],
) -> GraphBuilder {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[1, 4]);
    graph.initializer(tensor_f32("step", &[], &[0.5]));
    graph.initializer(tensor("middle", Dtype::Uint8, &[], vec![128]));
    let q = graph.node("QuantizeLinear", &[&x, "step", "middle"], &[]);
    let d = graph.node("DequantizeLinear", &[&q, "step", "middle"], &[]);
    graph.initializer(tensor("codes", codes, &[4, 2], vec![1; 8]));
    graph.initializer(tensor_of("scale", scale, &[2], &[0.5, 0.25]));
    let w = graph.node("DequantizeLinear", &["codes", "scale"], attributes);
    let y = graph.node("MatMul", &[&d, &w], &[]);
    graph.output(&y);
    graph
}

#[test]
fn sound_models_have_none() {
    for opset in [13, 17, 19, 21, 23, 24, 25] {
        assert_eq!(found(product(opset, Dtype::Float, Dtype::Int8, &[attr::int("axis", 1)])), "", "{opset}");
    }
}

#[test]
fn operands_have_one_type_and_scales_a_type_that_the_opset_knows() {
    let text = found(product(19, Dtype::Float16, Dtype::Int8, &[]));
    assert!(
        text.starts_with("MatMul") && text.contains("FLOAT16") && text.contains("both of one type"),
        "{text}"
    );
    let text = found(product(17, Dtype::Float16, Dtype::Int8, &[]));
    assert!(
        text.contains("DequantizeLinear scale: input 1 is FLOAT16") && text.contains("opset 17"),
        "{text}"
    );
    let text = found(product(19, Dtype::Float, Dtype::Int16, &[]));
    assert!(text.contains("codes: input 0 is INT16"), "{text}");
}

#[test]
fn attributes_and_numbers_of_inputs_are_those_of_the_opset() {
    let blocks = [attr::int("axis", 0), attr::int("block_size", 2)];
    let text = found(product(19, Dtype::Float, Dtype::Int8, &blocks));
    assert!(text.contains("attribute block_size") && text.contains("opset 19"), "{text}");
    let text = found(product(10, Dtype::Float, Dtype::Int8, &[attr::int("axis", 1)]));
    assert!(text.contains("attribute axis") && text.contains("one for the whole tensor"), "{text}");
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4]);
    let y = graph.node("Relu", &[&x, &x], &[]);
    graph.output(&y);
    assert!(found(graph).contains("2 inputs"));
}

#[test]
fn integer_operators_take_eight_bits() {
    for (operator, kind, dims, shape) in [
        ("MatMulInteger", Dtype::Int4, vec![4, 2], vec![1, 4]),
        ("ConvInteger", Dtype::Uint4, vec![1, 4, 1, 2], vec![1, 4, 3, 3]),
    ] {
        let mut graph = GraphBuilder::new(21);
        let x = graph.typed_input("x", Dtype::Uint8, &shape);
        graph.initializer(tensor("codes", kind, &dims, vec![0x21; 4]));
        let y = graph.node(operator, &[&x, "codes"], &[]);
        let z = graph.node("Cast", &[&y], &[attr::int("to", 1)]);
        graph.output(&z);
        let text = found(graph);
        assert!(text.contains(operator) && text.contains("codes: input 1 is"), "{text}");
    }
}

#[test]
fn scales_are_finite_above_zero_and_as_many_as_the_axis() {
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut graph = GraphBuilder::new(17);
        let x = graph.input("x", &[1, 4]);
        graph.initializer(tensor_f32("step", &[], &[bad]));
        let q = graph.node("QuantizeLinear", &[&x, "step"], &[]);
        let d = graph.node("DequantizeLinear", &[&q, "step"], &[]);
        graph.output(&d);
        let text = found(graph);
        assert_eq!(text.matches("not finite and above zero").count(), 2, "{bad}: {text}");
    }
    let text = found(product(17, Dtype::Float, Dtype::Int8, &[attr::int("axis", 0)]));
    assert!(text.contains("scales [2] on axis 0, which has 4 elements"), "{text}");
    let text = found(product(17, Dtype::Float, Dtype::Int8, &[attr::int("axis", 5)]));
    assert!(text.contains("axis 5 of 2 axes"), "{text}");
    let blocks = [attr::int("axis", 0), attr::int("block_size", 2)];
    let text = found(product(21, Dtype::Float, Dtype::Int8, &blocks));
    assert!(text.contains("for blocks of 2 on axis 0"), "{text}");
}

#[test]
fn types_go_through_bodies_and_end_at_operators_that_nobody_knows() {
    let mut inner = GraphBuilder::new(17);
    let made = inner.node("Relu", &["half"], &[]);
    inner.output(&made);
    let body = inner.proto().graph.unwrap();
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[4]);
    let c = graph.typed_input("c", Dtype::Bool, &[]);
    graph.push(node("Cast", "cast", &[&x], &["half"], &[attr::int("to", 10)]));
    let mut body = body;
    body.output[0].r#type = None;
    let held = [attr::graph("then_branch", body.clone()), attr::graph("else_branch", body)];
    let y = graph.node("If", &[&c], &held);
    let z = graph.node("Add", &[&y, &x], &[]);
    graph.output(&z);
    let mut proto = graph.proto();
    proto.graph.as_mut().unwrap().output[0].r#type = None;
    let text = told(proto);
    assert!(text.starts_with("Add x") && text.lines().count() == 1, "{text}");

    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[4]);
    let mut unknown = node("Halve", "halve", &[&x], &["h"], &[]);
    unknown.domain = Some("org.example".into());
    graph.push(unknown);
    let y = graph.node("Add", &["h", &x], &[]);
    graph.output(&y);
    let mut proto = graph.proto();
    proto.opset_import.push(OperatorSetIdProto { domain: Some("org.example".into()), version: Some(1) });
    assert_eq!(told(proto), "");
}

#[test]
fn what_is_declared_is_what_comes() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[4]);
    let y = graph.node("Cast", &[&x], &[attr::int("to", 10)]);
    graph.output(&y);
    let text = found(graph);
    assert!(text.contains("it gives FLOAT16, and the graph declares FLOAT"), "{text}");
}

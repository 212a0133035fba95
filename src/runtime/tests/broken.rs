//! What tract refuses comes back as an error that says so.

use crate::error::Error;
use crate::onnx::build::{GraphBuilder, node};
use crate::onnx::proto::{AttributeProto, TensorProto};
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32, tensor_i64};
use crate::runtime::Session;

#[track_caller]
fn refused(model: &Model, inputs: &[TensorProto], words: &str) {
    let error = Session::new(model, "float", &[]).and_then(|session| session.run(inputs)).unwrap_err();
    assert!(matches!(error, Error::Runtime { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("float") && error.contains(words), "{error}");
}

/// `x` times weights that a DequantizeLinear makes.
fn dequantizing(dtype: Dtype, raw: &[u8], scales: &[i64], attributes: &[(&str, i64)]) -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4]);
    let codes = graph.initializer(tensor("codes", dtype, &[4, 2], raw.to_vec()));
    let count = scales.iter().product::<i64>() as usize;
    let scales = graph.initializer(tensor_f32("scales", scales, &vec![0.5; count]));
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| attr::int(name, *value)).collect();
    let w = graph.node("DequantizeLinear", &[&codes, &scales], &attributes);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    graph.model()
}

fn row() -> [TensorProto; 1] {
    [tensor_f32("x", &[1, 4], &[1.0; 4])]
}

/// The day an upgrade of tract takes these, the lowering in front of it can go.
#[test]
fn four_bit_and_blocked_weights_are_refused() {
    refused(&dequantizing(Dtype::Int4, &[0x21; 4], &[2], &[("axis", 1)]), &row(), "Int4");
    refused(&dequantizing(Dtype::Uint4, &[0x21; 4], &[2], &[("axis", 1)]), &row(), "Uint4");
    let blocked = dequantizing(Dtype::Int8, &[1; 8], &[2, 2], &[("axis", 0), ("block_size", 2)]);
    refused(&blocked, &row(), "blocked");
}

#[test]
fn unknown_operators_and_values_are_named() {
    let mut graph = GraphBuilder::new(17);
    graph.input("x", &[1, 4]);
    graph.push(node("Frobnicate", "f", &["x"], &["y"], &[]));
    graph.output("y");
    refused(&graph.model(), &row(), "Frobnicate");

    let mut graph = GraphBuilder::new(17);
    graph.input("x", &[1, 4]);
    graph.push(node("Add", "f", &["x", "ghost"], &["y"], &[]));
    graph.output("y");
    refused(&graph.model(), &row(), "ghost");

    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4]);
    let y = graph.node("Relu", &[&x], &[]);
    graph.output(&y);
    let model = graph.model();
    let error = Session::new(&model, "float", &["ghost".into()]).unwrap_err().to_string();
    assert!(error.contains("no value called ghost"), "{error}");
    refused(&model, &[], "0 inputs given");
}

#[test]
fn an_output_that_nothing_makes_is_an_error_not_a_panic() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4]);
    graph.node("Relu", &[&x], &[]);
    graph.output("ghost");
    refused(&graph.model(), &row(), "");
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4]);
    let w = graph.weights("w", &[3, 2]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    refused(&graph.model(), &row(), "");

    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, 4]);
    let shape = graph.initializer(crate::onnx::tensor_i64("shape", &[2], &[3, 7]));
    let y = graph.node("Reshape", &[&x, &shape], &[]);
    graph.output(&y);
    refused(&graph.model(), &row(), "");

    let short = TensorProto { dims: vec![1, 5], ..tensor_f32("x", &[1, 4], &[1.0; 4]) };
    let model = dequantizing(Dtype::Int8, &[1; 8], &[2], &[("axis", 1)]);
    let session = Session::new(&model, "float", &[]).unwrap();
    assert!(session.run(&[short]).unwrap_err().to_string().contains("tensor x"));
}

/// tract would abort the process for the first, and pad for hours for the second.
#[test]
fn values_that_no_memory_holds_are_refused_before_they_are_made() {
    for pad in [1 << 20, 1 << 40] {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 1, 2, 2]);
        let w = graph.weights("w", &[1, 1, 2, 2]);
        let y = graph.node("Conv", &[&x, &w], &[attr::ints("pads", &[pad; 4])]);
        graph.output(&y);
        refused(&graph.model(), &[tensor_f32("x", &[1, 1, 2, 2], &[1.0; 4])], "too large");
    }
}

#[test]
fn operators_of_our_own_are_bounded_by_what_memory_and_time_allow() {
    let run = |operator: &str, attributes: &[AttributeProto], more: Option<TensorProto>| {
        let mut graph = GraphBuilder::new(19);
        let x = graph.input("x", &[1, 1, 4]);
        let more = more.map(|tensor| graph.initializer(tensor));
        let names: Vec<&str> = std::iter::once(x.as_str()).chain(more.as_deref()).collect();
        let y = graph.node(operator, &names, attributes);
        graph.output(&y);
        let session = Session::new(&graph.model(), "test", &[])?;
        session.run(&[tensor_f32("x", &[1, 1, 4], &[1.0; 4])])
    };
    let pads = tensor_i64("pads", &[6], &[0, 0, 1 << 40, 0, 0, 1 << 40]);
    let wide = [attr::ints("kernel_shape", &[1 << 29]), attr::ints("pads", &[1 << 29, 1 << 29])];
    let far = [attr::ints("kernel_shape", &[2]), attr::ints("strides", &[i64::MAX])];
    let long = [attr::ints("output_shape", &[1 << 40])];
    let cases = [
        ("Pad", &[][..], Some(pads)),
        ("LpPool", &wide[..], None),
        ("LpPool", &far[..], None),
        ("ConvTranspose", &long[..], Some(tensor_f32("w", &[1, 1, 2], &[1.0; 2]))),
    ];
    for (operator, attributes, more) in cases {
        assert!(run(operator, attributes, more).is_err(), "{operator}");
    }
}

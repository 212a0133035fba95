//! Operators of our own, with values that onnxruntime 1.32 gave.

mod elements;
mod positions;
mod recurrent;
mod windows;

use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::{AttributeProto, TensorProto};
use crate::onnx::{Dtype, tensor_f32, tensor_i64};
use crate::runtime::{Session, faults};

fn floats(dims: &[i64], values: &[f32]) -> TensorProto {
    tensor_f32("", dims, values)
}

fn integers(dims: &[i64], values: &[i64]) -> TensorProto {
    tensor_i64("", dims, values)
}

/// An input that is left out.
fn none() -> TensorProto {
    TensorProto::default()
}

/// Demands that an operator of an opset, of inputs of which all but the first are constants, gives these values.
#[track_caller]
fn holds(
    (operator, opset): (&str, i64),
    inputs: &[TensorProto],
    attributes: &[AttributeProto],
    dims: &[usize],
    values: &[f32],
) {
    let mut graph = GraphBuilder::new(opset);
    let names: Vec<String> = inputs
        .iter()
        .enumerate()
        .map(|(at, input)| match (at, input.data_type) {
            (0, Some(dtype)) => graph.typed_input("x", Dtype::try_from(dtype).unwrap(), &input.dims),
            (_, None) => String::new(),
            (_, Some(_)) => graph.initializer(TensorProto { name: Some(format!("c{at}")), ..input.clone() }),
        })
        .collect();
    let y = graph.node(operator, &names.iter().map(String::as_str).collect::<Vec<_>>(), attributes);
    graph.output(&y);
    let model = graph.model();
    assert_eq!(faults(&model), []);
    let made = Session::new(&model, "float", &[]).unwrap().run(&inputs[..1]).unwrap().remove(0);
    assert_eq!(made.dims, dims);
    let largest =
        values.iter().filter(|value| value.is_finite()).fold(0.0_f32, |top, value| top.max(value.abs()));
    for (found, wanted) in made.values.iter().zip(values) {
        assert!(
            found == wanted || (found - wanted).abs() < 1e-5 * largest,
            "{:?} is not {values:?}",
            made.values
        );
    }
}

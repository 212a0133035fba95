//! FLOAT16 and BFLOAT16 as FLOAT. tract computes half precision slowly and not everywhere, and has no BFLOAT16; FLOAT holds
//! every value of both, and rounds less on the way.

use std::borrow::Cow;

use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, type_proto};
use crate::onnx::{Dtype, Model, floats, tensor_f32};

/// Attributes that name an element type.
const TYPES: [&str; 5] = ["to", "dtype", "output_dtype", "precision", "stash_type"];

fn is_half(dtype: i32) -> bool {
    dtype == Dtype::Float16 as i32 || dtype == Dtype::Bfloat16 as i32
}

/// Whether `model` mentions a type that is run as FLOAT.
pub fn is_widened(model: &Model) -> bool {
    let functions = model.proto.functions.iter().flat_map(|function| &function.node);
    mentions(model.graph()) || functions.into_iter().any(node_mentions)
}

/// `model` without such types.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a constant's data does not fit its dimensions.
pub(super) fn widened(model: &Model) -> Result<Cow<'_, Model>> {
    if !is_widened(model) {
        return Ok(Cow::Borrowed(model));
    }
    let mut wide = model.clone();
    graph(wide.graph_mut())?;
    wide.proto.functions.iter_mut().flat_map(|function| &mut function.node).try_for_each(node)?;
    Ok(Cow::Owned(wide))
}

fn mentions(graph: &GraphProto) -> bool {
    let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    declared.into_iter().any(|value| is_half(element_type(value)))
        || graph.initializer.iter().any(|tensor| is_half(tensor.data_type()))
        || graph.node.iter().any(node_mentions)
}

fn node_mentions(node: &NodeProto) -> bool {
    node.attribute.iter().any(|attribute| {
        let code = i32::try_from(attribute.i()).unwrap_or_default();
        TYPES.contains(&attribute.name()) && is_half(code)
            || attribute.t.iter().chain(&attribute.tensors).any(|tensor| is_half(tensor.data_type()))
            || attribute.g.iter().chain(&attribute.graphs).any(mentions)
    })
}

fn element_type(value: &ValueInfoProto) -> i32 {
    match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type(),
        _ => 0,
    }
}

fn graph(graph: &mut GraphProto) -> Result<()> {
    for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut value.r#type
            && is_half(tensor.elem_type())
        {
            tensor.elem_type = Some(Dtype::Float as i32);
        }
    }
    graph.initializer.iter_mut().try_for_each(wide)?;
    graph.node.iter_mut().try_for_each(node)
}

fn node(node: &mut NodeProto) -> Result<()> {
    for attribute in &mut node.attribute {
        if TYPES.contains(&attribute.name()) && is_half(i32::try_from(attribute.i()).unwrap_or_default()) {
            attribute.i = Some(Dtype::Float as i64);
        }
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(wide)?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(graph)?;
    }
    Ok(())
}

fn wide(tensor: &mut TensorProto) -> Result<()> {
    if is_half(tensor.data_type()) {
        let name = tensor.name.take();
        *tensor = TensorProto { name, ..tensor_f32("", &tensor.dims, &floats(tensor)?) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, value};
    use crate::onnx::{attr, tensor_of};
    use crate::runtime::{Session, faults};

    #[test]
    fn halves_run_as_floats_that_hold_their_values() {
        for dtype in [Dtype::Float16, Dtype::Bfloat16] {
            let mut graph = GraphBuilder::new(21);
            let x = graph.typed_input("x", dtype, &[1, 2]);
            let w = graph.initializer(tensor_of("w", dtype, &[2, 2], &[1.1, 2.0, 3.0, 4.0]));
            let b = graph.initializer(tensor_of("b", dtype, &[2], &[0.5, 0.25]));
            let product = graph.node("Gemm", &[&x, &w, &b], &[]);
            let y = graph.node("Celu", &[&product], &[]);
            let z = graph.node("Cast", &[&y], &[attr::int("to", dtype as i64)]);
            graph.output(&z);
            let mut model = graph.model();
            model.graph_mut().output[0] = value(&z, dtype, &[1, 2]);
            assert!(is_widened(&model) && faults(&model).is_empty());
            let first = floats(&model.graph().initializer[0]).unwrap()[0];
            assert_ne!(first, 1.1);
            let fed = tensor_of("x", dtype, &[1, 2], &[1.0, 10.0]);
            let run = Session::new(&model, "float", &[]).unwrap().run(&[fed]).unwrap();
            assert_eq!(run[0].values, [first + 30.5, 42.25]);
        }
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 2]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        assert!(matches!(widened(&graph.model()).unwrap(), Cow::Borrowed(_)));
    }
}

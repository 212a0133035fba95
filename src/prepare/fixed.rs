//! Shapes of inputs, fixed as asked.

use super::Change;
use crate::error::{Error, Result};
use crate::onnx::proto::{TensorShapeProto, TypeProto, tensor_shape_proto, type_proto};
use crate::onnx::{Model, value_shape};

/// Gives the inputs named the dimensions asked for. What inner values are declared to be follows from them, so declarations
/// that may contradict them go.
///
/// # Errors
/// [`Error::Options`] where there is no such input, or the dimensions are none or do not fit what the model says of it.
pub fn fix(model: &mut Model, shapes: &[(String, Vec<i64>)]) -> Result<Option<Change>> {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let known: Vec<String> = model.inputs().map(|input| input.name().to_owned()).collect();
    for (name, dims) in shapes {
        let wrong = |problem: String| {
            Error::options(
                format!("`.shape` {name}: {problem}"),
                format!("the inputs are {}", known.join(", ")),
            )
        };
        let count = |count: i64, &dim: &i64| count.checked_mul(dim.max(1)).filter(|_| dim >= 0);
        if dims.iter().try_fold(1, count).is_none_or(|count| count > i64::MAX / 16) {
            return Err(Error::options(
                format!("`.shape` {name}: {dims:?} is no shape of a tensor"),
                "give dimensions from 0 on that memory can hold",
            ));
        }
        let graph = model.graph_mut();
        let input = graph.input.iter_mut().find(|input| input.name() == name && known.contains(name));
        let input = input.ok_or_else(|| wrong("there is no input of this name".into()))?;
        if let Some((_, old)) = value_shape(input) {
            let fits = |(old, new): (&Option<i64>, &i64)| old.is_none_or(|old| old == *new);
            if old.len() != dims.len() || !old.iter().zip(dims).all(fits) {
                let old: Vec<String> =
                    old.iter().map(|dim| dim.map_or("?".into(), |dim| dim.to_string())).collect();
                return Err(wrong(format!("{dims:?} does not fit [{}]", old.join(", "))));
            }
        }
        let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut input.r#type
        else {
            return Err(wrong("it is no tensor".into()));
        };
        let dim = |&dim: &i64| Dimension { value: Some(Value::DimValue(dim)), ..Default::default() };
        tensor.shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    }
    if shapes.is_empty() {
        return Ok(None);
    }
    model.graph_mut().value_info.clear();
    let detail = shapes.iter().map(|(name, dims)| format!("{name} {dims:?}")).collect::<Vec<_>>().join(", ");
    Ok(Some(Change { pass: "fix-shapes", count: shapes.len(), detail: format!("inputs as asked: {detail}") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn open_dimensions_are_filled_and_others_must_agree() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[-1, 3]);
        let w = graph.weights("w", &[3, 3]);
        graph.input("w", &[3, 3]);
        let y = graph.node("MatMul", &[&x, &w], &[]);
        graph.output(&y);
        let model = graph.model();
        let fixed = |name: &str, dims: &[i64]| {
            let mut model = model.clone();
            let change = fix(&mut model, &[(name.to_owned(), dims.to_vec())])?;
            Ok::<_, Error>((change.map(|change| change.count), value_shape(&model.graph().input[0])))
        };
        assert_eq!(fixed("x", &[4, 3]).unwrap(), (Some(1), Some((1, vec![Some(4), Some(3)]))));
        for (name, dims, word) in [
            ("z", vec![4, 3], "no input"),
            ("w", vec![3, 3], "no input"),
            ("x", vec![4, 2], "[?, 3]"),
            ("x", vec![3], "[?, 3]"),
        ] {
            let message = fixed(name, &dims).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("inputs are x"), "{message}");
        }
    }

    #[test]
    fn dimensions_are_those_of_a_tensor() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[-1, -1]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        let model = graph.model();
        for dims in [[0, -3], [-1, -3], [1 << 40, 1 << 40], [1 << 31, 1 << 31]] {
            let message = fix(&mut model.clone(), &[("x".into(), dims.to_vec())]).unwrap_err().to_string();
            assert!(message.contains("`.shape` x") && message.contains("no shape"), "{message}");
        }
    }
}

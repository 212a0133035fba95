//! Constant nodes become initializers: one form of a constant instead of two.

use std::collections::HashSet;

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Model, is_standard, tensor_f32, tensor_i64};

/// In the main graph only, where calibration and rewriting look; a node that makes a graph output
/// is kept, as are strings and sparse tensors.
pub(super) fn to_initializers(model: &mut Model) -> Result<Option<Change>> {
    let graph = model.graph_mut();
    let outputs: HashSet<&str> = graph.output.iter().map(|output| output.name()).collect();
    let mut tensors = Vec::new();
    graph.node.retain(|node| {
        let constant = constant(node).filter(|tensor| !outputs.contains(tensor.name()));
        let keep = constant.is_none();
        tensors.extend(constant);
        keep
    });
    let count = tensors.len();
    graph.initializer.extend(tensors);
    Ok(changed("constants", count, || "Constant nodes became initializers".into()))
}

/// The tensor that a Constant node makes, under its output's name.
pub(super) fn constant(node: &NodeProto) -> Option<TensorProto> {
    if node.op_type() != "Constant" || !is_standard(node.domain()) {
        return None;
    }
    let [output] = node.output.as_slice() else { return None };
    let [attribute] = node.attribute.as_slice() else { return None };
    if output.is_empty() || !attribute.ref_attr_name().is_empty() {
        return None;
    }
    let length = |length: usize| [length as i64];
    match attribute.name() {
        "value" => Some(TensorProto { name: Some(output.clone()), ..attribute.t.clone()? }),
        "value_float" => Some(tensor_f32(output, &[], &[attribute.f?])),
        "value_int" => Some(tensor_i64(output, &[], &[attribute.i?])),
        "value_floats" => Some(tensor_f32(output, &length(attribute.floats.len()), &attribute.floats)),
        "value_ints" => Some(tensor_i64(output, &length(attribute.ints.len()), &attribute.ints)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, floats, integers};

    #[test]
    fn each_kind_of_constant() {
        let mut graph = GraphBuilder::new(13);
        let float = graph.node("Constant", &[], &[attr::float("value_float", 0.5)]);
        let ints = graph.node("Constant", &[], &[attr::ints("value_ints", &[3, -1])]);
        let tensor = graph.node("Constant", &[], &[attr::tensor("value", tensor_f32("", &[1], &[2.0]))]);
        graph.node("Constant", &[], &[attr::string("value_string", "word")]);
        let returned = graph.node("Constant", &[], &[attr::float("value_float", 1.0)]);
        graph.output(&returned);
        let mut model = graph.model();
        assert_eq!(to_initializers(&mut model).unwrap().unwrap().count, 3);
        let graph = model.graph();
        assert_eq!(graph.node.len(), 2);
        let found = |name: &str| graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap();
        assert_eq!((floats(found(&float)).unwrap(), found(&float).dims.len()), (vec![0.5], 0));
        assert_eq!((integers(found(&ints)).unwrap(), &found(&ints).dims), (vec![3, -1], &vec![2]));
        assert_eq!(floats(found(&tensor)).unwrap(), [2.0]);
    }
}

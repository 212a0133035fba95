//! Activations, Softmax and its kin, Clip, Dropout.

use super::scope::{Scope, has_more_outputs, set_input};
use super::table::{Row, Step::Convert, Step::Refused, Step::Widened};
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Dtype, attr, int, set_attribute, tensor, tensor_f32, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["Relu"], since: 6, steps: &[(13, Widened), (14, Widened)] },
    Row { operators: &["LeakyRelu"], since: 6, steps: &[(16, Widened)] },
    Row { operators: &["Sigmoid", "Tanh"], since: 6, steps: &[(13, Widened)] },
    Row { operators: &["Elu", "Selu", "HardSigmoid"], since: 6, steps: &[] },
    Row { operators: &["Softplus", "Softsign"], since: 1, steps: &[] },
    Row { operators: &["Shrink"], since: 9, steps: &[] },
    Row { operators: &["ThresholdedRelu"], since: 10, steps: &[] },
    Row { operators: &["Celu"], since: 12, steps: &[] },
    Row { operators: &["HardSwish"], since: 14, steps: &[] },
    Row { operators: &["Mish"], since: 18, steps: &[] },
    Row { operators: &["Gelu"], since: 20, steps: &[] },
    // Before 7 a slope of C elements went by channel; now it would go by the last dimension.
    Row { operators: &["PRelu"], since: 6, steps: &[(7, Refused), (9, Widened), (16, Widened)] },
    Row { operators: &["Clip"], since: 6, steps: &[(11, Convert(clip)), (12, Widened), (13, Widened)] },
    Row {
        operators: &["Softmax", "LogSoftmax", "Hardmax"],
        since: 1,
        steps: &[(11, Widened), (13, Convert(over_one_axis))],
    },
    Row {
        operators: &["Dropout"],
        since: 6,
        steps: &[
            (7, Convert(dropout_in_test)),
            (10, Convert(dropout_mask)),
            (12, Convert(dropout_ratio)),
            (13, Widened),
        ],
    },
];

/// One number of a float type.
pub(super) fn scalar(dtype: Dtype, value: f32) -> Option<TensorProto> {
    Some(match dtype {
        Dtype::Float => tensor_f32("", &[], &[value]),
        Dtype::Double => tensor("", dtype, &[], f64::from(value).to_le_bytes().to_vec()),
        Dtype::Float16 => tensor("", dtype, &[], half::f16::from_f32(value).to_le_bytes().to_vec()),
        _ => return None,
    })
}

fn clip(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    for (slot, part) in [(1, "min"), (2, "max")] {
        let Some(bound) = without_attribute(&mut node, part) else { continue };
        let dtype = scope.facts.float_type(node.input.first()?)?;
        let bound = scope.constant(&node, part, scalar(dtype, bound.f?)?);
        set_input(&mut node, slot, bound);
    }
    Some(vec![node])
}

/// Before 13 these worked over all dimensions from `axis` on at once.
fn over_one_axis(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let axis = int(&node, "axis").unwrap_or(1);
    let value = node.input.first()?.clone();
    let rank = scope.facts.rank(&value).and_then(|rank| i64::try_from(rank).ok());
    set_attribute(&mut node, attr::int("axis", -1));
    if axis == -1 || rank.is_some_and(|rank| axis == rank - 1) {
        return Some(vec![node]);
    }
    let output = node.output.first()?.clone();
    let [shape, flat, done] = ["shape", "flat", "flat_result"].map(|part| scope.value(&node, part));
    let nodes = [
        scope.helper("Shape", &[&value], &shape, &[]),
        scope.helper("Flatten", &[&value], &flat, &[attr::int("axis", axis)]),
    ];
    let reshape = scope.helper("Reshape", &[&done, &shape], &output, &[]);
    node.input = vec![flat];
    node.output = vec![done];
    Some(nodes.into_iter().chain([node, reshape]).collect())
}

/// In opset 6 a Dropout trained unless told not to.
fn dropout_in_test(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "is_test").filter(|test| test.i() != 0)?;
    Some(vec![node])
}

/// A mask outside training was of the data's type once, then boolean and nowhere defined, and is
/// all true since 12: nothing may depend on an old one.
fn dropout_mask(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    if has_more_outputs(&node) && node.output.iter().skip(1).any(|mask| scope.is_read(mask)) {
        return None;
    }
    node.output.truncate(1);
    Some(vec![node])
}

/// Outside training, the only thing an old Dropout in a model can mean, the ratio is not used.
fn dropout_ratio(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "ratio");
    dropout_mask(node, scope)
}

#[cfg(test)]
mod tests {
    use super::super::upgrade;
    use super::*;
    use crate::onnx::build::GraphBuilder;

    fn upgraded(unknown_rank: bool, axis: Option<i64>) -> Vec<String> {
        let mut graph = GraphBuilder::new(11);
        let mut x = graph.input("x", &[2, 3, 4]);
        if unknown_rank {
            x = graph.node("Unsqueeze", &[&x], &[attr::ints("axes", &[0])]);
        }
        let axis: Vec<_> = axis.map(|axis| attr::int("axis", axis)).into_iter().collect();
        let y = graph.node("Softmax", &[&x], &axis);
        graph.output(&y);
        let mut model = graph.model();
        upgrade(&mut model, 21).unwrap();
        let softmax = model.graph().node.iter().find(|node| node.op_type() == "Softmax").unwrap();
        assert_eq!(int(softmax, "axis"), Some(-1));
        let operators = model.graph().node.iter().map(|node| node.op_type().to_owned());
        operators.filter(|operator| operator != "Unsqueeze").collect()
    }

    #[test]
    fn softmax_over_the_last_axis_stays_one_node() {
        assert_eq!(upgraded(false, Some(2)), ["Softmax"]);
        assert_eq!(upgraded(true, Some(-1)), ["Softmax"]);
        for (unknown_rank, axis) in [(false, None), (false, Some(-2)), (true, Some(3))] {
            assert_eq!(upgraded(unknown_rank, axis), ["Shape", "Flatten", "Softmax", "Reshape"]);
        }
    }
}

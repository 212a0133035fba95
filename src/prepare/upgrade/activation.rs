//! Activations, Softmax and its kin, Clip, Dropout.

use super::Row;
use super::legacy::{selu_defaults, slope_by_channel, unconsumed};
use super::scope::{Scope, has_more_outputs, scalar, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, attr, int, set_attribute, tensor, tensor_f32, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["Relu"], versions: &[1, 6, 13, 14], changed: &[(6, unconsumed)] },
    Row { operators: &["LeakyRelu"], versions: &[1, 6, 16], changed: &[(6, unconsumed)] },
    Row { operators: &["Sigmoid", "Tanh"], versions: &[1, 6, 13], changed: &[(6, unconsumed)] },
    Row { operators: &["Elu", "HardSigmoid"], versions: &[1, 6, 22], changed: &[(6, unconsumed)] },
    Row { operators: &["Selu"], versions: &[1, 6, 22], changed: &[(6, selu_defaults)] },
    Row { operators: &["Softplus", "Softsign"], versions: &[1, 22], changed: &[] },
    Row { operators: &["Shrink"], versions: &[9], changed: &[] },
    Row { operators: &["ThresholdedRelu"], versions: &[10, 22], changed: &[] },
    Row { operators: &["Celu"], versions: &[12], changed: &[] },
    Row { operators: &["HardSwish"], versions: &[14, 22], changed: &[] },
    Row { operators: &["Mish"], versions: &[18, 22], changed: &[] },
    Row { operators: &["Gelu"], versions: &[20], changed: &[] },
    Row {
        operators: &["PRelu"],
        versions: &[1, 6, 7, 9, 16],
        changed: &[(6, unconsumed), (7, slope_by_channel)],
    },
    Row { operators: &["Clip"], versions: &[1, 6, 11, 12, 13], changed: &[(6, unconsumed), (11, clip)] },
    Row {
        operators: &["Softmax", "LogSoftmax", "Hardmax"],
        versions: &[1, 11, 13],
        changed: &[(13, over_one_axis)],
    },
    Row {
        operators: &["Dropout"],
        versions: &[1, 6, 7, 10, 12, 13, 22],
        changed: &[(6, unconsumed), (7, dropout_in_test), (10, dropout_mask), (12, dropout_ratio)],
    },
    Row { operators: &["Swish"], versions: &[24], changed: &[] },
];

/// Whether a Dropout before 7 does nothing.
const TEST: &str = "is_test";

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

/// In opset 6 a Dropout trained unless told not to. From 7 to 11 there was no way to say so; until 12
/// the old attribute stays as a mark.
fn dropout_in_test(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let test = without_attribute(&mut node, TEST).is_some_and(|test| test.i() != 0);
    if !test {
        set_attribute(&mut node, attr::int(TEST, 0));
    }
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

/// Outside training the ratio is not used.
fn dropout_ratio(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let ratio = without_attribute(&mut node, "ratio").map_or(0.5, |ratio| ratio.f());
    if without_attribute(&mut node, TEST).is_some() {
        let ratio = scope.constant(&node, "ratio", tensor_f32("", &[], &[ratio]));
        let trains = scope.constant(&node, "training_mode", tensor("", Dtype::Bool, &[], vec![1]));
        set_input(&mut node, 1, ratio);
        set_input(&mut node, 2, trains);
    }
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
    #[test]
    fn bounds_get_the_type_that_bodies_and_other_operands_tell() {
        use crate::onnx::build::{node, value};
        use crate::onnx::proto::GraphProto;
        for (ends, expected) in [(Dtype::Float, Dtype::Float as i32), (Dtype::Float16, Dtype::Float16 as i32)]
        {
            let mut graph = GraphBuilder::new(10);
            let condition = graph.typed_input("condition", Dtype::Bool, &[]);
            graph.typed_input("x", ends, &[2, 2]);
            graph.typed_input("other", Dtype::Double, &[]);
            let body = |output: &str| GraphProto {
                node: vec![node("Neg", "", &["x"], &[output], &[])],
                output: vec![value(output, ends, &[2, 2])],
                ..Default::default()
            };
            let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
            let y = graph.node("If", &[&condition], &branches);
            let y = graph.node("Clip", &[&y], &[attr::float("max", 1.0)]);
            let odd = graph.node("NoSuchThing", &[&y], &[]);
            let y = graph.node("Add", &[&odd, &y], &[]);
            let y = graph.node("Clip", &[&y], &[attr::float("min", 0.5)]);
            graph.output(&y);
            let mut model = graph.model();
            let unknown = model.graph().node.iter().position(|node| node.op_type() == "NoSuchThing").unwrap();
            model.graph_mut().node[unknown].domain = Some("own".into());
            upgrade(&mut model, 21).unwrap();
            let bounds: Vec<i32> =
                model.graph().initializer.iter().map(|tensor| tensor.data_type()).collect();
            assert_eq!(bounds, [expected; 2]);
        }
    }
}

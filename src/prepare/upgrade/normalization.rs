//! Normalisations.

use super::scope::{Scope, has_more_outputs};
use super::table::{Row, Step::Convert, Step::Widened};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, int, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["BatchNormalization"],
        since: 6,
        steps: &[(7, Convert(in_test)), (9, Convert(spatial)), (14, Convert(one_output)), (15, Widened)],
    },
    Row { operators: &["InstanceNormalization"], since: 6, steps: &[] },
    Row { operators: &["LayerNormalization"], since: 17, steps: &[] },
    Row { operators: &["GroupNormalization"], since: 18, steps: &[(21, Convert(by_channel))] },
    Row { operators: &["LRN"], since: 1, steps: &[(13, Widened)] },
    Row { operators: &["LpNormalization"], since: 1, steps: &[] },
    Row { operators: &["MeanVarianceNormalization"], since: 9, steps: &[(13, Widened)] },
];

/// In opset 6 the node trained unless told not to.
fn in_test(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "is_test").filter(|test| test.i() != 0)?;
    Some(vec![node])
}

/// Statistics of each position instead of each channel are gone since 9.
fn spatial(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let spatial = without_attribute(&mut node, "spatial").is_none_or(|spatial| spatial.i() != 0);
    spatial.then(|| vec![node])
}

/// Before 14, asking for the statistics meant training.
fn one_output(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    if has_more_outputs(&node) {
        return None;
    }
    node.output.truncate(1);
    Some(vec![node])
}

/// Scale and bias were one number a group and are one a channel: each is repeated for the
/// channels of its group.
fn by_channel(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let groups = int(&node, "num_groups").filter(|&groups| groups > 0)?;
    let [value, scale, bias] = <[String; 3]>::try_from(node.input.clone()).ok()?;
    let groups = scope.integers(&node, "groups", &[groups]);
    let one = scope.integers(&node, "one", &[1]);
    let all = scope.integers(&node, "all", &[-1]);
    let [channels, size, target] =
        ["channels", "group_size", "grouped_shape"].map(|part| scope.value(&node, part));
    let slot = [attr::int("start", 1), attr::int("end", 2)];
    let mut nodes = vec![
        scope.helper("Shape", &[&value], &channels, &slot),
        scope.helper("Div", &[&channels, &groups], &size, &[]),
        scope.helper("Concat", &[&groups, &size], &target, &[attr::int("axis", 0)]),
    ];
    node.input.truncate(1);
    for (part, of_groups) in [("scale", scale), ("bias", bias)] {
        let [column, repeated, flat] =
            ["column", "repeated", "by_channel"].map(|step| scope.value(&node, &format!("{part}_{step}")));
        nodes.push(scope.helper("Unsqueeze", &[&of_groups, &one], &column, &[]));
        nodes.push(scope.helper("Expand", &[&column, &target], &repeated, &[]));
        nodes.push(scope.helper("Reshape", &[&repeated, &all], &flat, &[]));
        node.input.push(flat);
    }
    nodes.push(node);
    Some(nodes)
}

//! Normalisations.

use super::Row;
use super::legacy::unconsumed;
use super::scope::{Scope, has_more_outputs, scalar};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, float, int, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["BatchNormalization"],
        versions: &[1, 6, 7, 9, 14, 15],
        changed: &[(6, unconsumed), (7, in_test), (9, spatial), (14, one_output)],
    },
    Row { operators: &["InstanceNormalization"], versions: &[1, 6, 22], changed: &[(6, unconsumed)] },
    Row { operators: &["LayerNormalization"], versions: &[17], changed: &[] },
    Row { operators: &["GroupNormalization"], versions: &[18, 21], changed: &[(21, by_channel)] },
    Row { operators: &["LRN"], versions: &[1, 13], changed: &[] },
    Row { operators: &["LpNormalization"], versions: &[1, 22], changed: &[] },
    Row { operators: &["MeanVarianceNormalization"], versions: &[9, 13], changed: &[] },
    Row { operators: &["LinearAttention"], versions: &[27], changed: &[] },
    Row { operators: &["RotaryEmbedding", "RMSNormalization"], versions: &[23], changed: &[] },
    Row { operators: &["Attention"], versions: &[23, 24, 25], changed: &[] },
];

/// The default of BatchNormalization.
const EPSILON: f32 = 1e-5;

/// In opset 6 the node trained unless told not to.
fn in_test(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "is_test").filter(|test| test.i() != 0)?;
    Some(vec![node])
}

/// Statistics of each position instead of each channel are gone since 9: arithmetic is left, on parameters
/// of the shape of one element of the batch.
fn spatial(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    if without_attribute(&mut node, "spatial").is_none_or(|spatial| spatial.i() != 0) {
        return Some(vec![node]);
    }
    let [x, scale, shift, mean, variance] = <[String; 5]>::try_from(node.input.clone()).ok()?;
    if has_more_outputs(&node) {
        return None;
    }
    let epsilon = scalar(scope.facts.float_type(&x)?, float(&node, "epsilon").unwrap_or(EPSILON))?;
    let epsilon = scope.constant(&node, "epsilon", epsilon);
    let [centred, safe, deviation, normal, scaled] =
        ["centred", "variance", "deviation", "normal", "scaled"].map(|part| scope.value(&node, part));
    Some(vec![
        scope.helper("Sub", &[&x, &mean], &centred, &[]),
        scope.helper("Add", &[&variance, &epsilon], &safe, &[]),
        scope.helper("Sqrt", &[&safe], &deviation, &[]),
        scope.helper("Div", &[&centred, &deviation], &normal, &[]),
        scope.helper("Mul", &[&normal, &scale], &scaled, &[]),
        scope.helper("Add", &[&scaled, &shift], node.output.first()?, &[]),
    ])
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

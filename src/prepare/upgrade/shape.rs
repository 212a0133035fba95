//! Operators that move, cut, join, retype and make values without computing on them.

use super::activation::scalar;
use super::scope::{Scope, input, set_input};
use super::table::{Row, Step::Convert, Step::Widened};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, set_attribute, string, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["Reshape"],
        since: 5,
        steps: &[(13, Widened), (14, Widened), (19, Widened), (21, Widened)],
    },
    Row {
        operators: &["Flatten"],
        since: 1,
        steps: &[(9, Widened), (11, Widened), (13, Widened), (21, Widened)],
    },
    Row {
        operators: &["Squeeze", "Unsqueeze"],
        since: 1,
        steps: &[(11, Widened), (13, Convert(axes_to_input)), (21, Widened)],
    },
    Row { operators: &["Transpose"], since: 1, steps: &[(13, Widened), (21, Widened)] },
    Row {
        operators: &["Shape"],
        since: 1,
        steps: &[(13, Widened), (15, Widened), (19, Widened), (21, Widened)],
    },
    Row { operators: &["Size"], since: 1, steps: &[(13, Widened), (19, Widened), (21, Widened)] },
    Row { operators: &["Concat"], since: 4, steps: &[(11, Widened), (13, Widened)] },
    Row {
        operators: &["Split"],
        since: 2,
        steps: &[(11, Widened), (13, Convert(split_to_input)), (18, Convert(split_count))],
    },
    Row {
        operators: &["Slice"],
        since: 1,
        steps: &[(10, Convert(slice_to_inputs)), (11, Widened), (13, Widened)],
    },
    Row {
        operators: &["Pad"],
        since: 2,
        steps: &[(11, Convert(pads_to_input)), (13, Widened), (18, Widened), (19, Widened), (21, Widened)],
    },
    Row { operators: &["Expand"], since: 8, steps: &[(13, Widened)] },
    Row { operators: &["Tile"], since: 6, steps: &[(13, Widened)] },
    Row {
        operators: &["Identity"],
        since: 1,
        steps: &[(13, Widened), (14, Widened), (16, Widened), (19, Widened), (21, Widened)],
    },
    Row {
        operators: &["Cast"],
        since: 6,
        steps: &[(9, Widened), (13, Widened), (19, Widened), (21, Widened)],
    },
    Row { operators: &["CastLike"], since: 15, steps: &[(19, Widened), (21, Widened)] },
    Row {
        operators: &["Constant"],
        since: 1,
        steps: &[(9, Widened), (11, Widened), (12, Widened), (13, Widened), (19, Widened), (21, Widened)],
    },
    Row { operators: &["ConstantOfShape"], since: 9, steps: &[(20, Widened), (21, Widened)] },
    Row { operators: &["EyeLike"], since: 9, steps: &[] },
    Row { operators: &["Range"], since: 11, steps: &[] },
    Row { operators: &["Trilu"], since: 14, steps: &[] },
    // The old order of depth is DCR, the default of the `mode` that came at 11.
    Row { operators: &["DepthToSpace"], since: 1, steps: &[(11, Widened), (13, Widened)] },
    Row { operators: &["SpaceToDepth"], since: 1, steps: &[(13, Widened)] },
    Row { operators: &["CenterCropPad", "Col2Im"], since: 18, steps: &[] },
];

/// An `axes` attribute becomes the second input; an empty one means what a missing one does.
pub(super) fn axes_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let axes = without_attribute(&mut node, "axes").map(|axes| axes.ints).filter(|axes| !axes.is_empty());
    if axes.is_none() && node.op_type() == "Unsqueeze" {
        return None;
    }
    if let Some(axes) = axes {
        let axes = scope.integers(&node, "axes", &axes);
        set_input(&mut node, 1, axes);
    }
    Some(vec![node])
}

fn split_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    if let Some(split) = without_attribute(&mut node, "split").filter(|split| !split.ints.is_empty()) {
        let split = scope.integers(&node, "split", &split.ints);
        set_input(&mut node, 1, split);
    }
    Some(vec![node])
}

/// Without sizes the parts were equal, as many as there are outputs; now the count is spelled out.
fn split_count(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    if input(&node, 1).is_none() {
        node.input.truncate(1);
        let parts = i64::try_from(node.output.len()).ok()?;
        set_attribute(&mut node, attr::int("num_outputs", parts));
    }
    Some(vec![node])
}

fn slice_to_inputs(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let starts = without_attribute(&mut node, "starts")?.ints;
    let ends = without_attribute(&mut node, "ends")?.ints;
    let first = || (0..).take(starts.len()).collect();
    let axes = without_attribute(&mut node, "axes").map_or_else(first, |axes| axes.ints);
    for (slot, (part, values)) in (1..).zip([("starts", starts), ("ends", ends), ("axes", axes)]) {
        let name = scope.integers(&node, part, &values);
        set_input(&mut node, slot, name);
    }
    Some(vec![node])
}

fn pads_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let pads = without_attribute(&mut node, "pads")?.ints;
    let value = without_attribute(&mut node, "value").map_or(0.0, |value| value.f());
    let pads = scope.integers(&node, "pads", &pads);
    set_input(&mut node, 1, pads);
    if value != 0.0 && string(&node, "mode").unwrap_or("constant") == "constant" {
        let dtype = scope.facts.float_type(node.input.first()?)?;
        let value = scope.constant(&node, "value", scalar(dtype, value)?);
        set_input(&mut node, 2, value);
    }
    Some(vec![node])
}

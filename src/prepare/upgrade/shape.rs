//! Operators that move, cut, join, retype and make values without computing on them.

use super::Row;
use super::legacy::{concat_axis, never, shape_to_input, split_sizes, tile_repeats, type_by_number};
use super::scope::{Scope, input, scalar, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, set_attribute, string, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["Reshape"],
        versions: &[1, 5, 13, 14, 19, 21, 23, 24, 25],
        changed: &[(5, shape_to_input)],
    },
    Row { operators: &["Flatten"], versions: &[1, 9, 11, 13, 21, 23, 24, 25], changed: &[] },
    Row {
        operators: &["Squeeze", "Unsqueeze"],
        versions: &[1, 11, 13, 21, 23, 24, 25],
        changed: &[(13, axes_to_input)],
    },
    Row { operators: &["Transpose"], versions: &[1, 13, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["Shape"], versions: &[1, 13, 15, 19, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["Size"], versions: &[1, 13, 19, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["Concat"], versions: &[1, 4, 11, 13], changed: &[(4, concat_axis)] },
    Row {
        operators: &["Split"],
        versions: &[1, 2, 11, 13, 18],
        changed: &[(2, split_sizes), (13, split_to_input), (18, split_count)],
    },
    Row { operators: &["Slice"], versions: &[1, 10, 11, 13], changed: &[(10, slice_to_inputs)] },
    // The order of the numbers in `paddings` was described in two ways.
    Row {
        operators: &["Pad"],
        versions: &[1, 2, 11, 13, 18, 19, 21, 23, 24, 25],
        changed: &[(2, never), (11, pads_to_input)],
    },
    Row { operators: &["Expand"], versions: &[8, 13], changed: &[] },
    Row { operators: &["Tile"], versions: &[1, 6, 13], changed: &[(6, tile_repeats)] },
    Row { operators: &["Identity"], versions: &[1, 13, 14, 16, 19, 21, 23, 24, 25], changed: &[] },
    Row {
        operators: &["Cast"],
        versions: &[1, 6, 9, 13, 19, 21, 23, 24, 25],
        changed: &[(6, type_by_number)],
    },
    Row { operators: &["CastLike"], versions: &[15, 19, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["Constant"], versions: &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["ConstantOfShape"], versions: &[9, 20, 21, 23, 24, 25], changed: &[] },
    Row { operators: &["EyeLike"], versions: &[9, 22], changed: &[] },
    Row { operators: &["Range"], versions: &[11, 27], changed: &[] },
    Row { operators: &["Trilu"], versions: &[14], changed: &[] },
    // The old order of depth is DCR, the default of the `mode` that came at 11.
    Row { operators: &["DepthToSpace"], versions: &[1, 11, 13], changed: &[] },
    Row { operators: &["SpaceToDepth"], versions: &[1, 13], changed: &[] },
    Row { operators: &["CenterCropPad", "Col2Im"], versions: &[18], changed: &[] },
    Row { operators: &["BitCast"], versions: &[26], changed: &[] },
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

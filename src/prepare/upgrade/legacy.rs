//! Forms of the first opsets, which older converters wrote.

use super::scope::{Scope, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, attr, attribute, set_attribute, string, without_attribute};

/// A change for which there is no settled form.
pub(super) fn never(_: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    None
}

/// Which inputs may be overwritten, told to runtimes before 6.
pub(super) fn unconsumed(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "consumed_inputs");
    Some(vec![node])
}

/// The defaults got more digits at 6.
pub(super) fn selu_defaults(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    for (name, old) in [("alpha", 1.6732), ("gamma", 1.0507)] {
        if attribute(&node, name).is_none() {
            set_attribute(&mut node, attr::float(name, old));
        }
    }
    unconsumed(node, scope)
}

/// Before 7, `broadcast` aligned the second operand with the last dimensions of the first, as NumPy does,
/// or with those from `axis` on: then the ones behind it have to be written.
pub(super) fn broadcast(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let on = without_attribute(&mut node, "broadcast").is_some_and(|on| on.i() != 0);
    let Some(axis) = without_attribute(&mut node, "axis").filter(|_| on) else { return Some(vec![node]) };
    let [first, second] = node.input.as_slice() else { return None };
    let own = scope.facts.rank(second)?;
    let behind = scope.facts.rank(first)?.checked_sub(usize::try_from(axis.i()).ok()?)?.checked_sub(own)?;
    if behind == 0 {
        return Some(vec![node]);
    }
    let ones: Vec<i64> = (own as i64..).take(behind).collect();
    let second = second.clone();
    let aligned = scope.value(&node, "aligned");
    let unsqueeze = scope.helper("Unsqueeze", &[&second], &aligned, &[attr::ints("axes", &ones)]);
    set_input(&mut node, 1, aligned);
    Some(vec![unsqueeze, node])
}

/// Before 7 a slope of more than one element went by channel; now it would go by the last dimension.
pub(super) fn slope_by_channel(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let [value, slope] = <[String; 2]>::try_from(node.input.clone()).ok()?;
    let single = scope.facts.floats(&slope).is_some_and(|values| values.len() == 1);
    if single {
        return Some(vec![node]);
    }
    let behind = scope.facts.rank(&value)?.saturating_sub(2);
    if behind == 0 {
        return Some(vec![node]);
    }
    let shape: Vec<i64> = std::iter::once(-1).chain(std::iter::repeat_n(1, behind)).collect();
    let shape = scope.integers(&node, "slope_shape", &shape);
    let shaped = scope.value(&node, "slope");
    let reshape = scope.helper("Reshape", &[&slope, &shape], &shaped, &[]);
    set_input(&mut node, 1, shaped);
    Some(vec![reshape, node])
}

pub(super) fn shape_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    without_attribute(&mut node, "consumed_inputs");
    let shape = without_attribute(&mut node, "shape")?.ints;
    let shape = scope.integers(&node, "shape", &shape);
    set_input(&mut node, 1, shape);
    Some(vec![node])
}

/// The type was a word before 6.
pub(super) fn type_by_number(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let dtype = Dtype::from_str_name(&string(&node, "to")?.to_uppercase())?;
    set_attribute(&mut node, attr::int("to", dtype as i64));
    Some(vec![node])
}

pub(super) fn concat_axis(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    if attribute(&node, "axis").is_none() {
        set_attribute(&mut node, attr::int("axis", 1));
    }
    Some(vec![node])
}

/// `p` was a float before 2.
pub(super) fn whole_norm(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    if let Some(p) = without_attribute(&mut node, "p") {
        let whole = p.f() as i64;
        if whole as f32 != p.f() {
            return None;
        }
        set_attribute(&mut node, attr::int("p", whole));
    }
    // Required since; without it there was no saying what is pooled.
    let pools = node.op_type() == "LpPool" && attribute(&node, "kernel_shape").is_none();
    (!pools).then(|| vec![node])
}

/// The sizes were an input, and then an attribute.
pub(super) fn split_sizes(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    attribute(&node, "axis")?;
    if let Some(sizes) = node.input.get(1).filter(|sizes| !sizes.is_empty()) {
        let sizes = scope.facts.integers(sizes)?;
        set_attribute(&mut node, attr::ints("split", &sizes));
    }
    node.input.truncate(1);
    Some(vec![node])
}

/// Before 6, copies along one axis; since, a number of copies for each.
pub(super) fn tile_repeats(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let [value, tiles, axis] = node.input.as_slice() else { return None };
    let one =
        |name: &str| scope.facts.integers(name).filter(|values| values.len() == 1).map(|values| values[0]);
    let (tiles, axis) = (one(tiles)?, usize::try_from(one(axis)?).ok()?);
    let mut repeats = vec![1; scope.facts.rank(value)?];
    *repeats.get_mut(axis)? = tiles;
    node.input.truncate(1);
    let repeats = scope.integers(&node, "repeats", &repeats);
    set_input(&mut node, 1, repeats);
    Some(vec![node])
}

/// The factors of height and width, before 7; the others were 1.
pub(super) fn scales_together(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let height = without_attribute(&mut node, "height_scale")?.f?;
    let width = without_attribute(&mut node, "width_scale")?.f?;
    if string(&node, "mode") == Some("bilinear") {
        set_attribute(&mut node, attr::string("mode", "linear"));
    }
    set_attribute(&mut node, attr::floats("scales", &[1.0, 1.0, height, width]));
    Some(vec![node])
}

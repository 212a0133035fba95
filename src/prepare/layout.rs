//! Constants laid out anew: what Reshape, Transpose, Slice, Concat and their kin make of them, element by element or not at all.

use std::collections::HashSet;

use super::view::{PIECE, View};
use crate::error::Result;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Scratch, axis_of, element_count, floats, int, integers, ints, let_go, tensor, tensor_of,
};
use crate::plan::Float;

/// Operators that lay out, and how many of their inputs they do that to; all of them where that is `None`.
const OPERATORS: [(&str, Option<usize>); 9] = [
    ("Reshape", Some(1)),
    ("Flatten", Some(1)),
    ("Squeeze", Some(1)),
    ("Unsqueeze", Some(1)),
    ("Transpose", Some(1)),
    ("Identity", Some(1)),
    ("Slice", Some(1)),
    ("Split", Some(1)),
    ("Concat", None),
];

/// How many inputs of `node` are laid out, the rest saying how; `None` where it computes something.
pub(super) fn laid_out(node: &NodeProto) -> Option<usize> {
    let (_, count) = OPERATORS.iter().find(|(operator, _)| *operator == node.op_type())?;
    Some(count.unwrap_or(node.input.len()))
}

/// What `node` makes of constant `inputs` (`None` where one is left out), one tensor an output and under
/// its name; `None` where that is not known.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a constant's data does not fit its dimensions.
pub(super) fn apply(node: &NodeProto, inputs: &[Option<&TensorProto>]) -> Result<Option<Vec<TensorProto>>> {
    let Some(source) = inputs.first().copied().flatten() else { return Ok(None) };
    let numbers = |slot: usize| inputs.get(slot).copied().flatten().map(integers).transpose();
    let axes = || said(node, "axes").map_or_else(|| numbers(1), |axes| Ok(Some(axes)));
    let dims = match node.op_type() {
        "Identity" => Some(source.dims.clone()),
        "Reshape" => {
            numbers(1)?.and_then(|to| reshape(&source.dims, &to, int(node, "allowzero").unwrap_or(0) != 0))
        }
        "Flatten" => flatten(&source.dims, int(node, "axis").unwrap_or(1)),
        "Squeeze" => match axes()? {
            None => Some(source.dims.iter().copied().filter(|&dim| dim != 1).collect()),
            Some(axes) => squeeze(&source.dims, &axes),
        },
        "Unsqueeze" => axes()?.and_then(|axes| unsqueeze(&source.dims, &axes)),
        _ => return moved(node, source, inputs),
    };
    let count = i64::try_from(element_count(source)?).ok();
    let fits = |dims: &Vec<i64>| dims.iter().all(|&dim| dim >= 0) && product(dims) == count;
    let [name] = node.output.as_slice() else { return Ok(None) };
    let made = dims.filter(fits).map(|dims| TensorProto { name: Some(name.clone()), dims, ..source.clone() });
    Ok(made.map(|made| vec![made]))
}

/// What became an input with opset 13, where it is an attribute still.
fn said(node: &NodeProto, attribute: &str) -> Option<Vec<i64>> {
    ints(node, attribute).map(<[i64]>::to_vec)
}

/// Those whose elements change their order, or are a part.
fn moved(
    node: &NodeProto,
    source: &TensorProto,
    inputs: &[Option<&TensorProto>],
) -> Result<Option<Vec<TensorProto>>> {
    let numbers = |slot: usize| inputs.get(slot).copied().flatten().map(integers).transpose();
    let views = match node.op_type() {
        "Transpose" => {
            let reversed = || (0..source.dims.len() as i64).rev().collect();
            let perm = ints(node, "perm").map_or_else(reversed, <[i64]>::to_vec);
            View::of(source)?.turned(&perm).map(|view| vec![view])
        }
        "Slice" => {
            let (Some(starts), Some(ends)) = (numbers(1)?, numbers(2)?) else { return Ok(None) };
            let axes = numbers(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
            let steps = numbers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
            View::of(source)?.sliced(&starts, &ends, &axes, &steps).map(|view| vec![view])
        }
        "Split" => {
            let Some(axis) = axis_of(int(node, "axis").unwrap_or(0), source.dims.len()) else {
                return Ok(None);
            };
            let parts = node.output.len() as i64;
            let even = source.dims[axis].checked_add(parts - 1).map_or(0, |length| length / parts.max(1));
            let mut left = source.dims[axis];
            let mut next = || {
                let size = even.min(left);
                left -= size;
                size
            };
            let sizes = match said(node, "split") {
                Some(sizes) => Some(sizes),
                None => numbers(1)?,
            };
            let sizes = sizes.unwrap_or_else(|| (0..parts).map(|_| next()).collect());
            let whole = View::of(source)?;
            let mut start = 0i64;
            let mut views = Vec::new();
            for size in sizes {
                let Some(end) = start.checked_add(size).filter(|&end| size >= 0 && end <= source.dims[axis])
                else {
                    return Ok(None);
                };
                views.extend(whole.sliced(&[start], &[end], &[axis as i64], &[1]));
                start = end;
            }
            (start == source.dims[axis]).then_some(views)
        }
        "Concat" => return concat(node, inputs),
        _ => None,
    };
    let (Some(views), Some((raw, width))) = (views, bytes(source)?) else { return Ok(None) };
    if views.len() != node.output.len() {
        return Ok(None);
    }
    let dtype = Dtype::try_from(source.data_type()).unwrap_or(Dtype::Undefined);
    let made = views.iter().zip(&node.output).map(|(view, name)| {
        let dims: Vec<i64> = view.dims.iter().map(|&dim| dim as i64).collect();
        Ok(tensor(name, dtype, &dims, view.copy(&raw, width)?))
    });
    let made = made.collect::<Result<Vec<TensorProto>>>();
    let_go(&raw);
    made.map(Some)
}

fn concat(node: &NodeProto, inputs: &[Option<&TensorProto>]) -> Result<Option<Vec<TensorProto>>> {
    let Some(parts) = inputs.iter().copied().collect::<Option<Vec<&TensorProto>>>() else { return Ok(None) };
    let ([first, ..], [name]) = (parts.as_slice(), node.output.as_slice()) else { return Ok(None) };
    let Some(axis) = int(node, "axis").and_then(|axis| axis_of(axis, first.dims.len())) else {
        return Ok(None);
    };
    let alike = |part: &&TensorProto| {
        let other = |at: usize| at == axis || part.dims[at] == first.dims[at];
        part.data_type == first.data_type
            && part.dims.len() == first.dims.len()
            && (0..first.dims.len()).all(other)
    };
    if !parts.iter().all(alike) {
        return Ok(None);
    }
    let mut dims = first.dims.clone();
    let Some(length) = parts.iter().try_fold(0i64, |sum, part| sum.checked_add(part.dims[axis])) else {
        return Ok(None);
    };
    dims[axis] = length;
    let outer = first.dims[..axis].iter().product::<i64>().max(0) as usize;
    let mut sources = Vec::new();
    for part in &parts {
        let Some((raw, _)) = bytes(part)? else { return Ok(None) };
        sources.push(raw);
    }
    let mut whole = Scratch::new();
    for at in 0..outer {
        for raw in &sources {
            let run = raw.len() / outer.max(1);
            raw[at * run..][..run].chunks(PIECE).try_for_each(|piece| whole.push(piece))?;
        }
    }
    sources.iter().for_each(|raw| let_go(raw));
    let dtype = Dtype::try_from(first.data_type()).unwrap_or(Dtype::Undefined);
    Ok(Some(vec![tensor(name, dtype, &dims, whole.finish()?)]))
}

/// Little-endian bytes of whole elements, and how many bytes each takes; `None` where they have no whole ones.
fn bytes(source: &TensorProto) -> Result<Option<(bytes::Bytes, usize)>> {
    let count = element_count(source)?;
    let dtype = Dtype::try_from(source.data_type()).unwrap_or(Dtype::Undefined);
    let width = match dtype {
        Dtype::Float | Dtype::Int32 | Dtype::Uint32 => 4,
        Dtype::Double | Dtype::Int64 | Dtype::Uint64 => 8,
        Dtype::Float16 | Dtype::Bfloat16 | Dtype::Int16 | Dtype::Uint16 => 2,
        Dtype::Int8 | Dtype::Uint8 | Dtype::Bool => 1,
        _ => return Ok(None),
    };
    let raw = match &source.raw_data {
        Some(raw) => raw.clone(),
        None if dtype == Dtype::Double => {
            source.double_data.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
        }
        None if Float::of(source.data_type()).is_some() => {
            tensor_of("", dtype, &source.dims, &floats(source)?).raw_data.unwrap_or_default()
        }
        None if dtype == Dtype::Int64 => {
            integers(source)?.into_iter().flat_map(i64::to_le_bytes).collect::<Vec<u8>>().into()
        }
        None => return Ok(None),
    };
    Ok((raw.len() == width * count).then_some((raw, width)))
}

/// A negative axis is counted from the rank, not from behind the last place to cut (Flatten-11).
fn flatten(from: &[i64], axis: i64) -> Option<Vec<i64>> {
    let axis = if axis < 0 { axis + from.len() as i64 } else { axis };
    let (outer, inner) = from.split_at_checked(usize::try_from(axis).ok()?)?;
    Some(vec![product(outer)?, product(inner)?])
}

fn product(dims: &[i64]) -> Option<i64> {
    dims.iter().try_fold(1i64, |count, &dim| count.checked_mul(dim))
}

fn reshape(from: &[i64], to: &[i64], zero_is_zero: bool) -> Option<Vec<i64>> {
    let copied =
        |(at, &dim): (usize, &i64)| if dim == 0 && !zero_is_zero { from.get(at).copied() } else { Some(dim) };
    let mut dims: Vec<i64> = to.iter().enumerate().map(copied).collect::<Option<_>>()?;
    if let Some(open) = dims.iter().position(|&dim| dim == -1) {
        let mut known = dims.clone();
        known.remove(open);
        dims[open] = product(from)?.checked_div(product(&known)?)?;
    }
    Some(dims)
}

fn squeeze(from: &[i64], axes: &[i64]) -> Option<Vec<i64>> {
    let gone: HashSet<usize> = axes.iter().map(|&axis| axis_of(axis, from.len())).collect::<Option<_>>()?;
    let left = from.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    gone.iter().all(|&at| from[at] == 1).then(|| left.map(|(_, &dim)| dim).collect())
}

fn unsqueeze(from: &[i64], axes: &[i64]) -> Option<Vec<i64>> {
    let rank = from.len() + axes.len();
    let new: HashSet<usize> = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<_>>()?;
    let mut rest = from.iter().copied();
    let dims = (0..rank).map(|at| if new.contains(&at) { Some(1) } else { rest.next() });
    (new.len() == axes.len()).then(|| dims.collect::<Option<_>>())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::node;
    use crate::onnx::{attr, tensor_f32, tensor_i64};

    fn made(
        operator: &str,
        attributes: &[crate::onnx::proto::AttributeProto],
        dims: &[i64],
        rest: &[&[i64]],
        outputs: usize,
    ) -> Option<Vec<(Vec<i64>, Vec<f32>)>> {
        let count = dims.iter().product::<i64>();
        let source = tensor_f32("x", dims, &(0..count).map(|at| at as f32).collect::<Vec<_>>());
        let rest: Vec<TensorProto> =
            rest.iter().map(|values| tensor_i64("i", &[values.len() as i64], values)).collect();
        let names: Vec<String> = (0..outputs).map(|at| format!("y{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let node = node(operator, "n", &["x"], &names, attributes);
        let inputs: Vec<Option<&TensorProto>> = std::iter::once(&source).chain(&rest).map(Some).collect();
        let made = apply(&node, &inputs).unwrap()?;
        Some(made.into_iter().map(|made| (made.dims.clone(), floats(&made).unwrap())).collect())
    }

    #[test]
    fn slices_go_either_way_and_stay_inside() {
        let slice = |parts: [&[i64]; 4]| made("Slice", &[], &[2, 3], &parts, 1).map(|made| made[0].clone());
        assert_eq!(slice([&[1], &[9], &[1], &[1]]), Some((vec![2, 2], vec![1.0, 2.0, 4.0, 5.0])));
        assert_eq!(slice([&[-1], &[-9], &[1], &[-2]]), Some((vec![2, 2], vec![2.0, 0.0, 5.0, 3.0])));
        assert_eq!(
            slice([&[i64::MAX], &[i64::MIN], &[0], &[-1]]),
            Some((vec![2, 3], vec![3.0, 4.0, 5.0, 0.0, 1.0, 2.0]))
        );
        assert_eq!(slice([&[2], &[1], &[0], &[1]]), Some((vec![0, 3], vec![])));
        assert_eq!(slice([&[0], &[1], &[0], &[0]]), None);
        assert_eq!(slice([&[0], &[1], &[2], &[1]]), None);
        assert_eq!(slice([&[0], &[1], &[0], &[i64::MIN]]), None);
    }

    #[test]
    fn parts_of_a_split_and_turned_axes() {
        let split = made("Split", &[attr::int("axis", 1)], &[2, 3], &[&[1, 2]], 2).unwrap();
        assert_eq!(split, [(vec![2, 1], vec![0.0, 3.0]), (vec![2, 2], vec![1.0, 2.0, 4.0, 5.0])]);
        let even = made("Split", &[attr::int("axis", 1)], &[1, 3], &[], 2).unwrap();
        assert_eq!(even, [(vec![1, 2], vec![0.0, 1.0]), (vec![1, 1], vec![2.0])]);
        assert_eq!(made("Split", &[], &[2, 3], &[&[1, 2]], 2), None);
        let turned = made("Transpose", &[], &[2, 3], &[], 1).unwrap();
        assert_eq!(turned, [(vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0])]);
        assert_eq!(made("Transpose", &[attr::ints("perm", &[0, 0])], &[2, 3], &[], 1), None);
    }

    #[test]
    fn parts_are_joined() {
        let (one, other) =
            (tensor_f32("a", &[2, 1], &[1.0, 2.0]), tensor_f32("b", &[2, 2], &[3.0, 4.0, 5.0, 6.0]));
        let node = node("Concat", "n", &["a", "b"], &["y"], &[attr::int("axis", -1)]);
        let made = apply(&node, &[Some(&one), Some(&other)]).unwrap().unwrap();
        assert_eq!(
            (made[0].dims.clone(), floats(&made[0]).unwrap()),
            (vec![2, 3], vec![1.0, 3.0, 4.0, 2.0, 5.0, 6.0])
        );
        let wrong = tensor_f32("c", &[3, 1], &[0.0; 3]);
        assert!(apply(&node, &[Some(&one), Some(&wrong)]).unwrap().is_none());
    }

    #[test]
    fn shapes() {
        assert_eq!(reshape(&[2, 6], &[0, 2, -1], false), Some(vec![2, 2, 3]));
        assert_eq!(reshape(&[0, 6], &[0, 3], true), Some(vec![0, 3]));
        assert_eq!(reshape(&[2], &[1, 0], false), None);
        assert_eq!(flatten(&[2, 3, 4], 1), Some(vec![2, 12]));
        assert_eq!(flatten(&[2, 3, 4], -1), Some(vec![6, 4]));
        assert_eq!(flatten(&[2, 3], 2), Some(vec![6, 1]));
        assert_eq!(flatten(&[2, 3], 3), None);
        assert_eq!(squeeze(&[1, 3, 1], &[-1]), Some(vec![1, 3]));
        assert_eq!(squeeze(&[1, 3], &[1]), None);
        assert_eq!(unsqueeze(&[3, 4], &[0, -1]), Some(vec![1, 3, 4, 1]));
        assert_eq!(unsqueeze(&[3], &[0, 0]), None);
    }
}

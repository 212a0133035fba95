//! Constants that a node only lays out anew become constants of that layout, so that weights behind a Reshape or Transpose are
//! seen as weights.

use std::collections::HashSet;

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Index, Model, Scratch, element_count, floats, int, integers, ints, is_standard, let_go, tensor,
    tensor_f32,
};

/// Elements that are laid out at a time.
const PIECE: usize = 1 << 18;

/// Folds Reshape, Flatten, Squeeze, Unsqueeze and Transpose of constants that nothing else reads; what several nodes read would
/// be there twice. Expects the forms of opset 13, in which axes are inputs.
pub(super) fn fold(model: &mut Model) -> Result<Option<Change>> {
    let mut count = 0;
    loop {
        let index = Index::new(model.graph());
        let mut gone = HashSet::new();
        let mut made = Vec::new();
        for (at, node) in model.graph().node.iter().enumerate() {
            if let Some(tensor) = folded(node, &index)? {
                gone.insert(at);
                made.push(tensor);
            }
        }
        if made.is_empty() {
            break;
        }
        count += made.len();
        let graph = model.graph_mut();
        let mut at = 0..;
        graph.node.retain(|_| at.next().is_some_and(|at| !gone.contains(&at)));
        graph.initializer.extend(made);
    }
    Ok(changed("layouts", count, || "constants took the layout that a node gave them".into()))
}

/// What `node` makes of a constant, under its output's name.
fn folded(node: &NodeProto, index: &Index) -> Result<Option<TensorProto>> {
    let ([output], Some(input)) = (node.output.as_slice(), node.input.first()) else { return Ok(None) };
    let Some(source) = index.constant(input) else { return Ok(None) };
    let shared = index.consumers(input).len() > 1 || index.is_captured(input) || index.is_output(input);
    if !is_standard(node.domain()) || shared || index.is_output(output) {
        return Ok(None);
    }
    if node.op_type() == "Transpose" {
        let reversed = || (0..source.dims.len() as i64).rev().collect();
        return transposed(source, &ints(node, "perm").map_or_else(reversed, <[i64]>::to_vec), output);
    }
    let numbers = |slot: usize| match node.input.get(slot).filter(|name| !name.is_empty()) {
        Some(name) => index.constant(name).map(integers).transpose(),
        None => Ok(None),
    };
    let dims = match node.op_type() {
        "Reshape" => {
            numbers(1)?.and_then(|to| reshape(&source.dims, &to, int(node, "allowzero").unwrap_or(0) != 0))
        }
        "Flatten" => flatten(&source.dims, int(node, "axis").unwrap_or(1)),
        "Squeeze" if node.input.len() < 2 => {
            Some(source.dims.iter().copied().filter(|&dim| dim != 1).collect())
        }
        "Squeeze" => numbers(1)?.and_then(|axes| squeeze(&source.dims, &axes)),
        "Unsqueeze" => numbers(1)?.and_then(|axes| unsqueeze(&source.dims, &axes)),
        _ => None,
    };
    let same = |dims: &Vec<i64>| {
        dims.iter().all(|&dim| dim >= 0)
            && element_count(source).is_ok_and(|count| product(dims) == i64::try_from(count).ok())
    };
    Ok(dims.filter(same).map(|dims| TensorProto { name: Some(output.clone()), dims, ..source.clone() }))
}

/// `axis` counted from the front.
fn place(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
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
    let gone: HashSet<usize> = axes.iter().map(|&axis| place(axis, from.len())).collect::<Option<_>>()?;
    let left = from.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    gone.iter().all(|&at| from[at] == 1).then(|| left.map(|(_, &dim)| dim).collect())
}

fn unsqueeze(from: &[i64], axes: &[i64]) -> Option<Vec<i64>> {
    let rank = from.len() + axes.len();
    let new: HashSet<usize> = axes.iter().map(|&axis| place(axis, rank)).collect::<Option<_>>()?;
    let mut rest = from.iter().copied();
    let dims = (0..rank).map(|at| if new.contains(&at) { Some(1) } else { rest.next() });
    (new.len() == axes.len()).then(|| dims.collect::<Option<_>>())?
}

/// `source` with its axes in the order `perm`; `None` where that is no order of them, or elements have no whole bytes.
fn transposed(source: &TensorProto, perm: &[i64], output: &str) -> Result<Option<TensorProto>> {
    let order: Option<Vec<usize>> = perm.iter().map(|&axis| place(axis, source.dims.len())).collect();
    let Some(order) = order.filter(|order| {
        order.len() == source.dims.len() && order.iter().collect::<HashSet<_>>().len() == order.len()
    }) else {
        return Ok(None);
    };
    let count = element_count(source)?;
    if count == 0 {
        return Ok(None);
    }
    let dims: Vec<i64> = order.iter().map(|&axis| source.dims[axis]).collect();
    // Where each axis of the result steps in the source.
    let mut strides = vec![1usize; source.dims.len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis] * source.dims[axis] as usize;
    }
    let from = |at: usize| {
        let (mut at, mut place) = (at, 0);
        for (&axis, &dim) in order.iter().zip(&dims).rev() {
            place += at % dim as usize * strides[axis];
            at /= dim as usize;
        }
        place
    };
    let dtype = Dtype::try_from(source.data_type()).ok();
    let width = match dtype {
        Some(Dtype::Float | Dtype::Int32 | Dtype::Uint32) => 4,
        Some(Dtype::Double | Dtype::Int64 | Dtype::Uint64) => 8,
        Some(Dtype::Float16 | Dtype::Bfloat16 | Dtype::Int16 | Dtype::Uint16) => 2,
        Some(Dtype::Int8 | Dtype::Uint8 | Dtype::Bool) => 1,
        _ => return Ok(None),
    };
    if let (Some(raw), Some(dtype)) =
        (source.raw_data.as_ref().filter(|raw| raw.len() == width * count), dtype)
    {
        let mut made = Scratch::new();
        let mut piece = Vec::with_capacity(PIECE * width);
        for start in (0..count).step_by(PIECE) {
            piece.clear();
            let places = (start..count.min(start + PIECE)).map(from);
            places.for_each(|place| piece.extend_from_slice(&raw[place * width..][..width]));
            made.push(&piece)?;
        }
        let_go(raw);
        return Ok(Some(tensor(output, dtype, &dims, made.finish()?)));
    }
    if dtype == Some(Dtype::Float) {
        let values = floats(source)?;
        let values: Vec<f32> = (0..count).map(|at| values[from(at)]).collect();
        return Ok(Some(tensor_f32(output, &dims, &values)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, tensor_i64};

    #[test]
    fn weights_take_the_layout_that_nodes_gave_them() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 6]);
        let values: Vec<f32> = (0..12).map(|at| at as f32).collect();
        let w = graph.initializer(tensor_f32("w", &[2, 3, 2], &values));
        let shape = graph.initializer(tensor_i64("shape", &[2], &[0, -1]));
        let flat = graph.node("Reshape", &[&w, &shape], &[]);
        let turned = graph.node("Transpose", &[&flat], &[attr::ints("perm", &[1, 0])]);
        let y = graph.node("MatMul", &[&x, &turned], &[]);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(fold(&mut model).unwrap().unwrap().count, 2);
        let graph = model.graph();
        assert_eq!(graph.node.len(), 1);
        let made = graph.initializer.iter().find(|tensor| tensor.name() == turned).unwrap();
        assert_eq!(made.dims, [6, 2]);
        let expected: Vec<f32> = (0..6).flat_map(|at| [at as f32, 6.0 + at as f32]).collect();
        assert_eq!(floats(made).unwrap(), expected);
        assert!(fold(&mut model).unwrap().is_none());
    }

    #[test]
    fn what_others_read_or_callers_get_stays() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2, 2]);
        let [w, v] = ["w", "v"].map(|name| graph.weights(name, &[2, 2]));
        let turned = graph.node("Transpose", &[&w], &[]);
        let y = graph.node("MatMul", &[&turned, &w], &[]);
        let z = graph.node("Add", &[&y, &x], &[]);
        let out = graph.node("Transpose", &[&v], &[]);
        graph.output(&z);
        graph.output(&out);
        assert!(fold(&mut graph.model()).unwrap().is_none());
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

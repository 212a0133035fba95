//! DequantizeLinear of constants, computed.

use std::collections::HashSet;

use super::is_linear;
use super::patch::{forget, prune};
use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Index, bodies_mut, dtype_name, element_count, floats, int, integers, node_label, tensor,
    tensor_f32,
};

/// Replaces every DequantizeLinear whose inputs are constants of its own graph by its value, in
/// `graph` and its subgraphs, and removes the constants that nobody reads then.
///
/// # Errors
/// [`Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
pub(super) fn fold(graph: &mut GraphProto) -> Result<()> {
    let index = Index::new(graph);
    let mut values = Vec::new();
    let mut folded = HashSet::new();
    let mut unread = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        if let Some(value) = constant_value(node, &index)? {
            values.push(value);
            folded.insert(at);
            unread.extend(node.input.iter().cloned());
        }
    }
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !folded.contains(&(at - 1))
    });
    graph.initializer.extend(values);
    let gone = prune(graph, unread);
    forget(graph, &gone);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(fold)
}

/// The value of `node`, or `None` where it is no DequantizeLinear of constants, or one of types
/// that are left to the runtime.
fn constant_value(node: &NodeProto, index: &Index) -> Result<Option<TensorProto>> {
    if !is_linear(node, "DequantizeLinear") {
        return Ok(None);
    }
    let input = |slot: usize| node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty());
    let constant = |slot| input(slot).and_then(|name| index.constant(name));
    let (Some(codes), Some(scale), [output]) = (constant(0), constant(1), node.output.as_slice()) else {
        return Ok(None);
    };
    let zero = constant(2);
    if input(2).is_some() != zero.is_some() || output.is_empty() {
        return Ok(None);
    }
    let kind = Dtype::try_from(codes.data_type()).unwrap_or(Dtype::Undefined);
    let integral = matches!(
        kind,
        Dtype::Int4 | Dtype::Uint4 | Dtype::Int8 | Dtype::Uint8 | Dtype::Int16 | Dtype::Uint16 | Dtype::Int32
    );
    let half = scale.data_type() == Dtype::Float16 as i32;
    let asked = int(node, "output_dtype").filter(|&dtype| dtype != 0);
    let same = asked.is_none_or(|dtype| dtype == i64::from(scale.data_type()));
    if !integral || !same || !(half || scale.data_type() == Dtype::Float as i32) {
        return Ok(None);
    }
    let values = dequantize(node, codes, scale, zero)?;
    Ok(Some(match half {
        false => tensor_f32(output, &codes.dims, &values),
        true => {
            let bytes = values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes());
            tensor(output, Dtype::Float16, &codes.dims, bytes.collect::<Vec<u8>>())
        }
    }))
}

fn dequantize(
    node: &NodeProto,
    codes: &TensorProto,
    scale: &TensorProto,
    zero: Option<&TensorProto>,
) -> Result<Vec<f32>> {
    let layout = Layout::new(node, codes, scale)?;
    if let Some(zero) = zero {
        let scalars = element_count(zero)? == 1 && element_count(scale)? == 1;
        if zero.data_type() != codes.data_type() || (zero.dims != scale.dims && !scalars) {
            let found = format!("zero point {} {:?}", dtype_name(zero.data_type()), zero.dims);
            let beside = format!("{} and scale {:?}", dtype_name(codes.data_type()), scale.dims);
            return Err(contradiction(node, format!("{found} beside codes {beside}")));
        }
    }
    let zeros = zero.map(integers).transpose()?;
    let (codes, scales) = (integers(codes)?, floats(scale)?);
    let value = |(at, code): (usize, i64)| {
        let group = layout.group(at);
        let zero = zeros.as_ref().map_or(0, |zeros| zeros[group]);
        (code - zero) as f32 * scales[group]
    };
    Ok(codes.into_iter().enumerate().map(value).collect())
}

/// Which scale belongs to which element: the codes as `[outer, length, inner]`, the scales as
/// `[outer or 1, groups, inner or 1]`.
enum Layout {
    Tensor,
    Axis { length: usize, inner: usize },
    Blocks { length: usize, inner: usize, groups: usize, block: usize },
}

impl Layout {
    /// Checks the shapes: every group that [`Layout::group`] gives has a scale.
    fn new(node: &NodeProto, codes: &TensorProto, scale: &TensorProto) -> Result<Self> {
        let (elements, scales) = (element_count(codes)?, element_count(scale)?);
        let block = int(node, "block_size").unwrap_or(0);
        if block == 0 && scales == 1 && scale.dims.len() <= 1 {
            return Ok(Self::Tensor);
        }
        let rank = codes.dims.len();
        let asked = int(node, "axis").unwrap_or(1);
        let axis = if asked < 0 { asked.checked_add(rank as i64) } else { Some(asked) };
        let axis = axis.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
        let Some(axis) = axis else {
            return Err(contradiction(node, format!("axis {asked} of codes {:?}", codes.dims)));
        };
        let unequal = || {
            let problem =
                format!("scale {:?} on axis {asked} of codes {:?}, block {block}", scale.dims, codes.dims);
            contradiction(node, problem)
        };
        // Dimensions are not negative, and their product fits unless one of them is zero.
        let length = codes.dims[axis] as usize;
        let inner = if elements == 0 { 0 } else { codes.dims[axis + 1..].iter().product::<i64>() as usize };
        if block == 0 {
            return match scale.dims == [codes.dims[axis]] {
                true => Ok(Self::Axis { length, inner }),
                false => Err(unequal()),
            };
        }
        let block = usize::try_from(block).map_err(|_| unequal())?;
        let groups = length.div_ceil(block);
        let mut expected = codes.dims.clone();
        expected[axis] = groups as i64;
        match scale.dims == expected {
            true => Ok(Self::Blocks { length, inner, groups, block }),
            false => Err(unequal()),
        }
    }

    /// The scale of element `at`; asked only where there are elements, so nothing is zero.
    fn group(&self, at: usize) -> usize {
        match *self {
            Self::Tensor => 0,
            Self::Axis { length, inner } => at / inner % length,
            Self::Blocks { length, inner, groups, block } => {
                let (line, place) = (at / inner, at % inner);
                (line / length * groups + line % length / block) * inner + place
            }
        }
    }
}

fn contradiction(node: &NodeProto, problem: String) -> Error {
    Error::invalid(format!("node {}", node_label(node)), problem)
}

//! Weights as onnxruntime's MatMulNBits takes them: which can be written so, and how they lie then.

use super::float::Float;
use super::{Partition, Read, WeightDecision, WeightTerm};
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Index, dtype_name, float, int, is_standard, operator_label};
use crate::options::{CodeType, NBITS_BLOCKS, fits_nbits};

/// The opset from which Add takes operands of any shapes.
const OPSET_BROADCAST: i64 = 7;
/// The code that stands for zero where no zero points are given.
const MIDDLE: i16 = 8;
/// Where Gemm takes its bias.
const BIAS: usize = 2;

/// Codes by rows: one row an output channel, in whole blocks along the inputs, each block with a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NBits {
    /// Output channels: the operator's N.
    pub rows: usize,
    /// Inputs: the operator's K, to which blocks are filled up.
    pub depth: usize,
    /// Elements in a block.
    pub block: usize,
    /// Whether the weights themselves lie by rows, as those of Gemm with transB do, and not by inputs.
    pub by_rows: bool,
}

impl NBits {
    /// How the weights of `decision` lie, whose terms are consistent; or why they cannot be written so.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn of(decision: &WeightDecision) -> Result<Self, String> {
        let [term] = decision.terms.as_slice() else { return Err(format!("{} terms", decision.terms.len())) };
        fits_nbits_weights(Some(term.code_type), decision.reads.iter(), &decision.dims, decision.float)?;
        let &[first, second] = decision.dims.as_slice() else { return Err("no matrix".into()) };
        let (by_rows, size) = match term.partition {
            Partition::Channel { axis } => (axis == 0, None),
            Partition::Block { axis, size } if fits_nbits(size) => (axis == 1, Some(size)),
            Partition::Block { size, .. } => return Err(wrong_block(size)),
            Partition::Tensor => {
                return Err("per-tensor scales, which would have to be repeated for each row".into());
            }
        };
        let size_of = |dim: i64| usize::try_from(dim).ok().filter(|&dim| dim > 0);
        let (Some(first), Some(second)) = (size_of(first), size_of(second)) else {
            return Err(format!("weights {:?}", decision.dims));
        };
        let (rows, depth) = if by_rows { (first, second) } else { (second, first) };
        // A single block is filled up no further than it must.
        let fitting = depth.clamp(*NBITS_BLOCKS.start(), *NBITS_BLOCKS.end()).next_power_of_two();
        Ok(Self { rows, depth, block: size.map_or(fitting, |size| size.min(fitting)), by_rows })
    }

    /// Blocks in a row.
    pub fn blocks(&self) -> usize {
        self.depth.div_ceil(self.block)
    }

    /// Bytes of the codes of a row.
    pub fn row_bytes(&self) -> usize {
        self.blocks() * (self.block / 2)
    }

    /// Bytes of the zero points of a row.
    pub fn zero_bytes(&self) -> usize {
        self.blocks().div_ceil(2)
    }

    /// The code at `input` of `row` of `term`, as it is written.
    pub fn code(&self, term: &WeightTerm, row: usize, input: usize) -> u8 {
        (term.codes.get(self.element(row, input)) + offset(term)) as u8
    }

    /// Which element of the weights is at `input` of `row`.
    pub fn element(&self, row: usize, input: usize) -> usize {
        if self.by_rows { row * self.depth + input } else { input * self.rows + row }
    }

    /// Whether zero points of `decision` have to be written: all of them are the middle code otherwise.
    pub fn has_zero_points(&self, decision: &WeightDecision) -> bool {
        let middle = |term: &WeightTerm| term.zero_points.iter().all(|&zero| zero + offset(term) == MIDDLE);
        !decision.terms.iter().all(middle)
    }

    /// The zero points of `decision` as they are written, by rows and blocks.
    pub fn zero_points(&self, decision: &WeightDecision) -> Vec<u8> {
        self.of_blocks(decision, |term, group| (term.zero_points[group] + offset(term)) as u8)
    }

    /// The scales of `decision`, by rows and blocks.
    pub fn scales(&self, decision: &WeightDecision) -> Vec<f32> {
        self.of_blocks(decision, |term, group| term.scales[group])
    }

    fn of_blocks<T>(&self, decision: &WeightDecision, of: impl Fn(&WeightTerm, usize) -> T) -> Vec<T> {
        let Some(term) = decision.terms.first() else { return Vec::new() };
        let Some(groups) = term.groups(&decision.dims) else { return Vec::new() };
        let places = (0..self.rows).flat_map(|row| (0..self.blocks()).map(move |block| (row, block)));
        places.map(|(row, block)| of(term, groups.of(self.element(row, block * self.block)))).collect()
    }
}

/// What makes the codes of `term` unsigned when it is added.
fn offset(term: &WeightTerm) -> i16 {
    -term.code_type.range().0 as i16
}

fn wrong_block(size: usize) -> String {
    let (least, most) = (NBITS_BLOCKS.start(), NBITS_BLOCKS.end());
    format!("blocks of {size}, which is no power of two from {least} to {most}")
}

/// Whether MatMulNBits has a form for weights with `code_type`, where that is known, `dims` and the element type `float`, at all of
/// their `reads`.
///
/// # Errors
/// Why not, in words.
pub fn fits_nbits_weights<'r>(
    code_type: Option<CodeType>,
    reads: impl Iterator<Item = &'r Read>,
    dims: &[i64],
    float: Float,
) -> Result<(), String> {
    if let Some(code_type) = code_type.filter(|code_type| code_type.bits() != 4) {
        return Err(format!("{code_type} codes"));
    }
    for read in reads {
        if !matches!(read.operator.as_str(), "MatMul" | "Gemm") {
            return Err(format!("read by {}", read.operator));
        }
        if !read.is_outer() {
            return Err("read inside another node".into());
        }
        if read.slot != 1 {
            return Err("a left factor".into());
        }
    }
    if dims.len() != 2 {
        return Err(format!("weights of {} axes", dims.len()));
    }
    match float {
        Float::Float | Float::Float16 => Ok(()),
        other => Err(format!("weights of type {}", dtype_name(other.dtype() as i32))),
    }
}

/// Why MatMulNBits cannot stand in the place of the readers of some weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The reader that it is about, where it is about one.
    pub read: Option<Read>,
    /// Why, in words.
    pub why: String,
}

/// Whether `reads`, in a model of `opset`, take `tensor` by rows of output channels; or why MatMulNBits cannot stand in the place of
/// all that read it.
///
/// # Errors
/// [`Misfit`].
pub fn lie_by_rows<'r>(
    tensor: &str,
    reads: impl Iterator<Item = &'r Read> + Clone,
    index: &Index,
    opset: i64,
) -> Result<bool, Misfit> {
    let misfit = |read: Option<&Read>, why: &str| Misfit { read: read.cloned(), why: why.to_owned() };
    let consumers = index.consumers(tensor);
    if let Some(read) = reads.clone().find(|read| !consumers.contains(&(read.at, read.slot))) {
        return Err(misfit(Some(read), "laid out by nodes in between"));
    }
    let listed = |&(at, slot): &(usize, usize)| reads.clone().any(|read| (read.at, read.slot) == (at, slot));
    if !consumers.iter().all(listed) || index.is_captured(tensor) || index.is_output(tensor) {
        return Err(misfit(None, "others read the weights too"));
    }
    let mut by_rows = None;
    for read in reads {
        let node = index.graph().node.get(read.at).ok_or_else(|| misfit(Some(read), "its reader is gone"))?;
        let found = lies_by_rows(node, index, opset).map_err(|why| misfit(Some(read), &why))?;
        if *by_rows.get_or_insert(found) != found {
            return Err(misfit(Some(read), "its readers take different axes"));
        }
    }
    by_rows.ok_or_else(|| misfit(None, "nothing reads the weights"))
}

/// Whether `node`, in a model of `opset`, takes the weights in its second input by rows of output channels; or why no
/// MatMulNBits can stand in its place.
fn lies_by_rows(node: &NodeProto, index: &Index, opset: i64) -> Result<bool, String> {
    if node.output.len() != 1 {
        return Err(format!("{} outputs", node.output.len()));
    }
    match (is_standard(node.domain()), node.op_type()) {
        (true, "MatMul") => return Ok(false),
        (true, "Gemm") => {}
        _ => return Err(format!("read by {}", operator_label(node))),
    }
    let factor = |name| float(node, name).unwrap_or(1.0);
    let by_rows = int(node, "transB").unwrap_or(0) != 0;
    if int(node, "transA").unwrap_or(0) != 0 {
        return Err("Gemm with transA".into());
    }
    if factor("alpha") != 1.0 {
        return Err(format!("Gemm with alpha {}", factor("alpha")));
    }
    let Some(bias) = node.input.get(BIAS).filter(|name| !name.is_empty()) else { return Ok(by_rows) };
    if factor("beta") != 1.0 {
        return Err(format!("Gemm with beta {}", factor("beta")));
    }
    let dims = node
        .input
        .get(1)
        .and_then(|weights| index.initializer(weights))
        .map(|weights| weights.dims.as_slice());
    let rows = dims.and_then(|dims| usize::try_from(*dims.get(usize::from(!by_rows))?).ok());
    if opset < OPSET_BROADCAST && rows.and_then(|rows| row_bias(bias, rows, index)).is_none() {
        return Err(format!("a bias that is no constant row, at opset {opset}"));
    }
    Ok(by_rows)
}

/// The constant `name`, where it is a row of `rows` elements.
pub fn row_bias<'g>(name: &str, rows: usize, index: &Index<'g>) -> Option<&'g TensorProto> {
    let tensor = index.constant(name)?;
    let (&last, others) = tensor.dims.split_last()?;
    (usize::try_from(last) == Ok(rows) && others.iter().all(|&dim| dim == 1)).then_some(tensor)
}

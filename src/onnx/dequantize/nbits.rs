//! onnxruntime's MatMulNBits of constants: the weights in it, computed piece by piece.

use std::borrow::Cow;

use super::contradiction;
use crate::error::Result;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{CONTRIB, Dtype, Index, dtype_name, element_count, floats, int, integers};

/// Where the inputs are.
const CODES: usize = 1;
const SCALES: usize = 2;
const ZERO_POINTS: usize = 3;
const ORDER: usize = 4;

/// A MatMulNBits whose weights are constants of its own graph: codes by rows of output channels, in blocks of inputs.
#[derive(Debug)]
pub struct MatMulNBits<'g> {
    /// Output channels.
    pub rows: usize,
    /// Inputs, without those that fill up the last block.
    pub depth: usize,
    /// FLOAT, or FLOAT16.
    pub dtype: Dtype,
    block: usize,
    blocks: usize,
    bits: usize,
    codes: Cow<'g, [u8]>,
    scales: Vec<f32>,
    /// None where zero is the middle code.
    zeros: Option<Vec<f32>>,
}

impl<'g> MatMulNBits<'g> {
    /// `node` as such; `None` where it is no MatMulNBits of constants, or one whose inputs are in another order, or whose
    /// types are left to the runtime.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
    pub fn of(node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        if node.op_type() != "MatMulNBits" || node.domain() != CONTRIB || node.output.len() != 1 {
            return Ok(None);
        }
        let input = |slot: usize| node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty());
        let constant = |slot| input(slot).and_then(|name| index.constant(name));
        let (Some(codes), Some(scales)) = (constant(CODES), constant(SCALES)) else { return Ok(None) };
        let zeros = constant(ZERO_POINTS);
        if input(ZERO_POINTS).is_some() != zeros.is_some() || input(ORDER).is_some() {
            return Ok(None);
        }
        let dtype = Dtype::try_from(scales.data_type()).unwrap_or(Dtype::Undefined);
        let bits = int(node, "bits").unwrap_or(4);
        let known = matches!(dtype, Dtype::Float | Dtype::Float16) && matches!(bits, 2 | 4 | 8);
        if !known || codes.data_type() != Dtype::Uint8 as i32 {
            return Ok(None);
        }
        let size = |name: &str| {
            let found = int(node, name).unwrap_or(0);
            let fits = usize::try_from(found).ok().filter(|&size| (1..=i32::MAX as usize).contains(&size));
            fits.ok_or_else(|| contradiction(node, format!("{name} is {found}")))
        };
        let (rows, depth, block) = (size("N")?, size("K")?, size("block_size")?);
        if block < 8 || !block.is_power_of_two() {
            return Err(contradiction(node, format!("block_size is {block}, no power of two from 8 up")));
        }
        let (bits, blocks) = (bits as usize, depth.div_ceil(block));
        let shaped = |tensor: &TensorProto, flat: bool, dims: &[usize]| {
            let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
            let product = dims.iter().try_fold(1i64, |product, &dim| product.checked_mul(dim));
            if tensor.dims == dims || flat && product.is_some_and(|product| tensor.dims == [product]) {
                return Ok(());
            }
            let problem = format!("{} has dimensions {:?}, not {dims:?}", tensor.name(), tensor.dims);
            Err(contradiction(node, problem))
        };
        shaped(codes, false, &[rows, blocks, block * bits / 8])?;
        shaped(scales, true, &[rows, blocks])?;
        let zeros = match zeros {
            None => None,
            Some(zeros) if zeros.data_type() == Dtype::Uint8 as i32 => {
                shaped(zeros, true, &[rows, (blocks * bits).div_ceil(8)])?;
                let bytes = bytes(zeros)?;
                let width = (blocks * bits).div_ceil(8);
                let places = bytes.chunks(width).flat_map(|row| (0..blocks).map(|at| code(row, at, bits)));
                Some(places.map(f32::from).collect())
            }
            Some(zeros) if zeros.data_type() == scales.data_type() => {
                shaped(zeros, true, &[rows, blocks])?;
                Some(floats(zeros)?)
            }
            Some(zeros) => {
                let problem = format!("zero points {} are {}", zeros.name(), dtype_name(zeros.data_type()));
                return Err(contradiction(node, problem));
            }
        };
        let (codes, scales) = (bytes(codes)?, floats(scales)?);
        Ok(Some(Self { rows, depth, dtype, block, blocks, bits, codes, scales, zeros }))
    }

    /// How many weights there are.
    pub fn len(&self) -> usize {
        self.rows * self.depth
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the weights from `start` on, all of which must exist, into `out`, in f32 and not yet rounded to FLOAT16: laid out
    /// by rows, or by inputs as the right factor of a product is.
    pub fn read(&self, by_rows: bool, start: usize, out: &mut [f32]) {
        let row_bytes = self.blocks * (self.block * self.bits / 8);
        let width = if by_rows { self.depth } else { self.rows };
        let middle = f32::from(1u8 << (self.bits - 1));
        let (mut line, mut place) = (start / width, start % width);
        for out in out {
            let (row, input) = if by_rows { (line, place) } else { (place, line) };
            let group = row * self.blocks + input / self.block;
            let zero = self.zeros.as_ref().map_or(middle, |zeros| zeros[group]);
            let code = code(&self.codes[row * row_bytes..], input, self.bits);
            *out = (f32::from(code) - zero) * self.scales[group];
            place += 1;
            if place == width {
                (line, place) = (line + 1, 0);
            }
        }
    }

    /// Lets go of the memory of the codes, where they are in a file.
    pub fn let_go(&self) {
        crate::onnx::let_go(&self.codes);
    }
}

/// The code at `at` of codes of `bits` in `bytes`, the first in the low bits.
fn code(bytes: &[u8], at: usize, bits: usize) -> u8 {
    let to_a_byte = 8 / bits;
    (bytes[at / to_a_byte] >> (at % to_a_byte * bits)) & (0xff >> (8 - bits))
}

/// The bytes of a UINT8 tensor, where they are if they lie as such.
fn bytes(tensor: &TensorProto) -> Result<Cow<'_, [u8]>> {
    match tensor.raw_data.as_deref() {
        Some(raw) if raw.len() == element_count(tensor)? => Ok(Cow::Borrowed(raw)),
        _ => Ok(Cow::Owned(integers(tensor)?.into_iter().map(|byte| byte as u8).collect())),
    }
}

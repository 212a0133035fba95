//! MatMulNBits whose inputs are in another order, whose zero points are no codes, or whose weights are no constants. The ordinary
//! ones are lowered to products before tract sees them.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made, singles};

#[derive(Clone, Debug)]
struct MatMulNBits {
    depth: usize,
    rows: usize,
    bits: usize,
    block: usize,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let size = |name: &str| -> TractResult<usize> {
        let size = usize::try_from(node.get_attr::<i64>(name)?)?;
        match (1..=1 << 30).contains(&size) {
            true => Ok(size),
            false => bail!("{name} is {size}"),
        }
    };
    let bits = node.get_attr_opt::<i64>("bits")?.unwrap_or(4);
    if !matches!(bits, 2 | 4 | 8) {
        bail!("MatMulNBits of {bits} bits is not run");
    }
    let is_given = |slot: usize| node.input.get(slot).is_some_and(|name| !name.is_empty());
    if is_given(4) && (bits != 4 || is_given(3)) {
        // onnxruntime ignores these zero points, and runs other codes otherwise than it says.
        bail!("MatMulNBits of {bits} bits with g_idx, or of zero points with g_idx, is not run");
    }
    let (depth, rows, block) = (size("K")?, size("N")?, size("block_size")?);
    if block < 8 || !block.is_power_of_two() {
        bail!("block_size is {block}, no power of two from 8 up");
    }
    Ok(Some(Arc::new(MatMulNBits { depth, rows, bits: bits as usize, block })))
}

impl MatMulNBits {
    /// The weights by rows of outputs.
    fn weights(&self, inputs: &[Option<&Tensor>]) -> TractResult<Array2<f32>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        let needed = |slot: usize| input(slot).with_context(|| format!("input {slot} is missing"));
        let blocks = self.depth.div_ceil(self.block);
        let (codes, scales) = (integers(needed(1)?)?, singles(needed(2)?)?);
        let (each, to_a_byte) = (self.block * self.bits / 8, 8 / self.bits);
        let code = |bytes: &[i64], at: usize| {
            (bytes[at / to_a_byte] as u8 >> (at % to_a_byte * self.bits)) & (0xff >> (8 - self.bits))
        };
        if codes.len() != self.rows * blocks * each || scales.len() < self.rows * blocks {
            bail!("{} bytes of codes and {} scales for {} rows", codes.len(), scales.len(), self.rows);
        }
        let width = (blocks * self.bits).div_ceil(8);
        let zeros: Vec<f32> = match input(3) {
            None => vec![f32::from(1_u8 << (self.bits - 1)); self.rows * blocks],
            Some(zeros) if zeros.datum_type().is_float() => singles(zeros)?,
            Some(zeros) => {
                let bytes = integers(zeros)?;
                if bytes.len() != self.rows * width {
                    bail!("{} bytes of zero points for {} rows", bytes.len(), self.rows);
                }
                let rows = bytes.chunks(width);
                rows.flat_map(|row| (0..blocks).map(|at| f32::from(code(row, at)))).collect()
            }
        };
        if zeros.len() < self.rows * blocks {
            bail!("{} zero points for {} blocks", zeros.len(), self.rows * blocks);
        }
        let order = input(4).map(integers).transpose()?;
        if order.as_ref().is_some_and(|order| {
            order.len() < self.depth
                || order[..self.depth].iter().any(|&at| !(0..blocks as i64).contains(&at))
        }) {
            bail!("g_idx names no block for each of {} inputs", self.depth);
        }
        Ok(Array2::from_shape_fn((self.rows, self.depth), |(row, at)| {
            let group = row * blocks + order.as_ref().map_or(at / self.block, |order| order[at] as usize);
            let own = &codes[row * blocks * each..];
            (f32::from(code(own, at)) - zeros[group]) * scales[group]
        }))
    }
}

impl Kernel for MatMulNBits {
    fn name(&self) -> &'static str {
        "MatMulNBits"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), ..] = inputs else { bail!("MatMulNBits takes values") };
        let mut dims = x.dims.clone();
        match dims.last_mut() {
            Some(last) if *last == self.depth => *last = self.rows,
            _ => bail!("values of {:?} for weights of {} inputs", x.dims, self.depth),
        }
        Ok(vec![(x.dtype, dims)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x), ..] = inputs else { bail!("MatMulNBits takes values") };
        let mut dims = x.shape().to_vec();
        let last = dims.last_mut().context("a product of a number")?;
        *last = self.rows;
        let values = singles(x)?;
        let values = Array2::from_shape_vec((values.len() / self.depth, self.depth), values)?;
        let mut product = values.dot(&self.weights(inputs)?.t());
        if let Some(bias) = inputs.get(5).copied().flatten().map(singles).transpose()? {
            if bias.len() != self.rows {
                bail!("a bias of {} elements for {} outputs", bias.len(), self.rows);
            }
            product += &ArrayView1::from(&bias[..]);
        }
        Ok(vec![made(x.datum_type(), &dims, &product.iter().copied().collect::<Vec<_>>())?])
    }
}

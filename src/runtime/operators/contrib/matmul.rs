//! FusedMatMul: a product whose factors may be turned, and which is scaled.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{made, singles};
use super::super::places::{broadcast, spread};

/// How one factor is turned: its last two axes, and its first one behind those of the batch.
#[derive(Clone, Copy, Debug)]
struct Turn {
    matrix: bool,
    batch: bool,
}

impl Turn {
    /// For each axis of what is multiplied the factor's own, for a factor of `rank`.
    fn axes(self, rank: usize) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..rank).collect();
        if self.batch && rank > 2 {
            axes[..rank - 1].rotate_left(1);
        }
        if self.matrix && rank > 1 {
            axes.swap(rank - 2, rank - 1);
        }
        axes
    }

    fn dims(self, own: &[usize]) -> Vec<usize> {
        self.axes(own.len()).into_iter().map(|axis| own[axis]).collect()
    }

    fn turned(self, tensor: &Tensor) -> TractResult<Vec<f32>> {
        let axes = self.axes(tensor.rank());
        match axes.is_sorted() {
            true => singles(tensor),
            false => singles(&tensor.clone().permute_axes(&axes)?),
        }
    }
}

#[derive(Clone, Debug)]
struct FusedMatMul {
    a: Turn,
    b: Turn,
    alpha: f32,
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_set = |name: &str| -> TractResult<bool> { Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0) };
    Ok(Some(Arc::new(FusedMatMul {
        a: Turn { matrix: is_set("transA")?, batch: is_set("transBatchA")? },
        b: Turn { matrix: is_set("transB")?, batch: is_set("transBatchB")? },
        alpha: node.get_attr_opt("alpha")?.unwrap_or(1.0),
    })))
}

/// Dimensions of two factors, with an axis of one more for a vector, and those of their product.
struct Shapes {
    a: Vec<usize>,
    b: Vec<usize>,
    batch: Vec<usize>,
    out: Vec<usize>,
}

impl FusedMatMul {
    fn shapes(&self, a: &[usize], b: &[usize]) -> TractResult<Shapes> {
        let (is_row, is_column) = (a.len() == 1, b.len() == 1);
        let (mut a, mut b) = (self.a.dims(a), self.b.dims(b));
        if is_row {
            a.insert(0, 1);
        }
        if is_column {
            b.push(1);
        }
        let ([first @ .., rows, depth], [second @ .., inner, columns]) = (&a[..], &b[..]) else {
            bail!("a product of {a:?} and {b:?}")
        };
        if depth != inner {
            bail!("a product of {a:?} and {b:?}");
        }
        let batch = broadcast(first, second)?;
        let mut out = batch.clone();
        if !is_row {
            out.push(*rows);
        }
        if !is_column {
            out.push(*columns);
        }
        Ok(Shapes { a, b, batch, out })
    }
}

impl Kernel for FusedMatMul {
    fn name(&self) -> &'static str {
        "FusedMatMul"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(a), Some(b)] = inputs else { bail!("FusedMatMul takes two inputs") };
        Ok(vec![(a.dtype, self.shapes(&a.dims, &b.dims)?.out)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(a), Some(b)] = inputs else { bail!("FusedMatMul takes two inputs") };
        let Shapes { a: first, b: second, batch, out } = self.shapes(a.shape(), b.shape())?;
        let dtype = a.datum_type();
        let (a, b) = (self.a.turned(a)?, self.b.turned(b)?);
        let (rank, other) = (first.len() - 2, second.len() - 2);
        let (rows, depth, columns) = (first[rank], first[rank + 1], second[other + 1]);
        let mut values: Vec<f32> = Vec::with_capacity(out.iter().product());
        let places = spread(&first[..rank], &batch).into_iter().zip(spread(&second[..other], &batch));
        for (i, j) in places {
            let a = ArrayView2::from_shape((rows, depth), &a[i * rows * depth..(i + 1) * rows * depth])?;
            let b =
                ArrayView2::from_shape((depth, columns), &b[j * depth * columns..(j + 1) * depth * columns])?;
            let mut product: Array2<f32> = a.dot(&b);
            product *= self.alpha;
            values.extend(product.iter());
        }
        Ok(vec![made(dtype, &out, &values)?])
    }
}

//! Gemm: weights in B, `[in, out]`, or `[out, in]` with transB.

use super::rule::{Factor, Rule, bias_slot};
use crate::onnx::{float, int};
use crate::plan::{Kernel, Partition};

pub(super) const RULE: Rule = Rule {
    operator: "Gemm",
    is_foreign: false,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: true,
    factor: |seen| {
        let (node, dims) = (seen.node, seen.dims);
        if dims.len() != 2 {
            return Err(format!("weights of {} axes", dims.len()));
        }
        let transposed = int(node, "transB").unwrap_or(0) != 0;
        let axis = if transposed { 0 } else { 1 };
        let beta = float(node, "beta").unwrap_or(1.0);
        let bias = bias_slot(seen, 2, dims[axis]).filter(|_| beta != 0.0);
        let input_transposed = int(node, "transA").unwrap_or(0) != 0;
        let alpha = float(node, "alpha").unwrap_or(1.0);
        Ok(Factor {
            data: None,
            by_kernel: Partition::Channel { axis },
            input_axis: 1 - axis,
            bias,
            kernel: Kernel::Matrix { transposed, input_transposed, alpha, beta },
        })
    },
};

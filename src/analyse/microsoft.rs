//! Layers that onnxruntime's optimizer fuses with what stands beside them: their weights lie as in the layer, and the file that is
//! written loads in onnxruntime.

use super::rule::{Factor, Rule, bias_slot};
use super::{conv, gather, gemm};
use crate::onnx::{float, int};
use crate::plan::{Kernel, Partition, Work};

/// A Conv with its activation, and a sum before that.
pub(super) const FUSED_CONV: Rule =
    Rule { operator: "FusedConv", is_foreign: true, integer: false, ..conv::RULE };

/// A Gemm with its activation.
pub(super) const FUSED_GEMM: Rule =
    Rule { operator: "FusedGemm", is_foreign: true, integer: false, ..gemm::RULE };

/// A MatMul with its factors turned and scaled: weights on the right, `[in, out]`, or `[out, in]` with transB.
pub(super) const FUSED_MATMUL: Rule = Rule {
    operator: "FusedMatMul",
    is_foreign: true,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: false,
    factor: |seen| {
        let (node, dims) = (seen.node, seen.dims);
        if dims.len() != 2 {
            return Err(format!("weights of {} axes", dims.len()));
        }
        let is_set = |name: &str| int(node, name).unwrap_or(0) != 0;
        let transposed = is_set("transB");
        let axis = if transposed { 0 } else { 1 };
        let alpha = float(node, "alpha").unwrap_or(1.0);
        // Rows of a turned factor may be those of a batch of matrices.
        let kernel = match is_set("transA") || is_set("transBatchA") {
            true => Kernel::Other(Work::Unknown),
            false => Kernel::Matrix { transposed, input_transposed: false, alpha, beta: 1.0 },
        };
        let by_kernel = Partition::Channel { axis };
        Ok(Factor { data: None, by_kernel, input_axis: 1 - axis, bias: None, kernel })
    },
};

/// The product in front of an attention, `[in, out]`.
pub(super) const ATTENTION: Rule = Rule {
    operator: "Attention",
    is_foreign: true,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: false,
    factor: |seen| {
        let &[_, columns] = seen.dims else { return Err(format!("weights of {} axes", seen.dims.len())) };
        let kernel = Kernel::Matrix { transposed: false, input_transposed: false, alpha: 1.0, beta: 1.0 };
        let bias = bias_slot(seen, 2, columns).filter(|bias| bias.tensor.is_some());
        let by_kernel = Partition::Channel { axis: 1 };
        Ok(Factor { data: None, by_kernel, input_axis: 0, bias, kernel })
    },
};

/// The tables of an embedding.
pub(super) const EMBEDDING: Rule = Rule {
    operator: "EmbedLayerNormalization",
    is_foreign: true,
    slots: &[(2, None), (3, None), (4, None)],
    either: false,
    ..gather::RULE
};

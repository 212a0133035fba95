//! What onnxruntime's optimizer and model builder write, by its own definitions. Source: onnxruntime's ContribOperators.md and its
//! kernels for CPUs.

mod matmul;
mod nbits;
mod normalization;

pub(super) use matmul::choose as fused_matmul;
pub(super) use nbits::choose as nbits;
pub(super) use normalization::{embed, skip};

//! fourbit turns a trained float ONNX model into a low-bit one without retraining, and proves
//! what the conversion cost.

pub mod error;
pub mod onnx;

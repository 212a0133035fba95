//! fourbit turns a trained float ONNX model into a low-bit one without retraining, and proves
//! what the conversion cost.

pub mod error;
pub mod mmse;
pub mod onnx;
pub mod options;
pub mod plan;
pub mod progress;

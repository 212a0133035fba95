//! fourbit turns a trained float ONNX model into a low-bit one without retraining, and proves
//! what the conversion cost.
//!
//! The stages, in order: [`onnx::read`], [`prepare`], [`analyse`], [`calibrate`], [`solve`],
//! [`rewrite`], [`validate`], [`report`]. [`pipeline`] strings them together.

pub mod analyse;
pub mod calibrate;
pub mod check;
pub mod cli;
pub mod error;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod mmse;
pub mod onnx;
pub mod onnxruntime;
pub mod options;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod progress;
pub mod reconstruct;
pub mod remote;
pub mod report;
pub mod rewrite;
pub mod runtime;
pub mod samples;
pub mod solve;
pub mod validate;
pub mod zoo;

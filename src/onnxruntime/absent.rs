//! What there is of onnxruntime in a program built without it: a message.

use std::path::Path;

use super::{Library, Optimizations, Value};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;

/// Nothing, and why.
///
/// # Errors
/// [`Error::NoOnnxruntime`] always.
pub fn library() -> Result<&'static Library> {
    Err(Error::NoOnnxruntime {
        problem: "this fourbit was built without onnxruntime".into(),
        remedy: "build it with the feature onnxruntime, which is on by default".into(),
    })
}

/// A model that onnxruntime runs: there is none.
#[derive(Debug)]
pub enum Session {}

impl Session {
    /// Nothing, and why.
    ///
    /// # Errors
    /// [`Error::NoOnnxruntime`] always.
    pub fn load(_path: &Path, _optimizations: Optimizations) -> Result<Self> {
        library().map(|_| unreachable!("there is no library"))
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn run(&self, _inputs: &[TensorProto]) -> Result<Vec<Value>> {
        match *self {}
    }
}

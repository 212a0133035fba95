//! A model held against a target.

use std::path::Path;

use crate::error::Result;
use crate::options::Target;
use crate::plan::Checked;

/// Reads the model at `path` and says what `target` will not take of it.
///
/// # Errors
/// [`crate::error::Error`] where it cannot be read.
pub fn check(path: &Path, target: &Target) -> Result<Checked> {
    let model = crate::onnx::read(path)?;
    let (findings, quantized) = crate::check::check(&model, target);
    Ok(Checked { input: path.to_owned(), target: target.name.to_owned(), quantized, findings })
}

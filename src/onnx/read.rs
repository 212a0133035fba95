//! From bytes to a checked [`Model`].

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::external;
use super::maps::map;
use super::model::Model;
use super::proto::{ModelProto, TensorProto};
use crate::error::{Error, Result};

/// Reads a model and the side files it names. Tensor data stays in the mapped files.
///
/// # Errors
/// [`Error::Read`] where a file cannot be opened, [`Error::NotOnnx`] where it is no ONNX model,
/// [`Error::Invalid`] where it breaks a rule of the format.
pub fn read(path: &Path) -> Result<Model> {
    let bytes = map(path)?;
    let mut model = decode(bytes).map_err(|error| match error {
        Error::Invalid { place, problem } => {
            Error::NotOnnx { path: path.to_owned(), problem: format!("{place}: {problem}") }
        }
        other => other,
    })?;
    model.path = Some(path.to_owned());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    external::resolve(&mut model, folder)?;
    Ok(model)
}

/// Decodes a model from memory; external data stays unresolved.
///
/// # Errors
/// [`Error::Invalid`] where the bytes are no ONNX model.
pub fn decode(bytes: Bytes) -> Result<Model> {
    let size = bytes.len();
    if size == 0 {
        return Err(Error::invalid("file", "it is empty"));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(Error::invalid(
            "file",
            "it is a Git LFS pointer; fetch the file itself with `git lfs pull`",
        ));
    }
    let proto = ModelProto::decode(bytes).map_err(|error| {
        Error::invalid("protobuf", format!("{error} (a truncated or damaged file, or another kind of file)"))
    })?;
    let known = proto.encoded_len();
    let mut model = Model::new(proto)?;
    model.bytes_on_disk = size as u64;
    model.unknown_bytes = size.saturating_sub(known) as u64;
    Ok(model)
}

/// Reads a file that holds one tensor, such as the `input_0.pb` of a test data set.
///
/// # Errors
/// [`Error::Read`] where it cannot be opened, [`Error::Invalid`] where it is no tensor.
pub fn read_tensor(path: &Path) -> Result<TensorProto> {
    TensorProto::decode(map(path)?).map_err(|error| {
        Error::invalid(path.display().to_string(), format!("{error} (no tensor, or a damaged one)"))
    })
}

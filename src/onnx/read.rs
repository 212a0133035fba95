//! From bytes to a checked [`Model`].

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use bytes::{Buf, Bytes};
use prost::Message;

use super::maps::{map, map_file};
use super::model::Model;
use super::proto::{ModelProto, TensorProto};
use super::{external, form};
use crate::error::{Error, Result};
use crate::files;

/// Reads a model and the side files it names. Tensor data stays in the mapped files.
///
/// # Errors
/// [`Error::Read`] where a file cannot be opened, [`Error::NotOnnx`] where it is no ONNX model,
/// [`Error::Invalid`] where it breaks a rule of the format.
pub fn read(path: &Path) -> Result<Model> {
    let file = files::open(path)?;
    let bytes = map_file(&file, path)?;
    let mut model = model(&bytes, Headers::new(&file, bytes.clone())).map_err(|error| match error {
        Error::Invalid { place, problem, .. } => {
            Error::NotOnnx { path: path.to_owned(), problem: format!("{place}: {problem}") }
        }
        other => other,
    })?;
    model.path = Some(path.to_owned());
    external::resolve(&mut model, path)?;
    Ok(model)
}

/// Decodes a model from memory; external data stays unresolved.
///
/// # Errors
/// [`Error::Invalid`] where the bytes are no ONNX model.
pub fn decode(bytes: Bytes) -> Result<Model> {
    model(&bytes, bytes.clone())
}

/// Decodes `content`, which are `bytes`.
fn model(bytes: &Bytes, content: impl Buf) -> Result<Model> {
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
    let proto = ModelProto::decode(content).map_err(|error| {
        Error::invalid("protobuf", format!("{error} (a truncated or damaged file, or another kind of file)"))
    })?;
    let known = proto.encoded_len();
    let mut model = Model::new(proto)?;
    form::check(&model)?;
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

/// A mapped file, decoded without bringing its tensors into memory: what lies between them is read from the file, and the
/// data of tensors stays where it is.
struct Headers<'f> {
    file: &'f File,
    map: Bytes,
    /// What is read next.
    at: usize,
    /// A stretch of the file that begins at `start`.
    window: Vec<u8>,
    start: usize,
}

/// Bytes that are read at a time.
const WINDOW: usize = 16 << 10;

impl<'f> Headers<'f> {
    fn new(file: &'f File, map: Bytes) -> Self {
        let mut headers = Self { file, map, at: 0, window: Vec::new(), start: 0 };
        headers.fill();
        headers
    }

    /// Has the window begin at what is read next.
    fn fill(&mut self) {
        let length = WINDOW.min(self.map.len() - self.at);
        self.start = self.at;
        self.window.resize(length, 0);
        let found = self.file.seek(SeekFrom::Start(self.at as u64));
        // Whatever keeps a file from being read, the map has the same bytes.
        if found.and_then(|_| self.file.read_exact(&mut self.window)).is_err() {
            self.window.copy_from_slice(&self.map[self.at..self.at + length]);
        }
    }
}

impl Buf for Headers<'_> {
    fn remaining(&self) -> usize {
        self.map.len() - self.at
    }

    fn chunk(&self) -> &[u8] {
        &self.window[self.at - self.start..]
    }

    fn advance(&mut self, count: usize) {
        self.at += count.min(self.remaining());
        if self.at >= self.start + self.window.len() && self.at < self.map.len() {
            self.fill();
        } else if self.at == self.map.len() {
            (self.window, self.start) = (Vec::new(), self.at);
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        let bytes = self.map.slice(self.at..self.at + length);
        self.advance(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{tensor_f32, write};

    #[test]
    fn files_are_decoded_as_memory_is() {
        let mut graph = GraphBuilder::new(21);
        let mut value = graph.input("x", &[1, 4]);
        for (at, count) in [3, 5000, 1, 70_000, 4096, 4094, 2].into_iter().enumerate() {
            let constant =
                graph.initializer(tensor_f32(format!("w{at}"), &[count], &vec![0.5; count as usize]));
            value = graph.node("Mul", &[&value, &constant], &[]);
            for _ in 0..100 {
                value = graph.node("Relu", &[&value], &[]);
            }
        }
        graph.output(&value);
        let model = graph.model();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        write(&model, &path, false).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(read(&path).unwrap().proto, model.proto);
        assert_eq!(decode(bytes.clone().into()).unwrap().proto, model.proto);
        for length in [1, 10, 20_000, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let found = read(&path).map(|model| model.proto).map_err(drop);
            assert_eq!(found, decode(bytes[..length].to_vec().into()).map(|model| model.proto).map_err(drop));
        }
    }
}

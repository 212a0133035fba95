//! Models as files, written piece by piece.

use std::io::{self, Write};
use std::path::Path;

use prost::Message;

use super::model::Model;
use super::proto::{StringStringEntryProto, TensorProto, tensor_proto};
use super::stream;
use super::subgraphs::{tensors, tensors_mut};
use crate::error::{Error, Result};
use crate::files::{Draft, Guard, complete};

/// Largest file that protobuf readers take: 2 GiB less one byte.
const LARGEST_FILE: usize = i32::MAX as usize;
/// Tensors below this size stay in the model file when data goes to a side file, in bytes.
const SMALLEST_EXTERNAL: usize = 1024;
/// Alignment of tensors in a side file: a page, so that runtimes can map each one.
const ALIGNMENT: u64 = 4096;

/// The name of the file that holds the large tensors of the model at `path`, beside it.
pub fn side_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default() + ".data"
}

/// The model as one protobuf message.
pub fn encode(model: &Model) -> Vec<u8> {
    model.proto.encode_to_vec()
}

/// Hands the bytes of [`encode`] to `take` one piece after another, and never holds them all.
///
/// # Errors
/// The first of `take`.
pub fn encode_to(model: &Model, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    stream::model(&model.proto, take)
}

/// How many bytes [`encode`] gives.
pub fn encoded_len(model: &Model) -> usize {
    model.proto.encoded_len()
}

/// The bytes that one message takes.
pub fn message_len(message: &impl Message) -> usize {
    message.encoded_len()
}

/// Writes `model` to `path`, with its large tensors in `path` + `.data` where the whole would exceed what protobuf readers
/// take. Returns the bytes written, side file included.
///
/// # Errors
/// As [`Draft::create`], [`write_to`] and [`Draft::commit`].
pub fn write(model: &Model, path: &Path, overwrite: bool) -> Result<u64> {
    let mut draft = Draft::create(path, overwrite, &Guard::new())?;
    let bytes = write_to(model, &mut draft, false)?;
    draft.commit()?;
    Ok(bytes)
}

/// Writes `model` into `draft`, tensor by tensor, with its large tensors in a side file where `external_data` or the whole
/// would exceed what protobuf readers take. Returns the bytes written, side file included.
///
/// # Errors
/// [`Error::Write`], and those of [`Draft::side`].
pub fn write_to(model: &Model, draft: &mut Draft, external_data: bool) -> Result<u64> {
    let large =
        |tensor: &&TensorProto| tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= SMALLEST_EXTERNAL);
    let wanted = external_data || encoded_len(model) > LARGEST_FILE;
    if !wanted || !tensors(model.graph()).iter().any(large) {
        return write_main(model, draft);
    }
    let mut model = model.clone();
    let name = side_name(draft.path());
    let path = draft.path().with_file_name(&name);
    let mut side = draft.side(name.as_ref())?;
    let mut end = 0u64;
    tensors_mut(model.graph_mut(), &mut |tensor| {
        if tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= SMALLEST_EXTERNAL) {
            end = move_out(tensor, &mut side, end, &name).map_err(Error::write(&path))?;
        }
        Ok(())
    })?;
    complete(side).map_err(Error::write(&path))?;
    Ok(write_main(&model, draft)? + end)
}

fn write_main(model: &Model, draft: &Draft) -> Result<u64> {
    let mut file = draft.main()?;
    let written = encode_to(model, &mut |piece| file.write_all(piece)).and_then(|()| complete(file));
    written.map_err(Error::write(draft.path()))?;
    Ok(encoded_len(model) as u64)
}

fn move_out(tensor: &mut TensorProto, file: &mut impl Write, end: u64, location: &str) -> io::Result<u64> {
    let raw = tensor.raw_data.take().unwrap_or_default();
    let start = end.next_multiple_of(ALIGNMENT);
    io::copy(&mut io::Read::take(io::repeat(0), start - end), file)?;
    stream::pieces(&raw, &mut |piece| file.write_all(piece))?;
    let entry =
        |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    tensor.external_data = vec![
        entry("location", location.into()),
        entry("offset", start.to_string()),
        entry("length", raw.len().to_string()),
    ];
    tensor.data_location = Some(tensor_proto::DataLocation::External as i32);
    Ok(start + raw.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{read, tensor_f32};

    fn large() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 600]);
        let w = graph.initializer(tensor_f32("w", &[600, 2], &[0.5; 1200]));
        let y = graph.node("MatMul", &[&x, &w], &[]);
        graph.output(&y);
        graph.model()
    }

    fn external(path: &Path) -> Result<u64> {
        let mut draft = Draft::create(path, false, &Guard::new())?;
        let bytes = write_to(&large(), &mut draft, true)?;
        draft.commit().map(|()| bytes)
    }

    #[test]
    fn external_data_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let total = external(&path).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(back.proto, large().proto);
        assert_eq!(back.bytes_on_disk, total);
    }

    #[test]
    fn external_data_may_not_leave_the_folder_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        external(&path).unwrap();
        let model = super::super::read::decode(std::fs::read(&path).unwrap().into()).unwrap();
        for (key, value) in [
            ("location", "../m.onnx.data"),
            ("location", "/etc/passwd"),
            ("offset", "99999"),
            ("length", "-1"),
        ] {
            let mut model = model.clone();
            let entries = &mut model.graph_mut().initializer[0].external_data;
            entries.iter_mut().find(|entry| entry.key() == key).unwrap().value = Some(value.into());
            std::fs::write(&path, encode(&model)).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("tensor w"), "{key} {value}");
        }
    }
}

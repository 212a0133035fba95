//! Writing without half-written files: temporary file in the same folder, sync, rename.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use tempfile::NamedTempFile;

use super::model::Model;
use super::proto::{ModelProto, StringStringEntryProto, TensorProto, tensor_proto};
use crate::error::{Error, Result};

/// Largest file that protobuf readers take: 2 GiB less one byte.
const LARGEST_FILE: usize = i32::MAX as usize;
/// Tensors below this size stay in the model file when data goes to a side file, in bytes.
const SMALLEST_EXTERNAL: usize = 1024;
/// Alignment of tensors in a side file: a page, so that runtimes can map each one.
const ALIGNMENT: u64 = 4096;

/// A file that appears under its name only when complete.
#[derive(Debug)]
pub struct Sink {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Sink {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// [`Error::Exists`] where `path` is there and `overwrite` is not given, [`Error::Write`]
    /// where the folder is missing or cannot be written to.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::Write { path: path.to_owned(), source: io::ErrorKind::IsADirectory.into() });
        }
        if !overwrite && path.exists() {
            return Err(Error::Exists { path: path.to_owned() });
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let problem = format!("there is no folder {}; make it first", folder.display());
            let source = io::Error::new(io::ErrorKind::NotFound, problem);
            return Err(Error::Write { path: path.to_owned(), source });
        }
        let file = tempfile::Builder::new().prefix(".fourbit-").tempfile_in(folder).map_err(|error| {
            // Its own words name the temporary file, which means nothing to anybody.
            let problem = format!("no file can be made in {}: {}", folder.display(), error.kind());
            Error::Write { path: path.to_owned(), source: io::Error::new(error.kind(), problem) }
        })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Syncs the content and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`]; nothing is left behind then.
    pub fn commit(self) -> Result<()> {
        let Self { path, file } = self;
        let file = file
            .into_inner()
            .map_err(|error| Error::Write { path: path.clone(), source: error.into_error() })?;
        open_to_all(file.as_file()).and_then(|()| file.as_file().sync_all()).map_err(Error::write(&path))?;
        file.persist(&path).map_err(|error| Error::Write { path: path.clone(), source: error.error })?;
        Ok(())
    }
}

/// Temporary files are private; what ships has the ordinary permissions of a new file.
#[cfg(unix)]
fn open_to_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn open_to_all(_: &File) -> io::Result<()> {
    Ok(())
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes a model that [`write`] wrote, with its side file where it has one: a file of that name
/// that it does not refer to is somebody else's.
pub fn remove(path: &Path) {
    let model = std::fs::read(path).ok().and_then(|bytes| ModelProto::decode(bytes.as_slice()).ok());
    let external = Some(tensor_proto::DataLocation::External as i32);
    let graph = model.and_then(|model| model.graph).unwrap_or_default();
    if graph.initializer.iter().any(|tensor| tensor.data_location == external) {
        drop(std::fs::remove_file(path.with_file_name(side_name(path))));
    }
    drop(std::fs::remove_file(path));
}

fn side_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default() + ".data"
}

/// The model as one protobuf message.
pub fn encode(model: &Model) -> Vec<u8> {
    model.proto.encode_to_vec()
}

/// Writes `model` to `path`, with its large tensors in `path` + `.data` where the whole would
/// exceed what protobuf readers take. Returns the bytes written, side file included.
///
/// # Errors
/// As [`Sink::create`] and [`Sink::commit`].
pub fn write(model: &Model, path: &Path, overwrite: bool) -> Result<u64> {
    match model.proto.encoded_len() > LARGEST_FILE {
        true => write_external(model.clone(), path, overwrite),
        false => write_bytes(&encode(model), path, overwrite),
    }
}

fn write_bytes(bytes: &[u8], path: &Path, overwrite: bool) -> Result<u64> {
    let mut sink = Sink::create(path, overwrite)?;
    sink.write_all(bytes).map_err(Error::write(path))?;
    sink.commit()?;
    Ok(bytes.len() as u64)
}

fn write_external(mut model: Model, path: &Path, overwrite: bool) -> Result<u64> {
    let name = side_name(path);
    let side = path.with_file_name(&name);
    let mut sink = Sink::create(&side, overwrite)?;
    let mut end = 0u64;
    for tensor in &mut model.graph_mut().initializer {
        if tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= SMALLEST_EXTERNAL) {
            end = move_out(tensor, &mut sink, end, &name).map_err(Error::write(&side))?;
        }
    }
    let main = encode(&model);
    let main_sink = {
        let mut main_sink = Sink::create(path, overwrite)?;
        main_sink.write_all(&main).map_err(Error::write(path))?;
        main_sink
    };
    sink.commit()?;
    main_sink.commit()?;
    Ok(main.len() as u64 + end)
}

fn move_out(tensor: &mut TensorProto, sink: &mut Sink, end: u64, location: &str) -> io::Result<u64> {
    let raw = tensor.raw_data.take().unwrap_or_default();
    let start = end.next_multiple_of(ALIGNMENT);
    io::copy(&mut io::Read::take(io::repeat(0), start - end), sink)?;
    sink.write_all(&raw)?;
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

    #[test]
    fn external_data_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let total = write_external(large(), &path, false).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(back.proto, large().proto);
        assert_eq!(back.bytes_on_disk, total);
    }

    #[test]
    fn a_side_file_is_removed_with_its_model_only() {
        let folder = tempfile::tempdir().unwrap();
        let (path, side) = (folder.path().join("m.onnx"), folder.path().join("m.onnx.data"));
        std::fs::write(&side, "not ours").unwrap();
        write(&large(), &path, false).unwrap();
        remove(&path);
        assert!(!path.exists() && side.exists(), "another's side file stays");
        std::fs::remove_file(&side).unwrap();
        write_external(large(), &path, false).unwrap();
        remove(&path);
        assert!(!path.exists() && !side.exists(), "its own goes");
    }

    #[test]
    fn external_data_may_not_leave_the_folder_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        write_external(large(), &path, false).unwrap();
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
            write_bytes(&encode(&model), &path, true).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("tensor w"), "{key} {value}");
        }
    }

    #[test]
    fn nothing_is_replaced_unasked_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        write(&large(), &path, false).unwrap();
        assert!(matches!(write(&large(), &path, false), Err(Error::Exists { .. })));
        drop(Sink::create(&path, true).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

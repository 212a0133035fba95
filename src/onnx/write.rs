//! Writing without half-written files: temporary file in the same folder, sync, rename.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use tempfile::NamedTempFile;

use super::maps::map;
use super::model::Model;
use super::proto::{ModelProto, StringStringEntryProto, TensorProto, tensor_proto};
use super::stream;
use super::subgraphs::{tensors, tensors_mut};
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
        self.synced()?.named()
    }

    fn synced(self) -> Result<Synced> {
        let Self { path, file } = self;
        let file = file
            .into_inner()
            .map_err(|error| Error::Write { path: path.clone(), source: error.into_error() })?;
        open_to_all(file.as_file()).and_then(|()| file.as_file().sync_all()).map_err(Error::write(&path))?;
        Ok(Synced { path, file })
    }
}

/// A complete file that waits for its name.
struct Synced {
    path: PathBuf,
    file: NamedTempFile,
}

impl Synced {
    fn named(self) -> Result<()> {
        let Self { path, file } = self;
        file.persist(&path).map_err(|error| Error::Write { path, source: error.error })?;
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
    let model = map(path).ok().and_then(|bytes| ModelProto::decode(bytes).ok());
    let external = Some(tensor_proto::DataLocation::External as i32);
    let graph = model.and_then(|model| model.graph).unwrap_or_default();
    if tensors(&graph).iter().any(|tensor| tensor.data_location == external) {
        drop(std::fs::remove_file(side_path(path)));
    }
    drop(std::fs::remove_file(path));
}

fn side_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default() + ".data"
}

fn side_path(path: &Path) -> PathBuf {
    path.with_file_name(side_name(path))
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

/// Where a model goes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Target<'p> {
    /// The file.
    pub path: &'p Path,
    /// Whether large tensors go to `path` + `.data` in any case, and not only where the whole would exceed what protobuf
    /// readers take.
    pub external_data: bool,
    /// Whether files that are there may be replaced.
    pub overwrite: bool,
}

impl Target<'_> {
    /// Whether the files can be made, told before there is anything to write.
    ///
    /// # Errors
    /// As [`Sink::create`], and [`Error::OverwritesInput`] where it is one of `inputs`.
    pub fn check(&self, inputs: &[PathBuf]) -> Result<()> {
        drop(self.sink(self.path.to_owned(), inputs)?);
        if self.external_data {
            drop(self.sink(side_path(self.path), inputs)?);
        }
        Ok(())
    }

    fn sink(&self, path: PathBuf, inputs: &[PathBuf]) -> Result<Sink> {
        let found = path.canonicalize().ok();
        let same = |other: &PathBuf| *other == path || found.is_some() && other.canonicalize().ok() == found;
        if inputs.iter().any(same) {
            return Err(Error::OverwritesInput { path });
        }
        Sink::create(&path, self.overwrite)
    }
}

/// Writes `model` to `path`, with its large tensors in `path` + `.data` where the whole would
/// exceed what protobuf readers take. Returns the bytes written, side file included.
///
/// # Errors
/// As [`write_to`].
pub fn write(model: &Model, path: &Path, overwrite: bool) -> Result<u64> {
    write_to(model, Target { path, external_data: false, overwrite })
}

/// Writes `model`, tensor by tensor. Returns the bytes written, side file included.
///
/// # Errors
/// As [`Target::check`] and [`Sink::commit`].
pub fn write_to(model: &Model, target: Target) -> Result<u64> {
    let large =
        |tensor: &&TensorProto| tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= SMALLEST_EXTERNAL);
    let wanted = target.external_data || encoded_len(model) > LARGEST_FILE;
    if wanted && tensors(model.graph()).iter().any(large) {
        return write_external(model.clone(), target);
    }
    let sink = written(model, target)?;
    sink.commit()?;
    Ok(encoded_len(model) as u64)
}

fn written(model: &Model, target: Target) -> Result<Sink> {
    let mut sink = target.sink(target.path.to_owned(), &model.side_files)?;
    encode_to(model, &mut |piece| sink.write_all(piece)).map_err(Error::write(target.path))?;
    Ok(sink)
}

fn write_external(mut model: Model, target: Target) -> Result<u64> {
    let side = side_path(target.path);
    let name = side_name(target.path);
    let mut sink = target.sink(side.clone(), &model.side_files)?;
    let mut end = 0u64;
    let graph = model.graph_mut();
    tensors_mut(graph, &mut |tensor| {
        if tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= SMALLEST_EXTERNAL) {
            end = move_out(tensor, &mut sink, end, &name).map_err(Error::write(&side))?;
        }
        Ok(())
    })?;
    let main = written(&model, target)?;
    // Both are complete before either has its name.
    let (side_file, main) = (sink.synced()?, main.synced()?);
    side_file.named()?;
    main.named().inspect_err(|_| drop(std::fs::remove_file(&side)))?;
    Ok(encoded_len(&model) as u64 + end)
}

fn move_out(tensor: &mut TensorProto, sink: &mut Sink, end: u64, location: &str) -> io::Result<u64> {
    let raw = tensor.raw_data.take().unwrap_or_default();
    let start = end.next_multiple_of(ALIGNMENT);
    io::copy(&mut io::Read::take(io::repeat(0), start - end), sink)?;
    stream::pieces(&raw, &mut |piece| sink.write_all(piece))?;
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

    fn external(path: &Path) -> Target<'_> {
        Target { path, external_data: true, overwrite: false }
    }

    #[test]
    fn external_data_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let total = write_to(&large(), external(&path)).unwrap();
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
        write_to(&large(), external(&path)).unwrap();
        remove(&path);
        assert!(!path.exists() && !side.exists(), "its own goes");
    }

    #[test]
    fn external_data_may_not_leave_the_folder_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        write_to(&large(), external(&path)).unwrap();
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

//! Tensor data in side files: brought in by mapping, so that nothing is copied.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::model::Model;
use super::proto::{GraphProto, TensorProto, tensor_proto};
use super::subgraphs::bodies_mut;
use crate::error::{Error, Result};

/// Maps a file. The map must not outlive changes to the file by others; fourbit itself only ever
/// replaces files by renaming.
pub(crate) fn map(path: &Path) -> Result<Bytes> {
    map_file(&File::open(path).map_err(Error::read(path))?, path)
}

/// Maps an open file, as [`map`] does; `path` is what messages call it.
pub(crate) fn map_file(file: &File, path: &Path) -> Result<Bytes> {
    let metadata = file.metadata().map_err(Error::read(path))?;
    if metadata.is_dir() {
        return Err(Error::Read { path: path.to_owned(), source: std::io::ErrorKind::IsADirectory.into() });
    }
    if metadata.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and private to this process; a file that another process
    // truncates meanwhile is outside what a reader can guard against.
    #[allow(unsafe_code)]
    let map = unsafe { memmap2::Mmap::map(file) }.map_err(Error::read(path))?;
    Ok(Bytes::from_owner(map))
}

/// Replaces every external reference of `model` by a view of the side file in `folder`, and adds
/// the sizes of these files to `bytes_on_disk`.
pub(super) fn resolve(model: &mut Model, folder: &Path) -> Result<()> {
    let mut side = SideFiles { folder: folder.to_owned(), maps: HashMap::new() };
    side.graph(model.graph_mut())?;
    model.bytes_on_disk += side.maps.values().map(|map| map.len() as u64).sum::<u64>();
    Ok(())
}

struct SideFiles {
    folder: PathBuf,
    maps: HashMap<String, Bytes>,
}

impl SideFiles {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for node in &mut graph.node {
            for attribute in &mut node.attribute {
                for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                    self.tensor(tensor)?;
                }
            }
            for body in bodies_mut(node) {
                self.graph(body)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<()> {
        if tensor.data_location() != tensor_proto::DataLocation::External {
            return Ok(());
        }
        let place = format!("tensor {}", tensor.name());
        let field = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key() == key).map(|entry| entry.value())
        };
        let number = |key: &str| {
            let parse = |text: &str| {
                text.parse::<usize>().map_err(|_| Error::invalid(&place, format!("external {key} {text:?}")))
            };
            field(key).map(parse).transpose()
        };
        let location =
            field("location").ok_or_else(|| Error::invalid(&place, "external data without a location"))?;
        let inside = Path::new(location)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || location.is_empty() {
            return Err(Error::invalid(
                &place,
                format!("external data outside the model's folder: {location}"),
            ));
        }
        if !self.maps.contains_key(location) {
            self.maps.insert(location.to_owned(), map(&self.folder.join(location))?);
        }
        let data = &self.maps[location];
        let start = number("offset")?.unwrap_or(0);
        let end = number("length")?.map_or(Some(data.len()), |length| start.checked_add(length));
        let range =
            end.filter(|&end| start <= end && end <= data.len()).map(|end| start..end).ok_or_else(|| {
                Error::invalid(
                    &place,
                    format!("external data beyond the end of {location} ({} bytes)", data.len()),
                )
            })?;
        tensor.raw_data = Some(data.slice(range));
        tensor.data_location = None;
        tensor.external_data.clear();
        Ok(())
    }
}

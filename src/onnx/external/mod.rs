//! Tensor data in side files: brought in by mapping, so that nothing is copied.

mod outline;

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::files;
use crate::onnx::maps::map;
use crate::onnx::model::Model;
use crate::onnx::proto::{TensorProto, tensor_proto};
use crate::onnx::subgraphs::tensors_mut;

pub use outline::{Outline, outline};

/// Replaces every external reference of `model`, which lies at `path`, by a view of the side file in its folder, notes these
/// files, and adds their sizes to `bytes_on_disk`.
pub(in crate::onnx) fn resolve(model: &mut Model, path: &Path) -> Result<()> {
    let folder = files::folder(path);
    // A model that is itself a link may have its data beside the file that it leads to, as in caches of downloads.
    let real = path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let roots = folder.canonicalize().ok().into_iter().chain(real).collect();
    let mut side = SideFiles { folder: folder.to_owned(), roots, maps: HashMap::new() };
    tensors_mut(model.graph_mut(), &mut |tensor| side.tensor(tensor))?;
    model.bytes_on_disk += side.maps.values().map(|map| map.len() as u64).sum::<u64>();
    model.side_files = side.maps.keys().map(|location| folder.join(location)).collect();
    Ok(())
}

struct SideFiles {
    folder: PathBuf,
    /// Folders in which side files may really lie.
    roots: Vec<PathBuf>,
    maps: HashMap<String, Bytes>,
}

impl SideFiles {
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
            let path = self.folder.join(location);
            let real = path.canonicalize().map_err(Error::read(&path))?;
            if !self.roots.iter().any(|root| real.starts_with(root)) {
                return Err(Error::invalid(
                    &place,
                    format!(
                        "external data outside the model's folder: {location} is a link to {}",
                        real.display()
                    ),
                ));
            }
            self.maps.insert(location.to_owned(), map(&path)?);
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

//! `.npz` archives: zip files of arrays.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive};

use super::npy::Array;
use super::packed::Packed;
use crate::error::{Error, Result};
use crate::onnx::{map, map_file};
use crate::samples::misfit::Misfit;

/// No deflated byte stands for more bytes than this: a size beyond it is a lie.
const MOST_INFLATION: u64 = 1032;
/// Bytes that are unpacked for an array when it is opened; of a larger one, the rows that are asked for are, later.
const MOST_AT_ONCE: u64 = 64 << 20;
/// Bytes of an array in which its header must end: NumPy's own takes about a hundred.
const LONGEST_HEADER: u64 = 1 << 16;
/// What an empty deflate stream may stand for, in bytes.
const SLACK: u64 = 4096;

/// An open archive; nothing is inflated before it is asked for.
pub(super) struct Archive<'p> {
    path: &'p Path,
    bytes: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
}

impl<'p> Archive<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Self> {
        let bytes = map(path)?;
        let zip = ZipArchive::new(Cursor::new(bytes.clone())).map_err(|error| {
            Error::samples(path, "archive", "an .npz file", format!("{error} (a truncated or damaged file?)"))
        })?;
        Ok(Self { path, bytes, zip })
    }

    /// The arrays' names, sorted.
    pub(super) fn keys(&self) -> Vec<String> {
        let names = self.zip.file_names().filter(|name| !name.ends_with('/'));
        let mut keys: Vec<String> =
            names.map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned()).collect();
        keys.sort_unstable();
        keys
    }

    /// One array: a view of the archive where it is stored plainly, else of an unlinked temporary
    /// file that it is inflated to, at once or, where it is large, when its rows are asked for.
    pub(super) fn array(&mut self, key: &str) -> Result<Array> {
        let path = self.path;
        let damaged = |found: String| Error::samples(path, format!("key {key}"), "a readable member", found);
        let name = [format!("{key}.npy"), key.to_owned()]
            .into_iter()
            .find(|name| self.zip.index_for_name(name).is_some())
            .unwrap_or_default();
        let mut member = self.zip.by_name(&name).map_err(|error| damaged(error.to_string()))?;
        let (packed, size) = (member.compressed_size(), member.size());
        let bytes = if member.compression() == CompressionMethod::Stored {
            let start = usize::try_from(member.data_start()).ok();
            let range =
                start.and_then(|start| Some(start..start.checked_add(usize::try_from(packed).ok()?)?));
            range
                .filter(|range| range.end <= self.bytes.len())
                .map(|range| self.bytes.slice(range))
                .ok_or_else(|| damaged("data beyond the end of the file".into()))?
        } else {
            if size > MOST_AT_ONCE {
                let unpacked = Packed::new(self.bytes.clone(), name.clone());
                let start = unpacked
                    .start(LONGEST_HEADER.min(size))
                    .map_err(Misfit::at(path, format!("key {key}")))?;
                let array =
                    Array::packed(&start, size, unpacked).map_err(Misfit::at(path, format!("key {key}")))?;
                if let Some(array) = array {
                    return Ok(array);
                }
            }
            if size > packed.saturating_mul(MOST_INFLATION).saturating_add(SLACK) {
                return Err(damaged(format!("{size} bytes out of {packed}, which no compression gives")));
            }
            let mut file = tempfile::tempfile().map_err(Error::read(path))?;
            let written = std::io::copy(&mut member.by_ref().take(size.saturating_add(1)), &mut file)
                .map_err(|error| damaged(error.to_string()))?;
            if written != size {
                return Err(damaged(format!("other than the {size} bytes it declares")));
            }
            file.seek(SeekFrom::Start(0)).map_err(Error::read(path))?;
            map_file(&file, path)?
        };
        Array::parse(&bytes).map_err(Misfit::at(path, format!("key {key}")))
    }
}

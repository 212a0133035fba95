//! Files to read. A pipe would be waited for without end, and a device has none.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a file for reading.
///
/// # Errors
/// [`Error::Read`] where it is not there, or is no regular file.
pub fn open(path: &Path) -> Result<File> {
    let found = path.metadata().map_err(Error::read(path))?;
    if let Some(kind) = other_kind(&found) {
        let problem = match kind {
            "folder" => io::ErrorKind::IsADirectory.into(),
            _ => io::Error::other(format!("it is a {kind}; write its content to a file, and give that")),
        };
        return Err(Error::Read { path: path.to_owned(), source: problem });
    }
    File::open(path).map_err(Error::read(path))
}

/// All bytes of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(Error::read(path))?;
    Ok(bytes)
}

/// All text of a file.
///
/// # Errors
/// As [`open`], and [`Error::Read`] where it is no text.
pub fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(Error::read(path))?;
    Ok(text)
}

/// What `found` is, where it is no regular file.
pub(super) fn other_kind(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kinds = [
            (kind.is_fifo(), "pipe"),
            (kind.is_socket(), "socket"),
            (kind.is_char_device(), "device"),
            (kind.is_block_device(), "block device"),
        ];
        if let Some((_, name)) = kinds.into_iter().find(|(is, _)| *is) {
            return Some(name);
        }
    }
    match () {
        () if kind.is_dir() => Some("folder"),
        () if kind.is_file() => None,
        () => Some("special file"),
    }
}

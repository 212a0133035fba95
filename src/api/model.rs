//! Models as a caller has them: in a file, or in memory.

use std::fmt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// A model: a path, or the bytes of an ONNX file.
///
/// Large models are better given as paths: their tensors are then read from the file where they are needed.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

impl Source {
    /// A model in memory. Its tensors must be in it, since it has no folder in which side files could lie.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// A file with the model, which is there as long as what is returned.
    pub(super) fn locate(&self) -> Result<Located> {
        match &self.0 {
            Kind::Path(path) => Ok(Located { path: path.clone(), folder: None }),
            Kind::Bytes(bytes) => {
                let located = Located::temporary()?;
                std::fs::write(&located.path, bytes).map_err(Error::write(&located.path))?;
                Ok(located)
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.0 {
            Kind::Path(path) => write!(formatter, "Source({})", path.display()),
            Kind::Bytes(bytes) => write!(formatter, "Source({} bytes)", bytes.len()),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for Source {
    fn from(path: P) -> Self {
        Self(Kind::Path(path.into()))
    }
}

/// A model's file, and its folder where that goes away with this.
pub(super) struct Located {
    path: PathBuf,
    folder: Option<TempDir>,
}

impl Located {
    /// A place for a file that goes away with this.
    pub(super) fn temporary() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("fourbit-").tempdir();
        let folder = folder.map_err(Error::write(&std::env::temp_dir()))?;
        Ok(Self { path: folder.path().join("model.onnx"), folder: Some(folder) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `result`, whose error says which model it is about; nothing of a model in memory, whose file is nobody's.
    pub(super) fn told<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| if self.is_temporary() { error } else { error.of(&self.path) })
    }

    /// Whether it goes away with this.
    pub(super) fn is_temporary(&self) -> bool {
        self.folder.is_some()
    }
}

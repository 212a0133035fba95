//! Models as Python gives them.

use std::path::PathBuf;

use fourbit::Source;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A path, or the bytes of an ONNX file.
pub struct Model(pub Source, Option<PathBuf>);

impl Model {
    /// Its path, where it has one.
    pub fn path(&self) -> Option<PathBuf> {
        self.1.clone()
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Model {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(Source::from_bytes(bytes.as_bytes()), None));
        }
        let path: PathBuf = object.extract()?;
        Ok(Self(path.clone().into(), Some(path)))
    }
}

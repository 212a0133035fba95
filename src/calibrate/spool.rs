//! One value of the graph on every sample, kept in memory while small and in a temporary file otherwise.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use tempfile::SpooledTempFile;

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, tensor};

/// Bytes of one value, over all samples, that are kept in memory. A frontier of a dozen such values stays below 200 MB.
const IN_MEMORY: usize = 16 << 20;

/// A value on all samples, in their order. May be read from several threads.
#[derive(Debug)]
pub(super) struct Spool {
    name: String,
    file: Mutex<SpooledTempFile>,
    records: Vec<Record>,
    /// The first value, as long as all others equal it.
    only: Option<TensorProto>,
    end: u64,
}

#[derive(Debug)]
struct Record {
    dtype: i32,
    dims: Vec<i64>,
    start: u64,
    length: usize,
}

impl Spool {
    pub fn new(name: &str) -> Self {
        let file = Mutex::new(SpooledTempFile::new(IN_MEMORY));
        Self { name: name.into(), file, records: Vec::new(), only: None, end: 0 }
    }

    /// Appends the next sample's value, which has `raw_data`.
    pub fn push(&mut self, value: &TensorProto) -> Result<()> {
        let bytes = value.raw_data.as_deref().unwrap_or_default();
        let same = |only: &TensorProto| {
            only.dims == value.dims && only.data_type == value.data_type && only.raw_data == value.raw_data
        };
        if self.records.is_empty() && value.data_type() != Dtype::Float as i32 {
            self.only = Some(value.clone());
        } else if !self.only.as_ref().is_some_and(same) {
            self.only = None;
        }
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let written = file.seek(SeekFrom::Start(self.end)).and_then(|_| file.write_all(bytes));
        written.map_err(Error::write(&std::env::temp_dir()))?;
        self.records.push(Record {
            dtype: value.data_type(),
            dims: value.dims.clone(),
            start: self.end,
            length: bytes.len(),
        });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// The value on sample `at`.
    pub fn get(&self, at: usize) -> Result<TensorProto> {
        let missing = || Error::Runtime {
            action: "calibrate",
            view: "float".into(),
            problem: format!("value {} was not kept for sample {at}", self.name),
        };
        let record = self.records.get(at).ok_or_else(missing)?;
        let mut bytes = vec![0; record.length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(record.start)).and_then(|_| file.read_exact(&mut bytes));
        drop(file);
        read.map_err(Error::read(&std::env::temp_dir()))?;
        let dtype = Dtype::try_from(record.dtype).unwrap_or(Dtype::Undefined);
        Ok(tensor(self.name.as_str(), dtype, &record.dims, bytes))
    }

    /// The one value that all samples have, if it is one of integers or booleans: shapes and the like. As a constant it
    /// lets tract know shapes that it would otherwise not see.
    pub fn constant(&self) -> Option<&TensorProto> {
        self.only.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{tensor_f32, tensor_i64};

    #[test]
    fn values_return_whatever_their_number_and_type() {
        let mut spool = Spool::new("x");
        let long: Vec<f32> = (0..IN_MEMORY / 8).map(|at| at as f32).collect();
        for sample in 0..4 {
            spool.push(&tensor_f32("x", &[1, long.len() as i64], &long)).unwrap();
            assert_eq!(spool.get(sample).unwrap(), tensor_f32("x", &[1, long.len() as i64], &long));
        }
        assert!(spool.constant().is_none() && spool.get(4).is_err());
        assert_eq!(spool.get(0).unwrap().dims, [1, long.len() as i64]);
    }

    #[test]
    fn integers_that_never_change_are_a_constant() {
        let mut spool = Spool::new("shape");
        spool.push(&tensor_i64("a", &[2], &[1, 2])).unwrap();
        spool.push(&tensor_i64("b", &[2], &[1, 2])).unwrap();
        assert!(spool.constant().is_some());
        spool.push(&tensor_i64("c", &[2], &[1, 3])).unwrap();
        assert!(spool.constant().is_none());
        spool.push(&tensor_i64("d", &[2], &[1, 2])).unwrap();
        assert!(spool.constant().is_none());
    }
}

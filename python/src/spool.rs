//! Samples of a Python program on their way to the library, in a temporary file: they are asked for more than once, from several threads, and
//! memory must not grow with their number.

use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fourbit::{Inputs, SampleSet, SampleSource, Tensor};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An array of a sample, whose values lie in the file.
struct Kept {
    name: String,
    element: String,
    dims: Vec<usize>,
    offset: u64,
    length: usize,
}

#[derive(Default)]
struct Samples {
    all: Vec<(Vec<Kept>, Vec<i64>)>,
    /// Made with the first sample.
    file: Option<File>,
    length: u64,
}

/// Samples that were given one after another.
#[pyclass(frozen)]
pub struct Spool {
    name: String,
    samples: Arc<Mutex<Samples>>,
}

type Array<'py> = (String, String, Vec<usize>, Bound<'py, PyBytes>);

#[pymethods]
impl Spool {
    #[new]
    fn new(name: String) -> Self {
        Self { name, samples: Arc::default() }
    }

    fn __len__(&self) -> usize {
        locked(&self.samples).all.len()
    }

    /// Takes one more sample: of each array its name, element type, dimensions and values.
    fn add(&self, arrays: Vec<Array<'_>>, labels: Vec<i64>) -> PyResult<()> {
        let failed = |error: std::io::Error| {
            PyOSError::new_err(format!("samples cannot be kept in a temporary file: {error}"))
        };
        let mut samples = locked(&self.samples);
        let samples = &mut *samples;
        let file = match &mut samples.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(failed)?),
        };
        let mut kept = Vec::with_capacity(arrays.len());
        for (name, element, dims, values) in arrays {
            let bytes = values.as_bytes();
            file.seek(SeekFrom::Start(samples.length)).and_then(|_| file.write_all(bytes)).map_err(failed)?;
            kept.push(Kept { name, element, dims, offset: samples.length, length: bytes.len() });
            samples.length += bytes.len() as u64;
        }
        samples.all.push((kept, labels));
        Ok(())
    }
}

fn locked(samples: &Mutex<Samples>) -> MutexGuard<'_, Samples> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The samples of a spool, as the library asks for them.
struct Spooled {
    name: String,
    samples: Arc<Mutex<Samples>>,
}

impl SampleSource for Spooled {
    fn len(&self) -> usize {
        locked(&self.samples).all.len()
    }

    fn inputs(&self, index: usize) -> Result<Inputs, Box<dyn Error + Send + Sync>> {
        let mut samples = locked(&self.samples);
        let Samples { all, file, .. } = &mut *samples;
        let (arrays, file) = (&all[index].0, file.as_mut().ok_or("it was not kept")?);
        let mut read = Vec::with_capacity(arrays.len());
        for array in arrays {
            let mut bytes = vec![0; array.length];
            file.seek(SeekFrom::Start(array.offset))?;
            file.read_exact(&mut bytes)?;
            read.push((array.name.clone(), Tensor::from_bytes(&array.element, &array.dims, bytes)?));
        }
        Ok(read)
    }

    fn labels(&self, index: usize) -> Vec<i64> {
        locked(&self.samples).all[index].1.clone()
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Samples as the package gives them: a path, a word, or a spool.
pub struct Given(pub SampleSet);

impl<'a, 'py> FromPyObject<'a, 'py> for Given {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(spool) = object.cast::<Spool>() {
            let Spool { name, samples } = spool.get();
            let source = Spooled { name: name.clone(), samples: Arc::clone(samples) };
            return Ok(Self(SampleSet::from_source(source)));
        }
        Ok(Self(SampleSet::named(&object.extract::<PathBuf>()?)))
    }
}

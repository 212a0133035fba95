//! Samples of a caller's own, which lie in no file.

mod tensor;
mod wished;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::input::Input;
use super::misfit::{Misfit, list, shape_text};
use super::{Sample, Samples, Source};
use crate::error::{Error, Result};
use crate::onnx::{Dtype, Model};
use tensor::is_float;
pub use tensor::{Element, Tensor};

/// The inputs of one call of a model, by their names.
pub type Inputs = Vec<(String, Tensor)>;

/// Samples that a program makes itself, one by one.
///
/// They are asked for more than once, and from several threads at a time; the same index must give the same values.
pub trait SampleSource: Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The inputs of sample `index`, which is below [`SampleSource::len`], as the model takes them, a batch axis included.
    ///
    /// # Errors
    /// What keeps them from being read; it ends the conversion.
    fn inputs(&self, index: usize) -> Result<Inputs, Box<dyn std::error::Error + Send + Sync>>;

    /// The class indices of sample `index`: one for each row of its batch, or none where the samples have no labels.
    fn labels(&self, index: usize) -> Vec<i64> {
        let _ = index;
        Vec::new()
    }

    /// What messages and reports call these samples.
    fn name(&self) -> String {
        "samples of the program".into()
    }
}

/// Where samples are: a path, or the program itself.
#[derive(Clone)]
pub struct SampleSet {
    /// Of samples in no file, their name.
    path: PathBuf,
    own: Option<Own>,
}

#[derive(Clone)]
enum Own {
    One(Arc<dyn SampleSource>),
    Rows(Arc<(Inputs, Vec<i64>)>),
    Generated,
    Nothing,
}

impl fmt::Debug for SampleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "SampleSet({})", self.path.display())
    }
}

impl SampleSet {
    /// Samples that `source` makes.
    pub fn from_source(source: impl SampleSource + 'static) -> Self {
        Self { path: source.name().into(), own: Some(Own::One(Arc::new(source))) }
    }

    /// The samples that an iterator gives; they stay in memory.
    pub fn from_samples(samples: impl IntoIterator<Item = Inputs>) -> Self {
        Self::from_source(Collected(samples.into_iter().collect()))
    }

    /// Samples that lie along the first axis of one array for each input, as in an `.npz` file: of arrays of the inputs' own rank, or
    /// with an axis more.
    pub fn from_arrays<N: Into<String>, T: Into<Tensor>>(arrays: impl IntoIterator<Item = (N, T)>) -> Self {
        Self::from_labelled_arrays(arrays, [])
    }

    /// Arrays by the names of inputs, with class indices, one for each row of the data.
    pub fn from_labelled_arrays<N: Into<String>, T: Into<Tensor>>(
        arrays: impl IntoIterator<Item = (N, T)>,
        labels: impl IntoIterator<Item = i64>,
    ) -> Self {
        let arrays = arrays.into_iter().map(|(name, array)| (name.into(), array.into())).collect();
        let rows = (arrays, labels.into_iter().collect());
        Self { path: "arrays of the program".into(), own: Some(Own::Rows(Arc::new(rows))) }
    }

    /// The file or folder, where they lie in one.
    pub fn file(&self) -> Option<&Path> {
        self.own.is_none().then_some(self.path.as_path())
    }

    /// The path, or what messages call them.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<P: Into<PathBuf>> From<P> for SampleSet {
    fn from(path: P) -> Self {
        Self { path: path.into(), own: None }
    }
}

#[derive(Debug)]
struct Collected(Vec<Inputs>);

impl SampleSource for Collected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn inputs(&self, index: usize) -> Result<Inputs, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0[index].clone())
    }
}

/// Samples of a [`SampleSource`] for a model.
struct Asked {
    source: Arc<dyn SampleSource>,
    inputs: Vec<Input>,
    labels: Vec<i64>,
    path: PathBuf,
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.path.display())
    }
}

impl Source for Asked {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    fn labels(&self) -> &[i64] {
        &self.labels
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let place = format!("sample {index}");
        let given = self.source.inputs(index).map_err(|error| {
            Error::samples(&self.path, &place, "a sample that can be made", error.to_string())
        })?;
        let find = |input: &Input| {
            let value = find(&given, &input.name).map_err(Misfit::at(&self.path, &place))?;
            let place = format!("{place}, input {}", input.name);
            checked_type(value, input).map_err(Misfit::at(&self.path, &place))?;
            if !input.takes(&value.dims) {
                return Err(Error::samples(&self.path, place, input.shape(), shape_text(&value.dims)));
            }
            let dims: Vec<i64> = value.dims.iter().map(|&dim| dim as i64).collect();
            let rows = value.dims.first().copied().unwrap_or(1);
            value.rows(&input.name, 0, rows, &dims, input.dtype)
        };
        let inputs = self.inputs.iter().map(find).collect::<Result<_>>()?;
        Ok(Sample { inputs, labels: self.source.labels(index) })
    }
}

/// Rows of arrays in memory.
#[derive(Debug)]
struct Rows {
    feeds: Vec<(Input, Tensor, super::input::Cut)>,
    labels: Vec<i64>,
}

impl Source for Rows {
    fn len(&self) -> usize {
        self.feeds.iter().map(|(_, _, cut)| cut.count).min().unwrap_or(0)
    }

    fn labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    fn labels(&self) -> &[i64] {
        &self.labels
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let one = |(input, array, cut): &(Input, Tensor, super::input::Cut)| {
            array.rows(&input.name, index * cut.rows, cut.rows, &cut.dims, input.dtype)
        };
        let per_sample = self.feeds.first().map_or(1, |(_, _, cut)| cut.labels).max(1);
        let labels = self.labels.chunks_exact(per_sample).nth(index).unwrap_or(&[]).to_vec();
        Ok(Sample { inputs: self.feeds.iter().map(one).collect::<Result<_>>()?, labels })
    }
}

impl Samples {
    /// The samples of `set` for `model`: [`Samples::open`] where they lie in a file or folder.
    ///
    /// # Errors
    /// [`Error::Samples`] where they do not fit the model, and those of [`Samples::open`].
    pub fn open_set(set: &SampleSet, model: &Model, preprocess: Option<&super::Preprocess>) -> Result<Self> {
        Self::opened_set(set, Input::all(model)?, preprocess)
    }

    /// As [`Samples::open_set`], for these inputs of a model.
    pub(super) fn opened_set(
        set: &SampleSet,
        inputs: Vec<Input>,
        preprocess: Option<&super::Preprocess>,
    ) -> Result<Self> {
        let path = set.path.clone();
        let Some(own) = &set.own else { return Self::opened(&path, inputs, preprocess) };
        let source: Arc<dyn Source> = match own {
            Own::One(source) => {
                let count = source.len();
                let labels = (0..count).flat_map(|index| source.labels(index)).collect();
                let asked = Asked { source: Arc::clone(source), inputs, labels, path: path.clone() };
                // Told before the work.
                if count > 0 {
                    asked.get(0)?;
                }
                Arc::new(asked)
            }
            Own::Rows(rows) => Arc::new(by_rows(&rows.0, &rows.1, inputs, &path)?),
            Own::Generated | Own::Nothing => {
                let expected = "samples to read; generated ones are for calibration alone";
                return Err(Error::samples(&path, "samples", expected, path.display().to_string()));
            }
        };
        Ok(Self { path, source, chosen: None, preprocessed: false })
    }
}

fn by_rows(arrays: &Inputs, labels: &[i64], inputs: Vec<Input>, path: &Path) -> Result<Rows> {
    let mut feeds = Vec::new();
    for input in inputs {
        let place = format!("input {}", input.name);
        let array = find(arrays, &input.name).map_err(Misfit::at(path, &place))?;
        checked_type(array, &input).map_err(Misfit::at(path, &place))?;
        let cut = input.cut(&array.dims).map_err(Misfit::at(path, &place))?;
        feeds.push((input, array.clone(), cut));
    }
    let counts: Vec<usize> = feeds.iter().map(|(_, _, cut)| cut.count).collect();
    if let Some(at) = counts.iter().position(|&count| count != counts[0]) {
        let expected = format!("{} samples, as of input {}", counts[0], feeds[0].0.name);
        return Err(Error::samples(
            path,
            format!("input {}", feeds[at].0.name),
            expected,
            counts[at].to_string(),
        ));
    }
    let wanted = feeds.first().map_or(0, |(_, _, cut)| cut.all_labels);
    if !labels.is_empty() && labels.len() != wanted {
        let expected = format!("{wanted} labels, one for each row of data");
        return Err(Error::samples(path, "labels", expected, labels.len().to_string()));
    }
    Ok(Rows { feeds, labels: labels.to_vec() })
}

fn find<'t>(given: &'t Inputs, name: &str) -> Result<&'t Tensor, Misfit> {
    let found = given.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    found.ok_or_else(|| {
        Misfit::new(format!("a tensor called {name}"), list(given.iter().map(|(name, _)| name.as_str())))
    })
}

/// Floats of another width than the model's are converted; all else must be what the model takes.
fn checked_type(value: &Tensor, input: &Input) -> Result<(), Misfit> {
    match Dtype::try_from(input.dtype) {
        Ok(wanted) if is_float(wanted) && is_float(value.dtype) => Ok(()),
        _ => input.check_type(value.dtype),
    }
}

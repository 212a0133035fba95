//! Samples to calibrate and to validate with: arrays, pictures, test data sets, or made up.
//!
//! Opening reads headers and checks that the data fits the model; a sample's data is read when it
//! is asked for, from mapped files, so that memory is bounded by the samples in flight.

mod archives;
mod arrays;
mod content;
mod discover;
mod element;
mod generated;
mod geometry;
mod input;
mod misfit;
mod own;
mod pictures;
mod pixels;
mod preprocess;
mod presets;
mod random;
mod states;
mod synthetic;
mod test_sets;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use content::Flaw;
pub use discover::Discovered;
pub use generated::{Draws, Pictures, Range, Words};
pub use input::{Declared, Size};
pub use own::{Element, Inputs, SampleSet, SampleSource, Tensor};
pub use preprocess::Preprocess;

use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::onnx::proto::TensorProto;
use input::Input;

/// One inference's worth of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// In the order of the model's inputs, each named after its input, with `raw_data`.
    pub inputs: Vec<TensorProto>,
    /// A class index for each row of the batch axis, usually one; empty where there are none.
    pub labels: Vec<i64>,
}

/// Samples that fit a model, read one by one.
#[derive(Clone, Debug)]
pub struct Samples {
    path: PathBuf,
    source: Arc<dyn Source>,
    /// Ascending; all where `None`.
    chosen: Option<Vec<usize>>,
    /// Whether a preset or a preprocess file says what pixels become.
    preprocessed: bool,
}

/// Where samples come from; adding a kind is one file and one arm of [`Samples::open`].
trait Source: std::fmt::Debug + Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether samples have labels.
    fn labelled(&self) -> bool {
        false
    }

    /// The same source where only the samples `chosen`, ascending, will be asked for, if that saves work.
    fn only(&self, _chosen: &[usize]) -> Option<Arc<dyn Source>> {
        None
    }

    /// The labels of all samples one after another; none where there are none.
    fn labels(&self) -> &[i64] {
        &[]
    }

    /// The class folders, in the order of their indices.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// Whether no value can be NaN or infinite.
    fn is_finite(&self) -> bool {
        false
    }

    /// Where sequences begin of samples that belong together.
    fn starts(&self) -> Vec<usize> {
        vec![0]
    }

    /// What a person calls sample `index`.
    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }

    /// Sample `index`, which is below [`Source::len`].
    fn get(&self, index: usize) -> Result<Sample>;
}

impl Samples {
    /// Opens samples for `model`:
    /// - an `.npz` file keyed by input, with class indices under `labels` or none; samples lie
    ///   along the first axis, of arrays with one axis more than the input or of the same rank;
    /// - an `.npy` file, for a model of one input;
    /// - a folder of `.npz` or `.npy` files, each with samples of its own lengths;
    /// - a folder of pictures: sub-folders are classes, or `labels.csv` (`file,label`) says them;
    /// - a folder `test_data_set_N`, or one that holds such folders.
    ///
    /// # Errors
    /// [`Error::Read`] where a file cannot be opened, [`Error::Samples`] where it cannot be read
    /// as samples or does not fit the model, [`Error::Invalid`] where an input is no tensor.
    pub fn open(path: &Path, model: &Model, preprocess: Option<&Preprocess>) -> Result<Self> {
        Self::opened(path, Input::all(model)?, preprocess)
    }

    fn opened(path: &Path, mut inputs: Vec<Input>, preprocess: Option<&Preprocess>) -> Result<Self> {
        if let Some(preprocess) = preprocess {
            input::set_batch_axis(&mut inputs, preprocess)?;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let source: Arc<dyn Source> = if path.is_dir() {
            let (sets, archives) = (test_sets::find(path), archives::find(path));
            match (sets.is_empty(), preprocess) {
                (true, _) if !archives.is_empty() => {
                    Arc::new(archives::Archives::open(path, archives, &inputs, preprocess)?)
                }
                (true, _) => pictures::open(path, &inputs, preprocess)?,
                (false, None) => Arc::new(test_sets::TestSets::open(sets, &inputs)?),
                (false, Some(preprocess)) => {
                    let expected = "no `.preprocess`, since test data sets are ready for the model";
                    let found = preprocess.path().display().to_string();
                    return Err(Error::samples(path, "folder", expected, found));
                }
            }
        } else {
            std::fs::metadata(path).map_err(Error::read(path))?;
            match ending.as_deref() {
                Some("npz") => Arc::new(arrays::Arrays::npz(path, &inputs, preprocess)?),
                Some("npy") => Arc::new(arrays::Arrays::npy(path, &inputs, preprocess)?),
                _ => {
                    let expected = "an .npz or .npy file, or a folder of pictures or test data sets";
                    return Err(Error::samples(path, "file", expected, "a file of another kind"));
                }
            }
        };
        let preprocessed = preprocess.is_some_and(|preprocess| preprocess.batch_axis().is_none());
        Ok(Self { path: path.to_owned(), source, chosen: None, preprocessed })
    }

    /// Made-up samples. Floats are standard normal; what indexes a table is below its rows, a mask all ones, positions count
    /// up; other integers are 0. Sample `index` depends on `seed` and `index` alone.
    ///
    /// Open dimensions: a batch is 1, a cache of the past 0, a picture's side 64, any other length 16; equal symbols are equal.
    /// `shapes` gives inputs other ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] where an input's rank is not known, or its type cannot be made up; [`Error::Options`] where `shapes` do
    /// not fit.
    pub fn synthetic(model: &Model, shapes: &[(String, Vec<i64>)], count: usize, seed: u64) -> Result<Self> {
        Self::synthetic_sized(model, shapes, 0, count, seed)
    }

    /// The same with larger open dimensions: 128 and 224 where `size` is 1, 1024 and 640 where it is 2.
    ///
    /// # Errors
    /// As [`Samples::synthetic`].
    pub fn synthetic_sized(
        model: &Model,
        shapes: &[(String, Vec<i64>)],
        size: usize,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let inputs = Input::all(model)?;
        let source = Arc::new(synthetic::Synthetic::new(model, &inputs, shapes, size, (count, seed))?);
        Ok(Self { path: PathBuf::from("synthetic samples"), source, chosen: None, preprocessed: false })
    }

    /// Looks for samples beside a model.
    pub fn discover(model_path: &Path) -> Discovered {
        discover::discover(model_path)
    }

    /// Whether a file that has this name below a model's folder may be one that [`Samples::discover`] finds, or a part of it.
    pub fn belongs(name: &str) -> bool {
        discover::belongs(name)
    }

    /// A random subset of `count` samples without repetition, in ascending order: the same for the
    /// same seed in every version. All where `count` is `None` or no less than there are.
    pub fn choose(self, count: Option<usize>, seed: u64) -> Self {
        let Some(count) = count.filter(|&count| count < self.len()) else { return self };
        let subset = random::subset(self.len(), count, seed);
        let chosen = match &self.chosen {
            None => subset,
            Some(old) => subset.into_iter().filter_map(|at| old.get(at).copied()).collect(),
        };
        self.of(chosen)
    }

    fn of(self, chosen: Vec<usize>) -> Self {
        let source = self.source.only(&chosen).unwrap_or(self.source);
        Self { source, chosen: Some(chosen), ..self }
    }

    /// A random `count` of the samples, and the others; as [`Samples::choose`].
    pub fn split(&self, count: usize, seed: u64) -> (Self, Self) {
        let taken = random::subset(self.len(), count.min(self.len()), seed);
        let others = (0..self.len()).filter(|at| taken.binary_search(at).is_err()).collect();
        (self.only(taken), self.only(others))
    }

    /// The samples at `places` of these, which ascend.
    fn only(&self, places: Vec<usize>) -> Self {
        let chosen = match &self.chosen {
            None => places,
            Some(old) => places.into_iter().filter_map(|at| old.get(at).copied()).collect(),
        };
        self.clone().of(chosen)
    }

    /// The others than those at `positions`.
    #[must_use]
    pub fn without(mut self, positions: &[usize]) -> Self {
        if !positions.is_empty() {
            let positions: HashSet<usize> = positions.iter().copied().collect();
            let left = (0..self.len()).filter(|at| !positions.contains(at));
            self.chosen = Some(left.filter_map(|at| self.place(at)).collect());
        }
        self
    }

    /// Where sample `index` lies in the source.
    fn place(&self, index: usize) -> Option<usize> {
        match &self.chosen {
            Some(chosen) => chosen.get(index).copied(),
            None => (index < self.source.len()).then_some(index),
        }
    }

    /// The class folders in the order of their indices; empty where samples do not lie in such.
    pub fn classes(&self) -> &[String] {
        self.source.classes()
    }

    /// The labels of all samples of the file one after another, chosen or not.
    pub fn labels(&self) -> &[i64] {
        self.source.labels()
    }

    /// What a person calls sample `index`: its place in the file, or the files it is made of.
    pub fn name(&self, index: usize) -> String {
        self.source.name(self.place(index).unwrap_or(index))
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.chosen.as_ref().map_or_else(|| self.source.len(), Vec::len)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether samples have labels.
    pub fn labelled(&self) -> bool {
        self.source.labelled()
    }

    /// Whether a preset or a preprocess file says what pixels become.
    pub fn is_preprocessed(&self) -> bool {
        self.preprocessed
    }

    /// Where they are from, for messages and reports.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A PNG file with the first pictures of the first `count` samples, as the model is fed them.
    ///
    /// # Errors
    /// [`Error::Options`] where no input holds pictures; as [`Samples::get`].
    pub fn sheet(&self, count: usize) -> Result<Vec<u8>> {
        pictures::sheet(self, count)
    }

    /// Row `row` of sample `at` as a small picture in a `data:` address, as a page takes it; `None` where the sample holds no pictures.
    ///
    /// # Errors
    /// As [`Samples::get`].
    pub fn thumbnail(&self, at: usize, row: usize) -> Result<Option<String>> {
        let picture = pictures::thumbnail(&self.get(at)?, row)?;
        Ok(picture.map(|bytes| pictures::address(&bytes)))
    }

    /// The inputs of `model` with their types as NumPy calls them and their shapes, symbols by their names, in the order of a
    /// sample's inputs.
    ///
    /// # Errors
    /// [`Error::Invalid`] where an input is no tensor.
    pub fn declared(model: &Model) -> Result<Vec<[String; 3]>> {
        let declared = |input: Input| [input.name.clone(), element::name(input.dtype), input.shape()];
        Ok(Input::all(model)?.into_iter().map(declared).collect())
    }

    /// Reads one sample; may be called from many threads at once.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Samples`] where what was not read at opening is damaged, and
    /// where there is no such sample.
    pub fn get(&self, index: usize) -> Result<Sample> {
        let missing = || {
            let expected = format!("an index below {}", self.len());
            Error::samples(&self.path, "sample", expected, index.to_string())
        };
        self.source.get(self.place(index).ok_or_else(missing)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    fn model() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[-1, 2]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        graph.model()
    }

    #[test]
    fn choosing_keeps_samples_and_order() {
        let all = || Samples::synthetic(&model(), &[], 50, 7).unwrap();
        let some = all().choose(Some(10), 3);
        let chosen = some.chosen.clone().unwrap();
        assert_eq!(some.len(), 10);
        assert_eq!(some.get(4).unwrap(), all().get(chosen[4]).unwrap());
        let fewer = some.choose(Some(4), 9);
        assert!(fewer.chosen.unwrap().iter().all(|at| chosen.contains(at)));
        assert_eq!(all().choose(None, 3).len(), 50);
        assert_eq!(all().choose(Some(99), 3).len(), 50);
        assert!(all().choose(Some(0), 3).is_empty());
        assert!(all().get(50).unwrap_err().to_string().contains("an index below 50"));
    }

    #[test]
    fn parts_share_nothing_and_lose_nothing() {
        let all = Samples::synthetic(&model(), &[], 50, 7).unwrap().choose(Some(20), 3);
        let (some, others) = all.split(6, 1);
        let mut chosen = [some.chosen.unwrap(), others.chosen.unwrap()];
        assert_eq!(chosen.each_ref().map(Vec::len), [6, 14]);
        let [some, others] = &mut chosen;
        some.append(others);
        some.sort_unstable();
        assert_eq!(*some, all.chosen.unwrap());
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        assert!(matches!(Samples::open(&path, &model(), None), Err(Error::Read { .. })));
        std::fs::write(&path, "").unwrap();
        let error = Samples::open(&path, &model(), None).unwrap_err().to_string();
        assert!(error.contains(".npz or .npy"), "{error}");
    }

    #[test]
    fn samples_are_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        let samples = Samples::synthetic(&model(), &[], 2, 7).unwrap();
        shared(&samples);
    }
}

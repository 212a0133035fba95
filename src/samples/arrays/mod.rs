//! Samples from arrays: `.npz` archives keyed by input, and single `.npy` files.

pub(super) mod npy;
mod npz;
mod packed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::input::{Cut, Input};
use super::misfit::{Misfit, list};
use super::{Preprocess, Sample, Source, element};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, map, tensor};
use npy::Array;
use npz::Archive;

/// The key of class indices where no preprocess file names another.
const LABELS: &str = "labels";
/// What to do about keys that are not the inputs' names.
const OTHER_KEYS: &str = "a preprocess file's `array` and `labels` say what other keys are";

/// One array for each input, of equally many samples.
#[derive(Debug)]
pub(super) struct Arrays {
    path: PathBuf,
    feeds: Vec<Feed>,
    labels: Vec<i64>,
    /// Labels that one sample takes.
    per_sample: usize,
}

#[derive(Clone, Debug)]
struct Feed {
    input: String,
    place: String,
    array: Array,
    cut: Cut,
    dtype: Dtype,
    /// How pixels become the input, and height, width and channels of the stored ones.
    pixels: Option<(Preprocess, [usize; 3])>,
}

impl Arrays {
    /// An archive whose keys are the inputs' names, or those that `preprocess` says.
    pub(super) fn npz(path: &Path, inputs: &[Input], preprocess: Option<&Preprocess>) -> Result<Self> {
        let mut archive = Archive::open(path)?;
        let keys = archive.keys();
        let wanted = wanted(path, &keys, inputs, preprocess)?;
        let mut feeds = Vec::new();
        for (input, key) in inputs.iter().zip(&wanted.inputs) {
            feeds.push(Feed::new(path, format!("key {key}"), input, archive.array(key)?, preprocess)?);
        }
        agree(path, &feeds)?;
        // The first input counts the labels, or the first whose batch is known to lie elsewhere.
        let counts = inputs.iter().position(|input| input.batch_axis.is_some()).unwrap_or(0);
        let labels = match (&wanted.labels, feeds.get(counts)) {
            (Some(key), Some(feed)) => {
                let place = format!("key {key}");
                let array = archive.array(key)?;
                let rows = array.shape.first().copied().unwrap_or(0);
                let labels = array.labels().map_err(Misfit::at(path, &place))?;
                if rows != feed.cut.all_labels {
                    let expected = format!("{} labels, one for each row of data", feed.cut.all_labels);
                    return Err(Error::samples(path, place, expected, rows.to_string()));
                }
                labels
            }
            _ => Vec::new(),
        };
        let cut = feeds.get(counts).map(|feed| &feed.cut);
        let per_row = cut.map_or(0, |cut| labels.len() / cut.all_labels.max(1));
        let per_sample = cut.map_or(0, |cut| cut.labels) * per_row;
        Ok(Self { path: path.to_owned(), feeds, labels, per_sample })
    }

    /// One array, for a model of one input.
    pub(super) fn npy(path: &Path, inputs: &[Input], preprocess: Option<&Preprocess>) -> Result<Self> {
        let [input] = inputs else {
            let names = list(inputs.iter().map(|input| input.name.as_str()));
            let expected = format!("an .npz file with the inputs {names}");
            return Err(Error::samples(path, "file", expected, "an .npy file, which holds one array"));
        };
        let array = Array::parse(&map(path)?).map_err(Misfit::at(path, "array"))?;
        let feeds = vec![Feed::new(path, "array".into(), input, array, preprocess)?];
        Ok(Self { path: path.to_owned(), feeds, labels: Vec::new(), per_sample: 0 })
    }
}

impl Source for Arrays {
    fn len(&self) -> usize {
        self.feeds.first().map_or(0, |feed| feed.cut.count)
    }

    fn labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    fn only(&self, chosen: &[usize]) -> Option<Arc<dyn Source>> {
        if !self.feeds.iter().any(|feed| feed.array.is_packed()) {
            return None;
        }
        let feed = |feed: &Feed| {
            let count = feed.cut.rows;
            let array = feed.array.only(chosen.iter().flat_map(|at| at * count..(at + 1) * count));
            Feed { array, ..feed.clone() }
        };
        let feeds = self.feeds.iter().map(feed).collect();
        Some(Arc::new(Self {
            path: self.path.clone(),
            feeds,
            labels: self.labels.clone(),
            per_sample: self.per_sample,
        }))
    }

    fn labels(&self) -> &[i64] {
        &self.labels
    }

    fn is_finite(&self) -> bool {
        self.feeds.iter().all(|feed| feed.pixels.is_some())
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let inputs = self.feeds.iter().map(|feed| feed.get(&self.path, index)).collect::<Result<_>>()?;
        let labels = self.labels.chunks_exact(self.per_sample.max(1)).nth(index).unwrap_or(&[]).to_vec();
        Ok(Sample { inputs, labels })
    }
}

impl Feed {
    fn new(
        path: &Path,
        place: String,
        input: &Input,
        array: Array,
        preprocess: Option<&Preprocess>,
    ) -> Result<Self> {
        let misfit = || Misfit::at(path, &place);
        let (cut, dtype, pixels) = match preprocess.filter(|preprocess| preprocess.batch_axis().is_none()) {
            None => {
                input.check_type(array.dtype).map_err(misfit())?;
                (input.cut(&array.shape).map_err(misfit())?, array.dtype, None)
            }
            Some(preprocess) => {
                if array.dtype != Dtype::Uint8 {
                    let found = format!(
                        "{}; what is ready for the model needs no `.preprocess`",
                        element::name(array.dtype as i32)
                    );
                    return Err(Error::samples(path, place, "uint8 pixels to preprocess", found));
                }
                let dtype = preprocess.check_input(input.dtype).map_err(misfit())?;
                let stored = preprocess.stored(&array.shape).map_err(misfit())?;
                let becomes = preprocess.becomes(stored).map_err(misfit())?;
                let count = array.shape.first().copied().unwrap_or(0);
                let cut = preprocess.cut(input, count, becomes).map_err(misfit())?;
                (cut, dtype, Some((preprocess.clone(), stored)))
            }
        };
        Ok(Self { input: input.name.clone(), place, array, cut, dtype, pixels })
    }

    fn get(&self, path: &Path, index: usize) -> Result<TensorProto> {
        let rows = self.array.rows(index.saturating_mul(self.cut.rows), self.cut.rows);
        let rows = rows.map_err(Misfit::at(path, &self.place))?;
        let raw = match &self.pixels {
            None => rows,
            Some((preprocess, stored)) => {
                let mut out = Vec::new();
                for row in rows.chunks_exact(stored.iter().product::<usize>().max(1)) {
                    preprocess
                        .apply(preprocess.picture(row, *stored), self.dtype, &mut out)
                        .map_err(Misfit::at(path, &self.place))?;
                }
                out.into()
            }
        };
        // A byte other than 0 and 1 is no boolean, and those who read it may rely on that.
        if self.dtype == Dtype::Bool && raw.iter().any(|&byte| byte > 1) {
            return Err(Error::samples(path, &self.place, "booleans of 0 or 1", "another byte"));
        }
        Ok(tensor(self.input.as_str(), self.dtype, &self.cut.dims, raw))
    }
}

struct Wanted {
    /// A key for each input.
    inputs: Vec<String>,
    labels: Option<String>,
}

/// Which key feeds which input.
fn wanted(path: &Path, keys: &[String], inputs: &[Input], preprocess: Option<&Preprocess>) -> Result<Wanted> {
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let has = |key: &str| keys.iter().any(|there| there == key);
    let label_key = preprocess.and_then(Preprocess::labels);
    let others: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|&key| Some(key) != label_key && (key != LABELS || names.contains(&key)))
        .collect();
    let place = "keys";
    let found = list(keys.iter().map(String::as_str));
    let wants = match (preprocess, names.as_slice()) {
        // Ready for the model, each input by its name.
        (Some(preprocess), [_, _, ..]) if preprocess.batch_axis().is_some() => {
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        (Some(preprocess), [name]) => match preprocess.array() {
            Some(key) => vec![key.to_owned()],
            None => vec![if has(name) { name } else { others.first().unwrap_or(name) }.to_string()],
        },
        (Some(preprocess), _) => {
            let expected = format!("a model of one input to use {} with", preprocess.path().display());
            return Err(Error::samples(path, place, expected, format!("the inputs {}", list(names))));
        }
        (None, _) => names.iter().map(|name| (*name).to_owned()).collect(),
    };
    if let Some(missing) = wants.iter().find(|key| !has(key)) {
        let remedy = match (preprocess.is_some(), others.as_slice()) {
            (false, [other]) if names.len() == 1 => format!("; rename {other} to {missing}"),
            (false, [_, ..]) if names.len() == 1 => format!("; {OTHER_KEYS}"),
            (false, [_, ..]) if others.iter().all(|key| names.contains(key)) => {
                "; where outputs feed the others from call to call, `.state` says which".to_owned()
            }
            _ => String::new(),
        };
        return Err(Error::samples(path, place, list(wants.iter().map(String::as_str)), found + &remedy));
    }
    let extra: Vec<&str> =
        others.into_iter().filter(|key| !wants.iter().any(|wanted| wanted == key)).collect();
    if !extra.is_empty() {
        let expected =
            format!("{} and no keys beside these but {LABELS}", list(wants.iter().map(String::as_str)));
        return Err(Error::samples(path, place, expected, format!("{} too; {OTHER_KEYS}", list(extra))));
    }
    let labels = match label_key {
        Some(key) if !has(key) => {
            return Err(Error::samples(path, place, format!("the labels, {key}"), found));
        }
        Some(key) => Some(key.to_owned()),
        None => (has(LABELS) && !wants.iter().any(|wanted| wanted == LABELS)).then(|| LABELS.to_owned()),
    };
    Ok(Wanted { inputs: wants, labels })
}

fn agree(path: &Path, feeds: &[Feed]) -> Result<()> {
    let counts: HashMap<usize, &Feed> = feeds.iter().map(|feed| (feed.cut.count, feed)).collect();
    if counts.len() <= 1 {
        return Ok(());
    }
    let counts: Vec<String> =
        feeds.iter().map(|feed| format!("{} in {}", feed.cut.count, feed.place)).collect();
    Err(Error::samples(path, "keys", "equally many samples for each input", counts.join(", ")))
}

#[cfg(test)]
mod tests;

//! Samples from arrays: `.npz` archives keyed by input, and single `.npy` files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::input::{Cut, Input};
use super::misfit::{Misfit, list};
use super::npy::Array;
use super::npz::Archive;
use super::{Preprocess, Sample, Source, element};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, map, tensor};

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

#[derive(Debug)]
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
                let labels = archive.array(key)?.labels().map_err(Misfit::at(path, &place))?;
                if labels.len() != feed.cut.all_labels {
                    let expected = format!("{} labels, one for each row of data", feed.cut.all_labels);
                    return Err(Error::samples(path, place, expected, labels.len().to_string()));
                }
                labels
            }
            _ => Vec::new(),
        };
        let per_sample = feeds.get(counts).map_or(0, |feed| feed.cut.labels);
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
                        "{}; what is ready for the model needs no --preprocess",
                        element::name(array.dtype as i32)
                    );
                    return Err(Error::samples(path, place, "uint8 pixels to preprocess", found));
                }
                let dtype = preprocess.check_input(input.dtype).map_err(misfit())?;
                let stored = preprocess.stored(&array.shape).map_err(misfit())?;
                let becomes = preprocess.becomes(stored).map_err(misfit())?;
                let count = array.shape.first().copied().unwrap_or(0);
                let cut = input.cut_pictures(count, becomes).map_err(misfit())?;
                (cut, dtype, Some((preprocess.clone(), stored)))
            }
        };
        Ok(Self { input: input.name.clone(), place, array, cut, dtype, pixels })
    }

    fn get(&self, path: &Path, index: usize) -> Result<TensorProto> {
        let rows = self.array.rows(index.saturating_mul(self.cut.rows), self.cut.rows);
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
mod tests {
    use std::io::Write;

    use super::super::npy::tests::npy;
    use super::super::preprocess::tests::preprocess;
    use super::*;
    use crate::onnx::build::value;
    use crate::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto};
    use crate::onnx::{Model, floats};

    fn inputs(inputs: &[(&str, Dtype, &[i64])]) -> Vec<Input> {
        let graph = GraphProto {
            input: inputs.iter().map(|(name, dtype, dims)| value(name, *dtype, dims)).collect(),
            output: vec![value("y", Dtype::Float, &[])],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { version: Some(21), ..Default::default() };
        let model = ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() };
        Input::all(&Model::new(model).unwrap()).unwrap()
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn archive(members: &[(&str, &[u8])], deflate: bool) -> (tempfile::TempDir, PathBuf) {
        let method = match deflate {
            true => zip::CompressionMethod::Deflated,
            false => zip::CompressionMethod::Stored,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.npz");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (key, bytes) in members {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{key}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        (folder, path)
    }

    fn problem(members: &[(&str, &[u8])], inputs: &[Input], preprocess: Option<&Preprocess>) -> String {
        let (_folder, path) = archive(members, true);
        Arrays::npz(&path, inputs, preprocess).unwrap_err().to_string()
    }

    #[test]
    fn stored_and_deflated_members_give_the_same_samples() {
        let x = npy("<f4", "False", "(2, 1, 3)", &bytes(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let s = npy("<i8", "False", "(2,)", &[7i64.to_le_bytes(), 8i64.to_le_bytes()].concat());
        let labels = npy("|u1", "False", "(2,)", &[4, 200]);
        let inputs = inputs(&[("s", Dtype::Int64, &[]), ("x", Dtype::Float, &[-1, 3])]);
        for deflate in [false, true] {
            let (_folder, path) = archive(&[("x", &x), ("labels", &labels), ("s", &s)], deflate);
            let arrays = Arrays::npz(&path, &inputs, None).unwrap();
            assert!(arrays.len() == 2 && arrays.labelled());
            let sample = arrays.get(1).unwrap();
            assert_eq!(sample.inputs[0].name(), "s");
            assert_eq!(crate::onnx::integers(&sample.inputs[0]).unwrap(), [8]);
            assert_eq!(floats(&sample.inputs[1]).unwrap(), [3.0, 4.0, 5.0]);
            assert_eq!(sample.inputs[1].dims, [1, 3]);
            assert_eq!(sample.labels, [200]);
        }
    }

    #[test]
    fn fixed_batches_take_their_labels_along() {
        let x = npy("|u1", "False", "(5, 2)", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let labels = npy("|i1", "False", "(5,)", &[0, 1, 2, 3, 4]);
        let (_folder, path) = archive(&[("x", &x), ("labels", &labels)], true);
        let arrays = Arrays::npz(&path, &inputs(&[("x", Dtype::Uint8, &[2, 2])]), None).unwrap();
        assert_eq!(arrays.len(), 2);
        let sample = arrays.get(1).unwrap();
        assert_eq!((sample.inputs[0].raw_data(), sample.labels.as_slice()), (&[4, 5, 6, 7][..], &[2, 3][..]));
    }

    #[test]
    fn keys_must_be_the_inputs() {
        let x = npy("<f4", "False", "(1, 1)", &bytes(&[1.0]));
        let one = inputs(&[("x", Dtype::Float, &[-1, 1])]);
        let two = inputs(&[("x", Dtype::Float, &[-1, 1]), ("z", Dtype::Float, &[-1, 1])]);
        assert!(problem(&[("q", &x)], &one, None).ends_with("expected x, found q; rename q to x"));
        assert!(problem(&[("x", &x)], &two, None).contains("expected x, z, found x"));
        assert!(problem(&[("x", &x), ("q", &x)], &one, None).contains("q too"));
        let longer = npy("<f4", "False", "(2, 1)", &bytes(&[1.0, 2.0]));
        assert!(problem(&[("x", &x), ("z", &longer)], &two, None).contains("1 in key x, 2 in key z"));
        let labels = npy("|u1", "False", "(3,)", &[0, 1, 2]);
        assert!(problem(&[("x", &x), ("labels", &labels)], &one, None).contains("1 labels"));
        let double = npy("<f8", "False", "(1, 1)", &[0; 8]);
        assert!(problem(&[("x", &double)], &one, None).contains("float32 for input x, found float64"));
        let gray = preprocess("layout = \"NHW\"").unwrap();
        assert!(problem(&[("x", &x), ("z", &x)], &two, Some(&gray)).contains("a model of one input"));
    }

    #[test]
    fn stored_pixels_become_the_input() {
        let x = npy("|u1", "False", "(2, 1, 1, 3)", &[1, 2, 3, 4, 5, 6]);
        let y = npy("|u1", "False", "(2,)", &[9, 8]);
        let (_folder, path) = archive(&[("x", &x), ("y", &y)], true);
        let inputs = inputs(&[("image", Dtype::Float, &[-1, 3, 1, 1])]);
        let rule = preprocess("array = \"x\"\nlabels = \"y\"\nchannel_order = \"BGR\"").unwrap();
        let arrays = Arrays::npz(&path, &inputs, Some(&rule)).unwrap();
        let sample = arrays.get(1).unwrap();
        assert_eq!((sample.inputs[0].dims.as_slice(), sample.inputs[0].name()), (&[1, 3, 1, 1][..], "image"));
        assert_eq!((floats(&sample.inputs[0]).unwrap(), sample.labels), (vec![6.0, 5.0, 4.0], vec![8]));
        let rule = preprocess("array = \"w\"").unwrap();
        let error = Arrays::npz(&path, &inputs, Some(&rule)).unwrap_err().to_string();
        assert!(error.contains("expected w, found x, y"), "{error}");
        let rule = preprocess("array = \"x\"\nlabels = \"y\"\ncentre_crop = 2").unwrap();
        let error = Arrays::npz(&path, &inputs, Some(&rule)).unwrap_err().to_string();
        assert!(error.contains("centre_crop"), "{error}");
    }

    #[test]
    fn damaged_archives_are_errors_wherever_they_are_cut_or_changed() {
        let x = npy("<f4", "False", "(2, 3)", &bytes(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let inputs = inputs(&[("x", Dtype::Float, &[-1, 3])]);
        for deflate in [false, true] {
            let (_folder, path) = archive(&[("x", &x)], deflate);
            let whole = std::fs::read(&path).unwrap();
            for length in 0..whole.len() {
                std::fs::write(&path, &whole[..length]).unwrap();
                assert!(Arrays::npz(&path, &inputs, None).is_err(), "{length}");
            }
            for (at, value) in (0..whole.len()).flat_map(|at| [0, 0xff].map(|value| (at, value))) {
                let mut bytes = whole.clone();
                bytes[at] = value;
                std::fs::write(&path, bytes).unwrap();
                if let Ok(arrays) = Arrays::npz(&path, &inputs, None) {
                    (0..arrays.len())
                        .for_each(|index| assert_eq!(arrays.get(index).unwrap().inputs.len(), 1));
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_booleans_are_refused() {
        let x = npy("|b1", "False", "(2, 1)", &[1, 2]);
        let (_folder, path) = archive(&[("x", &x)], false);
        let arrays = Arrays::npz(&path, &inputs(&[("x", Dtype::Bool, &[-1, 1])]), None).unwrap();
        assert!(arrays.get(0).is_ok() && arrays.get(1).is_err());
    }

    #[test]
    fn a_single_array_feeds_a_single_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, npy("<f4", "True", "(2, 2)", &bytes(&[1.0, 2.0, 3.0, 4.0]))).unwrap();
        let one = inputs(&[("x", Dtype::Float, &[-1, 2])]);
        let arrays = Arrays::npy(&path, &one, None).unwrap();
        assert_eq!(floats(&arrays.get(1).unwrap().inputs[0]).unwrap(), [2.0, 4.0]);
        let error = Arrays::npy(&path, &[one.clone(), one].concat(), None).unwrap_err().to_string();
        assert!(error.contains(".npz"), "{error}");
    }
}

//! The folders that model collections ship beside a model: `test_data_set_N/input_K.pb`.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::input::Input;
use super::misfit::{Misfit, shape_text};
use super::{Sample, Source, element};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, element_count, floats, integers, read_tensor};

/// What the folders' names begin with.
const PREFIX: &str = "test_data_set_";

/// One folder a sample.
#[derive(Debug)]
pub(super) struct TestSets {
    folders: Vec<PathBuf>,
    inputs: Vec<Input>,
}

/// The test data sets in `folder`, in the order of their numbers; `folder` itself where it is one.
pub(super) fn find(folder: &Path) -> Vec<PathBuf> {
    if folder.join("input_0.pb").is_file() {
        return vec![folder.to_owned()];
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut sets: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            entry.path().is_dir().then(|| (number, entry.path()))
        })
        .collect();
    sets.sort_unstable();
    sets.into_iter().map(|(_, path)| path).collect()
}

impl TestSets {
    /// Takes the folders that [`find`] found; reads the first to see that it fits.
    pub(super) fn open(folders: Vec<PathBuf>, inputs: &[Input]) -> Result<Self> {
        for folder in &folders {
            let next = inputs.len();
            if folder.join(format!("input_{next}.pb")).exists() {
                let expected = format!("input_0.pb to input_{}.pb, as the model has inputs", next - 1);
                return Err(Error::samples(folder, "folder", expected, format!("input_{next}.pb too")));
            }
        }
        let sets = Self { folders, inputs: inputs.to_vec() };
        sets.get(0)?;
        Ok(sets)
    }
}

impl Source for TestSets {
    fn len(&self) -> usize {
        self.folders.len()
    }

    fn name(&self, index: usize) -> String {
        self.folders.get(index).map_or_else(String::new, |folder| folder.display().to_string())
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let folder = self.folders.get(index).map_or(Path::new(""), PathBuf::as_path);
        let read = |(at, input): (usize, &Input)| {
            let path = folder.join(format!("input_{at}.pb"));
            let tensor = read_tensor(&path)?;
            let dims: Vec<usize> = tensor.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
            if !input.takes(&dims) {
                let expected = format!("shape {}", input.shape());
                return Err(Error::samples(&path, &input.name, expected, shape_text(&tensor.dims)));
            }
            let dtype = Dtype::try_from(tensor.data_type()).unwrap_or(Dtype::Undefined);
            input.check_type(dtype).map_err(Misfit::at(&path, &input.name))?;
            let raw = raw(&tensor, dtype).map_err(|error| {
                Error::samples(&path, &input.name, "numbers as many as the dimensions say", error.to_string())
            })?;
            Ok(crate::onnx::tensor(input.name.as_str(), dtype, &tensor.dims, raw))
        };
        let inputs = self.inputs.iter().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Sample { inputs, labels: Vec::new() })
    }
}

/// The elements as raw bytes, whichever field they are in.
fn raw(tensor: &TensorProto, dtype: Dtype) -> Result<Bytes> {
    let place = format!("tensor {}", tensor.name());
    let count = element_count(tensor)?;
    let size = element::size(dtype).ok_or_else(|| {
        Error::invalid(&place, format!("{}, which cannot be fed", element::name(dtype as i32)))
    })?;
    let raw: Bytes = match &tensor.raw_data {
        Some(raw) => raw.clone(),
        None => {
            let mut out = Vec::new();
            match dtype {
                Dtype::Float => tensor.float_data.iter().for_each(|at| out.extend(at.to_le_bytes())),
                Dtype::Double => tensor.double_data.iter().for_each(|at| out.extend(at.to_le_bytes())),
                Dtype::Uint64 => tensor.uint64_data.iter().for_each(|at| out.extend(at.to_le_bytes())),
                Dtype::Float16 => {
                    floats(tensor)?.iter().for_each(|&at| out.extend(half::f16::from_f32(at).to_le_bytes()));
                }
                Dtype::Bfloat16 => {
                    floats(tensor)?.iter().for_each(|&at| out.extend(half::bf16::from_f32(at).to_le_bytes()));
                }
                _ => integers(tensor)?.iter().for_each(|at| out.extend(at.to_le_bytes().iter().take(size))),
            }
            out.into()
        }
    };
    let boolean = dtype != Dtype::Bool || raw.iter().all(|&byte| byte <= 1);
    match raw.len() == count * size && boolean {
        true => Ok(raw),
        false => Err(Error::invalid(place, format!("{} bytes for {count} elements", raw.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::tensor_f32;
    use crate::samples::Samples;

    /// The bytes of a tensor of dimensions [1, 2], its two floats in the typed field.
    fn typed(name: &str, values: [f32; 2]) -> Vec<u8> {
        let [a, b] = values.map(f32::to_le_bytes);
        // dims, data_type FLOAT, float_data (packed), name
        [&[8, 1, 8, 2, 16, 1, 34, 8][..], &a, &b, &[66, name.len() as u8], name.as_bytes()].concat()
    }

    #[test]
    fn sets_are_read_in_the_order_of_their_numbers_by_position() {
        let mut graph = GraphBuilder::new(21);
        let (x, z) = (graph.input("x", &[-1, 2]), graph.input("z", &[1, 2]));
        let y = graph.node("Add", &[&x, &z], &[]);
        graph.output(&y);
        let model = graph.model();
        let folder = tempfile::tempdir().unwrap();
        for set in [0u8, 2, 10] {
            let set_folder = folder.path().join(format!("test_data_set_{set}"));
            std::fs::create_dir(&set_folder).unwrap();
            for at in 0..2u8 {
                let bytes = typed("x", [f32::from(set), f32::from(at)]);
                std::fs::write(set_folder.join(format!("input_{at}.pb")), bytes).unwrap();
            }
        }
        let samples = Samples::open(folder.path(), &model, None).unwrap();
        assert!(samples.len() == 3 && !samples.labelled());
        let sample = samples.get(2).unwrap();
        assert_eq!(sample.inputs[0], tensor_f32("x", &[1, 2], &[10.0, 0.0]));
        assert_eq!(sample.inputs[1], tensor_f32("z", &[1, 2], &[10.0, 1.0]));
        let one = folder.path().join("test_data_set_2");
        assert_eq!(Samples::open(&one, &model, None).unwrap().len(), 1);

        let found = Samples::discover(&folder.path().join("model.onnx"));
        assert_eq!(found.calibration.as_deref(), Some(folder.path()));
        for name in ["calib.npz", "test.npz", "preprocess.toml"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = Samples::discover(&folder.path().join("model.onnx"));
        assert_eq!(found.calibration, Some(folder.path().join("calib.npz")));
        assert_eq!(found.validation, Some(folder.path().join("test.npz")));
        assert_eq!(found.preprocess, Some(folder.path().join("preprocess.toml")));

        std::fs::write(one.join("input_2.pb"), "").unwrap();
        assert!(Samples::open(&one, &model, None).unwrap_err().to_string().contains("input_2.pb"));
        std::fs::remove_file(one.join("input_2.pb")).unwrap();
        std::fs::remove_file(one.join("input_1.pb")).unwrap();
        assert!(matches!(Samples::open(&one, &model, None), Err(Error::Read { .. })));
    }

    #[test]
    fn tensors_that_lie_are_refused() {
        let whole = tensor_f32("x", &[1, 2], &[1.0, 2.0]);
        assert_eq!(raw(&whole, Dtype::Float).unwrap().len(), 8);
        for dims in [vec![3], vec![-1, 2], vec![i64::MAX, 2]] {
            assert!(raw(&TensorProto { dims, ..whole.clone() }, Dtype::Float).is_err());
        }
        assert!(raw(&whole, Dtype::String).is_err());
        let booleans = crate::onnx::tensor("b", Dtype::Bool, &[2], vec![1, 2]);
        assert!(raw(&booleans, Dtype::Bool).is_err());
        let bytes = typed("x", [1.0, 2.0]);
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in 1..bytes.len() {
            std::fs::write(file.path(), &bytes[..length]).unwrap();
            if let Ok(tensor) = read_tensor(file.path()) {
                let _ = raw(&tensor, Dtype::Float);
            }
        }
    }
}

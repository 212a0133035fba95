use std::io::Write;

use super::npy::tests::npy;
use super::*;
use crate::onnx::build::value;
use crate::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::onnx::{Model, floats};
use crate::samples::preprocess::tests::preprocess;

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
fn of_a_large_array_only_the_rows_that_are_asked_for_are_unpacked() {
    // 80 MB; the start of each row is its number.
    let (rows, width) = (20_000, 1000);
    let mut data = vec![0u8; rows * width * 4];
    data.chunks_exact_mut(width * 4)
        .enumerate()
        .for_each(|(at, row)| row[..4].copy_from_slice(&(at as f32).to_le_bytes()));
    let x = npy("<f4", "False", &format!("({rows}, {width})"), &data);
    let (_folder, path) = archive(&[("x", &x)], true);
    let arrays = Arrays::npz(&path, &inputs(&[("x", Dtype::Float, &[-1, width as i64])]), None).unwrap();
    assert!(arrays.feeds[0].array.is_packed() && arrays.len() == rows);
    let first = |source: &dyn Source, at: usize| floats(&source.get(at).unwrap().inputs[0]).map(|row| row[0]);
    let some = arrays.only(&[3, 4, 700, 19_999]).unwrap();
    for at in [700, 3, 19_999, 4] {
        assert_eq!(first(&*some, at).unwrap(), at as f32);
    }
    assert!(some.get(5).unwrap().inputs[0].raw_data().is_empty(), "it was not asked for");
    assert_eq!(first(&*some.only(&[4]).unwrap(), 4).unwrap(), 4.0);
    assert_eq!(first(&arrays, 12_345).unwrap(), 12_345.0);
    // Cut off behind the directory of its members, none of its rows can be had.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200..40_000].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let damaged = Arrays::npz(&path, &inputs(&[("x", Dtype::Float, &[-1, width as i64])]), None);
    assert!(damaged.is_err() || damaged.unwrap().get(19_999).is_err());
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
                (0..arrays.len()).for_each(|index| assert_eq!(arrays.get(index).unwrap().inputs.len(), 1));
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

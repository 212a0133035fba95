//! Preprocessing as it is asked for, made to fit a model's input.

use std::io;
use std::path::PathBuf;

use super::input::{Dim, Input};
use super::misfit::Misfit;
use super::preprocess::{Keys, ModelLayout, Order, Preprocess};
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::options::{Preprocessing, PreprocessingBase, Preset, Resize};

/// The pixels of which ImageNet's networks are shown 224, by their shorter side.
const IMAGENET_SIDE: f64 = 256.0;
/// The pixels that are shown of these.
const IMAGENET_CROP: f64 = 224.0;

/// An input that takes pictures.
struct Shape {
    model_layout: ModelLayout,
    channels: usize,
    height: Option<usize>,
    width: Option<usize>,
}

impl Preprocess {
    /// What was asked for, for the input of `model`.
    ///
    /// # Errors
    /// As [`Preprocess::read`]; [`Error::Options`] where the model has no input of pictures, or its size is needed and not known.
    pub fn of(asked: &Preprocessing, model: &Model) -> Result<Self> {
        asked.check()?;
        let (path, keys) = match &asked.base {
            PreprocessingBase::File(path) => {
                let Self { path, keys, .. } = Self::read(path).map_err(unnamed)?;
                (path, beside_file(keys, asked))
            }
            PreprocessingBase::None => preset(Preset::Bytes, asked, model)?,
            PreprocessingBase::Preset(named) => preset(*named, asked, model)?,
        };
        let keys = numbers(keys, asked);
        keys.check().map_err(|(key, misfit)| Misfit::at(&path, key)(misfit))?;
        Ok(Self { path, keys, is_file: asked.file().is_some() })
    }
}

/// An error about a file that is not there also names the presets, unless the name is clearly a file's.
fn unnamed(error: Error) -> Error {
    match error {
        Error::Read { path, source }
            if source.kind() == io::ErrorKind::NotFound
                && path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("toml")) =>
        {
            let problem = format!("no such file, and no such preset: these are {}", Preset::names());
            Error::Read { path, source: io::Error::new(io::ErrorKind::NotFound, problem) }
        }
        other => other,
    }
}

/// A file's keys with the sizes that are asked for beside it.
fn beside_file(mut keys: Keys, asked: &Preprocessing) -> Keys {
    match (asked.resize, asked.crop) {
        (Some(Resize::Side(side)), Some(crop)) => {
            (keys.shorter_side, keys.centre_crop, keys.resize) = (Some(side), Some(crop), None);
        }
        (Some(size), _) => keys.resize = Some(size),
        (None, Some(crop)) => keys.centre_crop = Some(crop),
        (None, None) => {}
    }
    keys
}

fn numbers(mut keys: Keys, asked: &Preprocessing) -> Keys {
    if let Some(divide_by) = asked.divide_by {
        (keys.divide_by, keys.scale) = (divide_by, None);
    }
    if !asked.mean.is_empty() {
        keys.mean.clone_from(&asked.mean);
    }
    if !asked.std.is_empty() {
        keys.std.clone_from(&asked.std);
    }
    keys
}

/// The keys of `preset` for the one input of `model` that takes pictures.
fn preset(preset: Preset, asked: &Preprocessing, model: &Model) -> Result<(PathBuf, Keys)> {
    let inputs = Input::all(model)?;
    let found: Vec<(&Input, Shape)> =
        inputs.iter().filter_map(|input| Some((input, shape(input)?))).collect();
    let [(input, shape)] = found.as_slice() else {
        let told: Vec<String> =
            inputs.iter().map(|input| format!("{} {}", input.name, input.shape())).collect();
        let problem = match found.is_empty() {
            true => {
                "no input of the model takes pictures: none has three or four axes, of which one has 1 or 3 channels"
            }
            false => "several inputs of the model take pictures",
        };
        return Err(Error::options(
            format!("preprocess {}: {problem} ({})", preset.name(), told.join(", ")),
            "describe the pictures in a file given by `.preprocess`",
        ));
    };
    if preset == Preset::Imagenet && shape.channels != 3 {
        return Err(Error::options(
            format!(
                "preprocess imagenet is for three channels, and input {} is {}",
                input.name,
                input.shape()
            ),
            "choose the preset 0..1 or -1..1",
        ));
    }
    let plain = Keys {
        channel_order: Some(if shape.channels == 1 { Order::Gray } else { Order::Rgb }),
        model_layout: shape.model_layout,
        ..Keys::default()
    };
    let plain = sized(preset, plain, asked, input, shape)?;
    let keys = match preset {
        Preset::Bytes => plain,
        Preset::Unit => Keys { divide_by: 255.0, ..plain },
        Preset::Symmetric => Keys { divide_by: 127.5, mean: vec![1.0], ..plain },
        Preset::Imagenet => Keys {
            divide_by: 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            ..plain
        },
    };
    Ok((PathBuf::from(format!("preset {}", preset.name())), keys))
}

/// `keys` with the sizes asked for, or else those of the model's input.
fn sized(preset: Preset, keys: Keys, asked: &Preprocessing, input: &Input, shape: &Shape) -> Result<Keys> {
    let shown = |crop: usize, side: Option<usize>| Keys {
        shorter_side: Some(
            side.unwrap_or((crop as f64 * IMAGENET_SIDE / IMAGENET_CROP).round_ties_even() as usize),
        ),
        centre_crop: Some(crop),
        ..keys.clone()
    };
    Ok(match (asked.resize, asked.crop, shape.height.zip(shape.width)) {
        (Some(Resize::Side(side)), Some(crop), _) => shown(crop, Some(side)),
        (Some(size), ..) => Keys { resize: Some(size), ..keys },
        (None, Some(crop), _) if preset == Preset::Imagenet => shown(crop, None),
        (None, Some(crop), _) => Keys { centre_crop: Some(crop), ..keys },
        (None, None, Some((height, width))) if preset == Preset::Imagenet && height == width => {
            shown(height, None)
        }
        (None, None, Some((height, width))) => Keys { resize: Some(Resize::Sides([height, width])), ..keys },
        (None, None, None) if preset == Preset::Imagenet => {
            return Err(Error::options(
                format!("preprocess imagenet: input {} leaves its size open, {}", input.name, input.shape()),
                "say it with `.crop` 224",
            ));
        }
        (None, None, None) => keys,
    })
}

/// Where `input` holds channels and sides, if it takes pictures.
fn shape(input: &Input) -> Option<Shape> {
    let dims = input.dims.as_deref()?;
    let sides = match dims {
        [_, rest @ ..] if rest.len() == 3 => rest,
        rest if rest.len() == 3 => rest,
        _ => return None,
    };
    let channels = |dim: &Dim| match dim {
        Dim::Fixed(count @ (1 | 3)) => Some(*count),
        _ => None,
    };
    let known = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        _ => None,
    };
    let [first, middle, last] = sides else { return None };
    Some(match (channels(first), channels(last)) {
        (Some(channels), _) => {
            Shape { model_layout: ModelLayout::Nchw, channels, height: known(middle), width: known(last) }
        }
        (None, Some(channels)) => {
            Shape { model_layout: ModelLayout::Nhwc, channels, height: known(first), width: known(middle) }
        }
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    fn keys(asked: impl Into<Preprocessing>, dims: &[i64]) -> Result<Keys> {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", dims);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        Preprocess::of(&asked.into(), &graph.model()).map(|found| found.keys)
    }

    fn sizes(keys: &Keys) -> (Option<usize>, Option<usize>, Option<[usize; 2]>) {
        (keys.shorter_side, keys.centre_crop, keys.resize())
    }

    #[test]
    fn presets_take_size_and_layout_from_the_model() {
        let found = keys("imagenet", &[-1, 3, 160, 160]).unwrap();
        assert_eq!(sizes(&found), (Some(183), Some(160), None));
        assert_eq!((found.model_layout, found.channel_order), (ModelLayout::Nchw, Some(Order::Rgb)));
        assert_eq!(sizes(&keys("imagenet", &[-1, 3, 224, 224]).unwrap()), (Some(256), Some(224), None));
        assert_eq!(sizes(&keys("imagenet", &[1, 3, 100, 200]).unwrap()), (None, None, Some([100, 200])));
        let found = keys("-1..1", &[-1, 28, 30, 1]).unwrap();
        assert_eq!(sizes(&found), (None, None, Some([28, 30])));
        assert_eq!((found.model_layout, found.channel_order), (ModelLayout::Nhwc, Some(Order::Gray)));
        assert_eq!(sizes(&keys("0..1", &[3, 8, 9]).unwrap()), (None, None, Some([8, 9])));
        assert_eq!(sizes(&keys("0..1", &[-1, 3, -1, -1]).unwrap()), (None, None, None));
    }

    #[test]
    fn pixels_become_what_the_names_say() {
        let ends = |name: &str| {
            let keys = keys(name, &[1, 3, 2, 2]).unwrap();
            let found = Preprocess { path: PathBuf::new(), keys, is_file: false };
            [0, 255].map(|pixel| found.value(pixel, *found.keys.mean.first().unwrap_or(&0.0), 1.0))
        };
        assert_eq!((ends("0..1"), ends("-1..1"), ends("0..255")), ([0.0, 1.0], [-1.0, 1.0], [0.0, 255.0]));
        assert_eq!(ends("imagenet"), [-0.485, 1.0 - 0.485]);
    }

    #[test]
    fn what_is_asked_goes_before_the_preset_and_the_file() {
        let asked = |resize: &str, crop: usize, base: &str| Preprocessing {
            resize: resize.parse().ok(),
            crop: (crop > 0).then_some(crop),
            ..Preprocessing::from(base)
        };
        let dims = [1, 3, 160, 160];
        assert_eq!(sizes(&keys(asked("256", 224, "0..1"), &dims).unwrap()), (Some(256), Some(224), None));
        assert_eq!(sizes(&keys(asked("64x96", 0, "imagenet"), &dims).unwrap()), (None, None, Some([64, 96])));
        assert_eq!(sizes(&keys(asked("", 112, "imagenet"), &dims).unwrap()), (Some(128), Some(112), None));
        assert_eq!(sizes(&keys(asked("", 112, "0..1"), &dims).unwrap()), (None, Some(112), None));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "shorter_side = 9\ncentre_crop = 8\nresize = 7\nscale = 0.5\nstd = 2").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(sizes(&keys(file, &dims).unwrap()), (Some(9), Some(8), Some([7, 7])));
        assert_eq!(sizes(&keys(asked("6", 0, file), &dims).unwrap()), (Some(9), Some(8), Some([6, 6])));
        assert_eq!(sizes(&keys(asked("6", 5, file), &dims).unwrap()), (Some(6), Some(5), None));
        let divided = Preprocessing { divide_by: Some(4.0), mean: vec![1.0], ..Preprocessing::from(file) };
        let found = keys(divided, &dims).unwrap();
        assert_eq!((found.divide_by, found.scale, found.mean, found.std), (4.0, None, vec![1.0], vec![2.0]));
    }

    #[test]
    fn models_without_pictures_are_told() {
        for (name, dims, words) in [
            ("0..1", &[-1, 10][..], "no input of the model takes pictures"),
            ("0..1", &[-1, 2, 28, 28], "x ["),
            ("imagenet", &[-1, 1, 28, 28], "three channels"),
            ("imagenet", &[-1, 3, -1, -1], "`.crop` 224"),
        ] {
            let error = keys(name, dims).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let presets = |name: &str| format!("{:?}", keys(name, &[-1, 3, 8, 8]).unwrap_err()).contains("0..1");
        assert!(presets("resnet") && presets("0..2") && !presets("missing.toml"));
        let wrong = Preprocessing { std: vec![0.0], ..Preprocessing::from("0..1") };
        let error = keys(wrong, &[-1, 3, 8, 8]).unwrap_err().to_string();
        assert!(error.contains("preset 0..1") && error.contains("std"), "{error}");
    }
}

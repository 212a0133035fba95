//! How stored pixels become what the model is fed, and the TOML file that says so.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::misfit::Misfit;
use crate::error::{Error, Result};
use crate::options::{LARGEST_PIXEL, Resize, of_bytes};

/// Longest side that may be asked for, in pixels.
const LONGEST_SIDE: usize = 1 << 16;

/// Up to here the largest value of a pixel counts as 1: scales are written with few digits.
const ABOUT_ONE: f32 = 1.01;

/// The steps from stored pixels to a model's input, in this order: channels, `shorter_side`,
/// `centre_crop`, `resize`, then `(pixel / divide_by - mean) / std` in single precision, with `pixel * scale` in the place of
/// the division where the file has a `scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// The file, or in words the preset.
    pub(super) path: PathBuf,
    pub(super) keys: Keys,
    pub(super) is_file: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    pub(super) array: Option<String>,
    pub(super) labels: Option<String>,
    /// The axis of the model's inputs along which labels are counted; for arrays that are ready for the model.
    pub(super) batch_axis: Option<usize>,
    pub(super) layout: PixelLayout,
    pub(super) channel_order: Option<Order>,
    pub(super) divide_by: f32,
    /// What pixels are multiplied by, in the place of a division.
    pub(super) scale: Option<f32>,
    #[serde(deserialize_with = "numbers")]
    pub(super) mean: Vec<f32>,
    #[serde(deserialize_with = "numbers")]
    pub(super) std: Vec<f32>,
    pub(super) model_layout: ModelLayout,
    pub(super) shorter_side: Option<usize>,
    #[serde(alias = "center_crop")]
    pub(super) centre_crop: Option<usize>,
    #[serde(deserialize_with = "size")]
    pub(super) resize: Option<Resize>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            array: None,
            labels: None,
            batch_axis: None,
            layout: PixelLayout::Nhwc,
            channel_order: None,
            divide_by: 1.0,
            scale: None,
            mean: Vec::new(),
            std: Vec::new(),
            model_layout: ModelLayout::Nchw,
            shorter_side: None,
            centre_crop: None,
            resize: None,
        }
    }
}

/// The axes of a stored array.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum PixelLayout {
    #[serde(alias = "nhwc")]
    Nhwc,
    #[serde(alias = "nchw")]
    Nchw,
    #[serde(alias = "nhw")]
    Nhw,
}

/// The axes of the model's input.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ModelLayout {
    #[serde(alias = "nchw")]
    Nchw,
    #[serde(alias = "nhwc")]
    Nhwc,
}

/// The channels that the model wants, out of stored red, green, blue or gray.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(super) enum Order {
    #[serde(rename = "RGB", alias = "rgb")]
    Rgb,
    #[serde(rename = "BGR", alias = "bgr")]
    Bgr,
    #[serde(rename = "gray", alias = "grey", alias = "GRAY", alias = "GREY")]
    Gray,
}

/// A number, or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a number nor a list of numbers")]
enum Numbers {
    One(f32),
    Many(Vec<f32>),
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    Ok(match Numbers::deserialize(deserializer)? {
        Numbers::One(number) => vec![number],
        Numbers::Many(numbers) => numbers,
    })
}

/// A side, or height and width.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a number of pixels nor [height, width]")]
enum Size {
    Square(usize),
    Sides([usize; 2]),
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resize>, D::Error> {
    Ok(Some(match Size::deserialize(deserializer)? {
        Size::Square(side) => Resize::Side(side),
        Size::Sides(sides) => Resize::Sides(sides),
    }))
}

impl Preprocess {
    /// Reads a preprocess file.
    ///
    /// # Errors
    /// [`Error::Read`] where it cannot be opened, [`Error::Samples`] where it is no TOML, has a key
    /// that is not known, or a value that makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let text = crate::files::text(path)?;
        let keys: Keys = toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or_else(|| "file".into(), |span| line_of(&text, span));
            Error::samples(path, place, "a key and value that a preprocess file may have", error.message())
        })?;
        keys.check().map_err(|(key, misfit)| Misfit::at(path, key)(misfit))?;
        Ok(Self { path: path.to_owned(), keys, is_file: true })
    }

    /// The file it was read from, or the preset.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of the stored pixels.
    pub(super) fn array(&self) -> Option<&str> {
        self.keys.array.as_deref()
    }

    /// The key of the labels.
    pub(super) fn labels(&self) -> Option<&str> {
        self.keys.labels.as_deref()
    }

    /// The axis of the model's inputs along which labels are counted.
    pub(super) fn batch_axis(&self) -> Option<usize> {
        self.keys.batch_axis
    }

    /// Whether pictures are decoded to gray.
    #[cfg(feature = "pictures")]
    pub(super) fn is_gray(&self) -> bool {
        self.keys.channel_order == Some(Order::Gray)
    }
}

fn line_of(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or("").trim();
    format!("line {} ({line})", number + 1)
}

impl Keys {
    /// Height and width.
    pub(super) fn resize(&self) -> Option<[usize; 2]> {
        self.resize.map(|resize| match resize {
            Resize::Side(side) => [side, side],
            Resize::Sides(sides) => sides,
        })
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, Misfit)> {
        let refuse = |key, expected: &str, found: String| Err((key, Misfit::new(expected, found)));
        let [height, width] = self.resize().unwrap_or([1, 1]);
        let sides = [
            ("shorter_side", self.shorter_side.unwrap_or(1)),
            ("centre_crop", self.centre_crop.unwrap_or(1)),
            ("resize", height),
            ("resize", width),
        ];
        for (key, side) in sides {
            if side == 0 || side > LONGEST_SIDE {
                return refuse(key, &format!("1 to {LONGEST_SIDE} pixels"), side.to_string());
            }
        }
        let ready = Self {
            labels: self.labels.clone(),
            array: self.array.clone(),
            batch_axis: self.batch_axis,
            ..Self::default()
        };
        if self.batch_axis.is_some() && *self != ready {
            let expected = "beside batch_axis no keys but array and labels: it is for arrays that are ready for the model";
            return refuse("batch_axis", expected, "keys about pixels".into());
        }
        if let Some(scale) = self.scale {
            if self.divide_by != 1.0 {
                let expected = "divide_by or scale, which multiplies, and not both";
                return refuse("scale", expected, "both".into());
            }
            // Pixels are up to 255 as they are: what makes them larger is meant to divide.
            if !scale.is_normal() || scale.abs() > 1.0 {
                let expected = "a number to multiply pixels by, other than 0 and at most 1";
                return refuse("scale", expected, format!("{scale}; divide_by = {scale} divides"));
            }
        }
        if !self.divide_by.is_normal() {
            return refuse("divide_by", "a number other than 0", self.divide_by.to_string());
        }
        if let Some(std) = self.std.iter().find(|std| !std.is_normal()) {
            return refuse("std", "numbers other than 0", std.to_string());
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return refuse("mean", "finite numbers", mean.to_string());
        }
        let key = if self.scale.is_some() { "scale" } else { "divide_by" };
        let largest = self.scale.map_or(LARGEST_PIXEL / self.divide_by, |scale| scale * LARGEST_PIXEL);
        match of_bytes(&self.mean, &self.std).filter(|_| largest.abs() <= ABOUT_ONE) {
            Some(number) => refuse(
                if self.mean.contains(&number) { "mean" } else { "std" },
                "numbers for pixels from 0 to 1",
                format!(
                    "{number}, which is for pixels from 0 to 255; leave {key} out, or choose the preset 0..255"
                ),
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::samples) fn preprocess(text: &str) -> Result<Preprocess> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preprocess.toml");
        std::fs::write(&path, text).unwrap();
        Preprocess::read(&path)
    }

    #[test]
    fn errors_name_the_key() {
        for (text, key) in [
            ("resise = 3", "resise"),
            ("mean = \"a\"", "mean"),
            ("layout = \"CHWN\"", "layout"),
            ("resize = [1]", "resize"),
            ("resize = -1", "resize"),
            ("resize = 0", "resize"),
            ("centre_crop = 9999999", "centre_crop"),
            ("divide_by = 0", "divide_by"),
            ("std = [0.5, 0.0]", "std"),
            ("mean = [nan]", "mean"),
            ("mean = [", "mean"),
            ("batch_axis = 1\ndivide_by = 255", "batch_axis"),
            ("scale = 255", "divide_by = 255"),
            ("scale = 0", "scale"),
            ("scale = 0.5\ndivide_by = 2", "not both"),
            ("divide_by = 255\nmean = 127", "leave divide_by out"),
            ("divide_by = 255\nstd = 127", "std"),
            ("scale = 0.00392\nmean = [123.7, 116.3, 103.5]", "leave scale out"),
        ] {
            let error = preprocess(text).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn one_number_lower_case_and_other_spellings_are_read() {
        let read = |text: &str| preprocess(text).unwrap().keys;
        assert_eq!(read("mean = 127.5\nstd = 2"), read("mean = [127.5]\nstd = [2.0]"));
        assert_eq!(
            read("channel_order = 'bgr'\nlayout = 'nhw'\nmodel_layout = 'nhwc'\ncenter_crop = 9"),
            read("channel_order = 'BGR'\nlayout = 'NHW'\nmodel_layout = 'NHWC'\ncentre_crop = 9")
        );
        assert_eq!(read("resize = [7, 7]").resize(), read("resize = 7").resize());
        assert_eq!(read("scale = 0.25").scale, Some(0.25));
        assert_eq!(read("divide_by = 127.5\nmean = 1").mean, [1.0]);
    }

    #[test]
    fn numbers_of_other_channels_are_refused() {
        let three = preprocess("mean = [1, 2, 3]").unwrap();
        assert!(format!("{:?}", three.becomes([2, 2, 1]).unwrap_err()).contains("mean"));
    }
}

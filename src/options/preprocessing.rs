//! How stored pixels become a model's input, as a person asks for it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// The largest value of a pixel.
pub const LARGEST_PIXEL: f32 = 255.0;
/// From here on a standard deviation is one of pixels from 0 to 255. A smaller one may be there to make pixels from 0 to 1 smaller.
const LEAST_STD: f32 = 10.0;

/// How stored pixels become a model's input: a preset or a TOML file, and numbers that go before those of either.
///
/// A path becomes one, and the name of a preset too: `Preprocessing::from("imagenet")`.
///
/// ```
/// use fourbit::Preprocessing;
///
/// let pictures = Preprocessing { resize: "224x320".parse().ok(), ..Preprocessing::from("0..1") };
/// # drop(pictures);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocessing {
    /// Where to begin.
    pub base: PreprocessingBase,
    /// Divide pixels by this first.
    pub divide_by: Option<f32>,
    /// Then subtract these: one number, or one for each channel; none leaves them to the base.
    pub mean: Vec<f32>,
    /// Then divide by these, likewise.
    pub std: Vec<f32>,
    /// The size that pictures are scaled to; with a crop, their shorter side.
    pub resize: Option<Resize>,
    /// The side of the square that is cut from the middle.
    pub crop: Option<usize>,
}

/// What numbers and sizes are those of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PreprocessingBase {
    /// Nothing: pixels from 0 to 255, scaled to the size of the model's input.
    #[default]
    None,
    /// Numbers by a name; sizes and layout are those of the model's input.
    Preset(Preset),
    /// A TOML file.
    File(PathBuf),
}

/// What values pixels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Means and deviations of ImageNet; the middle of the picture, scaled as 224 of 256 pixels.
    Imagenet,
    /// 0 to 1; the whole picture.
    Unit,
    /// -1 to 1; the whole picture.
    Symmetric,
    /// 0 to 255; the whole picture.
    Bytes,
}

/// A size of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// A square of this side; with a crop, the shorter side.
    Side(usize),
    /// Height and width.
    Sides([usize; 2]),
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 4] = [Self::Imagenet, Self::Unit, Self::Symmetric, Self::Bytes];

    /// The name used in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "imagenet",
            Self::Unit => "0..1",
            Self::Symmetric => "-1..1",
            Self::Bytes => "0..255",
        }
    }

    /// The preset of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name().eq_ignore_ascii_case(name))
    }

    /// All names, as in `imagenet, 0..1, -1..1 or 0..255`.
    pub fn names() -> String {
        let [first @ .., last] = Self::ALL.map(Self::name);
        format!("{} or {last}", first.join(", "))
    }
}

impl Preprocessing {
    /// The file it is read from.
    pub fn file(&self) -> Option<&Path> {
        match &self.base {
            PreprocessingBase::File(path) => Some(path),
            PreprocessingBase::None | PreprocessingBase::Preset(_) => None,
        }
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Options`] for a size beside a crop that is no single side, and for numbers of pixels from 0 to 1 where these are
    /// from 0 to 255, or the other way round.
    pub fn check(&self) -> Result<()> {
        if let (Some(Resize::Sides([height, width])), Some(crop)) = (self.resize, self.crop) {
            return Err(Error::options(
                format!("pictures of {height}x{width} are not scaled again to be cut to {crop}"),
                "with a crop give one number to resize to: the shorter side",
            ));
        }
        let unit = |number: &f32| (0.0..=1.0).contains(number);
        let small_means = self.mean.iter().all(unit) && self.mean.iter().any(|mean| *mean > 0.0);
        let small_deviations = !self.std.is_empty() && self.std.iter().all(|std| std.abs() < 1.0);
        if self.base == PreprocessingBase::None
            && self.divide_by.is_none()
            && (small_means || small_deviations)
        {
            return Err(Error::options(
                "this mean or std is for pixels from 0 to 1, and they are from 0 to 255",
                "divide by 255 as well: `.divide_by` 255, or `.preprocess` 0..1",
            ));
        }
        let divided = self.divide_by.is_some_and(|divide_by| divide_by.abs() >= LARGEST_PIXEL);
        if divided && of_bytes(&self.mean, &self.std).is_some() {
            return Err(Error::options(
                "this mean or std is for pixels from 0 to 255, and they are from 0 to 1",
                "leave `.divide_by` out",
            ));
        }
        Ok(())
    }
}

/// The first number of a `mean` or `std` that cannot be one of pixels from 0 to 1.
pub fn of_bytes(mean: &[f32], std: &[f32]) -> Option<f32> {
    let means = mean.iter().filter(|&&mean| mean > 1.0);
    means.chain(std.iter().filter(|std| std.abs() >= LEAST_STD)).next().copied()
}

impl<P: Into<PathBuf>> From<P> for Preprocessing {
    fn from(path: P) -> Self {
        let path = path.into();
        let base = match path.to_str().and_then(Preset::named) {
            Some(preset) => PreprocessingBase::Preset(preset),
            None => PreprocessingBase::File(path),
        };
        Self { base, ..Self::default() }
    }
}

impl FromStr for Resize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let side = |text: &str| text.trim().parse().ok().filter(|&side: &usize| side > 0);
        let lower = text.to_ascii_lowercase();
        let found = match lower.split_once(['x', ',']) {
            Some((height, width)) => {
                side(height).zip(side(width)).map(|(height, width)| Self::Sides([height, width]))
            }
            None => side(&lower).map(Self::Side),
        };
        found.ok_or_else(|| {
            Error::options(
                format!("{text:?} is no size"),
                "write pixels, as in 224, or HEIGHTxWIDTH, as in 224x320",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_presets_go_before_files() {
        for preset in Preset::ALL {
            assert_eq!(Preprocessing::from(preset.name()).base, PreprocessingBase::Preset(preset));
        }
        assert_eq!(Preprocessing::from("ImageNet").base, PreprocessingBase::Preset(Preset::Imagenet));
        assert_eq!(Preprocessing::from("./imagenet").file(), Some(Path::new("./imagenet")));
        assert_eq!(Preset::names(), "imagenet, 0..1, -1..1 or 0..255");
    }

    #[test]
    fn sizes_are_a_side_or_two() {
        let read = |text: &str| text.parse::<Resize>().ok();
        assert_eq!(
            (read("224"), read("224X320")),
            (Some(Resize::Side(224)), Some(Resize::Sides([224, 320])))
        );
        for wrong in ["", "0", "-1", "2x", "1x2x3", "big"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_for_other_pixels_are_refused() {
        let base = || Preprocessing::default();
        let three = |value: f32| vec![value; 3];
        assert!(Preprocessing { mean: three(0.485), ..base() }.check().is_err());
        assert!(Preprocessing { std: three(0.229), ..base() }.check().is_err());
        assert!(Preprocessing { mean: three(0.485), divide_by: Some(255.0), ..base() }.check().is_ok());
        assert!(Preprocessing { mean: three(0.485), ..Preprocessing::from("0..1") }.check().is_ok());
        assert!(Preprocessing { mean: three(103.9), std: three(1.0), ..base() }.check().is_ok());
        let divided = || Preprocessing { divide_by: Some(255.0), ..base() };
        let error = Preprocessing { mean: three(127.0), ..divided() }.check().unwrap_err().to_string();
        assert!(error.contains("from 0 to 255") && error.contains("leave `.divide_by` out"), "{error}");
        assert!(Preprocessing { std: three(127.0), ..divided() }.check().is_err());
        assert!(Preprocessing { mean: three(127.0), divide_by: Some(2.0), ..base() }.check().is_ok());
        assert!(Preprocessing { mean: three(1.0), std: three(2.0), ..divided() }.check().is_ok());
        let sides = Preprocessing { resize: Some(Resize::Sides([2, 3])), crop: Some(2), ..base() };
        assert!(sides.check().is_err());
    }
}

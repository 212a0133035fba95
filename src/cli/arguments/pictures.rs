//! The arguments that say how pictures become inputs.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::api::{Preprocessing, Resize, Result};

/// How stored pixels become the input.
#[derive(Debug, Default, Args)]
pub struct Pictures {
    /// How pictures become the input: imagenet, 0..1, -1..1, 0..255, or a TOML file
    ///
    /// A preset takes height, width and layout (NCHW or NHWC) from the input of the model. imagenet scales the shorter side, cuts the
    /// middle (224 of 256 pixels), divides by 255, and uses ImageNet's mean and std. The others scale the whole picture, and make its
    /// pixels numbers from 0 to 1, -1 to 1, or 0 to 255.
    ///
    /// Keys of a file, each of which may be left out: channel_order ("RGB", "BGR", "gray"), divide_by (or scale, which multiplies), mean
    /// and std (one number, or one per channel), shorter_side, centre_crop, resize (a side, or [height, width]), model_layout ("NCHW",
    /// "NHWC"); for arrays also layout ("NHWC", "NCHW", "NHW"), array, labels and batch_axis. The value is (pixel / divide_by - mean) /
    /// std.
    #[arg(long, value_name = "PRESET|FILE", value_parser = preset_or_file(), value_hint = ValueHint::AnyPath,
        allow_hyphen_values = true, help_heading = "Pictures")]
    pub preprocess: Option<PathBuf>,
    /// Subtract this mean: one number, or one per channel, as in 0.485,0.456,0.406
    ///
    /// These numbers and sizes override those of --preprocess. Without it, they are for pixels from 0 to 255.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_negative_numbers = true,
        help_heading = "Pictures",
        hide_short_help = true
    )]
    pub mean: Vec<f32>,
    /// Then divide by this standard deviation, likewise
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_negative_numbers = true,
        help_heading = "Pictures",
        hide_short_help = true
    )]
    pub std: Vec<f32>,
    /// Divide pixels by this first, as by 255
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Pictures",
        hide_short_help = true
    )]
    pub divide_by: Option<f32>,
    /// Scale pictures to this size: a side, or HEIGHTxWIDTH; with --crop, their shorter side
    #[arg(long, value_name = "SIZE", help_heading = "Pictures", hide_short_help = true)]
    pub resize: Option<Resize>,
    /// Cut a square of this side from the middle
    #[arg(long, value_name = "SIDE", help_heading = "Pictures", hide_short_help = true)]
    pub crop: Option<usize>,
}

/// A path or a preset's name, which may begin with a dash; what begins with two is an option that came too early.
fn preset_or_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path: PathBuf| {
        match path.as_os_str().as_encoded_bytes().starts_with(b"--") {
            true => Err("must be imagenet, 0..1, -1..1, 0..255, or a file"),
            false => Ok(path),
        }
    })
}

impl Pictures {
    /// The preprocessing asked for, if any.
    ///
    /// # Errors
    /// [`crate::api::Error::Options`] where it contradicts itself.
    pub fn preprocessing(&self) -> Result<Option<Preprocessing>> {
        let Self { preprocess, mean, std, divide_by, resize, crop } = self;
        let asked = Preprocessing {
            divide_by: *divide_by,
            mean: mean.clone(),
            std: std.clone(),
            resize: *resize,
            crop: *crop,
            ..preprocess.as_ref().map(Preprocessing::from).unwrap_or_default()
        };
        asked.check()?;
        Ok((preprocess.is_some() || asked != Preprocessing::default()).then_some(asked))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::api::{PreprocessingBase, Preset};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        pictures: Pictures,
    }

    fn asked(line: &str) -> Option<Preprocessing> {
        let line = Line::try_parse_from(format!("fourbit {line}").split_whitespace()).unwrap();
        line.pictures.preprocessing().unwrap()
    }

    #[test]
    fn presets_and_numbers_are_read() {
        assert_eq!(asked(""), None);
        let found = asked("--preprocess -1..1 --resize 8x9").unwrap();
        assert_eq!(found.base, PreprocessingBase::Preset(Preset::Symmetric));
        assert_eq!(found.resize, Some(Resize::Sides([8, 9])));
        let found = asked("--mean 1,2,-3 --std 4 --divide-by 5 --resize 256 --crop 224").unwrap();
        assert_eq!((found.base, found.mean), (PreprocessingBase::None, vec![1.0, 2.0, -3.0]));
        assert_eq!((found.std, found.divide_by, found.crop), (vec![4.0], Some(5.0), Some(224)));
        let wrong = |line: &str| Line::try_parse_from(format!("fourbit {line}").split_whitespace()).is_err();
        assert!(wrong("--preprocess --mean 1") && wrong("--resize big") && wrong("--mean a"));
    }
}

//! `fourbit samples`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::feeding::Feeding;
use super::arguments::pictures::Pictures;
use super::arguments::sampling::Seed;
use super::arguments::values::at_least_one;
use super::common::Context;
use crate::api::program::SHOWN_SAMPLES;
use crate::api::{Result, ShowSamples};

/// Show what a model is fed: shapes, types, ranges and labels of samples
///
/// Use it before converting, to see that samples and --preprocess are right.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit samples net.onnx calib.npz
  fourbit samples net.onnx pictures/ --preprocess imagenet --png sheet.png

Also: -v, -q, --json; all options: fourbit samples --help")]
#[command(after_long_help = "\
Examples:
  fourbit samples net.onnx calib.npz
  fourbit samples net.onnx pictures/ --preprocess imagenet --png sheet.png
  fourbit samples net.onnx calib.npz --json

Exit status:
  0  the samples were read
  1  an error
  2  wrong arguments")]
pub struct Args {
    /// The model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The samples: .npz, .npy, or a folder [default: found beside the model]
    #[arg(value_name = "PATH")]
    pub samples: Option<PathBuf>,
    /// Look at the first N samples
    #[arg(long = "max-samples", value_name = "N", value_parser = at_least_one, default_value_t = SHOWN_SAMPLES,
        help_heading = "Samples")]
    pub max_samples: usize,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    pub seed: Seed,
    #[command(flatten)]
    pub pictures: Pictures,
    /// Also write a contact sheet of the first 25 pictures as the model sees them
    ///
    /// All are on one scale, from the least value (black) to the largest (white). Channels are shown in their order as red, green and
    /// blue, so that a model that wants BGR shows red things blue.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub png: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
}

/// Reads samples and reports.
///
/// # Errors
/// Samples that cannot be read or do not fit the model.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut look = ShowSamples::new(&args.input)
        .max_samples(args.max_samples)
        .seed(args.seed.seed)
        .feeding(args.feeding.feeding())
        .overwrite(args.overwrite);
    if let Some(samples) = &args.samples {
        look = look.samples(samples);
    }
    if let Some(pictures) = args.pictures.preprocessing()? {
        look = look.preprocess(pictures);
    }
    if let Some(file) = &args.png {
        look = look.png(file);
    }
    context.show(&look.run()?)?;
    Ok(ExitCode::SUCCESS)
}

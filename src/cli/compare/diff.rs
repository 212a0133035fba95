//! `fourbit diff`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::{Diff, Result};
use crate::cli::arguments::feeding::Feeding;
use crate::cli::arguments::pictures::Pictures;
use crate::cli::arguments::sampling::Seed;
use crate::cli::arguments::values::at_least_one;
use crate::cli::common::Context;

/// Compare conversions of one model: quantized models, reports or plans
///
/// Shows size, bits, accuracy, and layer by layer what differs. Models among them are run on the same samples: how often their answers
/// agree, and the SQNR of the outputs. Samples beside the float model, or else beside the first one, are found without an option.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit diff net.w4.onnx net.w4a8.onnx --validation test.npz
  fourbit diff net.w4.json net.w4a8.json --report diff.html

Also: -v, -q, --json; all options: fourbit diff --help")]
#[command(after_long_help = "\
Examples:
  fourbit diff net.w4.onnx net.w4a8.onnx --validation test.npz
  fourbit diff net.w4.onnx other-tool.onnx --float net.onnx --validation test.npz
  fourbit diff net.w4.json net.w4a8.json --report diff.html

Exit status:
  0  compared
  1  an error
  2  wrong arguments")]
pub struct Args {
    /// Quantized models, JSON reports (--report FILE.json), or plans
    #[arg(value_name = "FILE", required = true, num_args = 2..=26)]
    pub files: Vec<PathBuf>,
    /// Also compare each model with this float one
    #[arg(long, value_name = "MODEL", help_heading = "Samples")]
    pub float: Option<PathBuf>,
    /// Samples to run models on, with labels if there are any: .npz, .npy, or a folder [default: found beside the float model]
    #[arg(long, alias = "samples", value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Use at most N samples
    #[arg(long = "max-samples", alias = "count", value_name = "N", value_parser = at_least_one,
        help_heading = "Samples")]
    pub max_samples: Option<usize>,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    pub seed: Seed,
    #[command(flatten)]
    pub pictures: Pictures,
    /// Also write the comparison: a page to read if the name ends in .html, JSON if in .json, text if in .txt; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Vec<PathBuf>,
    /// Replace reports that exist
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub overwrite: bool,
}

/// Compares and reports.
///
/// # Errors
/// Whatever stops the comparison.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut diff = Diff::new(&args.files).seed(args.seed.seed).feeding(args.feeding.feeding());
    if let Some(float) = &args.float {
        diff = diff.float(float);
    }
    if let Some(samples) = &args.validation {
        diff = diff.samples(samples);
    }
    if let Some(pictures) = args.pictures.preprocessing()? {
        diff = diff.preprocess(pictures);
    }
    if let Some(count) = args.max_samples {
        diff = diff.max_samples(count);
    }
    let reports = diff.open_reports(&args.report, args.overwrite)?;
    let found = diff.run_with(&context.progress)?;
    reports.write(&context.spelling.report(&found))?;
    context.show(&found)?;
    Ok(ExitCode::SUCCESS)
}

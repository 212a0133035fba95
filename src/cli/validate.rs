//! `fourbit validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::arguments::budget::NOT_VALIDATED;
use super::arguments::conversion::Seed;
use super::arguments::feeding::Feeding;
use super::arguments::values::at_least_one;
use super::common::Context;
use crate::api::{Result, Validate, Verdict};

/// Compare a quantized model with its float original
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both models run on the same samples. Samples that lie beside the float model are found without a flag.

Examples:
  fourbit validate net.onnx net.w4a8.onnx --samples test.npz
  fourbit validate net.onnx net.w4a8.onnx --samples test.npz --runtime onnxruntime
  fourbit validate net.onnx net.w4a8.onnx --samples pictures/ --preprocess pixels.toml --count 500

Exit status:
  0  both models were compared
  1  an error
  2  wrong arguments
  4  they could not be compared: the report says why")]
pub struct Args {
    /// The float model
    #[arg(value_name = "FLOAT")]
    pub float: PathBuf,
    /// The quantized model
    #[arg(value_name = "QUANTIZED")]
    pub quantized: PathBuf,
    /// Samples to run: .npz, .npy, or a folder
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub samples: Option<PathBuf>,
    /// How stored samples become inputs (TOML)
    #[arg(long, value_name = "FILE", help_heading = "Samples")]
    pub preprocess: Option<PathBuf>,
    /// Use so many samples at most
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Samples")]
    pub count: Option<usize>,
    /// Where both models run
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Runtime::Tract)]
    pub runtime: Runtime,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    pub seed: Seed,
}

/// Where models run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// In tract, which is built in
    Tract,
    /// In tract, and in onnxruntime with its own optimizations as a second opinion; where tract cannot, onnxruntime judges
    /// alone. The library is that of ORT_DYLIB_PATH, or of the Python package
    Onnxruntime,
}

/// Compares and reports.
///
/// # Errors
/// Whatever stops the comparison.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut comparison = Validate::new(&args.float, &args.quantized)
        .seed(args.seed.seed)
        .feeding(args.feeding.feeding())
        .cross_check(args.runtime == Runtime::Onnxruntime);
    if let Some(samples) = &args.samples {
        comparison = comparison.samples(samples);
    }
    if let Some(file) = &args.preprocess {
        comparison = comparison.preprocess(file);
    }
    if let Some(count) = args.count {
        comparison = comparison.max_samples(count);
    }
    let verdict = comparison.run_with(&context.progress)?;
    context.show(&verdict)?;
    Ok(match verdict {
        Verdict::Validated(_) => ExitCode::SUCCESS,
        Verdict::NotValidated { .. } => ExitCode::from(NOT_VALIDATED),
    })
}

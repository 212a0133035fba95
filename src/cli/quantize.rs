//! `fourbit quantize`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::budget::exit_code;
use super::common::Context;
use super::conversion::Conversion;
use crate::error::{Error, Result};
use crate::onnx::Sink;
use crate::pipeline;
use crate::report::{data, plain};

/// Convert a model and measure what it cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Samples that lie beside the model are found without a flag. Precision w4 needs none.

Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx -o small.onnx --precision w4
  fourbit quantize net.onnx --weights uint4 --activations float --exclude 'head*'
  fourbit quantize net.onnx --calibration calib.npz --max-drop 1.0 --max-size 300kB
  fourbit quantize net.onnx --calibration pictures/ --preprocess pixels.toml --report net.json

Exit status:
  0  the file was written
  1  an error
  2  wrong arguments
  3  the file was written, but no plan keeps the limits: it is the best that was found
  4  the file was written, but not validated: the report says why
  5  activations cannot be quantized, since the model cannot be run; weights alone can, as in --precision w4")]
pub struct Args {
    #[command(flatten)]
    pub conversion: Conversion,
    /// Samples to compare both models on, with labels if there are any
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Put large tensors into a file of their own, FILE.data, whatever their size; beyond 2 GB this happens in any case
    #[arg(long)]
    pub external_data: bool,
    /// Also write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Converts, validates, reports.
///
/// # Errors
/// Whatever stops the conversion, or a report that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    // Opened first, so that a wrong name is told before the work and not after it.
    let report = match &args.report {
        Some(path) => Some((path, Sink::create(path, args.conversion.overwrite)?)),
        None => None,
    };
    let job = args.conversion.job(args.validation.clone())?;
    let job = pipeline::Job { external_data: args.external_data, ..job };
    let outcome = pipeline::quantize(&job, &context.progress)?;
    if let Some((path, mut sink)) = report {
        sink.write_all(data::outcome(&outcome).as_bytes()).map_err(Error::write(path))?;
        sink.commit()?;
    }
    context.print(|layout| plain::outcome(&outcome, layout), || data::outcome(&outcome))?;
    Ok(exit_code(outcome.budget.as_ref(), Some(&outcome.verdict)))
}

//! `fourbit inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::Context;
use crate::error::Result;
use crate::pipeline;
use crate::report::{data, plain};

/// Show what is in a model and what can be quantized
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit inspect net.onnx
  fourbit inspect net.onnx --format json

Exit status:
  0  the model was read
  1  an error
  2  wrong arguments")]
pub struct Args {
    /// The model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
}

/// Inspects and reports.
///
/// # Errors
/// A model that cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let inspection = pipeline::inspect(&args.input)?;
    context.print(|layout| plain::inspection(&inspection, layout), || data::inspection(&inspection))?;
    Ok(ExitCode::SUCCESS)
}

//! `fourbit inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::Context;
use crate::api::{self, Result};

/// Show what is in a model and what can be quantized
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit inspect net.onnx
  fourbit inspect net.onnx --json

Also: -v, -q, --json; all options: fourbit inspect --help")]
#[command(after_long_help = "\
Examples:
  fourbit inspect net.onnx
  fourbit inspect net.onnx --json

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
    context.show(&api::inspect(&args.input)?)?;
    Ok(ExitCode::SUCCESS)
}

//! `fourbit apply`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::Context;
use crate::api::{Apply, Result};

/// Write the model that a plan describes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --first, a decision that costs accuracy can be found by halving.

Examples:
  fourbit apply net.onnx plan.json -o net.w4a8.onnx
  fourbit apply net.onnx plan.json -o half.onnx --first 20

Exit status:
  0  the file was written
  1  an error
  2  wrong arguments
  6  the plan changes nothing, so that nothing was written")]
pub struct Args {
    /// The float model that the plan was made for
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The file to write [default: beside the model, named after it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Apply only the first N decisions
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Replace the output where it exists
    #[arg(long)]
    pub overwrite: bool,
    /// Put large tensors into a file of their own, FILE.data, whatever their size; beyond 2 GB this happens in any case
    #[arg(long)]
    pub external_data: bool,
}

/// Applies and reports.
///
/// # Errors
/// Whatever stops the rewriting.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut application =
        Apply::new(&args.input, &args.plan).overwrite(args.overwrite).external_data(args.external_data);
    if let Some(file) = &args.output {
        application = application.output(file);
    }
    if let Some(count) = args.first {
        application = application.first(count);
    }
    context.show(&application.run_with(&context.progress)?)?;
    Ok(ExitCode::SUCCESS)
}

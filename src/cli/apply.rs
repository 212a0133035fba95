//! `fourbit apply`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::values::output;
use super::common::Context;
use crate::api::{Apply, Result};

/// Write the model that a plan describes
///
/// With --first, the decision that costs accuracy can be found by bisection.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit apply net.onnx plan.json net.w4a8.onnx
  fourbit apply net.onnx plan.json half.onnx --first 20

Also: -v, -q, --json; all options: fourbit apply --help")]
#[command(after_long_help = "\
Examples:
  fourbit apply net.onnx plan.json net.w4a8.onnx
  fourbit apply net.onnx plan.json half.onnx --first 20

Exit status:
  0  the file was written
  1  an error
  2  wrong arguments
  6  nothing was written: the plan changes nothing")]
pub struct Args {
    /// The float model that the plan was made for
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The file to write, the same as -o
    #[arg(value_name = "OUT", value_parser = output(), conflicts_with = "output")]
    pub out: Option<PathBuf>,
    /// The file to write [default: beside the model, named after it]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
    /// Put large tensors into a file of their own, FILE.data; beyond 2 GB this happens without the option
    #[arg(long, help_heading = "Output")]
    pub external_data: bool,
    /// Apply only the first N decisions
    #[arg(long, value_name = "N", help_heading = "Which decisions")]
    pub first: Option<usize>,
}

/// Applies and reports.
///
/// # Errors
/// Whatever stops the rewriting.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut application =
        Apply::new(&args.input, &args.plan).overwrite(args.overwrite).external_data(args.external_data);
    if let Some(file) = args.output.as_ref().or(args.out.as_ref()) {
        application = application.output(file);
    }
    if let Some(count) = args.first {
        application = application.first(count);
    }
    context.show(&application.run_with(&context.progress)?)?;
    Ok(ExitCode::SUCCESS)
}

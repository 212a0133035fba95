//! `fourbit plan`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::budget::exit_code;
use super::arguments::conversion::Conversion;
use super::common::Context;
use crate::api::Result;

/// Decide everything and write the plan, but no model
///
/// The plan is a JSON file. It can be read, edited, and applied with `fourbit apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit plan net.onnx plan.json --calibration calib.npz
  fourbit plan net.onnx --precision w4

Also: -v, -q, --json; all options: fourbit plan --help")]
#[command(after_long_help = "\
Examples:
  fourbit plan net.onnx plan.json --calibration calib.npz
  fourbit plan net.onnx --precision w4

Exit status:
  0  the plan was written
  1  an error; no plan was written
  2  wrong arguments
  3  the plan was written, but none meets the limits: it is the best that was found
  5  no plan was written: quantized activations need a model that can be run,
     and this one cannot; --precision w4 can
  6  no plan was written: nothing in the model would be quantized,
     and the message says why")]
pub struct Args {
    #[command(flatten)]
    pub conversion: Conversion,
    /// Also write the report: a page to read if the name ends in .html, JSON if in .json, text if in .txt; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output", hide_short_help = true)]
    pub report: Vec<PathBuf>,
}

/// Plans and reports.
///
/// # Errors
/// Whatever stops the planning.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let conversion = args.conversion.quantize()?;
    let reports = conversion.open_plan_reports(&args.report)?;
    let conversion = conversion.details(reports.hold_details() || context.is_json());
    let planned = conversion.write_plan(&context.progress)?;
    reports.write(&context.spelling.report(&planned))?;
    context.show(&planned)?;
    Ok(exit_code(planned.budget.as_ref(), None))
}

//! `fourbit check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::common::Context;
use crate::api::{self, Result, TARGETS, Target};

/// Exit code where the target objects to something.
const OBJECTED: u8 = 3;

/// List what a runtime will not take of a model, node by node
///
/// Takes any ONNX file, made by fourbit or not. It checks how the model is quantized, opsets and operator domains, the types,
/// attributes and inputs that each operator may have by its definition, and scales. It does not know whether the runtime has each float
/// operator.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit check net.w4.onnx
  fourbit check net.w4.onnx --target tensorrt

Also: -v, -q, --json; all options: fourbit check --help")]
#[command(after_long_help = "\
Examples:
  fourbit check net.w4.onnx
  fourbit check net.w4.onnx --target tensorrt
  fourbit check net.w4a8.onnx --target ort-cpu-int8 --json

Exit status:
  0  the target takes the model, perhaps with layers that run in float
  1  an error
  2  wrong arguments
  3  the target refuses something, or its sums may saturate,
     or the file breaks the definition of an operator")]
pub struct Args {
    /// The model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The runtime; `fourbit targets` lists them
    #[arg(long, value_name = "NAME", default_value = "generic", ignore_case = true,
        value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name))
            .try_map(|name| Target::named(&name)))]
    pub target: &'static Target,
}

/// Checks and reports.
///
/// # Errors
/// A model that cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let checked = api::check(&args.input, args.target)?;
    context.show(&checked)?;
    Ok(if checked.has_objections() { ExitCode::from(OBJECTED) } else { ExitCode::SUCCESS })
}

//! `fourbit check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::common::Context;
use crate::error::Result;
use crate::options::{TARGETS, Target};
use crate::pipeline;
use crate::report::{data, plain};

/// Exit code where the target refuses something.
const REFUSED: u8 = 3;

/// Say what a runtime will not take of a model, node by node
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes any ONNX file, made by fourbit or not. It looks at how the model is quantized, at opsets and at domains of operators, and not
at whether the runtime has each float operator.

Examples:
  fourbit check net.w4.onnx --target tensorrt
  fourbit check net.w4a8.onnx --target ort-cpu-int8 --format json

Exit status:
  0  the target takes the model
  1  an error
  2  wrong arguments
  3  the target refuses something")]
pub struct Args {
    /// The model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The runtime; fourbit targets lists them
    #[arg(long, value_name = "NAME",
        value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name))
            .try_map(|name| Target::named(&name)))]
    pub target: &'static Target,
}

/// Checks and reports.
///
/// # Errors
/// A model that cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let checked = pipeline::check(&args.input, args.target)?;
    context.print(|layout| plain::checked(&checked, layout), || data::checked(&checked))?;
    Ok(if checked.is_refused() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

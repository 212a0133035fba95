//! `fourbit sensitivity`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::{Context, ReportForm};
use super::conversion::{Choices, at_least_one};
use crate::error::Result;
use crate::files::Sink;
use crate::pipeline;
use crate::report::{Layout, data, plain};

/// Find the layers that cost most accuracy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Plans as quantize does, with the same options, and measures each layer's part in the error of the outputs: with only that
layer quantized (alone), and with all layers but that one quantized (without). Nothing is converted.

Examples:
  fourbit sensitivity net.onnx --calibration calib.npz --validation test.npz
  fourbit sensitivity net.onnx --precision w4 --validation test.npz --measure 256
  fourbit sensitivity net.onnx --report layers.json

Exit status:
  0  the layers were measured
  1  an error
  2  wrong arguments
  5  activations cannot be planned, since the model cannot be run")]
pub struct Args {
    /// The float model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    /// Samples to measure on, with labels if there are any [default: those beside the model, else as --calibration]
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Measure on so many samples at most; each layer takes about one run of each
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = pipeline::MEASURED_SAMPLES,
        help_heading = "Samples")]
    pub measure: usize,
    /// Also write the report: as text where the name ends in .txt, as JSON where it ends in .json or has no ending
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Replace the report where it exists
    #[arg(long)]
    pub overwrite: bool,
}

/// Measures and reports.
///
/// # Errors
/// Whatever stops the measuring, or a report that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    // Opened first, so that a wrong name is told before the work and not after it.
    let job = args.choices.job(&args.input, args.validation.clone())?;
    let mut guard = job.guard();
    args.choices.config.iter().for_each(|path| guard.reads(path));
    let report = match &args.report {
        Some(path) => {
            let sink = Sink::create(path, args.overwrite, &guard)?;
            Some((ReportForm::of(path)?, sink))
        }
        None => None,
    };
    let found = pipeline::sensitivity(&job, Some(args.measure), &context.progress)?;
    if let Some((form, sink)) = report {
        form.write(sink, || plain::sensitivity(&found, Layout::default()), || data::sensitivity(&found))?;
    }
    context.print(|layout| plain::sensitivity(&found, layout), || data::sensitivity(&found))?;
    Ok(ExitCode::SUCCESS)
}

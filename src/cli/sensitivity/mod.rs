//! `fourbit sensitivity`.

mod command;
mod next;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;

use super::common::Context;
use crate::api::program::{FEWEST_SAMPLES, MEASURED_SAMPLES, TRIED_LAYERS};
use crate::api::{RankLayers, Result, Sensitivity};
use crate::cli::arguments::conversion::Choices;
use crate::cli::arguments::values::at_least_one;
pub use command::again;
use command::option;
pub use next::advise;

/// Characters of a tensor's name in the name of a file.
const MOST_OF_NAME: usize = 60;

/// Find the layers that gain most if they stay float
///
/// Plans as quantize does, with the same options, and measures what the outputs gain if a single layer is left float. Later layers are
/// solved again for that, and the gain is measured on samples that calibration did not use, with its standard error. The three most
/// promising layers are confirmed by whole conversions, and the commands to paste follow. No model is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit sensitivity net.onnx --calibration calib.npz --validation test.npz
  fourbit sensitivity net.onnx --precision w4 --validation test.npz --measure 256

Also: -v, -q, --json; all options: fourbit sensitivity --help")]
#[command(after_long_help = "\
Examples:
  fourbit sensitivity net.onnx --calibration calib.npz --validation test.npz
  fourbit sensitivity net.onnx --precision w4 --validation test.npz --measure 256
  fourbit sensitivity net.onnx --report layers.json

Exit status:
  0  the layers were measured
  1  an error
  2  wrong arguments
  5  quantized activations need a model that can be run, and this one cannot")]
pub struct Args {
    /// The float model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    /// Validation samples, with labels if there are any [default: found beside the model, or held-back calibration samples]
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Estimate on at most N validation samples
    #[arg(long, value_name = "N", value_parser = enough, default_value_t = MEASURED_SAMPLES,
        help_heading = "Samples")]
    pub measure: usize,
    /// Estimate the gain of the N most promising layers; each takes about an eighth of a conversion
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = TRIED_LAYERS,
        help_heading = "Which layers")]
    pub layers: usize,
    /// Also write the report: text if the name ends in .txt, JSON if it ends in .json
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// Replace the report if it exists
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
}

/// Measures and reports.
///
/// # Errors
/// Whatever stops the measuring, or a report that cannot be written.
pub fn run(args: &Args, matches: Option<&ArgMatches>, context: &Context) -> Result<ExitCode> {
    let mut conversion = args.choices.quantize(&args.input)?;
    if let Some(samples) = &args.validation {
        conversion = conversion.validation(samples);
    }
    let ranking = RankLayers::of(&conversion).samples(args.measure).layers(args.layers);
    let reports = ranking.open_reports(args.report.as_slice(), args.overwrite)?;
    let mut found = ranking.run_with(&context.progress)?;
    if let Some(conversion) = matches.and_then(|matches| again("quantize", matches)) {
        commands(&mut found, &conversion);
    }
    reports.write(&context.spelling.report(&found))?;
    context.show(&found)?;
    Ok(ExitCode::SUCCESS)
}

/// Gives each layer that was confirmed to gain anything its command: the `conversion` without it, to a file of its own.
fn commands(found: &mut Sensitivity, conversion: &[String]) {
    for layer in &mut found.layers {
        let gains = layer.confirmed.as_ref().is_some_and(|confirmed| confirmed.gain.is_clear());
        let output = output(&found.input, &found.precision, &layer.tensor);
        if let Some(output) = output.filter(|_| gains) {
            layer.command = conversion.to_vec();
            layer.command.extend(option("--exclude", &layer.exclude));
            layer.command.extend(option("-o", &output));
        }
    }
}

/// A name beside the model for the conversion without `tensor`; `None` where it could not be printed.
fn output(input: &Path, precision: &str, tensor: &str) -> Option<String> {
    let stem = input.file_stem()?.to_str()?;
    let plain =
        |symbol: char| if symbol.is_ascii_alphanumeric() || "._-".contains(symbol) { symbol } else { '_' };
    let safe: Vec<char> = tensor.chars().map(plain).collect();
    // Names in models differ at their ends.
    let end: String = safe[safe.len().saturating_sub(MOST_OF_NAME)..].iter().collect();
    let path = input.with_file_name(format!("{stem}.{precision}.without_{end}.onnx"));
    path.to_str().filter(|path| !path.contains(char::is_control)).map(str::to_owned)
}

/// At least as many samples as standard errors take.
fn enough(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        few if few < FEWEST_SAMPLES => Err(format!("must be at least {}", FEWEST_SAMPLES)),
        count => Ok(count),
    }
}

//! `fourbit quantize`.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;

use super::arguments::budget::exit_code;
use super::arguments::conversion::Conversion;
use super::common::{Context, CrossCheck};
use super::sensitivity::{advise, again};
use crate::api::program::abandon;
use crate::api::{Result, Verdict};

/// Convert a model and measure what it cost
///
/// The written file is read back and run beside the float model. Samples beside the model are found without an option. Precision
/// w4 needs none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx small.onnx --precision w4

Also: -v, -q, --json; all options: fourbit quantize --help")]
#[command(after_long_help = "\
Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx small.onnx --precision w4
  fourbit quantize net.onnx --weights uint4 --activations float --exclude 'head*'
  fourbit quantize net.onnx --calibration calib.npz --max-drop 1.0 --max-size 300kB
  fourbit quantize net.onnx --validation test.npz --precision w4 --cross-check onnxruntime
  fourbit quantize net.onnx --calibration pictures/ --preprocess imagenet --report net.json

Exit status:
  0  the file was written
  1  an error
  2  wrong arguments
  3  the file was written, but no plan meets the limits: it is the best that was found
  4  the file was written, but not validated: the report says why
  5  nothing was written: quantized activations need a model that can be run,
     and this one cannot; --precision w4 can
  6  nothing was written: nothing in the model would be quantized,
     and the message says why
  128 and more: a signal ended it; the message says whether anything was written")]
pub struct Args {
    #[command(flatten)]
    pub conversion: Conversion,
    /// Validation samples, with labels if there are any [default: found beside the model, or held-back calibration samples]
    ///
    /// Beside the model, these names are found: validation.npz, test.npz, and folders `validation` of arrays. To calibrate on all
    /// calibration samples and judge on the same, name their file here too.
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    #[command(flatten)]
    pub cross_check: CrossCheck,
    /// Put large tensors into a file of their own, FILE.data; beyond 2 GB this happens without the option
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub external_data: bool,
    /// Also write the report: a page to read if the name ends in .html, JSON if in .json, text if in .txt; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Vec<PathBuf>,
    /// Also write the plan, as `fourbit plan` does
    #[arg(long, value_name = "FILE", help_heading = "Output", hide_short_help = true)]
    pub plan: Option<PathBuf>,
    /// Leave times, memory and folders out of reports, so that equal conversions give equal files
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub reproducible: bool,
    /// End when standard input does: whoever started this is gone
    #[arg(long, hide = true)]
    pub supervised: bool,
}

/// Exit code of a conversion that nobody waits for any more, as shells have it for one that was interrupted.
const ABANDONED: i32 = 130;

/// Converts, validates, reports.
///
/// # Errors
/// Whatever stops the conversion, or a report that cannot be written.
pub fn run(args: &Args, matches: Option<&ArgMatches>, context: &Context) -> Result<ExitCode> {
    if args.supervised {
        end_with_input();
    }
    let mut conversion = args
        .conversion
        .quantize()?
        .external_data(args.external_data)
        .cross_check(args.cross_check.is_asked())
        .one_of_many(args.supervised);
    if let Some(samples) = &args.validation {
        conversion = conversion.validation(samples);
    }
    let reports = conversion.open_reports(&args.report, args.plan.as_deref())?;
    conversion = conversion.details(reports.hold_details() || context.is_json());
    let mut outcome = conversion.run_with(&context.progress)?;
    let noisy = matches!(&outcome.verdict, Verdict::Validated(validation) if validation.noisy().is_some() || validation.parting().is_some());
    // A plan that keeps limits is another than the one that sensitivity would look at.
    if noisy && outcome.budget.is_none() {
        outcome.next = matches.and_then(|matches| again("sensitivity", matches)).unwrap_or_default();
    }
    if let Some(matches) = matches {
        advise(&mut outcome.advice, matches, &outcome.output);
    }
    let told = if args.reproducible { outcome.clone().reproducible() } else { outcome.clone() };
    reports.write_with_plan(&context.spelling.report(&told), &outcome.plan)?;
    context.show(&outcome)?;
    Ok(exit_code(outcome.budget.as_ref(), Some(&outcome.verdict)))
}

/// Ends the process when standard input ends, which it does with whoever holds its other end, however that came to an end.
fn end_with_input() {
    std::thread::spawn(|| {
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut [0; 64]), Ok(1..)) {}
        abandon();
        std::process::exit(ABANDONED);
    });
}

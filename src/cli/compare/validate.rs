//! `fourbit validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::api::results::Gated;
use crate::api::{Gate, Record, Result, Validate, Verdict};
use crate::cli::arguments::budget::{NOT_KEPT, NOT_VALIDATED};
use crate::cli::arguments::feeding::Feeding;
use crate::cli::arguments::pictures::Pictures;
use crate::cli::arguments::sampling::Seed;
use crate::cli::arguments::values::{at_least_one, number, percentage};
use crate::cli::common::{Context, warn};

/// Compare a quantized model with its float original
///
/// Both models run on the same samples. Samples beside the float model are found without an option. With limits it is a gate for
/// continuous integration: the exit status is 3 if one is not met.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz --max-drop 1

Also: -v, -q, --json; all options: fourbit validate --help")]
#[command(after_long_help = "\
Examples:
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz --max-drop 1
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz --runtime onnxruntime
  fourbit validate net.onnx net.w4a8.onnx --validation pictures/ --preprocess imagenet
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz --per-sample samples.csv

Exit status:
  0  both models were compared, and all limits are met
  1  an error
  2  wrong arguments
  3  a limit is not met
  4  the models could not be compared: the report says why")]
pub struct Args {
    /// The float model
    #[arg(value_name = "FLOAT")]
    pub float: PathBuf,
    /// The quantized model
    #[arg(value_name = "QUANTIZED")]
    pub quantized: PathBuf,
    /// Validation samples, with labels if there are any: .npz, .npy, or a folder [default: found beside the float model]
    #[arg(long, alias = "samples", value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Use at most N samples
    #[arg(long = "max-samples", alias = "count", value_name = "N", value_parser = at_least_one,
        help_heading = "Samples")]
    pub max_samples: Option<usize>,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    pub seed: Seed,
    #[command(flatten)]
    pub pictures: Pictures,
    /// Fail if top-1 drops by more than this many points; needs labels
    #[arg(long, value_name = "POINTS", value_parser = number, allow_negative_numbers = true,
        help_heading = "Limits")]
    pub max_drop: Option<f64>,
    /// Fail if the SQNR of an output is below this
    #[arg(long, value_name = "DB", value_parser = number, allow_negative_numbers = true, help_heading = "Limits")]
    pub min_sqnr: Option<f64>,
    /// Fail if both models choose the same class on fewer samples than this, as in 98%
    #[arg(long, value_name = "PERCENT", value_parser = percentage, allow_negative_numbers = true,
        help_heading = "Limits")]
    pub min_agreement: Option<f64>,
    /// The runtime that runs both models
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Runtime::Tract, ignore_case = true,
        help_heading = "Runtime")]
    pub runtime: Runtime,
    /// Also write the report: a page to read if the name ends in .html, JSON if in .json, text if in .txt; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Vec<PathBuf>,
    /// Also write a table of all samples, the worst first: label, both answers, their margins, SQNR, and matched boxes of a detector
    #[arg(long, value_name = "FILE.csv", help_heading = "Output")]
    pub per_sample: Option<PathBuf>,
    /// Replace reports that exist
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub overwrite: bool,
}

/// Where models run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// tract, which is built in
    Tract,
    /// tract, and onnxruntime with its default optimizations as a second opinion. It judges alone if tract cannot run the model.
    /// The library is that of ORT_DYLIB_PATH, or of the Python package
    #[value(alias = "ort")]
    Onnxruntime,
}

/// Compares and reports.
///
/// # Errors
/// Whatever stops the comparison, and limits that cannot be judged.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let mut comparison = Validate::new(&args.float, &args.quantized)
        .seed(args.seed.seed)
        .feeding(args.feeding.feeding())
        .cross_check(args.runtime == Runtime::Onnxruntime);
    if let Some(samples) = &args.validation {
        comparison = comparison.samples(samples);
    }
    if let Some(pictures) = args.pictures.preprocessing()? {
        comparison = comparison.preprocess(pictures);
    }
    if let Some(count) = args.max_samples {
        comparison = comparison.max_samples(count);
    }
    let reports = comparison.open_reports(&args.report, args.per_sample.as_deref(), args.overwrite)?;
    let record = Record::default();
    if args.per_sample.is_some() {
        comparison = comparison.record(&record);
    }
    comparison = comparison.details(reports.hold_details() || context.is_json());
    let verdict = comparison.run_with(&context.progress)?;
    let gate =
        Gate { max_drop: args.max_drop, min_sqnr_db: args.min_sqnr, min_agreement: args.min_agreement };
    let judged = gate.judged(&verdict);
    let limits = judged.as_deref().unwrap_or_default().to_vec();
    let gated = Gated { float: args.float.clone(), quantized: args.quantized.clone(), verdict, limits };
    reports.write_with_samples(&context.spelling.report(&gated), &record)?;
    if args.per_sample.is_some() && record.is_empty() {
        warn("warning: the table of samples is empty: both models were not run as a whole on any sample");
    }
    context.show(&gated)?;
    if matches!(gated.verdict, Verdict::NotValidated { .. }) {
        return Ok(ExitCode::from(NOT_VALIDATED));
    }
    Ok(if judged?.iter().all(|limit| limit.met) { ExitCode::SUCCESS } else { ExitCode::from(NOT_KEPT) })
}

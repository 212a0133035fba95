//! `fourbit quantize`.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::budget::exit_code;
use super::common::Context;
use super::conversion::Conversion;
use crate::error::{Error, Result};
use crate::onnx::Sink;
use crate::pipeline;
use crate::plan;
use crate::report::{Layout, data, plain};

/// Convert a model and measure what it cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Samples that lie beside the model are found without a flag. Precision w4 needs none.

Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx -o small.onnx --precision w4
  fourbit quantize net.onnx --weights uint4 --activations float --exclude 'head*'
  fourbit quantize net.onnx --calibration calib.npz --max-drop 1.0 --max-size 300kB
  fourbit quantize net.onnx --calibration pictures/ --preprocess pixels.toml --report net.json

Exit status:
  0  the file was written
  1  an error
  2  wrong arguments
  3  the file was written, but no plan keeps the limits: it is the best that was found
  4  the file was written, but not validated: the report says why
  5  activations cannot be quantized, since the model cannot be run; weights alone can, as in --precision w4")]
pub struct Args {
    #[command(flatten)]
    pub conversion: Conversion,
    /// Samples to compare both models on, with labels if there are any
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    /// Put large tensors into a file of their own, FILE.data, whatever their size; beyond 2 GB this happens in any case
    #[arg(long)]
    pub external_data: bool,
    /// Also write the report: as text where the name ends in .txt, else as JSON; may be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Also write the plan, as `fourbit plan` does
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Leave times, memory and folders out of the written reports, so that equal conversions give equal files
    #[arg(long)]
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
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    if args.supervised {
        end_with_input();
    }
    // Opened first, so that a wrong name is told before the work and not after it.
    let sink =
        |path: &PathBuf| Sink::create(path, args.conversion.overwrite).map(|sink| (path.clone(), sink));
    let reports = args.report.iter().map(sink).collect::<Result<Vec<_>>>()?;
    if let Some(path) = &args.plan {
        sink(path)?;
    }
    let job = args.conversion.job(args.validation.clone())?;
    let job = pipeline::Job { external_data: args.external_data, ..job };
    let outcome = pipeline::quantize(&job, &context.progress)?;
    let told = if args.reproducible { outcome.clone().reproducible() } else { outcome.clone() };
    for (path, mut sink) in reports {
        let text =
            if is_text(&path) { plain::outcome(&told, Layout::default()) } else { data::outcome(&told) };
        sink.write_all(text.as_bytes()).map_err(Error::write(&path))?;
        sink.commit()?;
    }
    if let Some(path) = &args.plan {
        plan::write(&outcome.plan, path, args.conversion.overwrite)?;
    }
    context.print(|layout| plain::outcome(&outcome, layout), || data::outcome(&outcome))?;
    Ok(exit_code(outcome.budget.as_ref(), Some(&outcome.verdict)))
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
}

/// Ends the process when standard input ends, which it does with whoever holds its other end, however that came to an end.
fn end_with_input() {
    std::thread::spawn(|| {
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut [0; 64]), Ok(1..)) {}
        std::process::exit(ABANDONED);
    });
}

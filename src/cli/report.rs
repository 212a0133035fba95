//! `fourbit report`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::Context;
use crate::api::Result;
use crate::api::program::write_page;

/// Make a page to read of a JSON report
///
/// The page is one file of HTML that needs no network: the verdict, all layers in the order of the network, where noise arises, each
/// layer with its histograms, what stayed float, what to try next, and samples that are answered differently. `quantize`, `plan` and
/// `validate` write the same page with --report FILE.html.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit report net.json
  fourbit report net.json -o net.html

Also: -v, -q, --json; all options: fourbit report --help")]
#[command(after_long_help = "\
Examples:
  fourbit report net.json
  fourbit report net.json -o net.html

Exit status:
  0  the page was written
  1  an error: this is no report of a conversion, a plan or a comparison
  2  wrong arguments")]
pub struct Args {
    /// The report, as --report FILE.json or --json gives it
    #[arg(value_name = "REPORT")]
    pub input: PathBuf,
    /// The page to write [default: beside the report, named after it]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
}

/// Reads the report and writes the page.
///
/// # Errors
/// Where the report cannot be read, or the page cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let output = args.output.clone().unwrap_or_else(|| args.input.with_extension("html"));
    write_page(&args.input, &output, args.overwrite, &|page| context.spelling.spelled(page).into_owned())?;
    context.print(|_| format!("✓ {}\n", output.display()), || format!("{}\n", output.display()))?;
    Ok(ExitCode::SUCCESS)
}

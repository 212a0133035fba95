//! `fourbit targets`.

use std::process::ExitCode;

use super::common::Context;
use crate::api::Result;
use crate::api::program::{data, plain};

/// List the runtimes that --target knows, and what each takes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit targets
  fourbit targets --json

Also: -v, -q, --json; all options: fourbit targets --help")]
#[command(after_long_help = "\
Examples:
  fourbit targets
  fourbit targets --json

Exit status:
  0  listed
  2  wrong arguments")]
pub struct Args {}

/// Lists.
///
/// # Errors
/// None but those of printing.
pub fn run(_: &Args, context: &Context) -> Result<ExitCode> {
    context.print(plain::targets, data::targets)?;
    Ok(ExitCode::SUCCESS)
}

//! The arguments that limit what a conversion may cost.

use std::process::ExitCode;

use clap::Args;

use super::values::{number, percentage};
use crate::api::Verdict;
use crate::api::results::Budgeted;
use crate::options;

/// Exit code where the file was written but the limits could not be kept.
pub const NOT_KEPT: u8 = 3;
/// Exit code where the file was written but could not be run beside the float model.
pub const NOT_VALIDATED: u8 = 4;

/// Limits that single layers get finer forms to keep.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Budget {
    /// Lose at most this many points of top-1; needs labelled calibration samples
    ///
    /// Layers get more bits until the limits are met. A third of the calibration samples is held back to measure that.
    #[arg(long, value_name = "POINTS", value_parser = number, allow_negative_numbers = true,
        help_heading = "Limits")]
    pub max_drop: Option<f64>,
    /// Keep the SQNR of all outputs at or above this
    #[arg(long, value_name = "DB", value_parser = number, allow_negative_numbers = true, help_heading = "Limits",
        hide_short_help = true)]
    pub min_sqnr: Option<f64>,
    /// Keep the class of the float model on at least this share of the samples, as in 98%; needs no labels
    ///
    /// The first output must be class scores.
    #[arg(long, value_name = "PERCENT", value_parser = percentage, allow_negative_numbers = true,
        help_heading = "Limits", hide_short_help = true)]
    pub min_agreement: Option<f64>,
    /// Write at most this many bytes, as in 300kB
    ///
    /// Where the file is too large at the precision asked for, weights get fewer bits, if the storage has a form for these.
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Limits", hide_short_help = true)]
    pub max_size: Option<u64>,
    /// Use at most this many bits per parameter on average, scales included
    #[arg(long, value_name = "BITS", value_parser = number, allow_negative_numbers = true,
        help_heading = "Limits", hide_short_help = true)]
    pub max_bits: Option<f64>,
}

fn size(text: &str) -> Result<u64, String> {
    options::Budget::size(text).map_err(|error| error.to_string())
}

impl Budget {
    /// The limits asked for.
    pub fn options(self) -> options::Budget {
        let Self { max_drop, min_sqnr, min_agreement, max_size, max_bits } = self;
        options::Budget { max_drop, min_sqnr_db: min_sqnr, min_agreement, max_bytes: max_size, max_bits }
    }
}

/// How the program ends where a budget was, or was not, kept, and the file was, or was not, validated.
pub fn exit_code(budget: Option<&Budgeted>, verdict: Option<&Verdict>) -> ExitCode {
    match verdict {
        _ if budget.is_some_and(|budget| !budget.met) => ExitCode::from(NOT_KEPT),
        Some(Verdict::NotValidated { .. }) => ExitCode::from(NOT_VALIDATED),
        // Made-up samples are no ground to fail on.
        Some(Verdict::Validated(validation)) if validation.is_broken() && !validation.synthetic => {
            ExitCode::from(NOT_KEPT)
        }
        _ => ExitCode::SUCCESS,
    }
}

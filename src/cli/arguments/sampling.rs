//! The arguments that say which samples are used.

use clap::Args;

use super::feeding::Feeding;
use super::pictures::Pictures;
use super::values::at_least_one;

/// How samples are read.
#[derive(Debug, Args)]
pub struct Sampling {
    #[command(flatten)]
    pub pictures: Pictures,
    /// Use at most N calibration samples [default: 512]
    #[arg(long = "max-samples", alias = "samples", value_name = "N", value_parser = at_least_one,
        help_heading = "Samples", hide_short_help = true)]
    pub max_samples: Option<usize>,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    pub seed: Seed,
}

/// The start of every random choice.
#[derive(Debug, Args)]
pub struct Seed {
    /// Random seed; the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Samples", hide_short_help = true)]
    pub seed: u64,
}

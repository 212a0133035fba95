//! The arguments that shape a plan, shared by `quantize` and `plan`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};

use crate::options::{self, Options, Precision, Storage};
use crate::pipeline::Job;

/// What to convert, and how.
#[derive(Debug, Args)]
pub struct Conversion {
    /// The float model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The file to write [default: beside the model, named after it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the output where it exists
    #[arg(long)]
    pub overwrite: bool,

    /// Bits of weights (w) and activations (a) [default: w4a8]
    #[arg(long, value_name = "NAME", help_heading = "Precision",
        value_parser = PossibleValuesParser::new(Precision::NAMES).try_map(|name| name.parse::<Precision>()))]
    pub precision: Option<Precision>,
    /// Type of weights, whatever --precision says
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Precision")]
    pub weights: Option<Weights>,
    /// Type of activations, whatever --precision says
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Precision")]
    pub activations: Option<Activations>,
    /// How many weights share one scale
    #[arg(long, value_enum, default_value_t = Granularity::Channel, help_heading = "Precision")]
    pub granularity: Granularity,
    /// How weights are chosen: for the output of their layer, on the inputs that the quantized layers before it give, or on
    /// those of the float network (both alike without samples, where inputs are assumed); or each for itself
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Compensation::Sequential, help_heading = "Precision")]
    pub compensation: Compensation,
    /// Round each weight to its nearest code and leave the biases as they are
    #[arg(long, help_heading = "Precision")]
    pub no_bias_correction: bool,

    /// Quantize only what matches; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "What to quantize")]
    pub include: Vec<String>,
    /// Leave float what matches; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "What to quantize")]
    pub exclude: Vec<String>,
    /// Quantize the weights of these operators only, as in Conv,Gemm
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "What to quantize")]
    pub op_types: Vec<String>,
    /// Leave float what has fewer elements
    #[arg(long, value_name = "N", default_value_t = options::MIN_ELEMENTS, help_heading = "What to quantize")]
    pub min_elements: usize,

    /// Samples to measure activations on: .npz, .npy, or a folder
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub calibration: Option<PathBuf>,
    #[command(flatten)]
    pub sampling: Sampling,
}

/// How samples are read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Samples")]
pub struct Sampling {
    /// How stored samples become inputs (TOML)
    #[arg(long, value_name = "FILE")]
    pub preprocess: Option<PathBuf>,
    /// Use so many samples at most
    #[arg(long = "samples", value_name = "N", value_parser = at_least_one)]
    pub count: Option<usize>,
    #[command(flatten)]
    pub seed: Seed,
}

/// The start of every random choice.
#[derive(Debug, Args)]
#[command(next_help_heading = "Samples")]
pub struct Seed {
    /// Start of every random choice; the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// Reads a count that must not be zero.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(count) => Ok(count),
        Err(_) => Err("not a whole number".into()),
    }
}

/// Types of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Weights {
    /// Signed, 4 bits
    Int4,
    /// Unsigned with a zero point, 4 bits
    Uint4,
    /// Signed, 8 bits
    Int8,
    /// As they are
    Float,
}

/// Types of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Activations {
    /// As they are
    Float,
    /// Unsigned with a zero point, 8 bits
    Uint8,
    /// Signed, 8 bits
    Int8,
}

/// How many weights share one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Granularity {
    /// All weights of a tensor
    Tensor,
    /// The weights of one output channel
    Channel,
}

/// How weights are judged by the output of their layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compensation {
    /// Each weight for itself
    None,
    /// Each layer on the float network's inputs
    Layerwise,
    /// Each layer on the quantized network's inputs
    Sequential,
}

impl Conversion {
    /// The options asked for: --precision first, then what is said of weights and activations.
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.precision.unwrap_or_default());
        if let Some(weights) = self.weights {
            options.weights = match weights {
                Weights::Int4 => Some(Storage::Int4),
                Weights::Uint4 => Some(Storage::Uint4),
                Weights::Int8 => Some(Storage::Int8),
                Weights::Float => None,
            };
        }
        if let Some(activations) = self.activations {
            options.activations = match activations {
                Activations::Uint8 => Some(Storage::Uint8),
                Activations::Int8 => Some(Storage::Int8),
                Activations::Float => None,
            };
        }
        options.granularity = match self.granularity {
            Granularity::Tensor => options::Granularity::Tensor,
            Granularity::Channel => options::Granularity::Channel,
        };
        options.include.clone_from(&self.include);
        options.exclude.clone_from(&self.exclude);
        options.op_types.clone_from(&self.op_types);
        options.min_elements = self.min_elements;
        options.bias_correction = !self.no_bias_correction;
        options.compensation = match self.compensation {
            Compensation::None => options::Compensation::None,
            Compensation::Layerwise => options::Compensation::Layerwise,
            Compensation::Sequential => options::Compensation::Sequential,
        };
        options
    }

    /// The work asked for.
    pub fn job(&self, validation: Option<PathBuf>) -> Job {
        Job {
            input: self.input.clone(),
            output: self.output.clone(),
            options: self.options(),
            calibration: self.calibration.clone(),
            validation,
            preprocess: self.sampling.preprocess.clone(),
            samples: self.sampling.count,
            seed: self.sampling.seed.seed,
            overwrite: self.overwrite,
        }
    }
}

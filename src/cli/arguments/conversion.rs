//! The arguments that shape a plan, shared by `quantize`, `plan` and `sensitivity`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};

use super::budget::Budget;
use super::dual::Dual;
use super::feeding::Feeding;
use super::values::{at_least_one, shape};
use crate::api::{Quantize, Result};
use crate::options::{
    self, CodeType, Edges, Granularity, LayerRule, Opset, Options, Precision, Storage, TARGETS, Target,
    Wishes,
};

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
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub budget: Budget,
}

/// What shapes a plan.
#[derive(Debug, Args)]
pub struct Choices {
    /// The runtime that the file is meant for, which chooses what is not said here: other defaults are those of generic;
    /// fourbit targets lists them
    #[arg(long, value_name = "NAME", default_value = "generic", help_heading = "Precision",
        value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name))
            .try_map(|name| Target::named(&name)))]
    pub target: &'static Target,
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
    /// How many weights share one scale [default: channel]
    #[arg(long, value_name = "tensor|channel|block:N", help_heading = "Precision")]
    pub granularity: Option<Granularity>,
    /// Weights and inputs of the first and last layers: 4 or 8 bits, or float [default: 8 with 4-bit activations]
    #[arg(long, value_name = "4|8|float", help_heading = "Precision")]
    pub edges: Option<Edges>,
    /// How 4-bit codes are stored [default: packed]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Precision")]
    pub storage: Option<StorageArg>,
    /// Which activations are quantized [default: inputs]
    #[arg(long, value_enum, value_name = "WHERE", help_heading = "Precision")]
    pub placement: Option<Placement>,
    /// How biases are stored beside quantized inputs [default: float]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Precision")]
    pub bias: Option<Bias>,
    /// Whether zero points of weights are all 0 [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "Precision")]
    pub symmetric_weights: Option<bool>,
    /// The same of activations
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "Precision")]
    pub symmetric_activations: Option<bool>,
    /// Use all codes for 8-bit weights beside 8-bit activations. By default they are held to -64..64 where the target's kernels
    /// saturate on x86 without VNNI; use this for other processors
    #[arg(long, help_heading = "Precision")]
    pub full_range: bool,
    /// Write 4-bit weights of MatMul and Gemm as onnxruntime's MatMulNBits, where activations are float and the form fits
    /// [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "Precision")]
    pub matmul_nbits: Option<bool>,
    /// Opset to raise the model to, or keep; below 21 onnxruntime's own operators quantize [default: 21, or 13 with --storage
    /// int8, or the model's own where that is higher]
    #[arg(long, value_name = "N|keep", help_heading = "Precision")]
    pub opset: Option<Opset>,
    /// Dimensions of an input that the model leaves open, in the written model too; may be repeated
    #[arg(long = "shape", value_name = "INPUT:1x3x224x224", value_parser = shape, help_heading = "Precision")]
    pub shapes: Vec<(String, Vec<i64>)>,
    /// What is different for single layers (TOML)
    #[arg(long, value_name = "FILE", help_heading = "Precision")]
    pub config: Option<PathBuf>,
    /// How weights are chosen: for the output of their layer, on the inputs that the quantized layers before it give, or on
    /// those of the float network (both alike without samples, where inputs are assumed); or each for itself
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Compensation::Sequential, help_heading = "Precision")]
    pub compensation: Compensation,
    /// How scales are chosen: least squared error, or the smallest that clips nothing, to compare with
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Scales::Mmse, help_heading = "Precision")]
    pub scales: Scales,
    /// Leave the biases as they are; where nothing is compensated, round each weight to its nearest code
    #[arg(long, help_heading = "Precision")]
    pub no_bias_correction: bool,

    #[command(flatten)]
    pub dual: Dual,

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
    pub feeding: Feeding,
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
    /// Unsigned with a zero point, 4 bits
    Uint4,
    /// Signed, 4 bits
    Int4,
    /// Signed, 16 bits
    Int16,
}

/// How 4-bit codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StorageArg {
    /// Two to a byte; needs opset 21
    Packed,
    /// One to a byte, as 8-bit tensors that older runtimes and integer kernels take; opset 13 is enough
    Int8,
}

/// Which activations are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    /// The inputs of quantized layers
    Inputs,
    /// Also what is added to, or joined with, their outputs
    Joins,
    /// Also their outputs, and what lies between operators with integer kernels
    Outputs,
    /// Also what the model gives back
    Everywhere,
}

/// How biases are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bias {
    /// As they are
    Float,
    /// In steps of an integer accumulator
    Int32,
}

/// How scales are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scales {
    /// Least squared error
    Mmse,
    /// Nothing clips
    MinMax,
}

/// How weights are judged by the output of their layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compensation {
    /// Each weight for itself
    None,
    /// Codes for themselves, scales for their layer's output
    Scales,
    /// Each layer on the float network's inputs
    Layerwise,
    /// Each layer on the quantized network's inputs
    Sequential,
}

impl Choices {
    /// The options asked for: --precision first, then what is said of weights and activations.
    ///
    /// # Errors
    /// [`crate::api::Error::Options`] where they contradict one another, and those of [`LayerRule::read`].
    pub fn options(&self) -> Result<Options> {
        let wishes = Wishes {
            precision: self.precision,
            weights: self.weights.map(|weights| match weights {
                Weights::Int4 => Some(CodeType::Int4),
                Weights::Uint4 => Some(CodeType::Uint4),
                Weights::Int8 => Some(CodeType::Int8),
                Weights::Float => None,
            }),
            activations: self.activations.map(|activations| match activations {
                Activations::Uint8 => Some(CodeType::Uint8),
                Activations::Int8 => Some(CodeType::Int8),
                Activations::Uint4 => Some(CodeType::Uint4),
                Activations::Int4 => Some(CodeType::Int4),
                Activations::Int16 => Some(CodeType::Int16),
                Activations::Float => None,
            }),
            granularity: self.granularity,
            storage: self.storage.map(|storage| match storage {
                StorageArg::Packed => Storage::Packed,
                StorageArg::Int8 => Storage::Int8,
            }),
            opset: self.opset,
            placement: self.placement.map(|placement| match placement {
                Placement::Inputs => options::Placement::Inputs,
                Placement::Joins => options::Placement::Joins,
                Placement::Outputs => options::Placement::Outputs,
                Placement::Everywhere => options::Placement::Everywhere,
            }),
            bias: self.bias.map(|bias| match bias {
                Bias::Float => options::Bias::Float,
                Bias::Int32 => options::Bias::Int32,
            }),
            symmetric_weights: self.symmetric_weights,
            symmetric_activations: self.symmetric_activations,
            matmul_nbits: self.matmul_nbits,
            dual: self.dual.options()?,
            blocks: false,
        };
        let layers = match &self.config {
            Some(path) => LayerRule::read(path)?,
            None => Vec::new(),
        };
        let blocks = layers.iter().any(|rule| matches!(rule.granularity, Some(Granularity::Block(_))));
        let mut options = Wishes { blocks, ..wishes }.options(self.target)?;
        options.layers = layers;
        options.edges = self.edges;
        options.full_range = self.full_range;
        options.include.clone_from(&self.include);
        options.exclude.clone_from(&self.exclude);
        options.op_types.clone_from(&self.op_types);
        options.min_elements = self.min_elements;
        options.bias_correction = !self.no_bias_correction;
        options.compensation = match self.compensation {
            Compensation::None => options::Compensation::None,
            Compensation::Scales => options::Compensation::Scales,
            Compensation::Layerwise => options::Compensation::Layerwise,
            Compensation::Sequential => options::Compensation::Sequential,
        };
        options.scales = match self.scales {
            Scales::Mmse => options::Scales::Mmse,
            Scales::MinMax => options::Scales::MinMax,
        };
        Ok(options)
    }

    /// The conversion asked for, of `input`, with outputs beside it.
    ///
    /// # Errors
    /// As [`Choices::options`].
    pub fn quantize(&self, input: &Path) -> Result<Quantize> {
        let mut conversion = Quantize::new(input)
            .options(self.options()?)
            .seed(self.sampling.seed.seed)
            .feeding(self.sampling.feeding.feeding());
        if let Some(samples) = &self.calibration {
            conversion = conversion.calibration(samples);
        }
        if let Some(file) = &self.sampling.preprocess {
            conversion = conversion.preprocess(file);
        }
        if let Some(count) = self.sampling.count {
            conversion = conversion.max_samples(count);
        }
        if let Some(file) = &self.config {
            conversion = conversion.reads(file);
        }
        for (input, dims) in &self.shapes {
            conversion = conversion.shape(input, dims.clone());
        }
        Ok(conversion)
    }
}

impl Conversion {
    /// The conversion asked for.
    ///
    /// # Errors
    /// As [`Choices::options`].
    pub fn quantize(&self) -> Result<Quantize> {
        let conversion = self.choices.quantize(&self.input)?.limits(self.budget.options());
        let conversion = conversion.overwrite(self.overwrite);
        Ok(match &self.output {
            Some(file) => conversion.output(file),
            None => conversion,
        })
    }
}

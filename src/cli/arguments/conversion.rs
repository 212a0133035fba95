//! The arguments that shape a plan, shared by `quantize`, `plan` and `sensitivity`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{BoolishValueParser, PossibleValue, PossibleValuesParser, TypedValueParser as _};

use super::budget::Budget;
use super::dual::Dual;
use super::kinds::{Activations, Bias, Compensation, Placement, Scales, StorageArg, Weights};
use super::sampling::Sampling;
use super::values::{output, shape};
use crate::api::{Quantize, Result, SampleSet};
use crate::options::{
    self, Edges, Granularity, LayerRule, Opset, Options, Precision, TARGETS, Target, Wishes,
};

/// What to convert, and how.
#[derive(Debug, Args)]
pub struct Conversion {
    /// The float model
    #[arg(value_name = "MODEL")]
    pub input: PathBuf,
    /// The file to write, the same as -o
    #[arg(value_name = "OUT", value_parser = output(), conflicts_with = "output")]
    pub out: Option<PathBuf>,
    /// The file to write [default: beside the model, named after it]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub budget: Budget,
}

/// What shapes a plan.
#[derive(Debug, Args)]
pub struct Choices {
    /// Bits of weights (w) and activations (a) [default: w4a8]
    ///
    /// The names int4 and int8 stand for w4 and w8a8.
    #[arg(long, value_name = "NAME", help_heading = "Precision", ignore_case = true,
        value_parser = PossibleValuesParser::new(precisions()).try_map(|name| name.parse::<Precision>()))]
    pub precision: Option<Precision>,
    /// The runtime that the file is for; it sets the other defaults
    ///
    /// `fourbit targets` lists what each runtime takes.
    #[arg(long, value_name = "NAME", default_value = "generic", help_heading = "Precision", ignore_case = true,
        value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name))
            .try_map(|name| Target::named(&name)))]
    pub target: &'static Target,
    /// Type of the weights; overrides --precision
    #[arg(
        long,
        value_enum,
        value_name = "TYPE",
        help_heading = "Precision",
        ignore_case = true,
        hide_short_help = true
    )]
    pub weights: Option<Weights>,
    /// Type of the activations; overrides --precision
    #[arg(
        long,
        value_enum,
        value_name = "TYPE",
        help_heading = "Precision",
        ignore_case = true,
        hide_short_help = true
    )]
    pub activations: Option<Activations>,
    /// Scales per-tensor, per-channel, or per-block with block size N [default: channel]
    #[arg(long, value_name = "tensor|channel|block:N", help_heading = "Precision", hide_short_help = true)]
    pub granularity: Option<Granularity>,
    /// Bits of the first and last layers: weights and input activations [default: 8 if activations have 4 bits]
    #[arg(long, value_name = "4|8|float", help_heading = "Precision", hide_short_help = true)]
    pub edges: Option<Edges>,
    /// Use zero point 0 for all weights [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), help_heading = "Precision", hide_short_help = true)]
    pub symmetric_weights: Option<bool>,
    /// Use zero point 0 for all activations [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), help_heading = "Precision", hide_short_help = true)]
    pub symmetric_activations: Option<bool>,
    /// Use the full range of 8-bit weights
    ///
    /// With 8-bit activations the range is -64..64 by default if the kernels of the target saturate on x86 CPUs without VNNI.
    /// Use this flag for other CPUs.
    #[arg(long, help_heading = "Precision", hide_short_help = true)]
    pub full_range: bool,
    /// Give all weights the bits asked for
    ///
    /// By default single tensors get 8 bits if they bring much of the noise and few of the bytes. They add at most 5 % to the file,
    /// and the report says why. With --max-size, --max-bits, --max-drop, --min-agreement and --min-sqnr the limits decide, and with
    /// --storage int8 all weights have the bits asked for.
    #[arg(long, help_heading = "Precision", hide_short_help = true)]
    pub strict_bits: bool,

    /// Quantize only tensors and nodes that match; may be repeated
    ///
    /// In a pattern, * stands for any text and ? for one character. A pattern that matches nothing is an error.
    #[arg(long, value_name = "GLOB", help_heading = "Which layers", hide_short_help = true)]
    pub include: Vec<String>,
    /// Keep tensors and nodes that match in float; may be repeated
    ///
    /// In a pattern, * stands for any text and ? for one character. A pattern that matches nothing is an error.
    #[arg(long, value_name = "GLOB", help_heading = "Which layers")]
    pub exclude: Vec<String>,
    /// Quantize only weights of these operators, as in Conv,Gemm
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Which layers",
        hide_short_help = true
    )]
    pub op_types: Vec<String>,
    /// Keep weights with fewer elements in float
    #[arg(long, value_name = "N", default_value_t = options::MIN_ELEMENTS, help_heading = "Which layers",
        hide_short_help = true)]
    pub min_elements: usize,
    /// Per-layer overrides (TOML)
    #[arg(long, value_name = "FILE", help_heading = "Which layers", hide_short_help = true)]
    pub config: Option<PathBuf>,

    /// Calibration samples: .npz, .npy, a folder, `generated`, or `none` [default: found beside the model]
    ///
    /// Beside the model, these names are found: calibration.npz, calib.npz, folders `calibration` of arrays, and test_data_set_N.
    /// Precisions that round weights alone (w2 to w8) need no samples: where none are found, they calibrate on generated ones if the
    /// model takes pictures or is a language model. `generated` asks for these with any precision, `none` uses no samples at all. Write ./generated or ./none
    /// for a file of that name.
    ///
    /// If there are no validation samples, `quantize` and `batch` calibrate on the rest of these and judge on a part: samples that
    /// --max-samples leaves over, or a fifth, held back (8 to 100; none of fewer than 16 samples).
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub calibration: Option<PathBuf>,
    #[command(flatten)]
    pub sampling: Sampling,

    /// How to compensate for rounding errors
    ///
    /// Without samples the inputs of layers are assumed, so that sequential and layerwise are the same.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Compensation::Sequential,
        help_heading = "Rounding", ignore_case = true, hide_short_help = true)]
    pub compensation: Compensation,
    /// How to choose scales
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Scales::Mmse, help_heading = "Rounding",
        ignore_case = true, hide_short_help = true)]
    pub scales: Scales,
    /// Do not correct the mean error of rounding
    ///
    /// By default biases are corrected. With --compensation none, a few weights of each output channel are rounded to their
    /// second nearest code as well, so that the mean error vanishes.
    #[arg(long, help_heading = "Rounding", hide_short_help = true)]
    pub no_bias_correction: bool,
    #[command(flatten)]
    pub dual: Dual,

    /// How codes of weights are stored [default: packed, or as the target runs them best]
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        help_heading = "Form of the file",
        ignore_case = true,
        hide_short_help = true
    )]
    pub storage: Option<StorageArg>,
    /// Which activations get Q/DQ pairs [default: inputs]
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        help_heading = "Form of the file",
        ignore_case = true,
        hide_short_help = true
    )]
    pub placement: Option<Placement>,
    /// Type of biases in layers with quantized weights and inputs [default: float]
    #[arg(
        long,
        value_enum,
        value_name = "TYPE",
        help_heading = "Form of the file",
        ignore_case = true,
        hide_short_help = true
    )]
    pub bias: Option<Bias>,
    /// Write 4-bit weights of MatMul and Gemm as onnxruntime's MatMulNBits, if activations are float and the shape fits
    /// [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), help_heading = "Form of the file", hide_short_help = true)]
    pub matmul_nbits: Option<bool>,
    /// Raise the model to opset N, or keep its own [default: 21, or 13 with --storage bytes or int8]
    ///
    /// A model with a higher opset keeps it. Below opset 21, 4-bit codes are bytes, or behind onnxruntime's own operators (com.microsoft) with --storage packed.
    #[arg(long, value_name = "N|keep", help_heading = "Form of the file", hide_short_help = true)]
    pub opset: Option<Opset>,
    /// Fix the open dimensions of an input, in the written model too; may be repeated
    #[arg(long = "shape", value_name = "INPUT:1x3x224x224", value_parser = shape,
        help_heading = "Form of the file", hide_short_help = true)]
    pub shapes: Vec<(String, Vec<i64>)>,
}

/// The names of precisions, with what they mean; those of unusual widths with quantized activations are taken and not listed.
fn precisions() -> Vec<PossibleValue> {
    let known = [
        ("w4", "4-bit weights; activations stay float, so that no samples are needed"),
        ("w4a8", "4-bit weights, 8-bit activations"),
        ("w4a4", "4-bit weights and activations; first and last layers have 8 bits"),
        ("w8", "8-bit weights; activations stay float, so that no samples are needed"),
        ("w8a8", "8-bit weights and activations"),
        ("w2", "2-bit weights; also w2a8, w2a4"),
        ("w3", "3-bit weights; also w3a8, w3a4"),
        ("w5", "5-bit weights; also w5a8, w5a4"),
        ("w6", "6-bit weights; also w6a8, w6a4"),
    ];
    let value = |name: &'static str| {
        let value = match known.iter().find(|(known, _)| *known == name) {
            Some(&(_, help)) => PossibleValue::new(name).help(help),
            None => PossibleValue::new(name).hide(true),
        };
        match name {
            "w4" => value.alias("int4"),
            "w8a8" => value.alias("int8"),
            _ => value,
        }
    };
    Precision::NAMES.into_iter().map(value).collect()
}

impl Choices {
    /// The options asked for: --precision first, then what is said of weights and activations.
    ///
    /// # Errors
    /// [`crate::api::Error::Options`] where they contradict one another, and those of [`LayerRule::read`].
    pub fn options(&self) -> Result<Options> {
        let wishes = Wishes {
            precision: self.precision,
            weights: self.weights.map(Weights::code_type),
            activations: self.activations.map(Activations::code_type),
            granularity: self.granularity,
            storage: self.storage.map(Into::into),
            opset: self.opset,
            placement: self.placement.map(Into::into),
            bias: self.bias.map(Into::into),
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
        options.strict_bits = self.strict_bits;
        options.include.clone_from(&self.include);
        options.exclude.clone_from(&self.exclude);
        options.op_types.clone_from(&self.op_types);
        options.min_elements = self.min_elements;
        options.bias_correction = !self.no_bias_correction;
        options.compensation = self.compensation.into();
        options.scales = self.scales.into();
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
            conversion = conversion.calibration(SampleSet::named(samples));
        }
        if let Some(pictures) = self.sampling.pictures.preprocessing()? {
            conversion = conversion.preprocess(pictures);
        }
        if let Some(count) = self.sampling.max_samples {
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
        Ok(match self.output.as_ref().or(self.out.as_ref()) {
            Some(file) => conversion.output(file),
            None => conversion,
        })
    }
}

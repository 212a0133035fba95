//! What the package asks for, as it writes it in JSON: settings by the names of its keyword arguments.

use std::path::PathBuf;
use std::str::FromStr;

use fourbit::options::{DUAL_THRESHOLD, Dual, Edges, Keys, LayerRule, MIN_ELEMENTS, Opset, Spelling, Wishes};
use fourbit::program::{Feeding, State};
use fourbit::{
    Budget, CodeType, Error, Gate, Granularity, Options, Precision, Preprocessing, Quantize, Resize, Result,
    SampleSet, Source, Target,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The settings of all calls; each reads those that it has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Choices {
    precision: Option<String>,
    target: Option<String>,
    weights: Option<String>,
    activations: Option<String>,
    granularity: Option<String>,
    edges: Option<String>,
    symmetric_weights: Option<bool>,
    symmetric_activations: Option<bool>,
    full_range: bool,
    strict_bits: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    op_types: Vec<String>,
    min_elements: Option<usize>,
    config: Option<PathBuf>,
    compensation: Option<String>,
    scales: Option<String>,
    bias_correction: Option<bool>,
    dual: Option<String>,
    dual_threshold: Option<f64>,
    dual_budget: Option<String>,
    dual_layers: Vec<String>,
    dual_activations: bool,
    dual_spelling: Option<String>,
    storage: Option<String>,
    placement: Option<String>,
    bias: Option<String>,
    matmul_nbits: Option<bool>,
    opset: Option<String>,
    shape: Vec<(String, Vec<i64>)>,
    sample_shape: Vec<(String, Vec<i64>)>,
    state: Vec<(String, String)>,
    sequence_length: Option<usize>,
    preprocess: Option<Pictures>,
    max_samples: Option<usize>,
    seed: u64,
    cross_check: Option<String>,
    max_drop: Option<f64>,
    min_agreement: Option<f64>,
    min_sqnr: Option<f64>,
    max_size: Option<String>,
    max_bits: Option<f64>,
    output: Option<PathBuf>,
    overwrite: bool,
    external_data: bool,
    first: Option<usize>,
    threads: Option<usize>,
}

/// How stored pixels become the input.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Pictures {
    base: Option<PathBuf>,
    divide_by: Option<f32>,
    mean: Vec<f32>,
    std: Vec<f32>,
    resize: Vec<usize>,
    crop: Option<usize>,
}

impl Choices {
    /// Reads them.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] for a value of another type than the setting's.
    pub fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::options(format!("an argument makes no sense: {error}"), "see its type"))
    }

    /// The number of threads.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] for none at all.
    pub fn threads(&self) -> Result<Option<usize>> {
        at_least_one("threads", self.threads)
    }

    /// Everything that shapes a plan.
    fn options(&self) -> Result<Options> {
        let layers = match &self.config {
            Some(path) => LayerRule::read(path)?,
            None => Vec::new(),
        };
        let code_type = |name: &Option<String>| match name.as_deref() {
            None => Ok(None),
            Some(name) if name.eq_ignore_ascii_case("float") => Ok(Some(None)),
            Some(name) => name.parse::<CodeType>().map(|code_type| Some(Some(code_type))),
        };
        let (weights, activations) = (code_type(&self.weights)?, code_type(&self.activations)?);
        if let Some(code_type @ (CodeType::Int16 | CodeType::Uint8)) = weights.flatten() {
            let remedy = "choose int2 to int6, uint2 to uint6, int8 or float";
            return Err(Error::options(format!("{code_type} is no type for weights"), remedy));
        }
        if let Some(code_type) = activations.flatten() {
            code_type.check_activation()?;
        }
        let wishes = Wishes {
            precision: parsed::<Precision>(self.precision.as_deref().map(alias))?,
            weights,
            activations,
            granularity: parsed::<Granularity>(self.granularity.as_deref())?,
            storage: word("storage", self.storage.as_deref())?,
            opset: parsed::<Opset>(self.opset.as_deref())?,
            placement: word("placement", self.placement.as_deref())?,
            bias: word("bias", self.bias.as_deref())?,
            symmetric_weights: self.symmetric_weights,
            symmetric_activations: self.symmetric_activations,
            matmul_nbits: self.matmul_nbits,
            dual: self.dual()?,
            blocks: layers.iter().any(|rule| matches!(rule.granularity, Some(Granularity::Block(_)))),
        };
        let target = Target::named(self.target.as_deref().unwrap_or("generic"))?;
        let options = wishes.options(target)?;
        Ok(Options {
            layers,
            edges: parsed::<Edges>(self.edges.as_deref())?,
            full_range: self.full_range,
            strict_bits: self.strict_bits,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            op_types: self.op_types.clone(),
            min_elements: self.min_elements.unwrap_or(MIN_ELEMENTS),
            bias_correction: self.bias_correction.unwrap_or(true),
            compensation: word("compensation", self.compensation.as_deref())?.unwrap_or_default(),
            scales: word("scales", self.scales.as_deref())?.unwrap_or_default(),
            ..options
        })
    }

    fn dual(&self) -> Result<Dual> {
        let auto = match (self.dual_threshold, &self.dual_budget) {
            (Some(_), Some(_)) => {
                return Err(Error::options(
                    "dual weights have a threshold or a budget, and not both",
                    "leave one of the two out",
                ));
            }
            (Some(threshold), None) => Some(Keys::above(threshold)?),
            (None, Some(share)) => Some(Keys::share(share)?),
            (None, None) => None,
        };
        let which = self.dual.as_deref().map(str::to_ascii_lowercase);
        let keys = match (which.as_deref(), auto) {
            (None | Some("none"), None) => Keys::None,
            (Some("all"), None) => Keys::All,
            (Some("auto"), None) => Keys::Above(DUAL_THRESHOLD),
            (None | Some("auto"), Some(keys)) => keys,
            (Some("none" | "all"), Some(_)) => {
                return Err(Error::options(
                    "a threshold or budget of dual weights has a meaning with `.dual` auto only",
                    "leave one of the two out",
                ));
            }
            (Some(other), _) => {
                return Err(Error::options(format!("unknown dual {other:?}"), "choose auto, none or all"));
            }
        };
        let spelling = match self.dual_spelling.as_deref() {
            None | Some("sum") => Spelling::Sum,
            Some("branches") => Spelling::Branches,
            Some(other) => {
                return Err(Error::options(format!("unknown spelling {other:?}"), "choose sum or branches"));
            }
        };
        Ok(Dual { keys, layers: self.dual_layers.clone(), spelling, activations: self.dual_activations })
    }

    /// How the model is fed.
    pub fn feeding(&self) -> Feeding {
        let state =
            |(output, input): &(String, String)| State { output: output.clone(), input: input.clone() };
        Feeding {
            shapes: self.sample_shape.clone(),
            states: self.state.iter().map(state).collect(),
            calls: self.sequence_length,
        }
    }

    /// How stored pixels become the input.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] where it contradicts itself.
    pub fn preprocessing(&self) -> Result<Option<Preprocessing>> {
        let Some(pictures) = &self.preprocess else { return Ok(None) };
        let resize = match *pictures.resize.as_slice() {
            [] => None,
            [side] => Some(Resize::Side(side)),
            [height, width] => Some(Resize::Sides([height, width])),
            _ => return Err(Error::options("a size of pictures has two sides", "give (height, width)")),
        };
        let found = Preprocessing {
            divide_by: pictures.divide_by,
            mean: pictures.mean.clone(),
            std: pictures.std.clone(),
            resize,
            crop: pictures.crop,
            ..pictures.base.as_ref().map(Preprocessing::from).unwrap_or_default()
        };
        found.check()?;
        Ok(Some(found))
    }

    /// The most samples.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] for none at all.
    pub fn max_samples(&self) -> Result<Option<usize>> {
        at_least_one("max_samples", self.max_samples)
    }

    /// Start of every random choice.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether onnxruntime judges as well.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] for another runtime.
    pub fn cross_check(&self) -> Result<bool> {
        match self.cross_check.as_deref() {
            None => Ok(false),
            Some("onnxruntime" | "ort") => Ok(true),
            Some(other) => {
                let remedy = "choose \"onnxruntime\"";
                Err(Error::options(format!("unknown runtime {other:?} to check with"), remedy))
            }
        }
    }

    /// What a comparison must show.
    ///
    /// # Errors
    /// As [`Choices::quantize`].
    pub fn gate(&self) -> Result<Gate> {
        let Budget { max_drop, min_sqnr_db, min_agreement, .. } = self.limits()?;
        Ok(Gate { max_drop, min_sqnr_db, min_agreement })
    }

    fn limits(&self) -> Result<Budget> {
        for (name, limit) in [
            ("max_drop", self.max_drop),
            ("min_sqnr_db", self.min_sqnr),
            ("min_agreement", self.min_agreement),
            ("max_bits", self.max_bits),
        ] {
            if let Some(limit) = limit.filter(|limit| !limit.is_finite() || *limit < 0.0) {
                let problem = format!("{limit} is no limit for `.{name}`");
                return Err(Error::options(problem, "choose a number from 0 up"));
            }
        }
        if let Some(share) = self.min_agreement.filter(|share| *share > 1.0) {
            let problem = format!("`.min_agreement` is a share from 0 to 1, and {share} is none");
            return Err(Error::options(problem, format!("write {} for {share} %", share / 100.0)));
        }
        Ok(Budget {
            max_drop: self.max_drop,
            min_sqnr_db: self.min_sqnr,
            min_agreement: self.min_agreement,
            max_bytes: self.max_size.as_deref().map(Budget::size).transpose()?,
            max_bits: self.max_bits,
        })
    }

    /// Files: the output, whether it may replace another, whether large tensors go beside it.
    pub fn output(&self) -> (Option<&PathBuf>, bool, bool) {
        (self.output.as_ref(), self.overwrite, self.external_data)
    }

    /// How many decisions of a plan are applied.
    pub fn first(&self) -> Option<usize> {
        self.first
    }

    /// The conversion of `model`.
    ///
    /// # Errors
    /// Of the kind [`fourbit::ErrorKind::Options`] for what makes no sense, contradicts itself or is not for the target.
    pub fn quantize(
        &self,
        model: Source,
        samples: Option<SampleSet>,
        validation: Option<SampleSet>,
    ) -> Result<Quantize> {
        let (output, overwrite, external_data) = self.output();
        let mut conversion = Quantize::new(model)
            .options(self.options()?)
            .limits(self.limits()?)
            .seed(self.seed)
            .feeding(self.feeding())
            .cross_check(self.cross_check()?)
            .overwrite(overwrite)
            .external_data(external_data);
        if let Some(samples) = samples {
            conversion = conversion.calibration(samples);
        }
        if let Some(samples) = validation {
            conversion = conversion.validation(samples);
        }
        if let Some(pictures) = self.preprocessing()? {
            conversion = conversion.preprocess(pictures);
        }
        if let Some(count) = self.max_samples()? {
            conversion = conversion.max_samples(count);
        }
        if let Some(file) = &self.config {
            conversion = conversion.reads(file);
        }
        for (input, dims) in &self.shape {
            conversion = conversion.shape(input, dims.clone());
        }
        if let Some(file) = output {
            conversion = conversion.output(file);
        }
        Ok(conversion)
    }
}

/// What some call precisions otherwise.
fn alias(name: &str) -> &str {
    match name.to_ascii_lowercase().as_str() {
        "int4" => "w4",
        "int8" => "w8a8",
        _ => name,
    }
}

fn parsed<T: FromStr<Err = Error>>(text: Option<&str>) -> Result<Option<T>> {
    text.map(str::parse).transpose()
}

/// One of the words that `setting` has.
fn word<T: DeserializeOwned>(setting: &str, text: Option<&str>) -> Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let lower = serde_json::Value::String(text.to_ascii_lowercase());
    serde_json::from_value(lower).map(Some).map_err(|error| {
        let words = error.to_string();
        let (_, known) = words.split_once("expected ").unwrap_or(("", &words));
        Error::options(format!("unknown {setting} {text:?}"), format!("choose {}", known.replace('`', "\"")))
    })
}

fn at_least_one(setting: &str, count: Option<usize>) -> Result<Option<usize>> {
    match count {
        Some(0) => Err(Error::options(format!("`.{setting}` 0"), "give 1 at least, or leave it out")),
        other => Ok(other),
    }
}

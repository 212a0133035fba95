//! Reports that were kept as JSON: the fields that pages and comparisons show. What an older report, or one of another command, does not
//! have is left out.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::plan::{
    ActivationDetails, ActivationTerm, Advice, Residuals, Sizes, SolveStep, Validation, Verdict,
    WeightDetails,
};

/// The reports that there is a page of.
const SCHEMAS: [&str; 3] = ["fourbit.report", "fourbit.planned", "fourbit.verdict"];

/// A report as it was read.
#[derive(Debug, Deserialize)]
pub struct Document {
    #[serde(default)]
    pub tool: Option<String>,
    #[serde(default)]
    pub subject: Option<Subject>,
    #[serde(default)]
    pub precision: Option<String>,
    #[serde(default)]
    pub sites: Vec<Site>,
    #[serde(default)]
    pub kept: Vec<Kept>,
    #[serde(default)]
    pub output: Option<String>,
    #[serde(default)]
    pub quantized: Option<String>,
    #[serde(default)]
    pub plan: Option<String>,
    #[serde(default)]
    pub calibration: Option<Calibration>,
    #[serde(default)]
    pub sizes: Option<Sizes>,
    #[serde(default)]
    pub verdict: Option<Verdict>,
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default)]
    pub budget: Option<Met>,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub noise_samples: Option<usize>,
    #[serde(default)]
    pub next: Vec<Advice>,
}

#[derive(Debug, Deserialize)]
pub struct Subject {
    pub file: String,
}

#[derive(Debug, Deserialize)]
pub struct Calibration {
    pub source: String,
    pub samples: usize,
}

#[derive(Debug, Deserialize)]
pub struct Met {
    pub met: bool,
}

#[derive(Debug, Deserialize)]
pub struct Limit {
    pub met: bool,
    pub text: String,
    #[serde(default)]
    pub unshown: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Kept {
    pub name: String,
    pub operator: String,
    pub dims: Vec<i64>,
    pub bytes: u64,
    pub reason: String,
}

/// One quantized tensor.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Site {
    Weight(Box<Weight>),
    Activation(Box<Activation>),
}

#[derive(Debug, Deserialize)]
pub struct Weight {
    pub tensor: String,
    pub operator: String,
    pub nodes: Vec<String>,
    pub dims: Vec<i64>,
    pub bits: u32,
    pub terms: Vec<Term>,
    #[serde(default)]
    pub residuals: Option<Residuals>,
    #[serde(default)]
    pub macs: Option<u64>,
    #[serde(default)]
    pub sqnr_db: Option<f64>,
    #[serde(default)]
    pub biases_corrected: usize,
    pub reason: String,
    #[serde(default)]
    pub statistics: Option<WeightDetails>,
}

#[derive(Debug, Deserialize)]
pub struct Term {
    pub storage: String,
    pub granularity: String,
    #[serde(default)]
    pub block: Option<u64>,
    pub scale_count: u64,
}

#[derive(Debug, Deserialize)]
pub struct Activation {
    pub tensor: String,
    pub operator: String,
    pub nodes: Vec<String>,
    pub bits: u32,
    pub terms: Vec<ActivationTerm>,
    /// JSON has no infinite numbers.
    pub range: (Option<f64>, Option<f64>),
    #[serde(default)]
    pub sqnr_db: Option<f64>,
    pub reason: String,
    #[serde(default)]
    pub statistics: Option<ActivationDetails>,
}

/// A ratio in dB, whose absence says that there is no noise, or that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ratio {
    Of(f64),
    Exact,
    Unknown,
}

impl Document {
    /// The JSON in `text`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is no JSON.
    pub fn parse(text: &str) -> Result<Value> {
        serde_json::from_str(text)
            .map_err(|error| Error::invalid("report", format!("this is no JSON report: {error}")))
    }

    /// The report in `value`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is none that there is a page of.
    pub fn read(value: &Value) -> Result<Self> {
        let schema = value["schema"].as_str().unwrap_or_default();
        if !SCHEMAS.contains(&schema) {
            let found = if schema.is_empty() { "no report of fourbit".into() } else { format!("a {schema}") };
            return Err(Error::invalid(
                "report",
                format!("{found}: pages are made of {}", SCHEMAS.join(", ")),
            ));
        }
        Self::deserialize(value).map_err(|error| Error::invalid("report", error.to_string()))
    }

    /// The weights in the order of the network.
    pub fn weights<'d>(&'d self) -> Vec<&'d Weight> {
        let weight = |site: &'d Site| match site {
            Site::Weight(weight) => Some(weight.as_ref()),
            Site::Activation(_) => None,
        };
        self.sites.iter().filter_map(weight).collect()
    }

    /// The activations in the order of the network.
    pub fn activations<'d>(&'d self) -> Vec<&'d Activation> {
        let activation = |site: &'d Site| match site {
            Site::Activation(activation) => Some(activation.as_ref()),
            Site::Weight(_) => None,
        };
        self.sites.iter().filter_map(activation).collect()
    }

    /// The figures of both models on the same samples, where there are any.
    pub fn validation(&self) -> Option<&Validation> {
        match &self.verdict {
            Some(Verdict::Validated(validation)) => Some(validation),
            _ => None,
        }
    }
}

impl Weight {
    /// The layer's name as other tools show it: the node's, which is its first output where it has none.
    pub fn layer(&self) -> &str {
        self.nodes.first().map_or(&self.tensor, String::as_str)
    }

    /// SQNR of the layer's output by its own weights.
    pub fn own(&self) -> Ratio {
        match &self.statistics {
            Some(found) if !found.steps.is_empty() => found.own_db.map_or(Ratio::Exact, Ratio::Of),
            _ => Ratio::Unknown,
        }
    }

    /// SQNR by the noise that the layer adds.
    pub fn added(&self) -> Ratio {
        let Some(found) = &self.statistics else { return Ratio::Unknown };
        match found.added_db {
            Some(ratio) => Ratio::Of(ratio),
            None if found.output_db.is_some() || !found.steps.is_empty() => Ratio::Exact,
            None => Ratio::Unknown,
        }
    }

    /// SQNR of the layer's output in the quantized network.
    pub fn output(&self) -> Ratio {
        self.statistics.as_ref().and_then(|found| found.output_db).map_or(Ratio::Unknown, Ratio::Of)
    }

    /// SQNR of the weights.
    pub fn weights(&self) -> Ratio {
        self.sqnr_db.map_or(Ratio::Exact, Ratio::Of)
    }

    /// Its place by the noise that it adds.
    pub fn rank(&self) -> Option<usize> {
        self.statistics.as_ref().map(|found| found.rank).filter(|&rank| rank > 0)
    }
}

/// A step in words; `terms` are summed.
pub fn step(step: SolveStep, terms: usize) -> &'static str {
    match (step, terms) {
        (SolveStep::Nearest, ..=1) => "scales of least weight error, nearest codes",
        (SolveStep::Nearest, _) => "one tensor: scales of least weight error, nearest codes",
        (SolveStep::Compensated, ..=1) => "codes compensated one after another",
        (SolveStep::Compensated, _) => "several tensors, codes compensated one after another",
        (SolveStep::Refitted, _) => "scales refitted to the codes",
        (SolveStep::Moved, _) => "single codes moved",
    }
}

//! What a batch reads of the report of one conversion.

use serde::{Deserialize, Serialize};

use super::doubt::DoubtKind;
use crate::options::CodeType;

/// How a warning begins that little was quantized. A batch repeats such warnings as remarks.
pub const LITTLE_QUANTIZED: &str = "only";
/// How a warning begins that a limit on the drop is not shown to be kept. A batch repeats such warnings as remarks.
pub const DROP_UNSHOWN: &str = "`.max_drop`";

/// How a warning begins that a limit on the agreement is not shown to be kept.
pub const AGREEMENT_UNSHOWN: &str = "`.min_agreement`";

/// The fields of a `fourbit.report` that a batch reads; the report has more. Every field has to be there, those that may be null
/// too: a field of another name is an error, and no default takes its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// As in `w4a8`.
    pub precision: String,
    /// What was quantized.
    pub sites: Vec<ReportedSite>,
    /// Sizes, in bytes.
    pub sizes: ReportedSizes,
    /// The judgement.
    pub verdict: ReportedVerdict,
    /// How a budget was kept, where there was one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub budget: Option<ReportedBudget>,
    /// What a person should know before trusting the result.
    pub warnings: Vec<String>,
    /// Largest resident memory of the process, in bytes, where the system tells.
    #[serde(deserialize_with = "Option::deserialize")]
    pub peak_memory: Option<u64>,
}

/// One quantized tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReportedSite {
    /// Weights.
    Weight {
        /// Their terms.
        terms: Vec<ReportedTerm>,
    },
    /// An activation.
    Activation,
}

/// One term of quantized weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedTerm {
    /// The type of its codes.
    #[serde(rename = "storage")]
    pub code_type: CodeType,
}

/// Sizes before and after, in bytes, side files included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedSizes {
    /// The input file.
    pub before: u64,
    /// The written file.
    pub after: u64,
    /// Bits that stand for one float parameter in the written file.
    #[serde(deserialize_with = "Option::deserialize")]
    pub effective_bits: Option<f64>,
}

/// Whether the written file was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReportedVerdict {
    /// It was run beside the float model.
    Validated(ReportedValidation),
    /// It could not be.
    NotValidated {
        /// Why.
        reason: String,
    },
}

/// Both models on the same samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedValidation {
    /// How many samples there were.
    pub samples: u64,
    /// Whether they are random numbers.
    pub synthetic: bool,
    /// Right answers, where the samples are labelled.
    #[serde(deserialize_with = "Option::deserialize")]
    pub scores: Option<ReportedScore>,
    /// Share of samples on which both models choose the same class.
    #[serde(deserialize_with = "Option::deserialize")]
    pub agreement: Option<f64>,
    /// The file on samples that it was calibrated on, where there are other real ones.
    #[serde(deserialize_with = "Option::deserialize")]
    pub inside: Option<ReportedInside>,
    /// The outputs, in graph order.
    pub outputs: Vec<ReportedOutput>,
    /// What stands against taking these figures for what they seem to be.
    pub doubts: Vec<ReportedDoubt>,
}

/// The file on samples that it was calibrated on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedInside {
    /// SQNR on these in dB; `None` where there is no difference.
    #[serde(deserialize_with = "Option::deserialize")]
    pub sqnr_db: Option<f64>,
}

/// Accuracy, as shares of the labelled rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedScore {
    /// Float model: share of rows with the right first choice.
    pub float_top1: f64,
    /// Quantized model: share of rows with the right first choice.
    pub quantized_top1: f64,
    /// Points of top-1 lost.
    pub drop_points: f64,
}

/// How far one output is from the float model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedOutput {
    /// SQNR in dB; `None` where there is no difference.
    #[serde(deserialize_with = "Option::deserialize")]
    pub sqnr_db: Option<f64>,
    /// Elements that are not finite in the quantized model but are in the float one.
    pub broken: u64,
}

/// One reason not to trust the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedDoubt {
    /// Which.
    pub kind: DoubtKind,
}

/// How a budget was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedBudget {
    /// Whether the plan keeps all limits, as far as the samples say.
    pub met: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Every way through `value` that ends at a field of an object.
    fn fields(value: &Value, way: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(object) => {
                for (name, inner) in object {
                    found.push((way.to_owned(), name.clone()));
                    fields(inner, &format!("{way}/{name}"), found);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| fields(item, &format!("{way}/{at}"), found));
            }
            _ => {}
        }
    }

    #[test]
    fn a_field_that_is_missing_is_named() {
        let report = json!({
            "precision": "w4",
            "sites": [{"kind": "weight", "terms": [{"storage": "int4"}]}],
            "sizes": {"before": 100, "after": 20, "effective_bits": null},
            "verdict": {
                "state": "validated", "samples": 8, "synthetic": false, "agreement": null, "inside": {"sqnr_db": 20.0},
                "scores": {"float_top1": 1.0, "quantized_top1": 1.0, "drop_points": 0.0},
                "outputs": [{"sqnr_db": null, "broken": 0}], "doubts": [{"kind": "left_out"}],
            },
            "budget": {"met": true}, "warnings": [], "peak_memory": null,
        });
        let parsed: Reported = serde_json::from_value(report.clone()).unwrap();
        assert_eq!(serde_json::to_value(&parsed).unwrap(), report);
        let mut all = Vec::new();
        fields(&report, "", &mut all);
        assert_eq!(all.len(), 29, "{all:?}");
        for (way, name) in all {
            let mut changed = report.clone();
            let object = changed.pointer_mut(&way).and_then(Value::as_object_mut).unwrap();
            let value = object.remove(&name).unwrap();
            object.insert(format!("{name}s"), value);
            let error = serde_json::from_value::<Reported>(changed).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{way}/{name}: {error}");
        }
    }
}

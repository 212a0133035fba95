//! The reports for programs. Fields may be added within a version; a change of meaning raises it.

use serde_json::{Value, json};

use super::sites::operators;
use super::verdict::{doubt, doubts};
use crate::options::Spelling;
use crate::plan::{
    ActivationDecision, ActivationDetails, Applied, Decision, Details, Gated, Inspection, Outcome, Partition,
    Plan, Planned, Read, Sensitivity, ShownSamples, Skip, Verdict, WeightDecision, WeightDetails, WeightTerm,
};

/// The version of every schema here but one.
pub const VERSION: u32 = 2;
/// The version of `fourbit.sensitivity`: since 3, what the outputs gain where a layer is left float.
pub const SENSITIVITY_VERSION: u32 = 3;

/// A whole conversion, `fourbit.report`: one row a site, without codes and scales, which the plan
/// holds.
pub fn outcome(outcome: &Outcome) -> String {
    let calibration =
        outcome.calibration.as_ref().map(|(source, samples)| json!({"source": source, "samples": samples}));
    let mut report = described(&outcome.plan, outcome.details.as_ref());
    report.extend([
        ("input", json!(outcome.input.display().to_string())),
        ("output", json!(outcome.output.display().to_string())),
        ("opsets", json!({"input": outcome.opsets.0, "output": outcome.opsets.1})),
        ("prepared", json!(outcome.prepared)),
        ("calibration", json!(calibration)),
        ("sizes", json!(outcome.sizes)),
        ("verdict", json!(outcome.verdict)),
        ("budget", json!(outcome.budget)),
        ("warnings", json!([doubts(&outcome.verdict), outcome.warnings.clone()].concat())),
        ("noise_samples", json!(outcome.details.as_ref().map(|details| details.samples))),
        ("next", json!(outcome.advice)),
        ("seconds", stages(&outcome.seconds)),
        ("peak_memory", json!(outcome.peak_memory)),
    ]);
    written("fourbit.report", report)
}

/// A plan that was made, `fourbit.planned`: as the report, as far as a plan goes.
pub fn planned(planned: &Planned) -> String {
    let mut report = described(&planned.plan, planned.details.as_ref());
    report.extend([
        ("plan", json!(planned.path.display().to_string())),
        ("budget", json!(planned.budget)),
        ("warnings", json!(planned.warnings)),
        ("seconds", stages(&planned.seconds)),
    ]);
    written("fourbit.planned", report)
}

/// A plan as it lies in its file, told as `fourbit.planned`, without its place.
pub fn plan(plan: &Plan) -> String {
    written("fourbit.planned", described(plan, None))
}

/// A plan that was applied, `fourbit.applied`.
pub fn applied(applied: &Applied) -> String {
    let report = vec![
        ("output", json!(applied.output.display().to_string())),
        ("decisions", json!(applied.decisions)),
        ("of", json!(applied.of)),
        ("sizes", json!(applied.sizes)),
    ];
    written("fourbit.applied", report)
}

/// A judgement, `fourbit.verdict`.
pub fn verdict(verdict: &Verdict) -> String {
    written("fourbit.verdict", vec![("verdict", json!(verdict)), ("warnings", json!(doubts(verdict)))])
}

/// A judgement of two files that is held against limits, `fourbit.verdict`.
pub fn gated(gated: &Gated) -> String {
    let warnings = doubts(&gated.verdict);
    let report = vec![
        ("float", json!(gated.float.display().to_string())),
        ("quantized", json!(gated.quantized.display().to_string())),
        ("verdict", json!(gated.verdict)),
        ("limits", json!(gated.limits)),
        ("warnings", json!(warnings)),
    ];
    written("fourbit.verdict", report)
}

/// What a model is fed, `fourbit.samples`.
pub fn shown(shown: &ShownSamples) -> String {
    written("fourbit.samples", super::inspection::fields(shown))
}

/// What is inside a model, `fourbit.inspection`.
pub fn inspection(inspection: &Inspection) -> String {
    let operators: serde_json::Map<String, Value> =
        inspection.operators.iter().map(|(operator, count)| (operator.clone(), json!(count))).collect();
    let report = vec![
        ("file", json!(inspection.file)),
        ("bytes", json!(inspection.bytes)),
        ("ir_version", json!(inspection.ir_version)),
        ("opset", json!(inspection.opset)),
        ("producer", json!(inspection.producer)),
        ("quantized_by", json!(inspection.quantized_by)),
        ("precision", json!(inspection.precision)),
        ("inputs", json!(inspection.inputs)),
        ("outputs", json!(inspection.outputs)),
        ("operators", operators.into()),
        ("parameters", json!(inspection.parameters)),
        ("effective_bits", json!(inspection.effective_bits)),
        ("sites", json!(inspection.sites)),
        ("activations", json!(inspection.activations)),
        ("kept", inspection.skips.iter().map(kept).collect()),
        ("faults", json!(inspection.faults)),
        ("warnings", json!(inspection.warnings)),
    ];
    written("fourbit.inspection", report)
}

/// What the outputs gain from each layer left float, `fourbit.sensitivity`: the largest gain first, those that a conversion
/// confirmed before those estimated.
pub fn sensitivity(sensitivity: &Sensitivity) -> String {
    let calibration = sensitivity.calibration.as_ref();
    let calibration = calibration.map(|(source, samples)| json!({"source": source, "samples": samples}));
    let report = vec![
        ("input", json!(sensitivity.input.display().to_string())),
        ("precision", json!(sensitivity.precision)),
        ("calibration", json!(calibration)),
        ("judges", json!(sensitivity.judges)),
        ("solved_on", json!(sensitivity.solved_on)),
        ("whole", json!(sensitivity.whole)),
        ("layers", json!(sensitivity.layers)),
        ("doubts", json!(sensitivity.doubts)),
        (
            "warnings",
            json!([sensitivity.doubts.iter().map(doubt).collect(), sensitivity.warnings.clone()].concat()),
        ),
        ("seconds", stages(&sensitivity.seconds)),
    ];
    versioned("fourbit.sensitivity", SENSITIVITY_VERSION, report)
}

/// Kept in order, so that the schema comes first in the text.
pub(super) type Fields = Vec<(&'static str, Value)>;

pub(super) fn written(schema: &str, fields: Fields) -> String {
    versioned(schema, VERSION, fields)
}

fn versioned(schema: &str, version: u32, fields: Fields) -> String {
    let mut report = vec![("schema", json!(schema)), ("version", json!(version))];
    report.extend(fields);
    // No string holds a line break once it is JSON, so only the indentation is changed.
    let fields = report.iter().map(|(name, value)| {
        let value = format!("{value:#}").replace('\n', "\n  ");
        format!("  \"{name}\": {value}")
    });
    format!("{{\n{}\n}}\n", fields.collect::<Vec<_>>().join(",\n"))
}

fn described(plan: &Plan, details: Option<&Details>) -> Fields {
    let site = |decision: &Decision| {
        let tensor = decision.tensor();
        match decision {
            Decision::Weight(weight) => {
                weight_row(weight, details.and_then(|details| details.weights.get(tensor)))
            }
            Decision::Activation(activation) => {
                activation_row(activation, details.and_then(|details| details.activations.get(tensor)))
            }
        }
    };
    vec![
        ("tool", json!(plan.tool)),
        ("subject", json!(plan.subject)),
        ("precision", json!(plan.precision)),
        ("sites", plan.decisions.iter().map(site).collect()),
        ("kept", plan.skips.iter().map(kept).collect()),
    ]
}

fn nodes(reads: &[Read]) -> Vec<&str> {
    reads.iter().map(|read| read.node.as_str()).collect()
}

fn weight_row(weight: &WeightDecision, details: Option<&WeightDetails>) -> Value {
    json!({
        "kind": "weight",
        "tensor": weight.tensor,
        "operator": operators(&weight.reads),
        "nodes": nodes(&weight.reads),
        "dims": weight.dims,
        "bits": weight.terms.iter().map(|term| term.code_type.bits()).sum::<u32>(),
        "code_range": weight.code_range(),
        "saturation": weight.saturation,
        "terms": weight.terms.iter().map(weight_term).collect::<Vec<_>>(),
        "spelling": (weight.terms.len() > 1 || weight.spelling == Spelling::MatMulNBits).then_some(weight.spelling),
        "residuals": weight.residuals,
        "macs": weight.macs,
        "sqnr_db": weight.sqnr_db,
        "biases_corrected": weight.biases.len(),
        "reason": weight.reason,
        "statistics": details,
    })
}

fn weight_term(term: &WeightTerm) -> Value {
    let block = match term.partition {
        Partition::Block { size, .. } => Some(size),
        Partition::Tensor | Partition::Channel { .. } => None,
    };
    json!({
        "storage": term.code_type,
        "granularity": term.partition.name(),
        "axis": term.partition.axis(),
        "block": block,
        "scale_count": term.scales.len(),
    })
}

fn activation_row(activation: &ActivationDecision, details: Option<&ActivationDetails>) -> Value {
    json!({
        "kind": "activation",
        "tensor": activation.tensor,
        "operator": operators(&activation.reads),
        "nodes": nodes(&activation.reads),
        "bits": activation.terms.iter().map(|term| term.code_type.bits()).sum::<u32>(),
        "terms": activation.terms,
        "range": activation.range,
        "sqnr_db": activation.sqnr_db,
        "reason": activation.reason,
        "statistics": details,
    })
}

fn kept(skip: &Skip) -> Value {
    // A variant with a value is an object with the variant's name as its only key.
    let code = match json!(skip.reason) {
        Value::Object(variant) => variant.keys().next().cloned().unwrap_or_default(),
        Value::String(variant) => variant,
        _ => String::new(),
    };
    json!({
        "name": skip.name,
        "operator": skip.operator,
        "dims": skip.dims,
        "bytes": skip.bytes,
        "code": code,
        "reason": skip.reason.to_string(),
    })
}

fn stages(seconds: &[(String, f64)]) -> Value {
    seconds.iter().map(|(stage, seconds)| json!({"stage": stage, "seconds": seconds})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CodeType;
    use crate::plan::{
        Doubt, DoubtKind, Reported, ReportedBudget, ReportedDoubt, ReportedInside, ReportedOutput,
        ReportedScore, ReportedSite, ReportedSizes, ReportedTerm, ReportedValidation, ReportedVerdict,
    };
    use crate::report::example;

    #[test]
    fn the_report_is_versioned_and_without_codes() {
        let text = outcome(&example::outcome());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["schema"], &report["version"]), (&json!("fourbit.report"), &json!(2)));
        assert!(!text.contains("codes\"") && !text.contains("scales\""), "{text}");
        let [weight, activation] = report["sites"].as_array().unwrap().as_slice() else { panic!("{text}") };
        assert_eq!(weight["tensor"], "layer1.conv.weight");
        assert_eq!((&weight["bits"], &weight["spelling"]), (&json!(4), &Value::Null));
        assert_eq!((&weight["code_range"], &weight["saturation"]), (&json!([-8, 7]), &Value::Null));
        assert_eq!(
            weight["terms"],
            json!([{"storage": "int4", "granularity": "channel", "axis": 0, "block": null, "scale_count": 16}])
        );
        assert_eq!(weight["residuals"]["dual"], json!(1.2e-4));
        assert_eq!(activation["terms"][0]["storage"], "uint8");
        assert_eq!(report["sizes"]["compression"], json!(7.58));
        assert_eq!(activation["range"], json!([0.0, 6.125]));
        let codes: Vec<&Value> =
            report["kept"].as_array().unwrap().iter().map(|kept| &kept["code"]).collect();
        assert_eq!(codes, [&json!("bias"), &json!("bias"), &json!("small")]);
        assert_eq!(report["verdict"]["state"], "validated");
        assert_eq!(report["verdict"]["scores"]["drop_points"], 0.5);
        assert_eq!(report["seconds"][1], json!({"stage": "solve", "seconds": 0.25}));
    }

    #[test]
    fn a_batch_reads_what_the_report_says() {
        let whole = example::outcome();
        let Verdict::Validated(found) = &whole.verdict else { panic!("a validated example") };
        let (scores, error) = (found.scores.unwrap(), &found.outputs[0]);
        let expected = Reported {
            precision: whole.plan.precision.clone(),
            sites: vec![
                ReportedSite::Weight { terms: vec![ReportedTerm { code_type: CodeType::Int4 }] },
                ReportedSite::Activation,
            ],
            sizes: ReportedSizes {
                before: whole.sizes.before,
                after: whole.sizes.after,
                effective_bits: Some(whole.sizes.effective_bits),
            },
            verdict: ReportedVerdict::Validated(ReportedValidation {
                samples: found.samples as u64,
                synthetic: found.synthetic,
                scores: Some(ReportedScore {
                    float_top1: scores.float_top1,
                    quantized_top1: scores.quantized_top1,
                    drop_points: scores.drop_points,
                }),
                agreement: found.agreement,
                inside: found.inside.map(|inside| ReportedInside { sqnr_db: inside.sqnr_db }),
                outputs: vec![ReportedOutput { sqnr_db: error.sqnr_db, broken: error.broken }],
                doubts: vec![ReportedDoubt { kind: DoubtKind::Alike }],
            }),
            budget: Some(ReportedBudget { met: false }),
            warnings: [doubt(&Doubt::Alike { samples: 3, preprocessed: false })]
                .into_iter()
                .chain(whole.warnings.clone())
                .collect(),
            peak_memory: whole.peak_memory,
        };
        let mut kept = whole.clone();
        kept.budget = Some(example::budgeted());
        if let Verdict::Validated(validation) = &mut kept.verdict {
            validation.doubts.push(Doubt::Alike { samples: 3, preprocessed: false });
        }
        assert_eq!(serde_json::from_str::<Reported>(&outcome(&kept)).unwrap(), expected);

        let reason = || "no samples".to_owned();
        let unknown = Outcome { verdict: Verdict::NotValidated { reason: reason() }, ..whole }.reproducible();
        let read: Reported = serde_json::from_str(&outcome(&unknown)).unwrap();
        assert_eq!(read.verdict, ReportedVerdict::NotValidated { reason: reason() });
        assert_eq!((read.budget, read.peak_memory), (None, None));
    }

    #[test]
    fn every_report_has_its_schema() {
        let whole = example::outcome();
        let made = Planned {
            plan: whole.plan.clone(),
            path: "p".into(),
            budget: None,
            details: None,
            warnings: vec![],
            seconds: vec![],
        };
        let done = Applied { output: "o".into(), decisions: 1, of: 2, sizes: whole.sizes };
        let texts = [
            planned(&made),
            applied(&done),
            verdict(&whole.verdict),
            inspection(&example::inspection()),
            sensitivity(&example::sensitivity()),
        ];
        let names = ["planned", "applied", "verdict", "inspection", "sensitivity"];
        for (text, name) in texts.iter().zip(names) {
            let report: Value = serde_json::from_str(text).unwrap();
            assert_eq!(report["schema"], format!("fourbit.{name}"));
            let version = if name == "sensitivity" { SENSITIVITY_VERSION } else { VERSION };
            assert_eq!(report["version"], version);
        }
    }
}

//! What a written model says of its origin, and the figures that viewers show with it.

use std::collections::BTreeMap;

use crate::onnx::codes_held;
use crate::onnx::proto::{ModelProto, StringStringEntryProto};
use crate::plan::{Decision, Fingerprint, Plan, Stamp};

/// Keys of the samples that a model was calibrated on: how many, the digest of their digests, and the beginnings of these.
const SAMPLES: [&str; 3] =
    ["fourbit.calibration_samples", "fourbit.calibration_sha256", "fourbit.calibration_heads"];

/// Keys of what is quantized, and of the noisiest weights.
const WEIGHTS: &str = "fourbit.weights";
const ACTIVATIONS: &str = "fourbit.activations";
const LEAST: &str = "fourbit.least_weight_sqnr_db";

/// Sets fourbit's metadata, in place of what an earlier conversion said.
pub(super) fn stamp(proto: &mut ModelProto, plan: &Plan) {
    let quantized = proto.graph.as_ref().map_or(0, codes_held).to_string();
    let entries = [
        (Stamp::VERSION, env!("CARGO_PKG_VERSION")),
        (Stamp::PRECISION, &plan.precision),
        (Stamp::QUANTIZED, &quantized),
        ("fourbit.source_sha256", &plan.subject.sha256),
    ];
    let others = [Stamp::GENERATED, Stamp::RANGE, WEIGHTS, ACTIVATIONS, LEAST];
    let ours = |key: &str| {
        SAMPLES.contains(&key) || others.contains(&key) || entries.iter().any(|(own, _)| *own == key)
    };
    proto.metadata_props.retain(|old| !ours(old.key()));
    let entry = |(key, value): (&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    proto.metadata_props.extend(entries.map(entry));
    let figures = [(WEIGHTS, types(plan, false)), (ACTIVATIONS, types(plan, true)), (LEAST, least(plan))];
    let figures = figures.iter().filter_map(|(key, text)| Some(entry((*key, text.as_deref()?))));
    proto.metadata_props.extend(figures);
    if let Some(Fingerprint { samples, sha256, heads }) = &plan.calibrated {
        let count = samples.to_string();
        let values: [&str; 3] = [&count, sha256, heads];
        proto.metadata_props.extend(SAMPLES.into_iter().zip(values).map(entry));
    }
    if let Some(generated) = &plan.generated {
        let source = format!("{}, seed {}", generated.source(), generated.seed);
        proto.metadata_props.push(entry((Stamp::GENERATED, &source)));
        proto.metadata_props.extend(generated.range.iter().map(|range| entry((Stamp::RANGE, range))));
    }
}

/// How many weights, or activations, have which type of codes, as in `50 int4, 3 int8`; `None` where there are none.
fn types(plan: &Plan, are_activations: bool) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for decision in &plan.decisions {
        let types: Vec<String> = match decision {
            Decision::Weight(weight) if !are_activations => {
                weight.terms.iter().map(|term| term.code_type.to_string()).collect()
            }
            Decision::Activation(activation) if are_activations => {
                activation.terms.iter().map(|term| term.code_type.to_string()).collect()
            }
            Decision::Weight(_) | Decision::Activation(_) => continue,
        };
        *counts.entry(types.join(" + ")).or_default() += 1;
    }
    let told: Vec<String> = counts.iter().map(|(types, count)| format!("{count} {types}")).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// The least SQNR of a quantized weight tensor, and whose it is.
fn least(plan: &Plan) -> Option<String> {
    let ratios = plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some((weight.sqnr_db.filter(|ratio| ratio.is_finite())?, &weight.tensor)),
        Decision::Activation(_) => None,
    });
    let (ratio, tensor) = ratios.min_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!("{ratio:.1} ({tensor})"))
}

/// The samples that a written model was calibrated on, where it says so.
pub fn calibrated(proto: &ModelProto) -> Option<Fingerprint> {
    let value =
        |key: &str| proto.metadata_props.iter().find(|entry| entry.key() == key).map(|entry| entry.value());
    let [samples, sha256, heads] = SAMPLES.map(value);
    Some(Fingerprint {
        samples: samples?.parse().ok()?,
        sha256: sha256?.to_owned(),
        heads: heads.unwrap_or_default().to_owned(),
    })
}

//! What a written model says of its origin.

use crate::onnx::codes_held;
use crate::onnx::proto::{ModelProto, StringStringEntryProto};
use crate::plan::{Fingerprint, Plan, Stamp};

/// Keys of the samples that a model was calibrated on: how many, the digest of their digests, and the beginnings of these.
const SAMPLES: [&str; 3] =
    ["fourbit.calibration_samples", "fourbit.calibration_sha256", "fourbit.calibration_heads"];

/// Sets fourbit's metadata, in place of what an earlier conversion said.
pub(super) fn stamp(proto: &mut ModelProto, plan: &Plan) {
    let quantized = proto.graph.as_ref().map_or(0, codes_held).to_string();
    let entries = [
        (Stamp::VERSION, env!("CARGO_PKG_VERSION")),
        (Stamp::PRECISION, &plan.precision),
        (Stamp::QUANTIZED, &quantized),
        ("fourbit.source_sha256", &plan.subject.sha256),
    ];
    let made = [Stamp::GENERATED, Stamp::RANGE];
    let ours = |key: &str| {
        SAMPLES.contains(&key) || made.contains(&key) || entries.iter().any(|(own, _)| *own == key)
    };
    proto.metadata_props.retain(|old| !ours(old.key()));
    let entry = |(key, value): (&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    proto.metadata_props.extend(entries.map(entry));
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

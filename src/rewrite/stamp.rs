//! What a written model says of its origin.

use crate::onnx::proto::{ModelProto, StringStringEntryProto};
use crate::plan::Plan;

/// Sets fourbit's metadata, in place of what an earlier conversion said.
pub(super) fn stamp(proto: &mut ModelProto, plan: &Plan) {
    let entries = [
        ("fourbit.version", env!("CARGO_PKG_VERSION")),
        ("fourbit.precision", &plan.precision),
        ("fourbit.source_sha256", &plan.subject.sha256),
    ];
    proto.metadata_props.retain(|old| entries.iter().all(|(key, _)| old.key() != *key));
    let entry = |(key, value): (&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    proto.metadata_props.extend(entries.map(entry));
}

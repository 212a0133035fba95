//! What a written model says of how it was made.

use crate::onnx::proto::ModelProto;

/// The metadata of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The version of fourbit.
    pub version: String,
    /// `w4a8` and the like; empty where it is not said.
    pub precision: String,
    /// How many tensors of the file hold codes of weights, where that is said.
    pub quantized: Option<usize>,
}

impl Stamp {
    /// The key of the version.
    pub const VERSION: &str = "fourbit.version";
    /// The key of the precision.
    pub const PRECISION: &str = "fourbit.precision";
    /// The key of the number of tensors that hold codes.
    pub const QUANTIZED: &str = "fourbit.quantized";

    /// The key of what generated calibration samples were.
    pub const GENERATED: &str = "fourbit.calibration_generated";
    /// The key of the range of their pixels.
    pub const RANGE: &str = "fourbit.calibration_range";

    /// What `proto` says, where fourbit wrote it.
    pub fn of(proto: &ModelProto) -> Option<Self> {
        let value = |key: &str| {
            let entry = proto.metadata_props.iter().find(|entry| entry.key() == key);
            entry.map(|entry| entry.value().to_owned())
        };
        Some(Self {
            version: value(Self::VERSION)?,
            precision: value(Self::PRECISION).unwrap_or_default(),
            quantized: value(Self::QUANTIZED).and_then(|count| count.parse().ok()),
        })
    }
}

//! Codes of weights: a constant, or what operators unpack of one.

use crate::onnx::proto::TensorProto;
use crate::onnx::{Dequantized, integers};

/// The codes of weights that DequantizeLinear reads.
#[derive(Clone, Copy)]
pub(super) struct Codes<'c, 'g> {
    /// What people know them by.
    pub(super) name: &'c str,
    /// The value that DequantizeLinear reads.
    pub(super) value: &'c str,
    /// Their dimensions.
    pub(super) dims: &'c [i64],
    /// Where they are from.
    pub(super) source: Source<'c, 'g>,
}

/// Where codes are from.
#[derive(Clone, Copy)]
pub(super) enum Source<'c, 'g> {
    Constant(&'c TensorProto),
    Unpacked(&'c Dequantized<'g>),
}

impl Codes<'_, '_> {
    /// The codes themselves.
    pub(super) fn values(&self) -> Option<Vec<i64>> {
        match self.source {
            Source::Constant(tensor) => integers(tensor).ok(),
            Source::Unpacked(found) => found.codes(),
        }
    }
}

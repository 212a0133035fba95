//! The forms in which one plan can be written.

use std::fmt;

use super::{folded, rebuilt};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Dtype, Model, bodies, int, is_linear, is_standard, tensors};

/// A form of the written model. All hold the same weights, bit for bit once dequantized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// As the plan says, and as the file is.
    #[default]
    Int4,
    /// Constants dequantized to floats, MatMulNBits as products with such, and the rounding of activations spelled in float
    /// operators, for runtimes that do not know blocks either or round in ways of their own.
    Folded,
}

impl Dialect {
    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int4 => "itself",
            Self::Folded => "folded",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Whether tract runs `model` as it is and says what ONNX defines: there is no 4-bit type in it, no block of scales, and nothing of
/// another domain that holds codes.
pub fn is_plain(model: &Model) -> bool {
    fn plain(graph: &GraphProto) -> bool {
        graph.node.iter().all(|node| {
            let linear = is_linear(node, "QuantizeLinear") || is_linear(node, "DequantizeLinear");
            let odd =
                ["block_size", "output_dtype"].iter().any(|name| int(node, name).is_some_and(|it| it != 0));
            let standard = is_standard(node.domain());
            (standard || !(linear || node.op_type() == "MatMulNBits"))
                && !(linear && odd)
                && bodies(node).all(plain)
        })
    }
    let wide = |tensor: &&TensorProto| {
        let kinds = [Dtype::Int4, Dtype::Uint4, Dtype::Float16, Dtype::Bfloat16, Dtype::Double];
        !kinds.iter().any(|&kind| tensor.data_type() == kind as i32)
    };
    plain(model.graph()) && tensors(model.graph()).iter().all(wide)
}

/// `model`, which may be any quantized model, in another dialect.
///
/// # Errors
/// [`crate::error::Error::Invalid`] naming the node or tensor whose shapes or data contradict one
/// another, or that has no equal in the dialect.
pub fn lower(model: &Model, dialect: Dialect) -> Result<Model> {
    let opset = model.opset();
    let mut proto = model.proto.clone();
    let graph = proto.graph.get_or_insert_default();
    match dialect {
        Dialect::Int4 => {}
        Dialect::Folded => folded::spell(graph, opset)?,
    }
    rebuilt(model, proto)
}

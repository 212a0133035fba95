//! Element-wise and matrix arithmetic, comparisons, quantization, transforms.

use super::scope::{Scope, input, set_input};
use super::table::{Row, Step::Convert, Step::Widened};
use crate::onnx::proto::NodeProto;
use crate::onnx::{int, tensor_i64, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["Abs", "Ceil", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Sqrt"],
        since: 6,
        steps: &[(13, Widened)],
    },
    Row { operators: &["Sin", "Cos", "Tan", "Asin", "Acos", "Atan"], since: 7, steps: &[] },
    Row { operators: &["Sinh", "Cosh", "Asinh", "Acosh", "Atanh"], since: 9, steps: &[] },
    Row { operators: &["Erf", "Sign"], since: 9, steps: &[(13, Widened)] },
    Row { operators: &["Round", "Det", "BitShift"], since: 11, steps: &[] },
    Row { operators: &["IsNaN"], since: 9, steps: &[(13, Widened), (20, Widened)] },
    Row { operators: &["IsInf"], since: 10, steps: &[(20, Widened)] },
    Row {
        operators: &["Add", "Sub", "Mul", "Div"],
        since: 6,
        steps: &[(7, Convert(broadcast)), (13, Widened), (14, Widened)],
    },
    Row {
        operators: &["Pow"],
        since: 1,
        steps: &[(7, Convert(broadcast)), (12, Widened), (13, Widened), (15, Widened)],
    },
    Row { operators: &["Mod"], since: 10, steps: &[(13, Widened)] },
    Row { operators: &["Min", "Max"], since: 6, steps: &[(8, Widened), (12, Widened), (13, Widened)] },
    Row { operators: &["Mean", "Sum"], since: 6, steps: &[(8, Widened), (13, Widened)] },
    Row { operators: &["And", "Or", "Xor"], since: 1, steps: &[(7, Convert(broadcast))] },
    Row { operators: &["Not"], since: 1, steps: &[] },
    Row {
        operators: &["Equal"],
        since: 1,
        steps: &[(7, Convert(broadcast)), (11, Widened), (13, Widened), (19, Widened)],
    },
    Row {
        operators: &["Greater", "Less"],
        since: 1,
        steps: &[(7, Convert(broadcast)), (9, Widened), (13, Widened)],
    },
    Row { operators: &["GreaterOrEqual", "LessOrEqual"], since: 12, steps: &[(16, Widened)] },
    Row { operators: &["Where"], since: 9, steps: &[(16, Widened)] },
    Row { operators: &["BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"], since: 18, steps: &[] },
    Row { operators: &["MatMul"], since: 1, steps: &[(9, Widened), (13, Widened)] },
    Row {
        operators: &["Gemm"],
        since: 6,
        steps: &[(7, Convert(broadcast)), (9, Widened), (11, Widened), (13, Widened)],
    },
    Row { operators: &["Einsum"], since: 12, steps: &[] },
    Row { operators: &["CumSum"], since: 11, steps: &[(14, Widened)] },
    Row { operators: &["MatMulInteger", "ConvInteger", "QLinearConv"], since: 10, steps: &[] },
    Row { operators: &["QLinearMatMul"], since: 10, steps: &[(21, Widened)] },
    Row { operators: &["DynamicQuantizeLinear"], since: 11, steps: &[] },
    // The scale was a scalar before 13, so the axis that came then is not looked at.
    Row {
        operators: &["QuantizeLinear", "DequantizeLinear"],
        since: 10,
        steps: &[(13, Widened), (19, Widened), (21, Widened)],
    },
    Row { operators: &["DFT"], since: 17, steps: &[(20, Convert(axis_to_input))] },
    Row {
        operators: &["STFT", "BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"],
        since: 17,
        steps: &[],
    },
];

/// Before 7, `broadcast` aligned the second operand with the last dimensions of the first, as
/// NumPy does, unless an `axis` said otherwise.
fn broadcast(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    if int(&node, "axis").is_some() {
        return None;
    }
    without_attribute(&mut node, "broadcast");
    Some(vec![node])
}

/// The default changed with the move, from the first signal axis to the last.
fn axis_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let axis = without_attribute(&mut node, "axis").map_or(1, |axis| axis.i());
    if input(&node, 1).is_none() {
        set_input(&mut node, 1, String::new());
    }
    let axis = scope.constant(&node, "axis", tensor_i64("", &[], &[axis]));
    set_input(&mut node, 2, axis);
    Some(vec![node])
}

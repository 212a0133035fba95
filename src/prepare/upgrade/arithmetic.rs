//! Element-wise and matrix arithmetic, comparisons, quantization, transforms.

use super::Row;
use super::legacy::{broadcast, unconsumed};
use super::scope::{Scope, input, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::{tensor_i64, without_attribute};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["Abs", "Ceil", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Sqrt"],
        versions: &[1, 6, 13],
        changed: &[(6, unconsumed)],
    },
    Row { operators: &["Sin", "Cos", "Tan", "Asin", "Acos", "Atan"], versions: &[7, 22], changed: &[] },
    Row { operators: &["Sinh", "Cosh", "Asinh", "Acosh", "Atanh"], versions: &[9, 22], changed: &[] },
    Row { operators: &["Erf", "Sign"], versions: &[9, 13], changed: &[] },
    Row { operators: &["Round", "Det"], versions: &[11, 22], changed: &[] },
    Row { operators: &["BitShift", "DynamicQuantizeLinear"], versions: &[11], changed: &[] },
    Row { operators: &["IsNaN"], versions: &[9, 13, 20], changed: &[] },
    Row { operators: &["IsInf"], versions: &[10, 20], changed: &[] },
    Row {
        operators: &["Add", "Sub", "Mul", "Div"],
        versions: &[1, 6, 7, 13, 14],
        changed: &[(6, unconsumed), (7, broadcast)],
    },
    Row { operators: &["Pow"], versions: &[1, 7, 12, 13, 15], changed: &[(7, broadcast)] },
    Row { operators: &["Mod"], versions: &[10, 13], changed: &[] },
    Row { operators: &["Min", "Max"], versions: &[1, 6, 8, 12, 13], changed: &[(6, unconsumed)] },
    Row { operators: &["Mean", "Sum"], versions: &[1, 6, 8, 13], changed: &[(6, unconsumed)] },
    Row { operators: &["And", "Or", "Xor"], versions: &[1, 7], changed: &[(7, broadcast)] },
    Row { operators: &["Not"], versions: &[1], changed: &[] },
    Row { operators: &["Equal"], versions: &[1, 7, 11, 13, 19], changed: &[(7, broadcast)] },
    Row { operators: &["Greater", "Less"], versions: &[1, 7, 9, 13], changed: &[(7, broadcast)] },
    Row { operators: &["GreaterOrEqual", "LessOrEqual"], versions: &[12, 16], changed: &[] },
    Row { operators: &["Where"], versions: &[9, 16], changed: &[] },
    Row {
        operators: &["BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"],
        versions: &[18],
        changed: &[],
    },
    Row { operators: &["MatMul"], versions: &[1, 9, 13], changed: &[] },
    Row { operators: &["Gemm"], versions: &[1, 6, 7, 9, 11, 13], changed: &[(7, broadcast)] },
    Row { operators: &["Einsum"], versions: &[12], changed: &[] },
    Row { operators: &["CumSum"], versions: &[11, 14], changed: &[] },
    Row { operators: &["MatMulInteger", "ConvInteger", "QLinearConv"], versions: &[10], changed: &[] },
    Row { operators: &["QLinearMatMul"], versions: &[10, 21], changed: &[] },
    // The scale was a scalar before 13, so the axis that came then is not looked at.
    Row {
        operators: &["QuantizeLinear", "DequantizeLinear"],
        versions: &[10, 13, 19, 21, 23, 24, 25],
        changed: &[],
    },
    Row { operators: &["DFT"], versions: &[17, 20], changed: &[(20, axis_to_input)] },
    Row {
        operators: &["STFT", "BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"],
        versions: &[17],
        changed: &[],
    },
    Row { operators: &["CumProd"], versions: &[26], changed: &[] },
];

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

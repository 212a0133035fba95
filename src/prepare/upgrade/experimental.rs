//! Operators that were experiments of the standard domain until opset 10 took them away; some came back in another form.
//! Their descriptions are in the list of operators that came with ONNX 1.4; what these leave open is as in onnxruntime,
//! which still runs them below opset 10.

use super::Convert;
use super::scope::{Scope, scalar};
use crate::onnx::attr;
use crate::onnx::proto::NodeProto;
use crate::onnx::{attribute, float, int, ints, set_attribute, tensor_f32, without_attribute};

/// The operator, the opset that does without it, and what it becomes there.
pub(super) const EXPERIMENTS: &[(&str, i64, Convert)] = &[
    ("Affine", 10, affine),
    ("Crop", 10, crop),
    ("DynamicSlice", 10, dynamic_slice),
    ("GivenTensorFill", 10, given_tensor),
    ("ImageScaler", 10, image_scaler),
    ("MeanVarianceNormalization", 9, mean_variance),
    ("ParametricSoftplus", 10, parametric_softplus),
    ("Scale", 10, scale),
    ("ScaledTanh", 10, scaled_tanh),
    // The same as at 10.
    ("ThresholdedRelu", 10, |node, _| Some(vec![node])),
    // onnxruntime had it before the standard, in the same form.
    ("LayerNormalization", 17, |node, _| Some(vec![node])),
];

/// Operators of onnxruntime that its optimizer and model builder write into the standard domain, which has none of these names. They
/// mean the same at any opset.
pub(super) const OF_ONNXRUNTIME: &[&str] = &[
    "BiasGelu",
    "EmbedLayerNormalization",
    "FastGelu",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "GroupQueryAttention",
    "MatMulNBits",
    "MultiHeadAttention",
    "QuickGelu",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "TransposeMatMul",
];

/// A number as a constant of the type of `node`'s first input.
fn number(node: &NodeProto, part: &str, value: f32, scope: &mut Scope) -> Option<String> {
    let dtype = scope.facts.float_type(node.input.first()?)?;
    Some(scope.constant(node, part, scalar(dtype, value)?))
}

/// `outer * f(inner * x) + shift`, without what changes nothing.
fn around(
    function: Option<&str>,
    (inner, outer, shift): (f32, f32, f32),
    node: &NodeProto,
    scope: &mut Scope,
) -> Option<Vec<NodeProto>> {
    let mut steps: Vec<(&str, &str, Option<f32>)> = Vec::new();
    if inner != 1.0 {
        steps.push(("Mul", "inner", Some(inner)));
    }
    steps.extend(function.map(|function| (function, "function", None)));
    if outer != 1.0 {
        steps.push(("Mul", "outer", Some(outer)));
    }
    if shift != 0.0 || steps.is_empty() {
        steps.push(("Add", "shift", Some(shift)));
    }
    let mut value = node.input.first()?.clone();
    let mut nodes = Vec::new();
    let last = steps.len() - 1;
    for (at, (operator, part, operand)) in steps.into_iter().enumerate() {
        let output = match at == last {
            true => node.output.first()?.clone(),
            false => scope.value(node, &format!("{part}_result")),
        };
        let operand = match operand {
            Some(operand) => Some(number(node, part, operand, scope)?),
            None => None,
        };
        let inputs: Vec<&str> =
            [Some(&value), operand.as_ref()].into_iter().flatten().map(String::as_str).collect();
        nodes.push(scope.helper(operator, &inputs, &output, &[]));
        value = output;
    }
    Some(nodes)
}

fn affine(node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let (alpha, beta) = (float(&node, "alpha").unwrap_or(1.0), float(&node, "beta").unwrap_or(0.0));
    around(None, (1.0, alpha, beta), &node, scope)
}

fn scale(node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    around(None, (1.0, float(&node, "scale").unwrap_or(1.0), 0.0), &node, scope)
}

fn scaled_tanh(node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    around(Some("Tanh"), (float(&node, "beta")?, float(&node, "alpha")?, 0.0), &node, scope)
}

fn parametric_softplus(node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    around(Some("Softplus"), (float(&node, "beta")?, float(&node, "alpha")?, 0.0), &node, scope)
}

/// `x * scale + bias[c]` on `[N, C, H, W]`.
fn image_scaler(node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let bias = attribute(&node, "bias").map(|bias| bias.floats.clone()).filter(|bias| !bias.is_empty())?;
    let x = node.input.first()?.clone();
    if scope.facts.float_type(&x)? != crate::onnx::Dtype::Float {
        return None;
    }
    let factor = number(&node, "scale", float(&node, "scale").unwrap_or(1.0), scope)?;
    let bias = scope.constant(&node, "bias", tensor_f32("", &[bias.len() as i64, 1, 1], &bias));
    let scaled = scope.value(&node, "scaled");
    Some(vec![
        scope.helper("Mul", &[&x, &factor], &scaled, &[]),
        scope.helper("Add", &[&scaled, &bias], node.output.first()?, &[]),
    ])
}

/// `border` is what goes on the left, top, right and bottom; with `scale` the height and width that stay, counted
/// from the top left.
fn crop(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let &[left, top, right, bottom] = ints(&node, "border")? else { return None };
    let until = |border: i64| if border == 0 { i64::MAX } else { -border };
    let ends = match ints(&node, "scale") {
        None | Some([]) => [until(bottom), until(right)],
        Some(&[height, width]) => [top.checked_add(height)?, left.checked_add(width)?],
        Some(_) => return None,
    };
    if [left, top, right, bottom].iter().any(|&border| border < 0) {
        return None;
    }
    node.attribute.clear();
    for (part, values) in [("starts", [top, left]), ("ends", ends), ("axes", [2, 3])] {
        let name = scope.integers(&node, part, &values);
        node.input.push(name);
    }
    node.op_type = Some("Slice".into());
    Some(vec![node])
}

fn dynamic_slice(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    node.op_type = Some("Slice".into());
    Some(vec![node])
}

/// Only where the shape is given with the values.
fn given_tensor(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let shape = ints(&node, "shape").map(<[i64]>::to_vec)?;
    let values = attribute(&node, "values")?.floats.clone();
    let count = shape.iter().try_fold(1i64, |count, &dim| count.checked_mul(dim))?;
    let fits =
        usize::try_from(count).is_ok_and(|count| count == values.len()) && shape.iter().all(|&dim| dim >= 0);
    let plain = node.input.is_empty() && attribute(&node, "extra_shape").is_none();
    if !fits || !plain || int(&node, "input_as_shape").unwrap_or(0) != 0 {
        return None;
    }
    node.op_type = Some("Constant".into());
    node.attribute = vec![attr::tensor("value", tensor_f32("", &shape, &values))];
    Some(vec![node])
}

/// What the mean is taken over beside height and width, a batch of more than one shows; it was never said.
fn mean_variance(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let across = without_attribute(&mut node, "across_channels").is_some_and(|across| across.i() != 0);
    let normal = without_attribute(&mut node, "normalize_variance").is_none_or(|normal| normal.i() != 0);
    let x = node.input.first()?;
    if !normal || scope.facts.dim(x, 0) != Some(1) || scope.facts.rank(x) != Some(4) {
        return None;
    }
    let axes: &[i64] = if across { &[0, 1, 2, 3] } else { &[0, 2, 3] };
    set_attribute(&mut node, attr::ints("axes", axes));
    Some(vec![node])
}

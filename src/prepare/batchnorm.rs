//! Inference BatchNormalization, folded into the layer before it.

use std::collections::HashMap;

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Floats, Index, Model, Scratch, element_count, float, floats, int, is_standard, node_label, tensor,
    tensor_f32, without_attribute,
};
use crate::plan::{Channels as Statistics, Expected};

/// BatchNormalization's `epsilon` where the node gives none.
const EPSILON: f32 = 1e-5;
/// Weights that are folded at a time.
const PIECE: usize = 1 << 18;

/// Before this opset a normalisation trained unless told not to, and Gemm broadcast its bias only where told to.
const OPSET_TEST: i64 = 7;

/// Folds each BatchNormalization with constant parameters into the Conv, ConvTranspose or Gemm
/// whose output it alone reads. Computed in f64, rounded once to f32. The layer's output takes
/// the normalisation's name.
pub(super) fn fold(model: &mut Model, expected: &mut Expected) -> Result<Option<Change>> {
    if model.opset() < OPSET_TEST {
        return Ok(None);
    }
    let mut names = super::names(model.graph());
    let mut count = 0;
    // A second round only where one normalisation followed another.
    loop {
        let index = Index::new(model.graph());
        let mut folds = Vec::new();
        for (at, node) in model.graph().node.iter().enumerate() {
            folds.extend(plan(&index, at, node, &mut names)?);
        }
        if folds.is_empty() {
            break;
        }
        count += folds.len();
        for fold in &folds {
            let output = &model.graph().node[fold.normalisation].output[0];
            expected.insert(output.clone(), fold.channels.clone());
        }
        apply(model, folds);
    }
    Ok(changed("fold-batchnorm", count, || {
        "BatchNormalization nodes folded into the layer before them".into()
    }))
}

/// One fold, decided and computed, not yet applied.
struct Fold {
    layer: usize,
    normalisation: usize,
    weight: TensorProto,
    bias: TensorProto,
    channels: Statistics,
}

/// What multiplies and what is added, by output channel.
struct Affine {
    factor: Vec<f64>,
    mean: Vec<f64>,
    shift: Vec<f64>,
    /// Of what went in, as it was when the network was trained.
    variance: Vec<f64>,
}

fn plan(index: &Index, at: usize, node: &NodeProto, names: &mut Names) -> Result<Option<Fold>> {
    let Some((layer, weight)) = foldable(index, node) else { return Ok(None) };
    let producer = &index.graph().node[layer];
    let Some(channel) = channels(producer, weight)? else { return Ok(None) };
    let Some(affine) = affine(index, node, channel.count)? else { return Ok(None) };
    let Some(old) = old_bias(index, producer, channel.count)? else { return Ok(None) };

    let values = Floats::of(weight)?;
    let (mut scaled, mut written, mut finite) = (Scratch::new(), Ok(()), true);
    values.pieces(PIECE, |start, values| {
        let scale =
            |(at, &value): (usize, &f32)| (f64::from(value) * affine.factor[(channel.of)(start + at)]) as f32;
        let values: Vec<f32> = values.iter().enumerate().map(scale).collect();
        finite &= values.iter().all(|value| value.is_finite());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        written = scaled.push(&bytes);
        (finite && written.is_ok()).then_some(())
    });
    written?;
    let bias: Vec<f32> = (0..channel.count)
        .map(|at| ((old[at] - affine.mean[at]) * affine.factor[at] + affine.shift[at]) as f32)
        .collect();
    if !finite || !bias.iter().all(|value| value.is_finite()) {
        return Ok(None);
    }
    let label = node_label(producer);
    let mut owned = |name: Option<&str>, missing: &str| match name {
        Some(name)
            if index.consumers(name).len() == 1 && !index.is_captured(name) && !index.is_output(name) =>
        {
            name.to_owned()
        }
        Some(name) => names.fresh(format!("{name}_folded")),
        None => names.fresh(format!("{label}_{missing}")),
    };
    let bias_name = producer.input.get(2).map(String::as_str).filter(|name| !name.is_empty());
    let weight = tensor(owned(Some(weight.name()), "weight"), Dtype::Float, &weight.dims, scaled.finish()?);
    let bias = tensor_f32(owned(bias_name, "bias"), &[channel.count as i64], &bias);
    let variance =
        affine.factor.iter().zip(&affine.variance).map(|(factor, old)| factor * factor * old).collect();
    let channels = Statistics { mean: affine.shift, variance };
    Ok(Some(Fold { layer, normalisation: at, weight, bias, channels }))
}

/// The layer that `node` normalises, and its weight, where nothing else sees the layer's output.
fn foldable<'g>(index: &Index<'g>, node: &NodeProto) -> Option<(usize, &'g TensorProto)> {
    let normalises = node.op_type() == "BatchNormalization"
        && is_standard(node.domain())
        && int(node, "training_mode").unwrap_or(0) == 0
        && int(node, "spatial").unwrap_or(1) == 1
        && node.output.iter().skip(1).all(String::is_empty);
    let value = node.input.first().filter(|_| normalises)?;
    node.output.first().filter(|output| !output.is_empty())?;
    if index.consumers(value).len() != 1 || index.is_captured(value) || index.is_output(value) {
        return None;
    }
    let at = index.producer_at(value)?;
    let layer = &index.graph().node[at];
    let known = matches!(layer.op_type(), "Conv" | "ConvTranspose" | "Gemm") && is_standard(layer.domain());
    let weight = layer.input.get(1).filter(|_| known)?;
    Some((at, float_constant(index, weight)?))
}

fn float_constant<'g>(index: &Index<'g>, name: &str) -> Option<&'g TensorProto> {
    index.constant(name).filter(|tensor| tensor.data_type() == Dtype::Float as i32)
}

/// Which output channel each element of a weight belongs to.
struct Channels {
    count: usize,
    of: Box<dyn Fn(usize) -> usize>,
}

fn channels(layer: &NodeProto, weight: &TensorProto) -> Result<Option<Channels>> {
    if element_count(weight)? == 0 {
        return Ok(None);
    }
    let dims: Vec<usize> = weight.dims.iter().map(|&dim| dim as usize).collect();
    let inner = dims.iter().skip(2).product::<usize>();
    let (Some(&first), Some(&second)) = (dims.first(), dims.get(1)) else { return Ok(None) };
    let channels = match layer.op_type() {
        "Conv" => Channels { count: first, of: Box::new(move |at| at / (second * inner)) },
        // Weight [in, out/group, kernel]: a group's inputs lie together, and make its outputs only.
        "ConvTranspose" => {
            let Ok(groups) = usize::try_from(int(layer, "group").unwrap_or(1)) else { return Ok(None) };
            if groups == 0 || first % groups != 0 {
                return Ok(None);
            }
            let inputs = first / groups;
            let of = move |at: usize| {
                let (input, output) = (at / (second * inner), at / inner % second);
                input / inputs * second + output
            };
            let Some(count) = second.checked_mul(groups) else { return Ok(None) };
            Channels { count, of: Box::new(of) }
        }
        _ if dims.len() != 2 => return Ok(None),
        _ if int(layer, "transB").unwrap_or(0) != 0 => {
            Channels { count: first, of: Box::new(move |at| at / second) }
        }
        _ => Channels { count: second, of: Box::new(move |at| at % second) },
    };
    Ok(Some(channels))
}

fn affine(index: &Index, node: &NodeProto, count: usize) -> Result<Option<Affine>> {
    let mut parameters = Vec::new();
    for name in node.input.iter().skip(1) {
        let Some(tensor) = float_constant(index, name) else { return Ok(None) };
        let values: Vec<f64> = floats(tensor)?.into_iter().map(f64::from).collect();
        if values.len() != count {
            return Ok(None);
        }
        parameters.push(values);
    }
    let Ok([scale, shift, mean, variance]) = <[Vec<f64>; 4]>::try_from(parameters) else { return Ok(None) };
    let epsilon = f64::from(float(node, "epsilon").unwrap_or(EPSILON));
    let factor = scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt());
    let factor = factor.collect();
    Ok(Some(Affine { factor, mean, variance, shift }))
}

/// The bias that the layer adds to each channel; `None` where it is not one number a channel.
fn old_bias(index: &Index, layer: &NodeProto, count: usize) -> Result<Option<Vec<f64>>> {
    let Some(name) = layer.input.get(2).filter(|name| !name.is_empty()) else {
        return Ok(Some(vec![0.0; count]));
    };
    let Some(tensor) = float_constant(index, name) else { return Ok(None) };
    let beta = match layer.op_type() {
        "Gemm" => f64::from(float(layer, "beta").unwrap_or(1.0)),
        _ => 1.0,
    };
    let values = floats(tensor)?;
    let by_channel = match tensor.dims.as_slice() {
        [] | [_] => true,
        [rows, _] => *rows == 1 && layer.op_type() == "Gemm",
        _ => false,
    };
    let mut scaled = values.iter().map(|&value| f64::from(value) * beta);
    Ok(match (by_channel, values.len()) {
        (true, length) if length == count => Some(scaled.collect()),
        (true, 1) if layer.op_type() == "Gemm" => scaled.next().map(|value| vec![value; count]),
        _ => None,
    })
}

fn apply(model: &mut Model, folds: Vec<Fold>) {
    let graph = model.graph_mut();
    let mut tensors: HashMap<String, TensorProto> = HashMap::new();
    let mut gone = Vec::new();
    for fold in folds {
        let output = graph.node[fold.normalisation].output[0].clone();
        let layer = &mut graph.node[fold.layer];
        layer.input.resize(3, String::new());
        layer.input[1] = fold.weight.name().to_owned();
        layer.input[2] = fold.bias.name().to_owned();
        layer.output[0] = output;
        without_attribute(layer, "beta");
        gone.push(fold.normalisation);
        // Its shape may have been `[1, M]`.
        graph.value_info.retain(|value| value.name() != fold.bias.name());
        for tensor in [fold.weight, fold.bias] {
            tensors.insert(tensor.name().to_owned(), tensor);
        }
    }
    for tensor in &mut graph.initializer {
        if let Some(new) = tensors.remove(tensor.name()) {
            *tensor = new;
        }
    }
    let mut new: Vec<TensorProto> = tensors.into_values().collect();
    new.sort_by(|a, b| a.name().cmp(b.name()));
    graph.initializer.extend(new);
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        gone.binary_search(&(at - 1)).is_err()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::GraphBuilder;

    fn normalise(graph: &mut GraphBuilder, value: &str, count: usize, variance: f32) -> String {
        let tensors =
            [("scale", 2.0), ("shift", 1.0), ("mean", 3.0), ("variance", variance)].map(|(name, of)| {
                graph.initializer(tensor_f32(format!("{value}_{name}"), &[count as i64], &vec![of; count]))
            });
        let [scale, shift, mean, variance] = &tensors;
        let epsilon = [attr::float("epsilon", 0.0)];
        graph.node("BatchNormalization", &[value, scale, shift, mean, variance], &epsilon)
    }

    fn found(model: &Model, name: &str) -> Vec<f32> {
        let tensor = model.graph().initializer.iter().find(|tensor| tensor.name() == name);
        floats(tensor.unwrap()).unwrap()
    }

    #[test]
    fn a_shared_weight_is_copied_and_a_missing_bias_made() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 1, 4, 4]);
        let w = graph.initializer(tensor_f32("w", &[2, 1, 1, 1], &[1.0, 2.0]));
        let first = graph.node("Conv", &[&x, &w], &[]);
        let plain = graph.node("Conv", &[&x, &w], &[]);
        let y = normalise(&mut graph, &first, 2, 4.0);
        graph.output(&y);
        graph.output(&plain);
        let mut model = graph.model();
        assert_eq!(fold(&mut model, &mut Expected::new()).unwrap().unwrap().count, 1);
        let conv = &model.graph().node[0];
        assert_eq!(conv.output, [y]);
        assert_eq!(conv.input, ["x", "w_folded", "conv_0_node_bias"]);
        // y = (w x - 3) * 2 / sqrt(4) + 1
        assert_eq!(found(&model, "w_folded"), [1.0, 2.0]);
        assert_eq!(found(&model, "w"), [1.0, 2.0]);
        assert_eq!(found(&model, "conv_0_node_bias"), [-2.0, -2.0]);
    }

    #[test]
    fn gemm_beta_scales_the_old_bias_only() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 1]);
        let w = graph.initializer(tensor_f32("w", &[1, 2], &[1.0, 2.0]));
        let b = graph.initializer(tensor_f32("b", &[1, 2], &[4.0, 8.0]));
        let gemm = graph.node("Gemm", &[&x, &w, &b], &[attr::float("beta", 0.5)]);
        let y = normalise(&mut graph, &gemm, 2, 1.0);
        graph.output(&y);
        let mut model = graph.model();
        fold(&mut model, &mut Expected::new()).unwrap();
        // (0.5 b - 3) * 2 + 1
        assert_eq!(found(&model, "b"), [-1.0, 3.0]);
        assert_eq!(found(&model, "w"), [2.0, 4.0]);
        assert_eq!(float(&model.graph().node[0], "beta"), None);
    }

    #[test]
    fn what_others_see_or_would_not_be_finite_is_left() {
        for (variance, returned) in [(1.0, true), (-1.0, false), (0.0, false)] {
            let mut graph = GraphBuilder::new(21);
            let x = graph.input("x", &[1, 1, 4, 4]);
            let w = graph.weights("w", &[2, 1, 1, 1]);
            let conv = graph.node("Conv", &[&x, &w], &[]);
            let y = normalise(&mut graph, &conv, 2, variance);
            graph.output(&y);
            if returned {
                graph.output(&conv);
            }
            assert_eq!(fold(&mut graph.model(), &mut Expected::new()).unwrap(), None);
        }
    }

    #[test]
    fn two_in_a_row_both_fold() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 1, 4, 4]);
        let w = graph.weights("w", &[2, 1, 1, 1]);
        let conv = graph.node("Conv", &[&x, &w], &[]);
        let once = normalise(&mut graph, &conv, 2, 1.0);
        let twice = normalise(&mut graph, &once, 2, 1.0);
        graph.output(&twice);
        let mut model = graph.model();
        assert_eq!(fold(&mut model, &mut Expected::new()).unwrap().unwrap().count, 2);
        assert_eq!(model.graph().node.len(), 1);
    }

    #[test]
    fn transposed_convolution_channels_are_grouped() {
        let layer = crate::onnx::build::node("ConvTranspose", "", &[], &[], &[attr::int("group", 2)]);
        let weight = tensor_f32("w", &[4, 3, 1, 2], &[0.0; 24]);
        let channels = channels(&layer, &weight).unwrap().unwrap();
        assert_eq!(channels.count, 6);
        let of: Vec<usize> = (0..24).step_by(2).map(|at| (channels.of)(at)).collect();
        assert_eq!(of, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
    }
}

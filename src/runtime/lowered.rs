//! Operators of onnxruntime as the standard ones that they are made of, so that tract computes them as fast as those. What they
//! give keeps its name.

use std::borrow::Cow;

use super::widened::widened;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::onnx::{
    CONTRIB, Index, MatMulNBits, Model, Names, attr, bodies, bodies_mut, is_standard, node_label, string,
    tensor_f32,
};

/// The opset from which Clip has its bounds as inputs.
const OPSET_BOUNDS: i64 = 11;

/// The activations that FusedConv may have, with the names of their parameters.
const OF_CONV: &[(&str, &[&str])] = &[
    ("Relu", &[]),
    ("Tanh", &[]),
    ("Sigmoid", &[]),
    ("LeakyRelu", &["alpha"]),
    ("Clip", &["min", "max"]),
    ("HardSigmoid", &["alpha", "beta"]),
];

/// The activations that FusedGemm may have.
const OF_GEMM: &[&str] = &[
    "Celu",
    "Elu",
    "HardSigmoid",
    "LeakyRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThresholdedRelu",
];

/// What FusedGemm puts in front of the names of its activation's parameters.
const PARAMETER: &str = "activation_";

/// Whether `node` is an operator that is always lowered.
pub(super) fn is_lowered(node: &NodeProto) -> bool {
    let is_known = node.domain() == CONTRIB || is_standard(node.domain());
    is_known && matches!(node.op_type(), "FusedConv" | "FusedGemm" | "NhwcConv" | "NhwcFusedConv")
}

/// Why `node`, which is such an operator, cannot be lowered.
pub(super) fn problem(node: &NodeProto) -> Option<String> {
    let name = string(node, "activation").filter(|name| !name.is_empty())?;
    let is_known = match node.op_type() {
        "FusedGemm" => OF_GEMM.contains(&name),
        _ => OF_CONV.iter().any(|(known, _)| *known == name),
    };
    (!is_known).then(|| format!("activation {name} is not known"))
}

/// `model` with half precision widened and without such operators.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a constant's data does not fit its dimensions.
pub(super) fn lowered(model: &Model) -> Result<Cow<'_, Model>> {
    let wide = widened(model)?;
    if !mentions(wide.graph()) {
        return Ok(wide);
    }
    let mut low = wide.into_owned();
    let (opset, mut names) = (low.opset(), Names::of(low.graph(), 1));
    graph(low.graph_mut(), opset, &mut names)?;
    Ok(Cow::Owned(low))
}

fn mentions(graph: &GraphProto) -> bool {
    graph
        .node
        .iter()
        .any(|node| is_lowered(node) || node.op_type() == "MatMulNBits" || bodies(node).any(mentions))
}

fn graph(graph: &mut GraphProto, opset: i64, names: &mut Names) -> Result<()> {
    let index = Index::new(graph);
    let mut made = Vec::with_capacity(graph.node.len());
    let mut values = Vec::new();
    for old in &graph.node {
        let mut lower = Lower { old, opset, names, nodes: Vec::new(), values: &mut values };
        if let Some(weights) = MatMulNBits::of(old, &index)? {
            lower.product(&weights);
        } else if is_lowered(old) {
            lower.fused(&index);
        } else {
            made.push(old.clone());
            continue;
        }
        made.append(&mut lower.nodes);
    }
    graph.node = made;
    graph.initializer.extend(values);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(|body| self::graph(body, opset, names))
}

/// One node on its way.
struct Lower<'l> {
    old: &'l NodeProto,
    opset: i64,
    names: &'l mut Names,
    nodes: Vec<NodeProto>,
    values: &'l mut Vec<TensorProto>,
}

impl Lower<'_> {
    fn given(&self, slot: usize) -> Option<String> {
        self.old.input.get(slot).filter(|name| !name.is_empty()).cloned()
    }

    /// Adds a step, whose output has a new name.
    fn step(&mut self, operator: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        let output = self.names.fresh(format!("{}_{operator}", node_label(self.old)));
        self.nodes.push(node(operator, &output, inputs, &[&output], attributes));
        output
    }

    /// Has the last step make what the node made.
    fn end(&mut self) {
        if let (Some(last), Some(output)) = (self.nodes.last_mut(), self.old.output.first()) {
            last.output = vec![output.clone()];
        }
    }

    fn constant(&mut self, part: &str, dims: &[i64], floats: &[f32]) -> String {
        let name = self.names.fresh(format!("{}_{part}", node_label(self.old)));
        self.values.push(tensor_f32(&name, dims, floats));
        name
    }

    /// MatMulNBits of constants: a product with float weights, and the addition of its bias.
    fn product(&mut self, weights: &MatMulNBits<'_>) {
        let mut values = vec![0.0; weights.len()];
        weights.read(false, 0, &mut values);
        let right = self.constant("weights", &[weights.depth as i64, weights.rows as i64], &values);
        let left = self.given(0).unwrap_or_default();
        let product = self.step("MatMul", &[&left, &right], &[]);
        if let Some(bias) = self.given(5) {
            self.step("Add", &[&product, &bias], &[]);
        }
        self.end();
    }

    /// A convolution or Gemm, with what is added to it and its activation.
    fn fused(&mut self, index: &Index<'_>) {
        let old = self.old;
        let is_gemm = old.op_type() == "FusedGemm";
        let (own, rest): (Vec<_>, Vec<_>) =
            old.attribute.iter().cloned().partition(|attribute| !attribute.name().starts_with("activation"));
        let mut inputs: Vec<String> = old.input.iter().take(3).cloned().collect();
        // tract takes no input that is left out at the end.
        inputs.truncate(inputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
        let turns = old.op_type().starts_with("Nhwc").then(|| self.turns(index)).flatten();
        if let Some((first, _)) = &turns {
            inputs[0] = self.step("Transpose", &[&inputs[0].clone()], &[attr::ints("perm", first)]);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut value = self.step(if is_gemm { "Gemm" } else { "Conv" }, &inputs, &own);
        if let Some((_, last)) = &turns {
            value = self.step("Transpose", &[&value], &[attr::ints("perm", last)]);
        }
        if let Some(sum) = self.given(3).filter(|_| !is_gemm) {
            value = self.step("Add", &[&value, &sum], &[]);
        }
        if let Some(activation) = string(old, "activation").filter(|name| !name.is_empty()) {
            match is_gemm {
                true => {
                    let parameters = rest.into_iter().filter_map(|mut attribute| {
                        attribute.name = Some(attribute.name().strip_prefix(PARAMETER)?.to_owned());
                        Some(attribute)
                    });
                    let parameters: Vec<AttributeProto> = parameters.collect();
                    self.step(activation, &[&value], &parameters);
                }
                false => self.activation(activation, &value),
            }
        }
        self.end();
    }

    /// The order of axes with channels behind the batch, and back.
    fn turns(&self, index: &Index<'_>) -> Option<(Vec<i64>, Vec<i64>)> {
        let kernel = crate::onnx::ints(self.old, "kernel_shape").map(<[i64]>::len);
        let weights = || Some(index.constant(self.old.input.get(1)?)?.dims.len().saturating_sub(2));
        let spatial = kernel.or_else(weights)? as i64;
        let first = [0, spatial + 1].into_iter().chain(1..=spatial).collect();
        Some((first, std::iter::once(0).chain(2..spatial + 2).chain([1]).collect()))
    }

    fn activation(&mut self, name: &str, value: &str) {
        let old = self.old;
        let given = old.attribute.iter().find(|attribute| attribute.name() == "activation_params");
        let given = given.map_or(&[][..], |attribute| &attribute.floats);
        let names = OF_CONV.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, names)| names);
        if name == "Clip" && self.opset >= OPSET_BOUNDS {
            let bounds: Vec<String> =
                names.iter().zip(given).map(|(name, &bound)| self.constant(name, &[], &[bound])).collect();
            let inputs: Vec<&str> = std::iter::once(value).chain(bounds.iter().map(String::as_str)).collect();
            self.step(name, &inputs, &[]);
            return;
        }
        let parameters: Vec<AttributeProto> =
            names.iter().zip(given).map(|(name, &value)| attr::float(name, value)).collect();
        self.step(name, &[value], &parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::proto::TensorProto;
    use crate::runtime::{Session, faults};

    fn run(model: &Model, tap: &str, fed: TensorProto) -> (Vec<f32>, Vec<f32>) {
        assert_eq!(faults(model), []);
        let session = Session::new(model, "float", &[tap.to_owned()]).unwrap();
        let mut tapped = Vec::new();
        let made = session.run_tapped(&[fed], &mut |_, _, values| tapped = values.to_vec()).unwrap();
        (made[0].values.clone(), tapped)
    }

    /// onnxruntime has no kernel for CPUs to compare with.
    #[test]
    fn channels_behind_the_places_give_what_channels_before_them_give() {
        let fused = |operator: &str, x: &[i64], attributes: &[AttributeProto]| {
            let mut graph = GraphBuilder::new(21);
            let x = graph.input("x", x);
            let w = graph.weights("w", &[3, 2, 2, 2]);
            let own = node(operator, "n", &[&x, &w], &["y"], attributes);
            graph.push(NodeProto { domain: Some(CONTRIB.into()), ..own });
            let z = graph.node("Identity", &["y"], &[]);
            graph.output(&z);
            graph.model()
        };
        let activation = [attr::string("activation", "LeakyRelu"), attr::floats("activation_params", &[0.5])];
        let values: Vec<f32> = (0..18).map(|at| (at * 7 % 11) as f32 - 5.0).collect();
        let turned: Vec<f32> = (0..9).flat_map(|place| [values[place], values[9 + place]]).collect();
        let model = fused("FusedConv", &[1, 2, 3, 3], &activation);
        let (before, tapped) = run(&model, "y", tensor_f32("x", &[1, 2, 3, 3], &values));
        assert_eq!(before, tapped);
        assert!(before.iter().any(|&value| value < 0.0));
        let model = fused("NhwcFusedConv", &[1, 3, 3, 2], &activation);
        let (behind, _) = run(&model, "y", tensor_f32("x", &[1, 3, 3, 2], &turned));
        let expected: Vec<f32> =
            (0..4).flat_map(|place| [0, 4, 8].map(|channel| before[channel + place])).collect();
        assert_eq!(behind, expected);
    }
}

//! Every float constant that no rule took, with its reason.

use std::collections::BTreeSet;

use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Dtype, Index, Model, bodies, element_count, operator_label};
use crate::plan::{Keep, Skip, WeightSite};

/// Operators that hold weights for which there is no rule.
const WEIGHTY: &[&str] =
    &["LSTM", "GRU", "RNN", "Gather", "Einsum", "MatMulInteger", "ConvInteger", "DeformConv"];

/// The initializer `name`, left for `reason`.
pub(super) fn skip(index: &Index, name: &str, operator: &str, reason: Keep) -> Skip {
    let tensor = index.initializer(name);
    Skip {
        name: name.to_owned(),
        operator: operator.to_owned(),
        dims: tensor.map(|tensor| tensor.dims.clone()).unwrap_or_default(),
        bytes: tensor.map_or(0, bytes),
        reason,
    }
}

/// Adds whatever float constants are in neither `sites` nor `skips`, and sorts `skips`.
pub(super) fn collect(model: &Model, index: &Index, sites: &[WeightSite], skips: &mut Vec<Skip>) {
    let settled: BTreeSet<String> = sites
        .iter()
        .map(|site| site.tensor.clone())
        .chain(skips.iter().map(|skip| skip.name.clone()))
        .collect();
    let biases: BTreeSet<&str> = sites
        .iter()
        .flat_map(|site| &site.biases)
        .flatten()
        .filter_map(|(_, name)| name.as_deref())
        .collect();
    for tensor in
        model.graph().initializer.iter().filter(|tensor| is_float(tensor) && !settled.contains(tensor.name()))
    {
        let name = tensor.name();
        let reader = index.consumers(name).first().map(|&(at, slot)| (&index.graph().node[at], slot));
        let (operator, reason) = match reader {
            _ if biases.contains(name) => (reader.map(|(node, _)| operator_label(node)), Keep::Bias),
            None if index.is_captured(name) => (None, Keep::Place("read inside a subgraph".into())),
            None => (None, Keep::NotAFactor),
            Some((node, slot)) => {
                let bias = slot == 2 && matches!(node.op_type(), "Conv" | "ConvTranspose" | "Gemm");
                let weighty = WEIGHTY.contains(&node.op_type()) && tensor.dims.len() > 1;
                let reason = match (bias, weighty) {
                    (true, _) => Keep::Bias,
                    (_, true) => Keep::NoRule,
                    _ => Keep::NotAFactor,
                };
                (Some(operator_label(node)), reason)
            }
        };
        skips.push(skip(index, name, &operator.unwrap_or_default(), reason));
    }
    model.graph().node.iter().flat_map(bodies).for_each(|body| inside(body, skips));
    skips.sort_by(|one, other| (&one.name, &one.operator).cmp(&(&other.name, &other.operator)));
    skips.dedup();
}

fn inside(graph: &GraphProto, skips: &mut Vec<Skip>) {
    for tensor in graph.initializer.iter().filter(|tensor| is_float(tensor)) {
        skips.push(Skip {
            name: tensor.name().to_owned(),
            operator: String::new(),
            dims: tensor.dims.clone(),
            bytes: bytes(tensor),
            reason: Keep::Place("inside a subgraph".into()),
        });
    }
    graph.node.iter().flat_map(bodies).for_each(|body| inside(body, skips));
}

fn is_float(tensor: &TensorProto) -> bool {
    let floats = [Dtype::Float, Dtype::Double, Dtype::Float16, Dtype::Bfloat16];
    floats.iter().any(|&dtype| tensor.data_type() == dtype as i32)
}

fn bytes(tensor: &TensorProto) -> u64 {
    let size = match Dtype::try_from(tensor.data_type()) {
        Ok(Dtype::Double) => 8,
        Ok(Dtype::Float16 | Dtype::Bfloat16) => 2,
        _ => 4,
    };
    element_count(tensor).map_or(0, |count| count as u64 * size)
}

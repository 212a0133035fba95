//! Any ONNX model, ours or not, held against a target: what that will not take, node by node.
//!
//! The records in `options/targets` say what is taken; here a graph is read for what it has.

mod codes;
mod constant;
mod domains;
mod folded;
mod outputs;
mod saturation;
mod unpacked;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use folded::{FoldedBack, folded_back};

use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Decoded, Index, Model, bodies, breaches, is_linear, node_label, operator_label};
use crate::options::{Placement, Target};
use crate::plan::Finding;
use crate::runtime::faults;

/// What breaks the definitions of operators in `model` and what `target` objects to, each in graph order, and how many quantized tensors were looked at.
pub fn check(model: &Model, target: &Target) -> (Vec<Finding>, usize) {
    let mut seen =
        Seen { target, opset: model.opset(), findings: Vec::new(), noted: HashSet::new(), quantized: 0 };
    // First and always: no target makes up for what the file itself breaks.
    for breach in breaches(model) {
        let (node, operator, tensor, problem) = (breach.node, breach.operator, breach.tensor, breach.problem);
        seen.add(Finding { node, operator, tensor, problem, refused: true, saturates: false });
    }
    domains::whole(model, &mut seen);
    let functions: Vec<(&str, &str)> =
        model.proto.functions.iter().map(|function| (function.domain(), function.name())).collect();
    graph(model.graph(), &functions, &mut seen);
    for function in &model.proto.functions {
        let body = GraphProto { node: function.node.clone(), ..GraphProto::default() };
        graph(&body, &functions, &mut seen);
    }
    if let Some(FoldedBack { problem, all }) = folded_back(model, seen.quantized) {
        let [node, operator, tensor] = [(); 3].map(|()| String::new());
        seen.add(Finding { node, operator, tensor, problem, refused: all, saturates: false });
    }
    if target.own_runtime {
        let known: Vec<String> = seen.findings.iter().map(|finding| finding.node.clone()).collect();
        for fault in faults(model).into_iter().filter(|fault| !known.contains(&fault.node)) {
            seen.findings.push(Finding {
                node: fault.node,
                operator: String::new(),
                tensor: String::new(),
                problem: fault.problem,
                refused: true,
                saturates: false,
            });
        }
    }
    (seen.findings, seen.quantized)
}

/// What was found so far.
struct Seen<'t> {
    target: &'t Target,
    opset: i64,
    findings: Vec<Finding>,
    /// Nodes, tensors and problems that are noted already.
    noted: HashSet<(String, String, String)>,
    quantized: usize,
}

impl Seen<'_> {
    /// Notes that the target does not take `tensor` at `node`.
    fn refuse(&mut self, node: &NodeProto, tensor: &str, problem: impl Into<String>) {
        self.note(node, tensor, problem.into(), true);
    }

    /// Notes that sums of products with `tensor` may saturate at `node`.
    fn saturates(&mut self, node: &NodeProto, tensor: &str, problem: String) {
        self.add(Finding { saturates: true, ..finding(node, tensor, problem, false) });
    }

    fn note(&mut self, node: &NodeProto, tensor: &str, problem: String, refused: bool) {
        self.add(finding(node, tensor, problem, refused));
    }

    fn add(&mut self, finding: Finding) {
        let key = (finding.node.clone(), finding.tensor.clone(), finding.problem.clone());
        if self.noted.insert(key) {
            self.findings.push(finding);
        }
    }
}

fn finding(node: &NodeProto, tensor: &str, problem: String, refused: bool) -> Finding {
    Finding {
        node: node_label(node).to_owned(),
        operator: operator_label(node),
        tensor: tensor.to_owned(),
        problem,
        refused,
        saturates: false,
    }
}

fn graph(graph: &GraphProto, functions: &[(&str, &str)], seen: &mut Seen) {
    let index = Index::new(graph);
    let decoded = Decoded::of(&index);
    for (at, node) in graph.node.iter().enumerate() {
        domains::node(node, functions, seen);
        if is_linear(node, "DequantizeLinear") {
            constant::dequantized(node, decoded.end(at), (&index, &decoded), seen);
        } else if let Some(found) = decoded.end(at) {
            unpacked::floats(node, found, &index, seen);
        } else if is_linear(node, "QuantizeLinear") && !decoded.is_over(at) {
            constant::rounded(node, &index, seen);
        }
        if seen.target.usual.placement >= Placement::Outputs {
            outputs::layer(node, &index, seen);
        }
        for body in bodies(node) {
            self::graph(body, functions, seen);
        }
    }
}

/// Whether targets say what weights an operator may have.
fn is_layer(operator: &str) -> bool {
    crate::options::GENERIC.forms.iter().any(|form| form.operators.contains(&operator))
}

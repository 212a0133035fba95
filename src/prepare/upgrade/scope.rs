//! What a conversion sees of the graph around its node, and the shorthands it is written with.

use std::collections::HashSet;

use super::facts::Facts;
use crate::onnx::Names;
use crate::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::onnx::{Dtype, Index, build, node_label, tensor, tensor_f32, tensor_i64};

/// The surroundings of a node while its graph is upgraded.
pub(super) struct Scope<'o, 'n> {
    pub facts: Facts<'o>,
    pub names: &'n mut Names,
    /// Initializers to be given to the graph.
    pub added: Vec<TensorProto>,
    read: HashSet<String>,
}

impl<'o, 'n> Scope<'o, 'n> {
    pub fn new(facts: Facts<'o>, names: &'n mut Names, graph: &GraphProto) -> Self {
        let index = Index::new(graph);
        let made = graph.node.iter().flat_map(|node| &node.output);
        let read = made.filter(|value| !index.is_dead(value)).cloned().collect();
        Self { facts, names, added: Vec::new(), read }
    }

    /// Whether anything reads a value made in this graph.
    pub fn is_read(&self, value: &str) -> bool {
        self.read.contains(value)
    }

    /// A new initializer for `node`, named after its output and the part it plays.
    pub fn constant(&mut self, node: &NodeProto, part: &str, mut tensor: TensorProto) -> String {
        let name = self.value(node, part);
        tensor.name = Some(name.clone());
        self.facts.learn(&tensor);
        self.added.push(tensor);
        name
    }

    /// The same, of integers in one dimension.
    pub fn integers(&mut self, node: &NodeProto, part: &str, values: &[i64]) -> String {
        self.constant(node, part, tensor_i64("", &[values.len() as i64], values))
    }

    /// The same, of floats in one dimension.
    pub fn floats(&mut self, node: &NodeProto, part: &str, values: &[f32]) -> String {
        self.constant(node, part, tensor_f32("", &[values.len() as i64], values))
    }

    /// A name for a new value of `node`'s.
    pub fn value(&mut self, node: &NodeProto, part: &str) -> String {
        let base = node.output.first().filter(|output| !output.is_empty());
        let base = base.map_or_else(|| node_label(node), String::as_str);
        self.names.fresh(format!("{base}_{part}"))
    }

    /// A new node with one output, named after that.
    pub fn helper(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) -> NodeProto {
        let name = self.names.fresh(format!("{output}_node"));
        build::node(operator, &name, inputs, &[output], attributes)
    }
}

/// Puts `name` into input slot `at`, with empty slots before it where needed.
pub(super) fn set_input(node: &mut NodeProto, at: usize, name: String) {
    if node.input.len() <= at {
        node.input.resize(at + 1, String::new());
    }
    node.input[at] = name;
}

/// Input slot `at`, unless it is left out.
pub(super) fn input(node: &NodeProto, at: usize) -> Option<&str> {
    node.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
}

/// Whether any output but the first is asked for.
pub(super) fn has_more_outputs(node: &NodeProto) -> bool {
    node.output.iter().skip(1).any(|output| !output.is_empty())
}

/// One number of a float type.
pub(super) fn scalar(dtype: Dtype, value: f32) -> Option<TensorProto> {
    Some(match dtype {
        Dtype::Float => tensor_f32("", &[], &[value]),
        Dtype::Double => tensor("", dtype, &[], f64::from(value).to_le_bytes().to_vec()),
        Dtype::Float16 => tensor("", dtype, &[], half::f16::from_f32(value).to_le_bytes().to_vec()),
        _ => return None,
    })
}

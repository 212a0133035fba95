//! Look-ups derived from a graph. Rebuilt after a change, never maintained.

use std::collections::{HashMap, HashSet};

use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::subgraphs::outer_names;

/// Who makes and who reads each value of one graph.
#[derive(Debug)]
pub struct Index<'g> {
    graph: &'g GraphProto,
    producers: HashMap<&'g str, usize>,
    consumers: HashMap<&'g str, Vec<(usize, usize)>>,
    captured: HashMap<&'g str, Vec<usize>>,
    initializers: HashMap<&'g str, usize>,
    inputs: HashSet<&'g str>,
    outputs: HashSet<&'g str>,
    infos: HashMap<&'g str, &'g ValueInfoProto>,
}

impl<'g> Index<'g> {
    /// Reads `graph` once; linear in its size.
    pub fn new(graph: &'g GraphProto) -> Self {
        let mut index = Self {
            graph,
            producers: HashMap::new(),
            consumers: HashMap::new(),
            captured: HashMap::new(),
            initializers: HashMap::new(),
            inputs: graph.input.iter().map(|value| value.name()).collect(),
            outputs: graph.output.iter().map(|value| value.name()).collect(),
            infos: HashMap::new(),
        };
        for (at, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                index.producers.insert(output, at);
            }
            for (slot, input) in node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                index.consumers.entry(input).or_default().push((at, slot));
            }
            for name in outer_names(node) {
                index.captured.entry(name).or_default().push(at);
            }
        }
        for (at, tensor) in graph.initializer.iter().enumerate() {
            index.initializers.insert(tensor.name(), at);
        }
        let infos = graph.value_info.iter().chain(&graph.input).chain(&graph.output);
        index.infos.extend(infos.map(|value| (value.name(), value)));
        index
    }

    /// The graph this was made from.
    pub fn graph(&self) -> &'g GraphProto {
        self.graph
    }

    /// The node that makes `value`.
    pub fn producer(&self, value: &str) -> Option<&'g NodeProto> {
        self.producers.get(value).map(|&at| &self.graph.node[at])
    }

    /// The position of the node that makes `value`.
    pub fn producer_at(&self, value: &str) -> Option<usize> {
        self.producers.get(value).copied()
    }

    /// The reads of `value` as (node position, input slot), in graph order. Reads from inside
    /// subgraphs are not among them: see [`Index::is_captured`].
    pub fn consumers(&self, value: &str) -> &[(usize, usize)] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }

    /// Whether a subgraph reads `value` from this graph.
    pub fn is_captured(&self, value: &str) -> bool {
        self.captured.contains_key(value)
    }

    /// The initializer called `value`.
    pub fn initializer(&self, value: &str) -> Option<&'g TensorProto> {
        self.initializers.get(value).map(|&at| &self.graph.initializer[at])
    }

    /// The initializer, only if no caller can replace it: one that is also a graph input is a
    /// default, not a constant.
    pub fn constant(&self, value: &str) -> Option<&'g TensorProto> {
        self.initializer(value).filter(|_| !self.inputs.contains(value))
    }

    /// Whether `value` is an input of the graph.
    pub fn is_input(&self, value: &str) -> bool {
        self.inputs.contains(value)
    }

    /// Whether `value` is an output of the graph.
    pub fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    /// Whether nothing reads `value`: no node, no subgraph, no graph output.
    pub fn is_dead(&self, value: &str) -> bool {
        self.consumers(value).is_empty() && !self.is_captured(value) && !self.is_output(value)
    }

    /// What the graph declares of `value`'s type.
    pub fn info(&self, value: &str) -> Option<&'g ValueInfoProto> {
        self.infos.get(value).copied()
    }
}

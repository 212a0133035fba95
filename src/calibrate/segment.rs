//! A part of the graph as a model of its own.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::error::Result;
use crate::onnx::build::value;
use crate::onnx::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use crate::onnx::{Dtype, Index, Model, outer_names};

/// What one side, float or quantized, puts in the place of what the graph says.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Initializers with other values, by name.
    pub weights: BTreeMap<String, TensorProto>,
    /// Input slots that read a constant of their own: (node, slot) to the constant.
    pub constants: BTreeMap<(usize, usize), TensorProto>,
    /// Input slots that read another value: (node, slot) to its name.
    pub reads: BTreeMap<(usize, usize), String>,
}

/// Nodes to run, and what goes in and out.
#[derive(Debug)]
pub(super) struct Segment {
    pub model: Model,
    /// Values to feed, in order.
    pub inputs: Vec<String>,
}

impl Segment {
    /// The model of `nodes`, in graph order, under `changes`. `known` are values that are the same on every sample.
    ///
    /// # Errors
    /// Whatever [`Model::new`] says of the form of what comes out.
    pub fn new(
        model: &Model,
        index: &Index,
        nodes: &BTreeSet<usize>,
        outputs: &[String],
        changes: &Changes,
        known: &BTreeMap<String, TensorProto>,
    ) -> Result<Self> {
        let mut graph = GraphProto { name: Some("segment".into()), ..GraphProto::default() };
        let mut made = HashSet::new();
        let mut read = BTreeSet::new();
        for &at in nodes {
            let mut node = model.graph().node[at].clone();
            for (slot, input) in node.input.iter_mut().enumerate() {
                if let Some(constant) = changes.constants.get(&(at, slot)) {
                    *input = constant.name().to_owned();
                    graph.initializer.push(constant.clone());
                } else if let Some(other) = changes.reads.get(&(at, slot)) {
                    input.clone_from(other);
                }
                read.insert(input.clone());
            }
            for (&(_, slot), constant) in changes.constants.range((at, node.input.len())..(at + 1, 0)) {
                node.input.resize(slot + 1, String::new());
                node.input[slot] = constant.name().to_owned();
                graph.initializer.push(constant.clone());
            }
            read.extend(outer_names(&node).into_iter().map(str::to_owned));
            made.extend(node.output.iter().cloned());
            graph.node.push(node);
        }
        let own: HashSet<String> = graph.initializer.iter().map(|tensor| tensor.name().to_owned()).collect();
        let mut inputs = Vec::new();
        for name in read {
            if name.is_empty() || made.contains(&name) || own.contains(&name) {
                continue;
            }
            if let Some(tensor) = changes.weights.get(&name).or_else(|| index.initializer(&name)) {
                graph.initializer.push(tensor.clone());
            } else if let Some(tensor) = known.get(&name) {
                graph.initializer.push(TensorProto { name: Some(name), ..tensor.clone() });
            } else {
                graph.input.push(declared(index, &name));
                inputs.push(name);
            }
        }
        graph.output = outputs
            .iter()
            .map(|name| ValueInfoProto { name: Some(name.clone()), ..Default::default() })
            .collect();
        let proto = ModelProto {
            ir_version: model.proto.ir_version,
            opset_import: model.proto.opset_import.clone(),
            functions: model.proto.functions.clone(),
            graph: Some(graph),
            ..ModelProto::default()
        };
        Ok(Self { model: Model { path: model.path.clone(), ..Model::new(proto)? }, inputs })
    }
}

/// The nodes that lead to the values called `wanted`, as far as `is_there` does not say that a value is there already.
pub(super) fn leading<'w, 'g: 'w>(
    index: &Index<'g>,
    wanted: impl IntoIterator<Item = &'w str>,
    is_there: impl Fn(&str) -> bool,
) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = wanted.into_iter().collect();
    while let Some(name) = open.pop() {
        let maker = index.producer_at(name).filter(|_| !is_there(name));
        if let Some(at) = maker.filter(|&at| found.insert(at)) {
            let node = &index.graph().node[at];
            open.extend(node.input.iter().map(String::as_str).chain(outer_names(node)));
        }
    }
    found
}

/// The declaration of an input; the run tells tract its shape.
fn declared(index: &Index, name: &str) -> ValueInfoProto {
    let known = index.info(name).cloned();
    known.unwrap_or_else(|| ValueInfoProto { name: Some(name.into()), ..value(name, Dtype::Float, &[]) })
}

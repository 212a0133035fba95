//! The prepared graph as the rules see it: all positions in patches are positions in here.

use std::collections::{HashMap, HashSet};

use super::unfit;
use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Index, attribute, bodies, dtype_name, int, node_label, operator_label, outer_names};
use crate::options::{Bias, Storage};
use crate::plan::{ActivationDecision, Decision, Float, Plan, Read, WeightDecision};

/// Casts, each as what it makes and what it reads.
type Casts = Vec<(String, String)>;

/// Nodes between weights and a reader that are followed.
const BETWEEN: usize = 16;

/// Values that are made of one tensor by turning its axes, at most.
const MOST_VALUES: usize = 1024;

/// How the codes of weights are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// How many bits 4-bit codes take.
    pub(super) storage: Storage,
    /// Whether zero points are written even where all of them are 0.
    pub(super) explicit_zero_points: bool,
}

/// Where the operators over codes stand, and in what file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Position of the node that they stand before.
    pub(super) at: usize,
    /// Whether that is in a graph inside a node.
    pub(super) inside: bool,
    /// The opset of the standard domain.
    pub(super) opset: i64,
    /// How codes are stored.
    pub(super) stored: Stored,
    /// Whether the weights meet a rounded activation. Kernels may take the codes of both then; onnxruntime rounds float weights
    /// that stand there anew, one scale a tensor.
    pub(super) integers: bool,
}

/// A graph with its look-ups.
#[derive(Debug)]
pub(super) struct Scene<'g> {
    /// Who makes and reads what.
    pub(super) index: Index<'g>,
    /// Of the standard domain.
    pub(super) opset: i64,
    /// How codes are stored.
    pub(super) stored: Stored,
    /// What becomes of activations, where biases beside them are to be INT32.
    pub(super) low: Option<HashMap<&'g str, &'g ActivationDecision>>,
    /// Nodes that read a rounded activation, each with the way down to it.
    rounded: HashSet<(usize, &'g [(String, usize)])>,
    first_reads: HashMap<&'g str, usize>,
    /// How often graphs inside nodes read or give back each name.
    mentions: HashMap<&'g str, usize>,
}

impl<'g> Scene<'g> {
    /// Reads `graph` once.
    pub(super) fn new(graph: &'g GraphProto, opset: i64, plan: &'g Plan) -> Self {
        let mut first_reads = HashMap::new();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.input.iter().map(String::as_str).chain(outer_names(node)) {
                first_reads.entry(name).or_insert(at);
            }
        }
        let mut mentions = HashMap::new();
        graph.node.iter().flat_map(bodies).for_each(|body| count(body, &mut mentions));
        let stored = Stored { storage: plan.storage, explicit_zero_points: plan.explicit_zero_points };
        let activations = plan.decisions.iter().filter_map(|decision| match decision {
            Decision::Activation(activation) => Some(activation),
            Decision::Weight(_) => None,
        });
        let rounded = activations.flat_map(|it| &it.reads).map(|read| (read.at, &*read.within)).collect();
        let low = (plan.bias == Bias::Int32).then(|| {
            let activation = |decision: &'g Decision| match decision {
                Decision::Activation(activation) => Some((activation.tensor.as_str(), activation)),
                Decision::Weight(_) => None,
            };
            plan.decisions.iter().filter_map(activation).collect()
        });
        Self { index: Index::new(graph), opset, stored, low, rounded, first_reads, mentions }
    }

    /// Where the operators over the codes of `decision` stand in the main graph.
    pub(super) fn place(&self, decision: &WeightDecision) -> Place {
        let met = |read: &Read| self.rounded.contains(&(read.at, &*read.within));
        Place {
            at: self.first_read(&decision.tensor),
            inside: false,
            opset: self.opset,
            stored: self.stored,
            integers: decision.reads.iter().any(met),
        }
    }

    /// How often graphs inside nodes read or give back `name`.
    pub(super) fn mentions(&self, name: &str) -> usize {
        self.mentions.get(name).copied().unwrap_or(0)
    }

    /// The position of the first node that reads `value`, itself or from inside a subgraph; the
    /// end of the graph where none does.
    pub(super) fn first_read(&self, value: &str) -> usize {
        self.first_reads.get(value).copied().unwrap_or(self.index.graph().node.len())
    }

    /// The node of `read`, part of the decision on `tensor`.
    pub(super) fn reader(&self, tensor: &str, read: &Read) -> Result<&'g NodeProto> {
        let mut node = self.index.graph().node.get(read.at);
        for (name, position) in &read.within {
            let body = node.and_then(|node| attribute(node, name)).and_then(|held| held.g.as_ref());
            node = body.and_then(|body| body.node.get(*position));
        }
        let node = node.ok_or_else(|| {
            unfit(tensor, format!("node {} at {}: the graph ends before", read.node, read.at))
        })?;
        let (label, operator) = (node_label(node), operator_label(node));
        match label == read.node && operator == read.operator {
            true => Ok(node),
            false => {
                let expected = format!("{} {} at {}", read.operator, read.node, read.at);
                Err(unfit(tensor, format!("node {expected}: the model has {operator} {label} there")))
            }
        }
    }

    /// Checks that `read` takes `tensor`, itself or laid out or cast by the nodes between.
    pub(super) fn check(&self, tensor: &str, read: &Read) -> Result<()> {
        let node = self.reader(tensor, read)?;
        match node.input.get(read.slot) {
            Some(input) if self.leads(tensor, input) => Ok(()),
            found => {
                let found = found.map_or("", String::as_str);
                let problem = format!("node {}: input {} is {found:?}", read.node, read.slot);
                Err(unfit(tensor, problem))
            }
        }
    }

    /// The Casts to `float` through which alone `tensor` is read, each as what it makes and what it reads, and the values of the
    /// graph that have another type without them.
    pub(super) fn casts(&self, tensor: &str, float: Float) -> Result<(Casts, Vec<String>)> {
        let index = &self.index;
        let (mut found, mut values) = (Vec::new(), vec![tensor.to_owned()]);
        let mut next = 0;
        while let Some(value) = values.get(next).cloned() {
            next += 1;
            let kind = dtype_name(float.dtype() as i32);
            let stray = |who: &str| Err(unfit(tensor, format!("{who} reads it, and not as {kind}")));
            if index.is_captured(&value) || index.is_output(&value) {
                return stray("a subgraph, or the caller,");
            }
            for &(at, _) in index.consumers(&value) {
                let node = &index.graph().node[at];
                let [output] = node.output.as_slice() else { return stray(node_label(node)) };
                match node.op_type() {
                    "Cast" if int(node, "to") == Some(float.dtype() as i64) => {
                        found.push((output.clone(), value.clone()));
                    }
                    "Transpose" | "Identity" if values.len() < MOST_VALUES => values.push(output.clone()),
                    _ => return stray(node_label(node)),
                }
            }
        }
        // What is read from inside a node, or given back, needs the name.
        found.retain(|(made, _)| !index.is_captured(made) && !index.is_output(made));
        Ok((found, values))
    }

    /// Whether `value` is `tensor`, or made of it by nodes that only lay it out or cast it.
    fn leads(&self, tensor: &str, value: &str) -> bool {
        let mut value = value;
        for _ in 0..=BETWEEN {
            if value == tensor {
                return true;
            }
            match self.index.producer(value).map(|node| (node.op_type(), node.input.first())) {
                Some(("Transpose" | "Cast" | "Identity", Some(input))) => value = input,
                _ => return false,
            }
        }
        false
    }
}

fn count<'g>(graph: &'g GraphProto, mentions: &mut HashMap<&'g str, usize>) {
    let returned = graph.output.iter().map(|output| output.name());
    let read = graph.node.iter().flat_map(|node| node.input.iter().map(String::as_str));
    returned.chain(read).for_each(|name| *mentions.entry(name).or_default() += 1);
    graph.node.iter().flat_map(bodies).for_each(|body| count(body, mentions));
}

//! How far into a model calibration sees: up to the nodes that tract cannot run.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::segment::{Changes, Segment, leading};
use crate::error::{Error, Result};
use crate::onnx::build::node;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::{Index, Model, bodies, node_label, outer_names};
use crate::plan::{Analysis, Keep, Skip, WeightSite};
use crate::runtime::{Fault, Session};

/// Operators whose constants are the weights of a layer.
const LAYERS: [&str; 9] =
    ["Attention", "Conv", "ConvTranspose", "FusedConv", "FusedMatMul", "GRU", "Gemm", "LSTM", "MatMul"];
/// Nodes that trial runs may find one after another to be those that cannot be run.
const MOST_FOUND: usize = 8;

/// The nodes of a model that cannot be run, and all that need what these make, each with the reason.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// By position, what cannot be run itself.
    faulty: BTreeMap<usize, String>,
    beyond: BTreeMap<usize, String>,
}

impl Reach {
    /// The reach that `faults` of `model` leave.
    pub fn of(model: &Model, faults: &[Fault]) -> Self {
        let index = Index::new(model.graph());
        let mut faulty = BTreeMap::new();
        for fault in faults.iter().filter(|fault| fault.operator != "output") {
            let why = format!("node {}: {}", fault.node, fault.problem);
            match fault.at {
                Some(at) => drop(faulty.entry(at).or_insert(why)),
                // An input or an initializer: whoever reads it.
                None => {
                    for (at, node) in index.graph().node.iter().enumerate() {
                        let mut names = node.input.iter().map(String::as_str).chain(outer_names(node));
                        if names.any(|name| name == fault.node) {
                            faulty.entry(at).or_insert_with(|| why.clone());
                        }
                    }
                }
            }
        }
        let mut reach = Self { faulty, beyond: BTreeMap::new() };
        reach.spread(&index);
        reach
    }

    /// Whether everything is within.
    pub fn is_whole(&self) -> bool {
        self.beyond.is_empty()
    }

    /// Why the first node cannot be run.
    pub fn reason(&self) -> &str {
        self.faulty.values().next().map_or("", String::as_str)
    }

    fn spread(&mut self, index: &Index) {
        self.beyond.clear();
        let mut lost: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, node) in index.graph().node.iter().enumerate() {
            let needs = node.input.iter().map(String::as_str).chain(outer_names(node));
            let before = needs.filter_map(|name| lost.get(name).copied()).next();
            let Some(why) = self.faulty.get(&at).map(String::as_str).or(before) else { continue };
            self.beyond.insert(at, why.to_owned());
            lost.extend(node.output.iter().map(|name| (name.as_str(), why)));
        }
    }

    /// Why the input of some weights cannot be seen; `None` where it can, or where they have none.
    fn hides(&self, index: &Index, site: &WeightSite) -> Option<&str> {
        let reason = |value: &str| self.beyond.get(&index.producer_at(value)?).map(String::as_str);
        let own = || site.reads().find_map(|read| self.beyond.get(&read.at).map(String::as_str));
        let mut inputs = site.inputs().peekable();
        match inputs.peek() {
            Some(_) => inputs.find_map(reason),
            None => own(),
        }
    }

    /// The weights of `analysis` whose inputs can be seen, as positions.
    pub fn seen(&self, model: &Model, analysis: &Analysis) -> BTreeSet<usize> {
        let index = Index::new(model.graph());
        let seen = |at: &usize| self.hides(&index, &analysis.weights[*at]).is_none();
        (0..analysis.weights.len()).filter(seen).collect()
    }

    /// Whether there is any weight whose input can be looked at.
    pub fn is_worthwhile(&self, model: &Model, analysis: &Analysis) -> bool {
        let has_input = |at: &usize| analysis.weights[*at].inputs().next().is_some();
        self.is_whole() || self.seen(model, analysis).iter().any(has_input)
    }

    /// `analysis` without the activations that cannot be seen, which stay float with that reason.
    pub fn narrowed(&self, model: &Model, analysis: &Analysis) -> Analysis {
        let index = Index::new(model.graph());
        let mut narrowed = analysis.clone();
        let why = |tensor: &str| self.beyond.get(&index.producer_at(tensor)?);
        narrowed.activations.retain(|site| why(&site.tensor).is_none());
        for site in &analysis.activations {
            if let Some(why) = why(&site.tensor) {
                narrowed.skips.push(Skip {
                    name: site.tensor.clone(),
                    operator: site.operator().to_owned(),
                    dims: Vec::new(),
                    bytes: 0,
                    reason: Keep::OutOfReach(why.clone()),
                });
            }
        }
        narrowed
    }

    /// The part of `model` that can be run, and what of `analysis` lies in it.
    ///
    /// # Errors
    /// Whatever [`Model::new`] says of the form of what comes out.
    pub fn part(&self, model: &Model, analysis: &Analysis) -> Result<(Model, Analysis)> {
        let mut part = self.narrowed(model, analysis);
        let seen = self.seen(model, analysis);
        let mut at = 0..;
        part.weights.retain(|_| at.next().is_some_and(|at| seen.contains(&at)));
        let index = Index::new(model.graph());
        let inputs = part.weights.iter().flat_map(WeightSite::inputs);
        let wanted: BTreeSet<&str> = inputs
            .chain(part.activations.iter().map(|site| site.tensor.as_str()))
            .filter(|name| index.producer_at(name).is_some())
            .collect();
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        let nodes = leading(&index, wanted.iter().map(String::as_str), |_| false);
        Ok((cut(model, &index, &nodes, &wanted)?, part))
    }

    /// What of `model` can be run, as a model, where no layer lies beyond: its outputs are those within reach, then the values
    /// that the nodes beyond are given. `None` where a layer lies beyond, or nothing is within reach. `also` is another form of the
    /// same model, of which the same part comes second.
    ///
    /// # Errors
    /// Whatever [`Model::new`] says of the form of what comes out.
    pub fn edge(&self, model: &Model, also: &Model) -> Result<Option<[Model; 2]>> {
        let [index, other] = [model, also].map(|model| Index::new(model.graph()));
        let graph = index.graph();
        let mut values: Vec<&str> = graph.output.iter().map(|value| value.name()).collect();
        for &at in self.beyond.keys() {
            let node = &graph.node[at];
            if is_layer(node, &index) || bodies(node).any(has_layers) {
                return Ok(None);
            }
            values.extend(node.input.iter().map(String::as_str).chain(outer_names(node)));
        }
        let within = |name: &&str| {
            let made = index.producer_at(name).is_some_and(|at| !self.beyond.contains_key(&at));
            made && other.producer_at(name).is_some()
        };
        let mut known = HashSet::new();
        let values: Vec<String> =
            values.into_iter().filter(within).filter(|name| known.insert(*name)).map(str::to_owned).collect();
        // What no layer leads to says nothing of the layers.
        let nodes = leading(&index, values.iter().map(String::as_str), |_| false);
        if !nodes
            .iter()
            .any(|&at| is_layer(&graph.node[at], &index) || bodies(&graph.node[at]).any(has_layers))
        {
            return Ok(None);
        }
        let part = |model: &Model, index: &Index| {
            cut(model, index, &leading(index, values.iter().map(String::as_str), |_| false), &values)
        };
        Ok(Some([part(model, &index)?, part(also, &other)?]))
    }

    /// Finds out, by running more and more of `model` on `inputs`, which nodes cannot be run though nothing is known against
    /// them. Says whether any was found and something is left.
    ///
    /// # Errors
    /// Whatever is wrong with `inputs`.
    pub fn probe(&mut self, model: &Model, inputs: &[TensorProto]) -> Result<bool> {
        let index = Index::new(model.graph());
        let count = index.graph().node.len();
        let mut found = false;
        for _ in 0..MOST_FOUND {
            let Some(mut problem) = self.trial(model, &index, count, inputs)? else { return Ok(found) };
            let (mut good, mut bad) = (0, count);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                match self.trial(model, &index, middle, inputs)? {
                    None => good = middle,
                    Some(other) => (bad, problem) = (middle, other),
                }
            }
            let at = bad - 1;
            if self.beyond.contains_key(&at) {
                return Ok(found);
            }
            let node = &index.graph().node[at];
            self.faulty.insert(at, format!("node {}: {problem}", node_label(node)));
            self.spread(&index);
            found = true;
        }
        Ok(found)
    }

    /// What is wrong with the first `count` nodes together, as far as they are within reach.
    fn trial(
        &self,
        model: &Model,
        index: &Index,
        count: usize,
        inputs: &[TensorProto],
    ) -> Result<Option<String>> {
        let nodes: BTreeSet<usize> = (0..count).filter(|at| !self.beyond.contains_key(at)).collect();
        let graph = index.graph();
        let read: HashSet<&str> = nodes
            .iter()
            .flat_map(|&at| {
                graph.node[at].input.iter().map(String::as_str).chain(outer_names(&graph.node[at]))
            })
            .collect();
        let made = nodes.iter().flat_map(|&at| &graph.node[at].output);
        let ends: Vec<String> =
            made.filter(|name| !name.is_empty() && !read.contains(name.as_str())).cloned().collect();
        if ends.is_empty() {
            return Ok(None);
        }
        let part = cut(model, index, &nodes, &ends)?;
        match Session::new(&part, "float", &[]).and_then(|session| session.run(inputs)) {
            Ok(_) => Ok(None),
            Err(Error::Runtime { problem, .. }) => Ok(Some(problem)),
            Err(error) => Err(error),
        }
    }
}

/// Whether a constant of `node` is the weights of a layer.
fn is_layer(node: &NodeProto, index: &Index) -> bool {
    let is_weight = |input: &String| index.constant(input).is_some_and(|tensor| tensor.dims.len() > 1);
    LAYERS.contains(&node.op_type()) && node.input.iter().any(is_weight)
}

/// Whether a body has a layer, wherever its weights are.
fn has_layers(body: &GraphProto) -> bool {
    body.node.iter().any(|node| LAYERS.contains(&node.op_type()) || bodies(node).any(has_layers))
}

/// A model of `nodes` that gives `outputs` and takes all inputs that `model` takes.
fn cut(model: &Model, index: &Index, nodes: &BTreeSet<usize>, outputs: &[String]) -> Result<Model> {
    let graph = &model.graph();
    if let (true, Some(input)) = (outputs.is_empty(), model.inputs().next()) {
        // What is to be seen are inputs alone, and a model has to give something.
        let pass = node("Identity", "", &[input.name()], &["passed"], &[]);
        let output = ValueInfoProto { name: Some("passed".into()), ..ValueInfoProto::default() };
        let mut part = model.clone();
        *part.graph_mut() = GraphProto {
            node: vec![pass],
            input: graph.input.clone(),
            output: vec![output],
            name: graph.name.clone(),
            ..GraphProto::default()
        };
        return Ok(part);
    }
    let segment = Segment::new(model, index, nodes, outputs, &Changes::default(), &BTreeMap::new())?;
    let mut part = segment.model;
    part.graph_mut().input = graph.input.clone();
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, tensor_f32};
    use crate::options::Options;
    use crate::runtime::faults;

    /// Two branches, of which one goes through an operator that tract does not know.
    fn model(operator: &str) -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[4, 4]);
        let [v, w, z] = ["v", "w", "z"].map(|name| graph.weights(name, &[4, 4]));
        let first = graph.node("MatMul", &[&x, &v], &[]);
        let strange = graph.node(operator, &[&first], &[attr::int("axis", 7)]);
        let lost = graph.node("MatMul", &[&strange, &w], &[]);
        let seen = graph.node("MatMul", &[&first, &z], &[]);
        graph.output(&lost);
        graph.output(&seen);
        graph.model()
    }

    #[test]
    fn what_lies_before_an_unknown_operator_is_within_reach() {
        let model = model("DeformConv");
        let analysis = analyse(&model, &Options::default()).unwrap();
        let reach = Reach::of(&model, &faults(&model));
        assert!(!reach.is_whole() && reach.is_worthwhile(&model, &analysis));
        let seen = reach.seen(&model, &analysis);
        let names: Vec<&str> = seen.iter().map(|&at| analysis.weights[at].tensor.as_str()).collect();
        assert_eq!(names, ["v", "z"]);
        let narrowed = reach.narrowed(&model, &analysis);
        assert_eq!(narrowed.activations.len(), analysis.activations.len() - 1);
        assert!(narrowed.skips.iter().any(|skip| skip.reason.to_string().contains("DeformConv")));
        let (part, of_part) = reach.part(&model, &analysis).unwrap();
        assert_eq!((part.graph().node.len(), of_part.weights.len()), (1, 2));
    }

    #[test]
    fn what_lies_at_the_edge_is_there_where_no_layer_lies_beyond() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[4, 4]);
        let v = graph.weights("v", &[4, 4]);
        let first = graph.node("MatMul", &[&x, &v], &[]);
        let other = graph.node("Relu", &[&first], &[]);
        let strange = graph.node("DeformConv", &[&first, &other], &[]);
        let y = graph.node("Neg", &[&strange], &[]);
        graph.output(&y);
        graph.output(&other);
        let model = graph.model();
        let reach = Reach::of(&model, &faults(&model));
        let [part, same] = reach.edge(&model, &model).unwrap().unwrap();
        let names: Vec<&str> = part.graph().output.iter().map(|value| value.name()).collect();
        assert_eq!(names, [other.as_str(), &first]);
        assert_eq!((part.graph().node.len(), &part.proto), (2, &same.proto));
        let model = self::model("DeformConv");
        let reach = Reach::of(&model, &faults(&model));
        assert!(reach.edge(&model, &model).unwrap().is_none());
        // A net in a branch, of which the condition alone can be run.
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[4, 4]);
        let w = graph.weights("w", &[4, 4]);
        let sum = graph.node("ReduceSum", &[&x], &[attr::int("keepdims", 0)]);
        let inner = GraphProto {
            node: vec![
                node("MatMul", "", &[&x, &w], &["p"], &[]),
                node("DeformConv", "", &["p"], &["z"], &[]),
            ],
            output: vec![ValueInfoProto { name: Some("z".into()), ..Default::default() }],
            ..Default::default()
        };
        let branches = ["then_branch", "else_branch"].map(|name| attr::graph(name, inner.clone()));
        let y = graph.node("If", &[&sum], &branches);
        graph.output(&y);
        let model = graph.model();
        let reach = Reach::of(&model, &faults(&model));
        assert!(!reach.is_whole() && reach.edge(&model, &model).unwrap().is_none());
    }

    #[test]
    fn trial_runs_find_the_node_that_fails() {
        // Joining along an axis that there is not fails only when tract gets there.
        let model = model("Concat");
        assert!(faults(&model).is_empty());
        let mut reach = Reach::default();
        let x = tensor_f32("x", &[4, 4], &[0.5; 16]);
        assert!(reach.probe(&model, std::slice::from_ref(&x)).unwrap());
        assert_eq!(reach.beyond.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(!reach.probe(&model, &[x]).unwrap());
    }
}

//! The nodes of a graph one after the other, bodies in their place, and what is known of each value.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;

use super::is_list;
use super::one::{Fact, Operand, Seen, Single, shape};
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Model, Names, bodies, element_count, is_standard, node_label};
use crate::runtime::values::to_tract;

/// Nodes that bodies may turn into altogether.
const MOST_NODES: usize = 1 << 17;
/// Elements of a value whose numbers are kept, if they depend on shapes alone.
const MOST_NUMBERS: usize = 1 << 12;
/// The same of integers.
const MOST_INTEGERS: usize = 1 << 20;
/// Elements of an initializer from which on a node is first asked without its numbers.
const LARGE: usize = 1 << 14;
/// Operators that give something else in every run.
const RANDOM: [&str; 6] =
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// How names of a body are called in the flat graph; what it does not know is called as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub names: HashMap<String, String>,
    /// In front of the names of what a body makes; none in the main graph.
    pub prefix: Option<String>,
}

impl Scope {
    /// Of the main graph.
    pub fn main() -> Self {
        Self::default()
    }

    /// The flat name.
    pub fn of(&self, name: &str) -> String {
        self.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }
}

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    pub fact: Option<Fact>,
    /// Its numbers, where they depend on shapes alone.
    pub number: Option<Arc<Tensor>>,
    /// Its numbers on the inputs given, where they were asked for.
    pub data: Option<Arc<Tensor>>,
    /// The values of a sequence.
    pub items: Option<Vec<String>>,
}

/// Flattens a graph: branches, rounds and sequences in their place, for the inputs at hand.
pub(super) struct Flat<'m> {
    single: Single<'m>,
    pub nodes: Vec<NodeProto>,
    maker: HashMap<String, usize>,
    values: HashMap<String, Value>,
    constants: HashMap<String, Arc<TensorProto>>,
    names: Names,
    /// Inputs that are fed, in order.
    pub fed: Vec<String>,
    pub general: bool,
}

impl<'m> Flat<'m> {
    pub fn new(model: &'m Model, inputs: &[Tensor]) -> Result<Self, String> {
        let single = Single { opsets: &model.proto.opset_import, ir_version: model.proto.ir_version };
        let mut flat = Self {
            single,
            nodes: Vec::new(),
            maker: HashMap::new(),
            values: HashMap::new(),
            constants: HashMap::new(),
            names: Names::of(model.graph(), 1),
            fed: model.inputs().map(|input| input.name().to_owned()).collect(),
            general: true,
        };
        for (name, tensor) in flat.fed.clone().into_iter().zip(inputs) {
            let data = Arc::new(tensor.clone());
            let number = is_list(tensor).then(|| data.clone());
            let fact = Some((tensor.datum_type(), tensor.shape().to_vec()));
            flat.values.insert(name, Value { fact, number, data: Some(data), items: None });
        }
        Ok(flat)
    }

    /// A name that nothing has.
    pub fn fresh(&mut self, wish: &str) -> String {
        self.names.fresh(wish)
    }

    /// The numbers of a value that depend on shapes alone.
    pub fn number(&self, name: &str) -> Option<&Arc<Tensor>> {
        self.values.get(name)?.number.as_ref()
    }

    /// An initializer.
    pub fn constant(&self, name: &str) -> Option<&Arc<TensorProto>> {
        self.constants.get(name)
    }

    pub fn fact(&self, name: &str) -> Option<Fact> {
        self.values.get(name)?.fact.clone()
    }

    /// The dimensions of a value.
    pub fn dims(&self, name: &str) -> Result<Vec<usize>, String> {
        self.fact(name).map(|(_, dims)| dims).ok_or_else(|| format!("the dimensions of {name} are not known"))
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub fn set(&mut self, name: String, value: Value) {
        self.values.insert(name, value);
    }

    /// Adds a constant, called nearly as `wish`.
    pub fn add_constant(&mut self, wish: &str, tensor: TensorProto) -> Result<String, String> {
        let name = self.fresh(wish);
        self.keep(&name, &Arc::new(tensor))?;
        Ok(name)
    }

    fn keep(&mut self, name: &str, tensor: &Arc<TensorProto>) -> Result<(), String> {
        let count = element_count(tensor).map_err(|error| error.to_string())?;
        let value = match count <= LARGE {
            // Half precision and text have no numbers here.
            true => to_tract(tensor).ok().map(Arc::new),
            false => None,
        };
        let fact = match &value {
            Some(value) => Some((value.datum_type(), value.shape().to_vec())),
            None => fact_of(tensor),
        };
        let data = value.clone();
        self.values.insert(name.to_owned(), Value { fact, number: None, data, items: None });
        self.constants.insert(name.to_owned(), tensor.clone());
        Ok(())
    }

    /// Goes through `graph`, whose names are called as `scope` says. Gives the flat names of its outputs.
    pub fn graph(&mut self, graph: &GraphProto, scope: &Scope) -> Result<Vec<String>, String> {
        let mut scope = scope.clone();
        for tensor in &graph.initializer {
            let name = self.named(&mut scope, tensor.name());
            if !self.fed.contains(&name) {
                self.keep(&name, &Arc::new(tensor.clone()))?;
            }
        }
        for node in &graph.node {
            let mut flat = node.clone();
            for input in flat.input.iter_mut().filter(|input| !input.is_empty()) {
                *input = scope.of(input);
            }
            for output in flat.output.iter_mut().filter(|output| !output.is_empty()) {
                *output = self.named(&mut scope, output);
            }
            self.node(node, flat, &scope).map_err(|problem| match problem.contains("node ") {
                true => problem,
                false => format!("node {}: {problem}", node_label(node)),
            })?;
        }
        Ok(graph.output.iter().map(|value| scope.of(value.name())).collect())
    }

    fn named(&mut self, scope: &mut Scope, name: &str) -> String {
        let Some(prefix) = &scope.prefix else { return name.to_owned() };
        let flat = self.names.fresh(format!("{prefix}{name}"));
        scope.names.insert(name.to_owned(), flat.clone());
        flat
    }

    /// Takes the node `flat`, which is `node` with flat names.
    fn node(&mut self, node: &NodeProto, flat: NodeProto, scope: &Scope) -> Result<(), String> {
        if is_standard(node.domain()) {
            match node.op_type() {
                "If" => return self.branch(node, &flat, scope),
                "Loop" => return self.repeat(node, &flat, scope),
                "Scan" => return self.scan(node, &flat, scope),
                operator if operator.contains("Sequence") && operator != "ReverseSequence" => {
                    return self.sequence(operator, &flat);
                }
                "Identity" => {
                    let held = flat.input.first().and_then(|name| self.values.get(name));
                    if let (Some(value), Some(name)) =
                        (held.filter(|value| value.items.is_some()), flat.output.first())
                    {
                        self.values.insert(name.clone(), value.clone());
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        if bodies(node).next().is_some() {
            return Err(format!("{} has a body that is not known", node.op_type()));
        }
        self.push(flat)
    }

    /// Adds a node whose names are flat.
    pub fn push(&mut self, node: NodeProto) -> Result<(), String> {
        if self.nodes.len() >= MOST_NODES {
            return Err(format!("bodies turn into more than {MOST_NODES} nodes"));
        }
        let outputs: Vec<String> = node.output.iter().filter(|name| !name.is_empty()).cloned().collect();
        for (slot, name) in node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match self.values.get(name) {
                None => return Err(format!("input {slot}, {name}, is not known")),
                Some(value) if value.items.is_some() => return Err(format!("{name} is a sequence")),
                Some(_) => {}
            }
        }
        let seen = self.seen(&node)?;
        let at = self.nodes.len();
        self.nodes.push(node);
        for (name, value) in outputs.into_iter().zip(seen) {
            self.maker.insert(name.clone(), at);
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// What is known of the outputs of `node`.
    fn seen(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let standard = is_standard(node.domain());
        if standard && matches!(node.op_type(), "Shape" | "Size") {
            let fact = node.input.first().and_then(|name| self.fact(name));
            let Some((_, dims)) = fact else { return Err("the shape of its input is not known".into()) };
            let value = shape(node, &dims);
            let fact = Some((value.datum_type(), value.shape().to_vec()));
            return Ok(vec![Value { fact, number: Some(value), data: None, items: None }]);
        }
        let fixed = !RANDOM.contains(&node.op_type())
            && node.input.iter().filter(|name| !name.is_empty()).all(|name| self.is_number(name));
        if fixed {
            let operands = self.operands(node, Wanted::Numbers);
            let values = self.single.run(node, &operands)?;
            let kept = |value: Arc<Tensor>| {
                let fact = Some((value.datum_type(), value.shape().to_vec()));
                let number = (value.len() <= most_numbers(&value)).then(|| value.clone());
                Value { fact, number, data: Some(value), items: None }
            };
            return Ok(values.into_iter().map(kept).collect());
        }
        let small = self.operands(node, Wanted::Facts);
        let seen = match self.single.seen(node, &small) {
            Ok(seen) => Ok(seen),
            Err(_) => self.single.seen(node, &self.operands(node, Wanted::Constants)),
        };
        match seen {
            Ok(seen) if seen.iter().all(Option::is_some) => Ok(seen
                .into_iter()
                .flatten()
                .map(|Seen { fact, value }| Value {
                    number: value.filter(|value| value.len() <= most_numbers(value)),
                    fact: Some(fact),
                    data: None,
                    items: None,
                })
                .collect()),
            // Only the numbers can say it.
            other => self.on_these(node).map_err(|problem| other.err().unwrap_or(problem)),
        }
    }

    /// The outputs of `node` on the inputs given: what comes out holds for these alone.
    fn on_these(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let values = self.computed(node)?;
        self.general = false;
        let value = |value: Arc<Tensor>| Value {
            fact: Some((value.datum_type(), value.shape().to_vec())),
            number: Some(value.clone()),
            data: Some(value),
            items: None,
        };
        Ok(values.into_iter().map(value).collect())
    }

    fn computed(&mut self, node: &NodeProto) -> Result<Vec<Arc<Tensor>>, String> {
        let names: Vec<String> = node.input.iter().filter(|name| !name.is_empty()).cloned().collect();
        names.iter().try_for_each(|name| self.compute(name))?;
        self.single.run(node, &self.operands(node, Wanted::Data))
    }

    /// Computes the value called `name` and all that it needs.
    fn compute(&mut self, name: &str) -> Result<(), String> {
        let mut needed = std::collections::BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            let there = self.constants.contains_key(&name)
                || self.values.get(&name).is_some_and(|value| value.data.is_some() || value.number.is_some());
            if there {
                continue;
            }
            let Some(&at) = self.maker.get(&name) else { return Err(format!("{name} is not computed")) };
            if needed.insert(at) {
                open.extend(self.nodes[at].input.iter().filter(|name| !name.is_empty()).cloned());
            }
        }
        for at in needed {
            let node = self.nodes[at].clone();
            let made = self.single.run(&node, &self.operands(&node, Wanted::Data)).map_err(|problem| {
                format!("{} of {}: {problem}", node.op_type(), node.output.first().map_or("", String::as_str))
            })?;
            for (name, data) in node.output.iter().filter(|name| !name.is_empty()).zip(made) {
                self.values.entry(name.clone()).or_default().data = Some(data);
            }
        }
        Ok(())
    }

    /// The numbers of a value: those that depend on shapes alone, else those on the inputs given.
    pub fn known(&mut self, name: &str) -> Result<Arc<Tensor>, String> {
        if let Some(value) = self.number(name) {
            return Ok(value.clone());
        }
        if let Some(constant) = self.constants.get(name) {
            return to_tract(constant).map(Arc::new).map_err(|error| error.to_string());
        }
        self.compute(name)?;
        self.general = false;
        self.values
            .get(name)
            .and_then(|value| value.data.clone())
            .ok_or_else(|| format!("{name} is not known"))
    }

    /// Whether a value depends on shapes alone, and its numbers are there.
    fn is_number(&self, name: &str) -> bool {
        let small = || self.values.get(name).is_some_and(|value| value.data.is_some());
        self.number(name).is_some() || (self.constants.contains_key(name) && small())
    }

    fn operands(&self, node: &NodeProto, wanted: Wanted) -> Vec<Option<Operand>> {
        let operand = |name: &String| {
            let value = self.values.get(name)?;
            if let Some(number) = &value.number {
                return Some(Operand::Value(number.clone()));
            }
            if let Some(constant) = self.constants.get(name) {
                let large = value.data.is_none();
                return match (wanted, &value.fact) {
                    (Wanted::Facts, Some(fact)) if large => Some(Operand::Fact(fact.clone())),
                    _ => Some(Operand::Constant(constant.clone())),
                };
            }
            match (wanted, &value.data, &value.fact) {
                (Wanted::Data, Some(data), _) => Some(Operand::Value(data.clone())),
                (_, _, Some(fact)) => Some(Operand::Fact(fact.clone())),
                _ => None,
            }
        };
        node.input.iter().map(|name| if name.is_empty() { None } else { operand(name) }).collect()
    }
}

/// What a node is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Dimensions; large initializers by theirs alone.
    Facts,
    /// Dimensions, with all initializers.
    Constants,
    /// Numbers that depend on shapes alone.
    Numbers,
    /// Numbers on the inputs given.
    Data,
}

fn most_numbers(value: &Tensor) -> usize {
    if value.datum_type().is_float() { MOST_NUMBERS } else { MOST_INTEGERS }
}

fn fact_of(tensor: &TensorProto) -> Option<Fact> {
    let dims: Vec<usize> = tensor.dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
    let empty = TensorProto { dims: vec![0], raw_data: Some(Vec::new().into()), ..TensorProto::default() };
    let like = to_tract(&TensorProto { data_type: tensor.data_type, ..empty }).ok()?;
    Some((like.datum_type(), dims))
}

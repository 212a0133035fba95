//! Functions that a model brings along become the nodes that they stand for.

use std::collections::HashMap;

use super::upgrade;
use super::{Change, changed};
use crate::error::{Error, Result};
use crate::onnx::Names;
use crate::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use crate::onnx::{Model, bodies_mut, is_standard, message_len, node_label};

/// Functions that call one another are followed so far: further down is a circle.
const DEEPEST: usize = 64;
/// Nodes that calls may turn into altogether: more come of functions that call one another several times each.
const MOST_NODES: usize = 1 << 20;
/// Bytes that calls may turn into, besides some times those that there are.
const MOST_BYTES: usize = 64 << 20;
const GROWTH: usize = 4;
/// Bytes that the smallest thing in a list takes.
const ITEM: usize = 16;

type Key = (String, String, String);

/// Replaces every call of one of the model's own functions by the function's nodes.
///
/// # Errors
/// [`Error::Invalid`] where functions call one another in a circle or have no sound form, and [`Error::Options`] where one is
/// written for another opset than the model and cannot be brought to the same.
pub(super) fn inline(model: &mut Model) -> Result<Option<Change>> {
    if model.proto.functions.is_empty() {
        return Ok(None);
    }
    let mut functions = std::mem::take(&mut model.proto.functions);
    // Runtimes know the operators of the standard domain before any function.
    let known = upgrade::known_operators();
    let built_in = |name: &str| {
        let row = known.iter().find(|(operator, _)| *operator == name);
        row.is_some_and(|(_, versions)| versions.first().is_some_and(|&first| first <= model.opset()))
    };
    functions.retain(|function| !is_standard(function.domain()) || !built_in(function.name()));
    import(model, &functions);
    one_opset(model, &mut functions)?;
    let mut graph = std::mem::take(model.graph_mut());
    let names = super::names(&graph);
    let known: HashMap<Key, &FunctionProto> =
        functions.iter().map(|function| (key_of(function), function)).collect();
    let bytes =
        functions.iter().map(message_len).sum::<usize>() + graph.node.iter().map(message_len).sum::<usize>();
    let left = Size { nodes: MOST_NODES, bytes: MOST_BYTES.saturating_add(bytes.saturating_mul(GROWTH)) };
    let mut calls = Calls { functions: known, names, count: 0, left };
    let done = calls.graph(&mut graph, 0);
    let count = calls.count;
    *model.graph_mut() = graph;
    done?;
    // What training says may call them still.
    if !model.proto.training_info.is_empty() {
        model.proto.functions = functions;
    }
    Ok(changed("inline-functions", count, || {
        "calls of the model's own functions, replaced by their nodes".into()
    }))
}

fn key_of(function: &FunctionProto) -> Key {
    (domain(function.domain()), function.name().into(), function.overload().into())
}

fn domain(name: &str) -> String {
    if is_standard(name) { String::new() } else { name.into() }
}

/// Imports what functions import and the model does not.
fn import(model: &mut Model, functions: &[FunctionProto]) {
    for wanted in functions.iter().flat_map(|function| &function.opset_import) {
        let same = |import: &OperatorSetIdProto| domain(import.domain()) == domain(wanted.domain());
        if !model.proto.opset_import.iter().any(same) {
            model.proto.opset_import.push(wanted.clone());
        }
    }
}

/// Brings the model and its functions to one opset of the standard domain, the newest among them.
fn one_opset(model: &mut Model, functions: &mut [FunctionProto]) -> Result<()> {
    let opset = |function: &FunctionProto| {
        let mut imports = function.opset_import.iter();
        imports.find(|import| is_standard(import.domain())).map(|import| import.version())
    };
    let newest = functions.iter().filter_map(opset).max().unwrap_or(0).max(model.opset());
    let differs = functions.iter().filter_map(opset).any(|version| version != model.opset());
    if !differs {
        return Ok(());
    }
    let newest = newest.max(upgrade::OLDEST);
    let own = model.opset();
    let explained = |error: Error, name: &str, version: i64| match error {
        // Its own remedy, to keep the opset, is none here.
        Error::NoConversion { node, operator, to, .. } => Error::options(
            format!(
                "function {name} is written for opset {version}, the model for opset {own}, and node {node} \
                 ({operator}) has no conversion to opset {to}"
            ),
            "export both with one opset",
        ),
        other => other,
    };
    let last = functions.iter().filter_map(|it| Some((it.name(), opset(it)?))).max_by_key(|&(_, it)| it);
    upgrade::upgrade(model, newest).map_err(|error| match last {
        Some((name, version)) => explained(error, name, version),
        None => error,
    })?;
    for function in functions.iter_mut() {
        let Some(version) = opset(function).filter(|&version| version < newest) else { continue };
        let value = |name: &String| ValueInfoProto { name: Some(name.clone()), ..Default::default() };
        let graph = GraphProto {
            node: std::mem::take(&mut function.node),
            input: function.input.iter().map(value).collect(),
            output: function.output.iter().map(value).collect(),
            ..Default::default()
        };
        let import = OperatorSetIdProto { domain: Some(String::new()), version: Some(version) };
        let mut alone =
            Model::new(ModelProto { graph: Some(graph), opset_import: vec![import], ..Default::default() })?;
        upgrade::upgrade(&mut alone, newest).map_err(|error| explained(error, function.name(), version))?;
        let graph = std::mem::take(alone.graph_mut());
        // A function has no initializers.
        function.node = graph.initializer.into_iter().map(as_node).chain(graph.node).collect();
    }
    Ok(())
}

fn as_node(tensor: crate::onnx::proto::TensorProto) -> NodeProto {
    let name = tensor.name().to_owned();
    crate::onnx::build::node("Constant", "", &[], &[&name], &[crate::onnx::attr::tensor("value", tensor)])
}

struct Calls<'f> {
    functions: HashMap<Key, &'f FunctionProto>,
    names: Names,
    count: usize,
    /// What calls may turn into yet.
    left: Size,
}

#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    /// Adds what a copy of `node` takes, bodies included, with attributes `given` and names up to `width` long; the bytes of
    /// `node` itself are the caller's to add.
    fn add(&mut self, node: &NodeProto, given: &HashMap<&str, &AttributeProto>, width: usize) {
        let names = 1 + node.input.len() + node.output.len();
        self.nodes += 1;
        self.bytes += names * (width + ITEM) + node.attribute.len() * ITEM;
        for attribute in &node.attribute {
            let referred = Some(attribute.ref_attr_name()).filter(|name| !name.is_empty());
            let referred = referred.and_then(|name| given.get(name).copied());
            self.bytes += referred.map_or(0, message_len);
            let attribute = referred.unwrap_or(attribute);
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                let values = graph.input.len() + graph.output.len() + graph.value_info.len();
                self.bytes += (values + graph.initializer.len()) * (width + ITEM);
                graph.node.iter().for_each(|inner| self.add(inner, given, width));
            }
        }
    }

    fn less(self, other: Self) -> Option<Self> {
        Some(Self {
            nodes: self.nodes.checked_sub(other.nodes)?,
            bytes: self.bytes.checked_sub(other.bytes)?,
        })
    }
}

impl Calls<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<()> {
        let old = std::mem::take(&mut graph.node);
        for mut node in old {
            bodies_mut(&mut node).try_for_each(|body| self.graph(body, depth))?;
            self.node(node, depth, &mut graph.node)?;
        }
        Ok(())
    }

    /// Adds `node`, or what it stands for, to `into`.
    fn node(&mut self, node: NodeProto, depth: usize, into: &mut Vec<NodeProto>) -> Result<()> {
        let key = (domain(node.domain()), node.op_type().to_owned(), node.overload().to_owned());
        let Some(&function) = self.functions.get(&key) else {
            into.push(node);
            return Ok(());
        };
        self.count += usize::from(depth == 0);
        let place = || format!("node {}", node_label(&node));
        if node.input.len() > function.input.len() || node.output.len() > function.output.len() {
            let problem = format!("more inputs or outputs than function {} has", node.op_type());
            return Err(Error::invalid(place(), problem));
        }
        let mut given: HashMap<&str, &AttributeProto> =
            function.attribute_proto.iter().map(|attribute| (attribute.name(), attribute)).collect();
        given.extend(node.attribute.iter().map(|attribute| (attribute.name(), attribute)));
        let label = node_label(&node).to_owned();
        let width =
            node.input.iter().chain(&node.output).map(String::len).max().unwrap_or(0).max(label.len());
        let formal = function.input.len() + function.output.len() + function.attribute_proto.len();
        let mut size = Size { nodes: 0, bytes: formal * ITEM };
        for inner in &function.node {
            size.bytes += message_len(inner);
            size.add(inner, &given, width);
        }
        match self.left.less(size).filter(|_| depth < DEEPEST) {
            Some(left) => self.left = left,
            None => {
                let name = node.op_type();
                let problem =
                    format!("function {name} calls itself, or others without end, or becomes too large");
                return Err(Error::invalid(place(), problem));
            }
        }
        let mut values: HashMap<String, String> = HashMap::new();
        let formal =
            function.input.iter().zip(node.input.iter().map(String::as_str).chain(std::iter::repeat("")));
        values.extend(formal.map(|(formal, actual)| (formal.clone(), actual.to_owned())));
        // An output that is an input too has to be copied.
        let mut copies = Vec::new();
        for (formal, actual) in
            function.output.iter().zip(&node.output).filter(|(_, actual)| !actual.is_empty())
        {
            match values.get(formal) {
                Some(value) => copies.push((value.clone(), actual.clone())),
                None => drop(values.insert(formal.clone(), actual.clone())),
            }
        }
        let mut renaming = Renaming { values, given: &given, label: &label, names: &mut self.names };
        let inner: Vec<NodeProto> = function.node.iter().map(|inner| renaming.node(inner)).collect();
        for mut inner in inner {
            bodies_mut(&mut inner).try_for_each(|body| self.graph(body, depth + 1))?;
            self.node(inner, depth + 1, into)?;
        }
        for (value, output) in copies {
            let name = self.names.fresh(format!("{label}_{output}"));
            into.push(crate::onnx::build::node("Identity", &name, &[&value], &[&output], &[]));
        }
        Ok(())
    }
}

/// The names of a function's inside in the place of one call.
struct Renaming<'r> {
    values: HashMap<String, String>,
    given: &'r HashMap<&'r str, &'r AttributeProto>,
    label: &'r str,
    names: &'r mut Names,
}

impl Renaming<'_> {
    fn value(&mut self, name: &str) -> String {
        if name.is_empty() {
            return String::new();
        }
        if let Some(known) = self.values.get(name) {
            return known.clone();
        }
        let new = self.names.fresh(format!("{}_{name}", self.label));
        self.values.insert(name.to_owned(), new.clone());
        new
    }

    fn node(&mut self, node: &NodeProto) -> NodeProto {
        let mut node = node.clone();
        if !node.name().is_empty() {
            node.name = Some(self.names.fresh(format!("{}_{}", self.label, node.name())));
        }
        node.input = node.input.iter().map(|name| self.value(name)).collect();
        node.output = node.output.iter().map(|name| self.value(name)).collect();
        node.attribute = std::mem::take(&mut node.attribute)
            .into_iter()
            .filter_map(|attribute| match attribute.ref_attr_name() {
                "" => Some(attribute),
                // One that the caller leaves out is left out here.
                referred => self.given.get(referred).map(|&actual| AttributeProto {
                    name: attribute.name.clone(),
                    ref_attr_name: None,
                    ..actual.clone()
                }),
            })
            .collect();
        bodies_mut(&mut node).for_each(|body| self.body(body));
        node
    }

    fn body(&mut self, graph: &mut GraphProto) {
        for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
            value.name = Some(self.value(value.name()));
        }
        for tensor in &mut graph.initializer {
            tensor.name = Some(self.value(tensor.name()));
        }
        graph.node = std::mem::take(&mut graph.node).iter().map(|node| self.node(node)).collect();
    }
}

#[cfg(test)]
mod tests;

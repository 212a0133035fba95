//! A model for given inputs without what stands in tract's way: bodies of `If`, `Loop` and `Scan` in their place, sequences as the
//! values that they hold, shape arithmetic as the numbers that it comes to.
//!
//! The nodes are gone through once. Of each value the dimensions are kept, as tract infers them for the node by itself, and
//! the numbers where they depend on nothing but the inputs' shapes. Where more is asked, as by a condition on data, that value is
//! computed from the inputs, and the model that comes out holds for these inputs alone.

mod control;
mod flat;
mod one;
mod sequences;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::prelude::{DatumType, Tensor};

use super::guard::guarded;
use super::values::from_tract;
use crate::onnx::build::node;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::{Index, Model, bodies, is_standard};
use flat::Flat;

pub(super) use one::parse;

/// A model without control flow.
#[derive(Debug)]
pub(super) struct Concrete {
    pub model: Model,
    /// Whether it computes the same for all inputs of these shapes, with the same short lists of integers among them.
    pub general: bool,
}

/// An input whose numbers may decide shapes: a list of integers or booleans this long at most.
const LIST: usize = 64;

/// Whether a given input is such a list.
pub(super) fn is_list(tensor: &Tensor) -> bool {
    let dtype = tensor.datum_type();
    tensor.rank() <= 1 && tensor.len() <= LIST && (dtype.is_integer() || dtype == DatumType::Bool)
}

/// Operators that only a concrete graph can do without.
pub(super) const WITHOUT: [&str; 9] = [
    "Loop",
    "SequenceEmpty",
    "SequenceConstruct",
    "SequenceInsert",
    "SequenceErase",
    "SequenceAt",
    "SequenceLength",
    "SplitToSequence",
    "ConcatFromSequence",
];

/// Whether the graph holds what tract does not take, or takes once.
pub(super) fn needs_concrete(model: &Model) -> bool {
    let index = Index::new(model.graph());
    let mut ifs = 0;
    model.graph().node.iter().filter(|node| is_standard(node.domain())).any(|node| {
        let open = |condition: &String| index.constant(condition).is_none();
        ifs += usize::from(node.op_type() == "If" && node.input.first().is_some_and(open));
        ifs > 1 || WITHOUT.contains(&node.op_type()) || bodies(node).any(has_any)
    })
}

/// The same of a body.
fn has_any(graph: &GraphProto) -> bool {
    graph
        .node
        .iter()
        .any(|node| WITHOUT.contains(&node.op_type()) || node.op_type() == "If" || bodies(node).any(has_any))
}

/// `model` for `inputs`, which are in the order of [`Model::inputs`]. It has the same inputs and outputs, and the values called `keep`.
///
/// # Errors
/// What stands in the way, with the node.
pub(super) fn concrete(model: &Model, inputs: &[Tensor], keep: &[String]) -> Result<Concrete, String> {
    let mut flat = Flat::new(model, inputs)?;
    flat.graph(model.graph(), &flat::Scope::main())?;
    let graph = model.graph();
    let wanted: Vec<&str> =
        graph.output.iter().map(|value| value.name()).chain(keep.iter().map(String::as_str)).collect();
    let built = built(&flat, graph, &wanted)?;
    let mut proto = crate::onnx::proto::ModelProto {
        ir_version: model.proto.ir_version,
        opset_import: model.proto.opset_import.clone(),
        ..Default::default()
    };
    proto.graph = Some(built);
    let made = Model::new(proto).map_err(|error| error.to_string())?;
    Ok(Concrete { model: Model { path: model.path.clone(), ..made }, general: flat.general })
}

/// The graph of what leads to `wanted`.
fn built(flat: &Flat, main: &GraphProto, wanted: &[&str]) -> Result<GraphProto, String> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (at, node) in flat.nodes.iter().enumerate() {
        maker.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), at)));
    }
    let mut needed = HashSet::new();
    let mut constants: HashMap<&str, TensorProto> = HashMap::new();
    let mut numbers: HashSet<&str> = HashSet::new();
    let mut ends: Vec<NodeProto> = Vec::new();
    let mut ended: HashSet<&str> = HashSet::new();
    let mut open = Vec::new();
    for &name in wanted {
        match flat.number(name).filter(|_| maker.contains_key(name)) {
            Some(_) if !ended.insert(name) => {}
            Some(_) => {
                numbers.insert(name);
                ends.push(node("Identity", "", &[&number(name)], &[name], &[]));
            }
            None => open.push(name),
        }
    }
    while let Some(name) = open.pop() {
        if flat.number(name).is_some() {
            numbers.insert(name);
        } else if let Some(tensor) = flat.constant(name) {
            constants
                .entry(name)
                .or_insert_with(|| TensorProto { name: Some(name.into()), ..tensor.as_ref().clone() });
        } else if let Some(&at) = maker.get(name)
            && needed.insert(at)
        {
            open.extend(flat.nodes[at].input.iter().filter(|name| !name.is_empty()).map(String::as_str));
        }
    }
    let mut graph = GraphProto { name: Some("concrete".into()), ..GraphProto::default() };
    for (at, made) in flat.nodes.iter().enumerate().filter(|(at, _)| needed.contains(at)) {
        let mut made = made.clone();
        made.name = Some(format!("node {at}"));
        for input in made.input.iter_mut().filter(|name| numbers.contains(name.as_str())) {
            *input = number(input);
        }
        // A number that is wanted comes from its own constant.
        for output in made.output.iter_mut().filter(|name| ended.contains(name.as_str())) {
            *output = format!("{output}/computed");
        }
        graph.node.push(made);
    }
    graph.node.extend(
        ends.into_iter().enumerate().map(|(at, end)| NodeProto { name: Some(format!("end {at}")), ..end }),
    );
    let mut initializers: Vec<TensorProto> = constants.into_values().collect();
    for name in numbers {
        let value: &Arc<Tensor> = flat.number(name).ok_or("a number went away")?;
        initializers.push(guarded(|| from_tract(&number(name), value))?);
    }
    // The same bytes every time.
    initializers.sort_by(|one, other| one.name().cmp(other.name()));
    graph.initializer = initializers;
    let fed: HashSet<&str> = flat.fed.iter().map(String::as_str).collect();
    graph.input = main.input.iter().filter(|value| fed.contains(value.name())).cloned().collect();
    graph.output = main
        .output
        .iter()
        .map(|value| ValueInfoProto { name: Some(value.name().to_owned()), ..ValueInfoProto::default() })
        .collect();
    Ok(graph)
}

/// What the constant is called that a value comes to.
fn number(name: &str) -> String {
    format!("{name}/number")
}

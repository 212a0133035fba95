//! Nodes that pass a value on unchanged: Identity, and Dropout outside training.

use std::collections::{HashMap, HashSet};

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Index, Model, attribute, bodies, bodies_mut, integers, is_standard};

/// Before this opset a Dropout trained unless told not to.
const OPSET_TEST: i64 = 7;

/// Removes them from the main graph: readers, those in subgraphs included, read the input
/// instead. A node that makes a graph output goes only where the node before it can make that
/// output under its name.
pub(super) fn remove(model: &mut Model) -> Result<Option<Change>> {
    let trained = model.opset() < OPSET_TEST;
    let graph = model.graph_mut();
    let local = names_inside(graph);
    let inner = pass_on(graph, &local, trained);
    let outer = rename_outputs(graph, &local, trained);
    let count = inner + outer;
    Ok(changed("remove-identities", count, || {
        "Identity and inference Dropout nodes, whose readers now read their input".into()
    }))
}

/// Names that subgraphs give to their own values. ONNX forbids that they hide outer ones; where
/// they do all the same, a rename could change what a name means, and the node stays.
fn names_inside(graph: &GraphProto) -> HashSet<String> {
    fn collect(graph: &GraphProto, names: &mut HashSet<String>) {
        names.extend(graph.input.iter().map(|input| input.name().to_owned()));
        names.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        names.extend(graph.node.iter().flat_map(|node| node.output.iter().cloned()));
        graph.node.iter().flat_map(bodies).for_each(|body| collect(body, names));
    }
    let mut names = HashSet::new();
    graph.node.iter().flat_map(bodies).for_each(|body| collect(body, &mut names));
    names
}

/// The pair (read, made) of a node that does nothing but pass a value on.
fn passes_on<'n>(node: &'n NodeProto, index: &Index, trained: bool) -> Option<(&'n str, &'n str)> {
    if !is_standard(node.domain()) {
        return None;
    }
    let (read, made) = (node.input.first()?.as_str(), node.output.first()?.as_str());
    if read.is_empty() || made.is_empty() {
        return None;
    }
    let harmless = match node.op_type() {
        "Identity" => true,
        "Dropout" if trained => false,
        "Dropout" => {
            let mask_unread = node.output.iter().skip(1).all(|mask| mask.is_empty() || index.is_dead(mask));
            mask_unread && attribute(node, "is_test").is_none() && !trains(node, index)
        }
        _ => false,
    };
    harmless.then_some((read, made))
}

fn trains(dropout: &NodeProto, index: &Index) -> bool {
    let Some(mode) = dropout.input.get(2).filter(|mode| !mode.is_empty()) else { return false };
    let known = index.constant(mode).and_then(|tensor| integers(tensor).ok());
    known.is_none_or(|values| values != [0])
}

fn pass_on(graph: &mut GraphProto, local: &HashSet<String>, trained: bool) -> usize {
    let index = Index::new(graph);
    let mut source: HashMap<String, String> = HashMap::new();
    let mut gone = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let Some((read, made)) = passes_on(node, &index, trained) else { continue };
        if index.is_output(made) || local.contains(read) || local.contains(made) {
            continue;
        }
        // In topological order `read` is already what remains at the end of a chain.
        let read = source.get(read).map_or(read, String::as_str).to_owned();
        if index.producer_at(&read).is_none_or(|producer| producer < at) {
            source.insert(made.to_owned(), read);
            gone.insert(at);
        }
    }
    drop_nodes(graph, &gone);
    rename_reads(graph, &source);
    gone.len()
}

fn rename_outputs(graph: &mut GraphProto, local: &HashSet<String>, trained: bool) -> usize {
    let index = Index::new(graph);
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut gone = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let Some((read, made)) = passes_on(node, &index, trained) else { continue };
        let movable = index.producer_at(read).is_some_and(|producer| !gone.contains(&producer))
            && !index.is_output(read)
            && !renamed.contains_key(read)
            && !local.contains(read)
            && !local.contains(made)
            && read != made;
        if index.is_output(made) && movable {
            renamed.insert(read.to_owned(), made.to_owned());
            gone.insert(at);
        }
    }
    drop_nodes(graph, &gone);
    rename_reads(graph, &renamed);
    for output in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if let Some(name) = renamed.get(output) {
            output.clone_from(name);
        }
    }
    gone.len()
}

fn drop_nodes(graph: &mut GraphProto, gone: &HashSet<usize>) {
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}

fn rename_reads(graph: &mut GraphProto, names: &HashMap<String, String>) {
    for node in &mut graph.node {
        for input in &mut node.input {
            if let Some(name) = names.get(input) {
                input.clone_from(name);
            }
        }
        for body in bodies_mut(node) {
            rename_reads(body, names);
            for output in &mut body.output {
                if let Some(name) = names.get(output.name()) {
                    output.name = Some(name.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node, value};
    use crate::onnx::{Dtype, attr};

    #[test]
    fn chains_collapse_and_the_outputs_name_survives() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2]);
        let relu = graph.node("Relu", &[&x], &[]);
        let a = graph.node("Identity", &[&relu], &[]);
        let b = graph.node("Dropout", &[&a], &[]);
        let side = graph.node("Abs", &[&b], &[]);
        let out = graph.node("Identity", &[&b], &[]);
        graph.output(&out);
        graph.output(&side);
        let mut model = graph.model();
        assert_eq!(remove(&mut model).unwrap().unwrap().count, 3);
        let nodes = &model.graph().node;
        assert_eq!((nodes[0].op_type(), &nodes[0].output[0]), ("Relu", &out));
        assert_eq!((nodes[1].op_type(), &nodes[1].input[0]), ("Abs", &out));
    }

    #[test]
    fn what_cannot_be_renamed_stays() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2]);
        let from_input = graph.node("Identity", &[&x], &[]);
        let relu = graph.node("Relu", &[&x], &[]);
        let twin = graph.node("Identity", &[&relu], &[]);
        let other = graph.node("Identity", &[&relu], &[]);
        for output in [&from_input, &twin, &other] {
            graph.output(output);
        }
        let mut model = graph.model();
        // One of the twins takes the producer's place, the other has to copy.
        assert_eq!(remove(&mut model).unwrap().unwrap().count, 1);
        assert_eq!(model.graph().node.len(), 3);
        assert_eq!(model.graph().node[2].input[0], twin);
    }

    #[test]
    fn a_dropout_that_trains_or_whose_mask_is_read_stays() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2]);
        let mode = graph.input("mode", &[]);
        let trained = graph.node("Dropout", &[&x, "", &mode], &[]);
        graph.push(node("Dropout", "masked", &[&trained], &["kept", "mask"], &[]));
        let y = graph.node("Relu", &["kept"], &[]);
        let mask = graph.node("Cast", &["mask"], &[attr::int("to", 1)]);
        graph.output(&y);
        graph.output(&mask);
        assert_eq!(remove(&mut graph.model()).unwrap(), None);
    }

    #[test]
    fn captures_follow() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2]);
        let copy = graph.node("Identity", &[&x], &[]);
        let body = |output: &str| GraphProto {
            node: vec![node("Relu", "", &[&copy], &[output], &[])],
            output: vec![value(output, Dtype::Float, &[2])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
        let condition = graph.input("condition", &[]);
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let mut model = graph.model();
        remove(&mut model).unwrap();
        let node = &model.graph().node[0];
        assert!(bodies(node).all(|body| body.node[0].input == ["x"]));
    }
}

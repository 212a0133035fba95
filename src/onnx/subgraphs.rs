//! Graphs inside nodes: the bodies of If, Loop and Scan.

use std::collections::{BTreeSet, HashSet};

use super::proto::{GraphProto, NodeProto, TensorProto};
use crate::error::Result;

/// The graphs held by `node`'s attributes. Their depth is bounded: the decoder refuses more than
/// a hundred levels of nesting.
pub fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The same, to be changed.
pub fn bodies_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// Shows every tensor of `graph` and its subgraphs to `change`: initializers and those in attributes.
///
/// # Errors
/// The first of `change`.
pub fn tensors_mut(
    graph: &mut GraphProto,
    change: &mut impl FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    graph.initializer.iter_mut().try_for_each(&mut *change)?;
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(&mut *change)?;
        }
        for body in bodies_mut(node) {
            tensors_mut(body, change)?;
        }
    }
    Ok(())
}

/// The tensors of `graph` and its subgraphs: initializers and those in attributes.
pub fn tensors(graph: &GraphProto) -> Vec<&TensorProto> {
    let mut found: Vec<&TensorProto> = graph.initializer.iter().collect();
    for node in &graph.node {
        found
            .extend(node.attribute.iter().flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors)));
        found.extend(bodies(node).flat_map(tensors));
    }
    found
}

/// The names that `node`'s bodies read from the graphs around them.
pub fn outer_names(node: &NodeProto) -> BTreeSet<&str> {
    bodies(node).flat_map(free_names).collect()
}

fn free_names(graph: &GraphProto) -> BTreeSet<&str> {
    let mut own: HashSet<&str> = graph.input.iter().map(|value| value.name()).collect();
    own.extend(graph.initializer.iter().map(|tensor| tensor.name()));
    own.extend(graph.sparse_initializer.iter().filter_map(|tensor| Some(tensor.values.as_ref()?.name())));
    own.extend(graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
    let read = graph.node.iter().flat_map(|node| {
        let direct = node.input.iter().map(String::as_str);
        direct.chain(outer_names(node))
    });
    let returned = graph.output.iter().map(|value| value.name());
    read.chain(returned).filter(|name| !name.is_empty() && !own.contains(name)).collect()
}

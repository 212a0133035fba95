//! Changes to a graph as data, and the one function that makes them.

use std::collections::{HashMap, HashSet};

use super::unfit;
use crate::error::Result;
use crate::onnx::Index;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};

/// A graph inside others: the position of the outermost node, and for each graph on the way down the attribute that holds it
/// and the position of the node to come in it.
pub(super) type Way = (usize, Vec<(String, usize)>);

/// What one decision changes. Positions are those of the graph before any change.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// Initializers that go.
    pub(super) removed: Vec<String>,
    /// Initializers with new content under their old name.
    pub(super) replaced: Vec<TensorProto>,
    /// New initializers.
    pub(super) added: Vec<TensorProto>,
    /// New nodes, each before the node at its position.
    pub(super) inserted: Vec<(usize, NodeProto)>,
    /// (Position, input slot, the value read from now on).
    pub(super) rewired: Vec<(usize, usize, String)>,
    /// (Position, what stands there instead: it makes the same output, and reads the same in its first input.)
    pub(super) swapped: Vec<(usize, NodeProto)>,
    /// (Position, the name that the node's only output has from now on).
    pub(super) renamed: Vec<(usize, String)>,
    /// Copies of nodes, each right after its original.
    pub(super) copied: Vec<Copied>,
    /// New nodes, each after the node at its position and that node's copies, before all that is inserted there.
    pub(super) following: Vec<(usize, NodeProto)>,
    /// Nodes that go, by what they make, and what is read in its place.
    pub(super) bypassed: Vec<(String, String)>,
    /// Values whose type is another from now on.
    pub(super) untyped: Vec<String>,
    /// What comes into graphs inside nodes.
    pub(super) inside: Vec<Inside>,
}

impl Patch {
    /// The new nodes with their positions, those inside other nodes too.
    pub(super) fn inserted_mut(&mut self) -> impl Iterator<Item = &mut (usize, NodeProto)> {
        self.inserted.iter_mut().chain(self.inside.iter_mut().flat_map(|inside| &mut inside.nodes))
    }
}

/// New constants and nodes of a graph inside others.
#[derive(Debug)]
pub(super) struct Inside {
    /// The graph.
    pub(super) way: Way,
    /// Its new initializers.
    pub(super) tensors: Vec<TensorProto>,
    /// Its new nodes, each before the node at its position.
    pub(super) nodes: Vec<(usize, NodeProto)>,
}

impl Inside {
    /// The graph as positions and attributes, without the last position, which is none on the way to it.
    fn path(&self) -> (usize, Vec<&str>, Vec<usize>) {
        let names = self.way.1.iter().map(|(name, _)| name.as_str()).collect();
        let mut positions: Vec<usize> = self.way.1.iter().map(|&(_, position)| position).collect();
        positions.pop();
        (self.way.0, names, positions)
    }
}

/// Puts new things into the graphs inside nodes, the innermost first, so that positions on the way to others still hold.
fn settle(graph: &mut GraphProto, mut all: Vec<Inside>) {
    all.sort_by(|one, other| {
        let depth = |inside: &Inside| inside.way.1.len();
        depth(other).cmp(&depth(one)).then_with(|| one.path().cmp(&other.path()))
    });
    let mut all = all.into_iter().peekable();
    while let Some(Inside { way, mut tensors, mut nodes }) = all.next() {
        let first = Inside { way, tensors: Vec::new(), nodes: Vec::new() };
        while let Some(more) = all.next_if(|more| more.path() == first.path()) {
            tensors.extend(more.tensors);
            nodes.extend(more.nodes);
        }
        let mut body = Some(&mut *graph);
        let mut at = first.way.0;
        for (name, next) in &first.way.1 {
            let node = body.and_then(|body| body.node.get_mut(at));
            let held = node.and_then(|node| node.attribute.iter_mut().find(|held| held.name() == name));
            body = held.and_then(|held| held.g.as_mut());
            at = *next;
        }
        if let Some(body) = body {
            insert(body, nodes, Vec::new());
            body.initializer.extend(tensors);
        }
    }
}

/// A copy of a node as it is once everything is rewired, so that it reads the same low-bit input.
#[derive(Debug)]
pub(super) struct Copied {
    /// Position of the original.
    pub(super) at: usize,
    /// Name of the copy.
    pub(super) name: String,
    /// The input slot that differs; the inputs behind it are others too.
    pub(super) slot: usize,
    /// What the copy reads from there on.
    pub(super) values: Vec<String>,
    /// Its only output.
    pub(super) output: String,
}

impl Copied {
    fn of(self, original: &NodeProto) -> NodeProto {
        let mut copy = original.clone();
        copy.name = Some(self.name);
        copy.input.truncate(self.slot);
        copy.input.extend(self.values);
        copy.output = vec![self.output];
        copy
    }
}

/// Applies `patches` together; new things appear in the order of the patches.
///
/// # Errors
/// [`crate::error::Error::Plan`] where two patches change the same thing.
pub(super) fn apply_all(graph: &mut GraphProto, patches: Vec<Patch>) -> Result<()> {
    let mut all = Patch::default();
    for patch in patches {
        all.removed.extend(patch.removed);
        all.replaced.extend(patch.replaced);
        all.added.extend(patch.added);
        all.inserted.extend(patch.inserted);
        all.rewired.extend(patch.rewired);
        all.swapped.extend(patch.swapped);
        all.renamed.extend(patch.renamed);
        all.copied.extend(patch.copied);
        all.following.extend(patch.following);
        all.bypassed.extend(patch.bypassed);
        all.untyped.extend(patch.untyped);
        all.inside.extend(patch.inside);
    }
    refuse_conflicts(&all)?;
    settle(graph, all.inside);
    let mut unread = swap(graph, all.swapped);
    unread.extend(rewire(graph, all.rewired));
    let copies: Vec<_> = all.copied.into_iter().filter_map(|copy| copied(graph, copy)).collect();
    for (at, name) in all.renamed {
        if let Some(node) = graph.node.get_mut(at) {
            node.output = vec![name];
        }
    }
    // A stable sort keeps copies before what adds them up.
    insert(graph, all.inserted, copies.into_iter().chain(all.following).collect());
    bypass(graph, &all.bypassed.into_iter().collect());
    let untyped: HashSet<String> = all.untyped.into_iter().collect();
    graph.value_info.retain(|value| !untyped.contains(value.name()));
    let mut gone: HashSet<String> = all.removed.into_iter().collect();
    for new in all.replaced {
        if let Some(old) = graph.initializer.iter_mut().find(|old| old.name() == new.name()) {
            *old = new;
        }
    }
    graph.initializer.retain(|tensor| !gone.contains(tensor.name()));
    graph.initializer.extend(all.added);
    gone.extend(prune(graph, unread));
    forget(graph, &gone);
    Ok(())
}

fn refuse_conflicts(all: &Patch) -> Result<()> {
    let mut tensors = HashSet::new();
    let replaced = all.replaced.iter().map(|tensor| tensor.name());
    for name in all.removed.iter().map(String::as_str).chain(replaced) {
        if !tensors.insert(name) {
            return Err(unfit(name, "two decisions change this tensor"));
        }
    }
    let mut renamed = HashSet::new();
    if let Some((at, name)) = all.renamed.iter().find(|(at, _)| !renamed.insert(*at)) {
        return Err(unfit(name, format!("the node at {at} is split twice")));
    }
    let rewired = all.rewired.iter().filter(|(_, slot, _)| *slot > 0).map(|(at, ..)| at);
    let changed: HashSet<&usize> = rewired.chain(all.copied.iter().map(|copy| &copy.at)).collect();
    let mut swapped = HashSet::new();
    for (at, node) in &all.swapped {
        if !swapped.insert(*at) || renamed.contains(at) || changed.contains(at) {
            return Err(unfit(
                node.name(),
                format!("the node at {at} is replaced, and changed otherwise too"),
            ));
        }
    }
    let mut places = HashSet::new();
    for (at, slot, name) in &all.rewired {
        if !places.insert((at, slot)) {
            return Err(unfit(name, format!("input {slot} of the node at {at} is changed twice")));
        }
    }
    Ok(())
}

/// Returns the values that have lost a reader.
fn swap(graph: &mut GraphProto, swapped: Vec<(usize, NodeProto)>) -> HashSet<String> {
    let mut unread = HashSet::new();
    for (at, node) in swapped {
        if let Some(old) = graph.node.get_mut(at) {
            unread.extend(std::mem::replace(old, node).input);
        }
    }
    unread
}

/// Returns the values that have lost a reader.
fn rewire(graph: &mut GraphProto, rewired: Vec<(usize, usize, String)>) -> HashSet<String> {
    let mut unread = HashSet::new();
    for (at, slot, name) in rewired {
        let Some(node) = graph.node.get_mut(at) else { continue };
        if node.input.len() <= slot {
            node.input.resize(slot + 1, String::new());
        }
        unread.insert(std::mem::replace(&mut node.input[slot], name));
    }
    unread
}

fn copied(graph: &GraphProto, copy: Copied) -> Option<(usize, NodeProto)> {
    let original = graph.node.get(copy.at)?;
    Some((copy.at, copy.of(original)))
}

/// Takes the nodes that make the keys of `bypassed` out of the graph; their readers take its values.
fn bypass(graph: &mut GraphProto, bypassed: &HashMap<String, String>) {
    if bypassed.is_empty() {
        return;
    }
    let goes = |node: &NodeProto| node.output.iter().any(|output| bypassed.contains_key(output));
    graph.node.retain(|node| !goes(node));
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input) {
        if let Some(value) = bypassed.get(input) {
            input.clone_from(value);
        }
    }
    graph.value_info.retain(|value| !bypassed.contains_key(value.name()));
}

/// Puts `before` before and `after` after the nodes at their positions.
fn insert(graph: &mut GraphProto, mut before: Vec<(usize, NodeProto)>, mut after: Vec<(usize, NodeProto)>) {
    before.sort_by_key(|&(at, _)| at);
    after.sort_by_key(|&(at, _)| at);
    let old = std::mem::take(&mut graph.node);
    graph.node.reserve(old.len() + before.len() + after.len());
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    for (at, node) in old.into_iter().enumerate() {
        while let Some((_, new)) = before.next_if(|&(place, _)| place <= at) {
            graph.node.push(new);
        }
        graph.node.push(node);
        while let Some((_, new)) = after.next_if(|&(place, _)| place <= at) {
            graph.node.push(new);
        }
    }
    graph.node.extend(before.chain(after).map(|(_, new)| new));
}

/// Removes those constants among `candidates` that nothing reads, and returns them.
pub(super) fn prune(graph: &mut GraphProto, candidates: HashSet<String>) -> HashSet<String> {
    let index = Index::new(graph);
    let dead = |name: &String| index.constant(name).is_some() && index.is_dead(name);
    let dead: HashSet<String> = candidates.into_iter().filter(dead).collect();
    graph.initializer.retain(|tensor| !dead.contains(tensor.name()));
    dead
}

/// Drops what the graph says of initializers that are `gone`: all annotations, and the type
/// where there is no value of that name any more.
pub(super) fn forget(graph: &mut GraphProto, gone: &HashSet<String>) {
    let made: HashSet<&str> =
        graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)).collect();
    graph.value_info.retain(|value| !gone.contains(value.name()) || made.contains(value.name()));
    graph.quantization_annotation.retain(|annotation| {
        let mut parameters = annotation.quant_parameter_tensor_names.iter().map(|entry| entry.value());
        !gone.contains(annotation.tensor_name()) && !parameters.any(|name| gone.contains(name))
    });
}

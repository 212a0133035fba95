//! Nodes inside other nodes: the bodies of If, Loop and Scan.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::onnx::proto::{GraphProto, NodeProto};

/// Where a node stands: the position of the outermost node, and the way down.
pub(super) type Spot = (usize, Vec<(String, usize)>);

/// Names that a body makes, and those of the bodies around it.
#[derive(Default)]
pub(super) struct Local<'g> {
    own: HashSet<&'g str>,
    outer: Option<Rc<Local<'g>>>,
}

impl Local<'_> {
    /// Whether `name` is one of them, and so none of the main graph's.
    pub fn contains(&self, name: &str) -> bool {
        self.own.contains(name) || self.outer.as_ref().is_some_and(|outer| outer.contains(name))
    }
}

/// The nodes inside the nodes of a graph, and what they read of it.
pub(super) struct Inner<'g> {
    /// Each node, the place where it stands, and the names that the graphs around it make themselves.
    pub nodes: Vec<(Spot, &'g NodeProto, Rc<Local<'g>>)>,
    reads: HashMap<&'g str, Vec<(Spot, usize)>>,
    /// Values of the main graph that a body gives back.
    returned: HashSet<&'g str>,
}

impl<'g> Inner<'g> {
    /// Reads `graph` once.
    pub fn of(graph: &'g GraphProto) -> Self {
        let mut inner = Self { nodes: Vec::new(), reads: HashMap::new(), returned: HashSet::new() };
        for (at, node) in graph.node.iter().enumerate() {
            inner.bodies(node, &(at, Vec::new()), None);
        }
        inner
    }

    fn bodies(&mut self, node: &'g NodeProto, spot: &Spot, outer: Option<&Rc<Local<'g>>>) {
        for attribute in &node.attribute {
            // A list of graphs holds no operator's body.
            let Some(body) = &attribute.g else { continue };
            let mut own: HashSet<&str> = body.input.iter().map(|value| value.name()).collect();
            own.extend(body.initializer.iter().map(|tensor| tensor.name()));
            own.extend(body.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
            let local = Rc::new(Local { own, outer: outer.cloned() });
            for (position, inside) in body.node.iter().enumerate() {
                let mut spot = spot.clone();
                spot.1.push((attribute.name().to_owned(), position));
                for (slot, input) in inside.input.iter().enumerate() {
                    if !input.is_empty() && !local.contains(input) {
                        self.reads.entry(input).or_default().push((spot.clone(), slot));
                    }
                }
                self.bodies(inside, &spot, Some(&local));
                self.nodes.push((spot, inside, local.clone()));
            }
            let returned = body.output.iter().map(|value| value.name());
            self.returned.extend(returned.filter(|name| !local.contains(name)));
        }
    }

    /// Who reads the main graph's `name` from inside.
    pub fn reads(&self, name: &str) -> &[(Spot, usize)] {
        self.reads.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a body gives the main graph's `name` back.
    pub fn is_returned(&self, name: &str) -> bool {
        self.returned.contains(name)
    }
}

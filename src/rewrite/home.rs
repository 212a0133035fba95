//! Where dequantized weights are made: in the graph that reads them, so that a branch of an If that is not taken costs nothing.
//! What the body of a Loop or Scan reads is made before it, once.

use super::patch::{Inside, Patch, Way};
use super::scene::Scene;
use crate::onnx::proto::GraphProto;
use crate::onnx::{attribute, bodies, is_standard};
use crate::plan::WeightDecision;

/// A place in a graph.
pub(super) struct Home {
    /// Position of the first reader, in the graph at home.
    pub at: usize,
    /// The graph, where it is not the main one; its last position is that of the first reader.
    way: Option<Way>,
}

impl Home {
    /// The home of the weights that `decision` is on.
    pub fn of(decision: &WeightDecision, scene: &Scene) -> Self {
        let name = decision.tensor.as_str();
        let main = Self { at: scene.first_read(name), way: None };
        let Some(first) = decision.reads.first() else { return main };
        let direct =
            scene.index.consumers(name).is_empty() && decision.reads.iter().all(|read| !read.is_outer());
        if !direct {
            return main;
        }
        let (mut depth, mut home) = (0, None);
        let mut node = scene.index.graph().node.get(first.at);
        for (level, (held, position)) in first.within.iter().enumerate() {
            let same = decision.reads.iter().all(|read| {
                let steps = (read.within.get(..level), first.within.get(..level));
                read.at == first.at
                    && steps.0.is_some()
                    && steps.0 == steps.1
                    && read.within.get(level).is_some_and(|(other, _)| other == held)
            });
            let Some(branch) = node.filter(|node| is_standard(node.domain()) && node.op_type() == "If")
            else {
                break;
            };
            if !same {
                break;
            }
            depth = level + 1;
            let body = attribute(branch, held).and_then(|attribute| attribute.g.as_ref());
            home = body;
            node = body.and_then(|body| body.node.get(*position));
        }
        let Some(last) = depth.checked_sub(1) else { return main };
        // A plan may list some of the readers only.
        if home.map_or(0, |body| mentions(body, name)) < scene.mentions(name) {
            return main;
        }
        let at = decision.reads.iter().map(|read| read.within[last].1).min().unwrap_or(0);
        let mut way = first.within[..depth].to_vec();
        way[last].1 = at;
        Self { at, way: Some((first.at, way)) }
    }

    /// Whether it is in a graph inside a node.
    pub fn is_inside(&self) -> bool {
        self.way.is_some()
    }

    /// `patch`, made for this place, as a patch of the main graph.
    pub fn settle(self, mut patch: Patch) -> Patch {
        if let Some(way) = self.way {
            let (tensors, nodes) = (std::mem::take(&mut patch.added), std::mem::take(&mut patch.inserted));
            patch.inside.push(Inside { way, tensors, nodes });
        }
        patch
    }
}

/// How often `graph`, and the graphs inside it, read or give back `name`.
fn mentions(graph: &GraphProto, name: &str) -> usize {
    let returned = graph.output.iter().filter(|output| output.name() == name).count();
    let read = graph.node.iter().map(|node| {
        let own = node.input.iter().filter(|input| *input == name).count();
        own + bodies(node).map(|body| mentions(body, name)).sum::<usize>()
    });
    returned + read.sum::<usize>()
}

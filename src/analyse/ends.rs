//! Which layers stand at the ends of a graph: the first that an input meets, the last before an output.

use std::collections::{HashMap, HashSet};

use crate::onnx::outer_names;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::plan::{Place, WeightSite};

/// The place of each site, in their order. Weights with several readers are first if one of these is, and last
/// likewise.
pub(super) fn places(graph: &GraphProto, sites: &[WeightSite]) -> Vec<Place> {
    let mut layers: HashMap<usize, Vec<usize>> = HashMap::new();
    for (site, weights) in sites.iter().enumerate() {
        weights.reads().for_each(|read| layers.entry(read.at).or_default().push(site));
    }
    let mut places = vec![Place::default(); sites.len()];
    // Nodes are in topological order: one pass down for what lies behind a layer, one up for what lies before one.
    let mut behind: HashSet<&str> = HashSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let is_behind = inputs(node).any(|name| behind.contains(name));
        let layer = layers.get(&at);
        layer.into_iter().flatten().for_each(|&site| places[site].first |= !is_behind);
        if is_behind || layer.is_some() {
            behind.extend(node.output.iter().map(String::as_str));
        }
    }
    let mut before: HashSet<&str> = HashSet::new();
    for (at, node) in graph.node.iter().enumerate().rev() {
        let is_before = node.output.iter().any(|name| before.contains(name.as_str()));
        let layer = layers.get(&at);
        layer.into_iter().flatten().for_each(|&site| places[site].last |= !is_before);
        if is_before || layer.is_some() {
            before.extend(inputs(node));
        }
    }
    places
}

fn inputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    let own = node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
    own.chain(outer_names(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::onnx::build::GraphBuilder;
    use crate::options::Options;

    fn ends(graph: GraphBuilder) -> Vec<(String, bool, bool)> {
        let analysis = analyse(&graph.model(), &Options::default()).unwrap();
        let row = |site: WeightSite| (site.tensor, site.place.first, site.place.last);
        analysis.weights.into_iter().map(row).collect()
    }

    #[test]
    fn two_ways_in_and_two_ways_out() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[4, 4]);
        let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| graph.weights(name, &[4, 4]));
        let left = graph.node("MatMul", &[&x, &a], &[]);
        let right = graph.node("MatMul", &[&x, &b], &[]);
        let sum = graph.node("Add", &[&left, &right], &[]);
        let inner = graph.node("MatMul", &[&sum, &c], &[]);
        let relu = graph.node("Relu", &[&inner], &[]);
        let one = graph.node("MatMul", &[&relu, &d], &[]);
        let other = graph.node("MatMul", &[&relu, &e], &[]);
        graph.output(&one);
        graph.output(&other);
        let expected = [
            ("a", true, false),
            ("b", true, false),
            ("c", false, false),
            ("d", false, true),
            ("e", false, true),
        ];
        assert_eq!(ends(graph), expected.map(|(name, first, last)| (name.to_owned(), first, last)));
    }

    #[test]
    fn shared_weights_may_be_first_and_last_at_once() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[4, 4]);
        let w = graph.weights("w", &[4, 4]);
        let first = graph.node("MatMul", &[&x, &w], &[]);
        let second = graph.node("MatMul", &[&first, &w], &[]);
        graph.output(&second);
        assert_eq!(ends(graph), [("w".to_owned(), true, true)]);
    }
}

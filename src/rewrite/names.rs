//! New names that clash with nothing.

use std::collections::{HashMap, HashSet};

use crate::onnx::bodies;
use crate::onnx::proto::GraphProto;

/// All names of values and nodes, those in subgraphs included: a new outer value must not be
/// hidden by an inner one.
#[derive(Debug)]
pub(super) struct NameSupply {
    taken: HashSet<String>,
    /// Of each name wanted that was taken the number given last.
    last: HashMap<String, usize>,
}

impl NameSupply {
    /// The names of `graph`.
    pub(super) fn new(graph: &GraphProto) -> Self {
        let mut supply = Self { taken: HashSet::new(), last: HashMap::new() };
        supply.collect(graph);
        supply
    }

    fn collect(&mut self, graph: &GraphProto) {
        let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        self.taken.extend(declared.map(|value| value.name().to_owned()));
        self.taken.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        self.taken.extend(sparse.map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.taken.insert(node.name().to_owned());
            self.taken.extend(node.input.iter().chain(&node.output).cloned());
            bodies(node).for_each(|body| self.collect(body));
        }
    }

    /// `wanted`, or `wanted_1`, `wanted_2` ... where that is taken.
    pub(super) fn take(&mut self, wanted: String) -> String {
        if self.taken.insert(wanted.clone()) {
            return wanted;
        }
        let last = self.last.entry(wanted.clone()).or_default();
        loop {
            *last += 1;
            let name = format!("{wanted}_{last}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_counted_on() {
        let mut names = NameSupply::new(&GraphProto::default());
        names.take("x_2".into());
        let made: Vec<String> = (0..4).map(|_| names.take("x".into())).collect();
        assert_eq!(made, ["x", "x_1", "x_3", "x_4"]);
    }
}

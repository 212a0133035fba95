//! Names that nothing in the model bears yet.

use std::collections::{HashMap, HashSet};

use crate::onnx::bodies;
use crate::onnx::proto::GraphProto;

/// Every name of a graph and of the graphs inside it, values and nodes alike.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// Of each wish that was taken the number given last.
    last: HashMap<String, u64>,
}

impl Names {
    pub fn of(graph: &GraphProto) -> Self {
        let mut names = Self::default();
        names.collect(graph);
        names
    }

    fn collect(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        self.taken.extend(values.map(|value| value.name().to_owned()));
        let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        self.taken.extend(graph.initializer.iter().chain(sparse).map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.taken.insert(node.name().to_owned());
            self.taken.extend(node.input.iter().chain(&node.output).cloned());
            bodies(node).for_each(|body| self.collect(body));
        }
    }

    /// `wish`, or `wish_2`, `wish_3` ... where that is taken: the same model gives the same names.
    pub fn fresh(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let last = self.last.entry(wish.to_owned()).or_insert(1);
        loop {
            *last += 1;
            let name = format!("{wish}_{last}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn fresh_names_are_new_and_repeatable() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        let mut names = Names::of(graph.model().graph());
        assert_eq!(names.fresh("x"), "x_2");
        assert_eq!(names.fresh("x"), "x_3");
        assert_eq!(names.fresh("w"), "w");
    }

    #[test]
    fn equal_wishes_are_counted_on() {
        let mut names = Names::default();
        names.fresh("x_3");
        let made: Vec<String> = (0..4).map(|_| names.fresh("x")).collect();
        assert_eq!(made, ["x", "x_2", "x_4", "x_5"]);
        for _ in 6..=200_000 {
            names.fresh("x");
        }
        assert_eq!((names.fresh("x"), names.fresh("x_2")), ("x_200001".into(), "x_2_2".into()));
    }
}

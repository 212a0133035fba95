//! Weights inside nodes, as in the branches of an If, move to the main graph, which their bodies see: a tensor has one place,
//! and one name, wherever it is read.

use std::collections::HashMap;

use super::constants::constant;
use super::{Change, changed};
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Model, bodies, bodies_mut, element_count};
use crate::plan::Float;

/// Fewer elements stay where they are: shapes, scales and other small things.
const LEAST: usize = 64;

/// Moves float tensors of two axes or more, from initializers and from Constant nodes.
pub(super) fn hoist(model: &mut Model) -> Result<Option<Change>> {
    let graph = model.graph_mut();
    if !graph.node.iter().any(|node| bodies(node).next().is_some()) {
        return Ok(None);
    }
    let mut pass = Pass { made: HashMap::new(), names: super::names(graph), moved: Vec::new() };
    pass.count(graph);
    graph.node.iter_mut().flat_map(bodies_mut).for_each(|body| pass.take(body));
    let count = pass.moved.len();
    graph.initializer.extend(pass.moved);
    Ok(changed("hoist", count, || "weights inside nodes moved to the main graph".into()))
}

struct Pass {
    /// How many graphs make a value of each name.
    made: HashMap<String, usize>,
    names: Names,
    moved: Vec<TensorProto>,
}

impl Pass {
    fn count(&mut self, graph: &GraphProto) {
        for name in made(graph) {
            *self.made.entry(name.to_owned()).or_default() += 1;
        }
        graph.node.iter().flat_map(bodies).for_each(|body| self.count(body));
    }

    fn take(&mut self, body: &mut GraphProto) {
        let fixed: Vec<String> =
            body.output.iter().chain(&body.input).map(|value| value.name().to_owned()).collect();
        let moves = |tensor: &TensorProto| {
            Float::of(tensor.data_type()).is_some()
                && tensor.dims.len() > 1
                && element_count(tensor).is_ok_and(|count| count >= LEAST)
                && !fixed.iter().any(|name| name == tensor.name())
        };
        let mut taken = Vec::new();
        body.initializer.retain(|tensor| {
            let moves = moves(tensor);
            if moves {
                taken.push(tensor.clone());
            }
            !moves
        });
        body.node.retain(|node| match constant(node).filter(|tensor| moves(tensor)) {
            Some(tensor) => {
                taken.push(tensor);
                false
            }
            None => true,
        });
        let mut renamed = HashMap::new();
        for mut tensor in taken {
            let old = tensor.name().to_owned();
            // Names of other bodies, or of the same that hides an outer one, are told apart from now on.
            if self.made.get(&old).is_some_and(|&graphs| graphs > 1) {
                let new = self.names.fresh(&old);
                tensor.name = Some(new.clone());
                renamed.insert(old, new);
            }
            self.moved.push(tensor);
        }
        if !renamed.is_empty() {
            rename(body, &renamed);
        }
        body.node.iter_mut().flat_map(bodies_mut).for_each(|inner| self.take(inner));
    }
}

fn made(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let values = graph.input.iter().map(|value| value.name());
    let tensors = graph.initializer.iter().map(|tensor| tensor.name());
    values
        .chain(tensors)
        .chain(graph.node.iter().flat_map(|node: &NodeProto| node.output.iter().map(String::as_str)))
}

/// Reads of `names` in `graph`, and in the graphs inside it that do not make such values themselves, read the new ones.
pub(super) fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    for node in &mut graph.node {
        for input in &mut node.input {
            if let Some(name) = names.get(input) {
                input.clone_from(name);
            }
        }
        for body in bodies_mut(node) {
            let mut seen = names.clone();
            made(body).for_each(|name| drop(seen.remove(name)));
            for output in &mut body.output {
                if let Some(name) = seen.get(output.name()) {
                    output.name = Some(name.clone());
                }
            }
            rename(body, &seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node, value};
    use crate::onnx::{Dtype, attr, tensor_f32};

    #[test]
    fn weights_of_two_branches_with_one_name_are_told_apart() {
        let mut graph = GraphBuilder::new(21);
        graph.input("x", &[1, 8]);
        let condition = graph.input("condition", &[]);
        let body = |output: &str, scale: f32| GraphProto {
            node: vec![node("MatMul", "", &["x", "w"], &[output], &[])],
            initializer: vec![
                tensor_f32("w", &[8, 8], &[scale; 64]),
                tensor_f32("small", &[1, 8], &[scale; 8]),
            ],
            output: vec![value(output, Dtype::Float, &[1, 8])],
            ..Default::default()
        };
        let branches =
            [attr::graph("then_branch", body("a", 1.0)), attr::graph("else_branch", body("b", 2.0))];
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(hoist(&mut model).unwrap().unwrap().count, 2);
        let names: Vec<&str> = model.graph().initializer.iter().map(|tensor| tensor.name()).collect();
        assert_eq!(names, ["w_2", "w_3"]);
        let read: Vec<&str> =
            bodies(&model.graph().node[0]).map(|body| body.node[0].input[1].as_str()).collect();
        assert_eq!(read, names);
        assert!(bodies(&model.graph().node[0]).all(|body| body.initializer.len() == 1));
        assert!(hoist(&mut model).unwrap().is_none());
    }
}

//! What nothing reads: initializers and Constant nodes, and the types of values that are gone.

use std::collections::HashSet;

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::{Index, Model};

/// Removes unread initializers and Constant nodes of the main graph. One that is also an input
/// stays: it belongs to the model's interface.
pub(super) fn remove(model: &mut Model) -> Result<Option<Change>> {
    let index = Index::new(model.graph());
    let dead = |name: &str| index.is_dead(name) && !index.is_input(name);
    let graph = model.graph();
    let constants = graph.node.iter().filter(|node| node.op_type() == "Constant");
    let unread: HashSet<String> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name())
        .chain(constants.filter_map(|node| node.output.first().map(String::as_str)))
        .filter(|name| dead(name))
        .map(str::to_owned)
        .collect();
    let graph = model.graph_mut();
    graph.initializer.retain(|tensor| !unread.contains(tensor.name()));
    graph.node.retain(|node| {
        node.op_type() != "Constant" || !node.output.first().is_some_and(|output| unread.contains(output))
    });
    let mut known: HashSet<String> = graph.input.iter().map(|input| input.name().to_owned()).collect();
    known.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
    known.extend(graph.node.iter().flat_map(|node| node.output.iter().cloned()));
    graph.value_info.retain(|value| known.contains(value.name()));
    graph.quantization_annotation.retain(|annotation| known.contains(annotation.tensor_name()));
    let count = unread.len();
    Ok(changed("remove-dead", count, || "constants that nothing reads".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::{GraphBuilder, node};
    use crate::onnx::proto::GraphProto;

    #[test]
    fn what_a_subgraph_reads_is_kept() {
        let mut graph = GraphBuilder::new(21);
        let condition = graph.input("condition", &[]);
        for name in ["captured", "unread", "default"] {
            graph.weights(name, &[2]);
        }
        graph.input("default", &[2]);
        let body = |output: &str| GraphProto {
            node: vec![node("Identity", "", &["captured"], &[output], &[])],
            output: vec![crate::onnx::build::value(output, crate::onnx::Dtype::Float, &[2])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(remove(&mut model).unwrap().unwrap().count, 1);
        let left: Vec<&str> = model.graph().initializer.iter().map(|tensor| tensor.name()).collect();
        assert_eq!(left, ["captured", "default"]);
    }
}

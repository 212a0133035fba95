//! What a file must be beyond its fields, checked once at the door: every value that is read comes from somewhere, no node waits
//! for itself, no tensor says its data twice.

use std::collections::{HashMap, HashSet};

use super::model::{Model, node_label};
use super::proto::{FunctionProto, GraphProto, NodeProto, TensorProto};
use super::subgraphs::{bodies, outer_names, tensors};
use crate::error::{Error, Result};

/// Bodies within bodies, at most: what the decoder takes too.
const DEPTH: usize = 100;

/// Checks `model` as it was read.
///
/// # Errors
/// [`Error::Invalid`] naming the node and value, or the tensor.
pub(super) fn check(model: &Model) -> Result<()> {
    tensors(model.graph()).into_iter().try_for_each(once)?;
    graph(model.graph(), &HashSet::new(), 0)?;
    model.proto.functions.iter().try_for_each(function)
}

/// Whether the data of `tensor` stands in one field only. Elsewhere readers take one or the other, without a word.
fn once(tensor: &TensorProto) -> Result<()> {
    let fields = [
        ("raw_data", tensor.raw_data.as_ref().is_some_and(|raw| !raw.is_empty())),
        ("float_data", !tensor.float_data.is_empty()),
        ("int32_data", !tensor.int32_data.is_empty()),
        ("int64_data", !tensor.int64_data.is_empty()),
        ("double_data", !tensor.double_data.is_empty()),
        ("uint64_data", !tensor.uint64_data.is_empty()),
        ("string_data", !tensor.string_data.is_empty()),
    ];
    let named: Vec<&str> = fields.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    match named[..] {
        [one, other, ..] => Err(Error::invalid(
            format!("tensor {}", tensor.name()),
            format!("its data stands in {one} and in {other}; only one of them may be there"),
        )),
        _ => Ok(()),
    }
}

/// Checks a graph within which the values `outer` are known.
fn graph(graph: &GraphProto, outer: &HashSet<&str>, depth: usize) -> Result<()> {
    if depth > DEPTH {
        return Err(Error::invalid("graph", format!("graphs lie more than {DEPTH} deep in one another")));
    }
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    let given = graph.input.iter().map(|input| input.name());
    let given = given.chain(graph.initializer.iter().chain(sparse).map(|tensor| tensor.name()));
    let outputs = graph.output.iter().map(|output| output.name());
    let mut known: HashSet<&str> = outer.iter().copied().chain(given).collect();
    nodes(&graph.node, &mut known, outputs)?;
    for node in &graph.node {
        for body in bodies(node) {
            self::graph(body, &known, depth + 1)?;
        }
    }
    Ok(())
}

/// Checks a function, which knows its inputs and nothing else.
fn function(function: &FunctionProto) -> Result<()> {
    let mut known: HashSet<&str> = function.input.iter().map(String::as_str).collect();
    let outputs = function.output.iter().map(String::as_str);
    let named = |error| match error {
        Error::Invalid { place, problem, .. } => {
            Error::invalid(format!("function {}, {place}", function.name()), problem)
        }
        other => other,
    };
    nodes(&function.node, &mut known, outputs).map_err(named)?;
    let bodies = function.node.iter().flat_map(bodies);
    bodies.into_iter().try_for_each(|body| graph(body, &known, 1)).map_err(named)
}

/// Checks that `nodes` can run in some order, beginning with the values `known`, and give `outputs`. Those that they give are
/// known afterwards.
fn nodes<'g>(
    nodes: &'g [NodeProto],
    known: &mut HashSet<&'g str>,
    outputs: impl Iterator<Item = &'g str>,
) -> Result<()> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        makers.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), at)));
    }
    // Nodes that wait for others, and how many values each waits for.
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut left = vec![0usize; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        let own = node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
        for name in own.chain(outer_names(node)) {
            match makers.get(name) {
                Some(&maker) => {
                    waiting[maker].push(at);
                    left[at] += 1;
                }
                None if known.contains(name) => {}
                None => {
                    return Err(Error::invalid(
                        format!("node {}", node_label(node)),
                        format!("it reads {name}, which nothing gives"),
                    ));
                }
            }
        }
    }
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|&at| left[at] == 0).collect();
    let mut done = 0;
    while let Some(at) = ready.pop() {
        done += 1;
        for &reader in &waiting[at] {
            left[reader] -= 1;
            if left[reader] == 0 {
                ready.push(reader);
            }
        }
    }
    if done < nodes.len() {
        let stuck = (0..nodes.len()).find(|&at| left[at] > 0).map_or("", |at| node_label(&nodes[at]));
        return Err(Error::invalid(
            format!("node {stuck}"),
            "it waits for its own output: the graph has a cycle, which cannot be run",
        ));
    }
    known.extend(makers.into_keys());
    for output in outputs {
        if !known.contains(output) {
            return Err(Error::invalid(format!("output {output}"), "nothing gives this value"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::decode;
    use crate::onnx::proto::SparseTensorProto;
    use crate::onnx::tensor_f32;

    /// Relu, Add of a constant, Relu.
    fn model() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2]);
        let w = graph.initializer(tensor_f32("w", &[2], &[1.0, 2.0]));
        let a = graph.node("Relu", &[&x], &[]);
        let b = graph.node("Add", &[&a, &w], &[]);
        let y = graph.node("Relu", &[&b], &[]);
        graph.output(&y);
        graph.model()
    }

    fn problem(change: impl FnOnce(&mut Model)) -> Option<String> {
        let mut model = model();
        change(&mut model);
        decode(super::super::encode(&model).into()).err().map(|error| error.to_string())
    }

    #[test]
    fn sound_graphs_pass_in_any_order() {
        assert_eq!(problem(|_| {}), None);
        assert_eq!(problem(|model| model.graph_mut().node.reverse()), None);
        let sparse = |model: &mut Model| {
            let graph = model.graph_mut();
            let values = graph.initializer.pop();
            graph.sparse_initializer.push(SparseTensorProto { values, ..Default::default() });
        };
        assert_eq!(problem(sparse), None);
    }

    #[test]
    fn cycles_and_values_from_nowhere_are_refused() {
        let contains = |found: Option<String>, words: &[&str]| {
            let text = found.unwrap();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        let last = |model: &Model| model.graph().node[2].output[0].clone();
        contains(problem(|model| model.graph_mut().node[0].input[0] = last(model)), &["cycle"]);
        contains(
            problem(|model| {
                let own = model.graph().node[1].output[0].clone();
                model.graph_mut().node[1].input[1] = own;
            }),
            &["cycle"],
        );
        contains(
            problem(|model| model.graph_mut().node[1].input[1] = "gone".into()),
            &["node ", "gone", "nothing gives"],
        );
        contains(problem(|model| model.graph_mut().output[0].name = Some("gone".into())), &["output gone"]);
    }

    #[test]
    fn data_that_stands_twice_is_refused() {
        let found = problem(|model| model.graph_mut().initializer[0].float_data = vec![3.0, 4.0]);
        let text = found.unwrap();
        assert!(
            text.contains("tensor w") && text.contains("raw_data") && text.contains("float_data"),
            "{text}"
        );
    }
}

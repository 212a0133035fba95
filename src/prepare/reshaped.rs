//! Constants that nodes only lay out anew become constants of that layout, so that weights behind a Reshape or Transpose, or
//! put together of parts as exporters do it for recurrent layers, are seen as weights; inside other nodes too.

use std::collections::{HashMap, HashSet};

use super::layout::{apply, laid_out};
use super::{Change, changed};
use crate::error::Result;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Model, bodies, bodies_mut, element_count, is_standard};

/// Replaces such nodes by constants of the main graph, wherever nothing else reads what they lay out; what others read too
/// would be there twice.
pub(super) fn fold(model: &mut Model) -> Result<Option<Change>> {
    let bytes = |graph: &GraphProto| graph.initializer.iter().map(size).sum::<usize>();
    let most = bytes(model.graph()).saturating_mul(1 + GROWTH);
    let mut count = 0;
    loop {
        let room = most.saturating_sub(bytes(model.graph()));
        let Step { made, unread } = step(model, room)?;
        if made.is_empty() {
            break;
        }
        count += made.len();
        model.graph_mut().initializer.retain(|tensor| !unread.contains(tensor.name()));
        replace(model.graph_mut(), made);
    }
    Ok(changed("layouts", count, || "constants took the layout that nodes gave them".into()))
}

/// A node by the depth-first number of its graph and its position there, before any goes.
type Place = (usize, usize);

struct Step {
    /// What each node that goes makes.
    made: Vec<(Place, Vec<TensorProto>)>,
    /// Constants that only these nodes read.
    unread: HashSet<String>,
}

/// Lays out as long as there is `room` for the bytes.
fn step(model: &Model, mut room: usize) -> Result<Step> {
    let graph = model.graph();
    let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name()).collect();
    let constants = graph.initializer.iter().filter(|tensor| !inputs.contains(tensor.name()));
    let mut scan = Scan { candidates: Vec::new(), readers: HashMap::new(), graphs: 0 };
    scan.graph(graph, &constants.map(|tensor| (tensor.name(), tensor)).collect(), &HashSet::new());
    for output in &graph.output {
        scan.readers.entry(output.name()).or_default().push(None);
    }
    let Scan { mut candidates, readers, .. } = scan;
    // Whoever lays out what something else reads too stays, and so on.
    loop {
        let ids: HashSet<usize> = candidates.iter().map(|candidate| candidate.id).collect();
        let own = |name: &str| {
            let mut readers = readers.get(name).into_iter().flatten();
            readers.all(|reader| reader.is_some_and(|id| ids.contains(&id)))
        };
        let before = candidates.len();
        candidates.retain(|candidate| candidate.main.iter().all(|name| own(name)));
        if candidates.len() == before {
            break;
        }
    }
    let mut made: Vec<(Place, Vec<TensorProto>)> = Vec::new();
    let mut gone = HashSet::new();
    for candidate in &candidates {
        // What repeats its inputs would grow with each such node.
        let mut sources: Vec<&str> = candidate.main.clone();
        sources.sort_unstable();
        sources.dedup();
        if sources.len() < candidate.main.len() {
            continue;
        }
        if let Some(mut tensors) = apply(candidate.node, &candidate.inputs)? {
            let mut bytes = 0;
            for tensor in &mut tensors {
                match made.iter().flat_map(|(_, others)| others).find(|other| same(other, tensor)) {
                    Some(other) => tensor.raw_data.clone_from(&other.raw_data),
                    None => bytes += size(tensor),
                }
            }
            let Some(left) = room.checked_sub(bytes) else { break };
            room = left;
            made.push((candidate.place, tensors));
            gone.insert(candidate.id);
        }
    }
    let mut unread: HashSet<String> =
        candidates.iter().flat_map(|candidate| &candidate.main).map(|&name| name.to_owned()).collect();
    unread.retain(|name| {
        readers[name.as_str()].iter().all(|reader| reader.is_some_and(|id| gone.contains(&id)))
    });
    Ok(Step { made, unread })
}

/// Bytes that may come in besides those that there are, in parts of them.
const GROWTH: usize = 2;

fn same(one: &TensorProto, other: &TensorProto) -> bool {
    one.dims == other.dims
        && one.data_type == other.data_type
        && one.raw_data.is_some()
        && one.raw_data == other.raw_data
}

fn size(tensor: &TensorProto) -> usize {
    tensor.raw_data.as_ref().map_or_else(|| element_count(tensor).unwrap_or(0) * 8, |raw| raw.len())
}

/// A node of constant inputs that only lays out.
struct Candidate<'g> {
    id: usize,
    place: Place,
    node: &'g NodeProto,
    inputs: Vec<Option<&'g TensorProto>>,
    /// Constants of the main graph that it lays out.
    main: Vec<&'g str>,
}

struct Scan<'g> {
    candidates: Vec<Candidate<'g>>,
    /// Of each name who reads it, `None` for one that stays.
    readers: HashMap<&'g str, Vec<Option<usize>>>,
    graphs: usize,
}

impl<'g> Scan<'g> {
    /// Looks at `graph`, in which `known` are the constants, and the names `hidden` are not those of the main graph.
    fn graph(
        &mut self,
        graph: &'g GraphProto,
        known: &HashMap<&'g str, &'g TensorProto>,
        hidden: &HashSet<&'g str>,
    ) {
        let number = self.graphs;
        self.graphs += 1;
        let outputs: HashSet<&str> = graph.output.iter().map(|output| output.name()).collect();
        for (at, node) in graph.node.iter().enumerate() {
            let found = self.candidate(node, (number, at), known, hidden);
            let found = found.filter(|_| !node.output.iter().any(|output| outputs.contains(output.as_str())));
            let id = found.as_ref().map(|candidate| candidate.id);
            for input in node.input.iter().filter(|input| !hidden.contains(input.as_str())) {
                self.readers.entry(input).or_default().push(id);
            }
            self.candidates.extend(found);
            for body in bodies(node) {
                let mut inner = known.clone();
                let mut hidden = hidden.clone();
                let made = body.input.iter().map(|value| value.name());
                let made =
                    made.chain(body.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
                made.chain(body.initializer.iter().map(|tensor| tensor.name())).for_each(|name| {
                    inner.remove(name);
                    hidden.insert(name);
                });
                inner.extend(body.initializer.iter().map(|tensor| (tensor.name(), tensor)));
                for (output, tensor) in body.node.iter().filter_map(held) {
                    inner.insert(output, tensor);
                }
                for output in body.output.iter().filter(|output| !hidden.contains(output.name())) {
                    self.readers.entry(output.name()).or_default().push(None);
                }
                self.graph(body, &inner, &hidden);
            }
        }
    }

    fn candidate(
        &self,
        node: &'g NodeProto,
        place: Place,
        known: &HashMap<&'g str, &'g TensorProto>,
        hidden: &HashSet<&'g str>,
    ) -> Option<Candidate<'g>> {
        let count = laid_out(node).filter(|_| is_standard(node.domain()) && !node.output.is_empty())?;
        let input = |name: &'g String| match name.is_empty() {
            true => Some(None),
            false => known.get(name.as_str()).map(|&tensor| Some(tensor)),
        };
        let inputs: Vec<Option<&TensorProto>> = node.input.iter().map(input).collect::<Option<_>>()?;
        let laid = node.input.iter().take(count).map(String::as_str);
        let main: Vec<&str> = laid.filter(|name| !name.is_empty() && !hidden.contains(name)).collect();
        // What a body holds itself is small, and stays there.
        (main.len() == count.min(node.input.len())).then_some(Candidate {
            id: self.candidates.len(),
            place,
            node,
            inputs,
            main,
        })
    }
}

/// The tensor in a Constant node.
fn held(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let [output] = node.output.as_slice() else { return None };
    let [attribute] = node.attribute.as_slice() else { return None };
    let plain = node.op_type() == "Constant" && is_standard(node.domain()) && attribute.name() == "value";
    Some((output, attribute.t.as_ref().filter(|_| plain)?))
}

/// Puts what nodes make in their place. The same content comes in once.
fn replace(graph: &mut GraphProto, made: Vec<(Place, Vec<TensorProto>)>) {
    let mut names = super::names(graph);
    let mut kept: Vec<TensorProto> = Vec::new();
    let mut gone: HashMap<Place, HashMap<String, String>> = HashMap::new();
    for (place, tensors) in made {
        let mut renamed = HashMap::new();
        // An output left out has no name.
        for mut tensor in tensors.into_iter().filter(|tensor| !tensor.name().is_empty()) {
            let old = tensor.name().to_owned();
            let name = match kept.iter().find(|other| same(other, &tensor)) {
                Some(other) => other.name().to_owned(),
                // In the main graph the value keeps its name.
                None => {
                    let name = if place.0 == 0 { old.clone() } else { names.fresh(&old) };
                    tensor.name = Some(name.clone());
                    kept.push(tensor);
                    name
                }
            };
            renamed.insert(old, name);
        }
        gone.insert(place, renamed);
    }
    remove(graph, &gone, &mut 0);
    graph.initializer.extend(kept);
}

fn remove(graph: &mut GraphProto, gone: &HashMap<Place, HashMap<String, String>>, graphs: &mut usize) {
    let number = *graphs;
    *graphs += 1;
    for node in &mut graph.node {
        bodies_mut(node).for_each(|body| remove(body, gone, graphs));
    }
    let mut names: HashMap<String, String> = HashMap::new();
    let mut at = 0;
    graph.node.retain(|_| {
        let renamed = gone.get(&(number, at));
        at += 1;
        let others = renamed.into_iter().flatten().filter(|(old, new)| old != new);
        names.extend(others.map(|(old, new)| (old.clone(), new.clone())));
        renamed.is_none()
    });
    if !names.is_empty() {
        super::hoisted::rename(graph, &names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node, value};
    use crate::onnx::{Dtype, attr, floats, tensor_f32, tensor_i64};

    #[test]
    fn axes_and_sizes_may_be_attributes_as_before_opset_13() {
        for (operator, how, dims) in [
            ("Squeeze", attr::ints("axes", &[-1]), [1, 2, 3].as_slice()),
            ("Unsqueeze", attr::ints("axes", &[0, 2]), &[1, 1, 1, 2, 3, 1]),
            ("Split", attr::ints("split", &[1, 2]), &[1, 2, 1, 1]),
        ] {
            let mut graph = GraphBuilder::new(11);
            let x = graph.input("x", &[1]);
            let w = graph.weights("w", &[1, 2, 3, 1]);
            let outputs: &[&str] = if operator == "Split" { &["made", "rest"] } else { &["made"] };
            let attributes: &[_] = if operator == "Split" { &[how, attr::int("axis", 2)] } else { &[how] };
            graph.push(crate::onnx::build::node(operator, "old", &[&w], outputs, attributes));
            for output in outputs {
                let y = graph.node("Mul", &[&x, output], &[]);
                graph.output(&y);
            }
            let mut model = graph.model();
            assert_eq!(fold(&mut model).unwrap().unwrap().count, 1);
            let made = model.graph().initializer.iter().find(|tensor| tensor.name() == "made").unwrap();
            assert_eq!(made.dims, dims, "{operator}");
        }
    }

    #[test]
    fn weights_take_the_layout_that_nodes_gave_them() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 6]);
        let values: Vec<f32> = (0..12).map(|at| at as f32).collect();
        let w = graph.initializer(tensor_f32("w", &[2, 3, 2], &values));
        let shape = graph.initializer(tensor_i64("shape", &[2], &[0, -1]));
        let flat = graph.node("Reshape", &[&w, &shape], &[]);
        let turned = graph.node("Transpose", &[&flat], &[attr::ints("perm", &[1, 0])]);
        let y = graph.node("MatMul", &[&x, &turned], &[]);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(fold(&mut model).unwrap().unwrap().count, 2);
        let graph = model.graph();
        assert_eq!(graph.node.len(), 1);
        let made = graph.initializer.iter().find(|tensor| tensor.name() == turned).unwrap();
        assert_eq!(made.dims, [6, 2]);
        let expected: Vec<f32> = (0..6).flat_map(|at| [at as f32, 6.0 + at as f32]).collect();
        assert_eq!(floats(made).unwrap(), expected);
        assert!(fold(&mut model).unwrap().is_none());
    }

    #[test]
    fn what_others_read_or_callers_get_stays() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2, 2]);
        let [w, v] = ["w", "v"].map(|name| graph.weights(name, &[2, 2]));
        let turned = graph.node("Transpose", &[&w], &[]);
        let y = graph.node("MatMul", &[&turned, &w], &[]);
        let z = graph.node("Add", &[&y, &x], &[]);
        let out = graph.node("Transpose", &[&v], &[]);
        graph.output(&z);
        graph.output(&out);
        assert!(fold(&mut graph.model()).unwrap().is_none());
    }

    #[test]
    fn parts_put_together_in_both_branches_are_one_constant() {
        let mut graph = GraphBuilder::new(21);
        graph.input("x", &[1, 2]);
        let condition = graph.input("condition", &[]);
        graph.initializer(tensor_f32("w", &[4, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]));
        let body = |output: &str| GraphProto {
            node: vec![
                node("Slice", "", &["w", "two", "four"], &["late"], &[]),
                node("Slice", "", &["w", "zero", "two"], &["early"], &[]),
                node("Concat", "", &["late", "early"], &["turned"], &[attr::int("axis", 0)]),
                node("Gemm", "", &["x", "turned"], &[output], &[attr::int("transB", 1)]),
            ],
            initializer: [("zero", 0), ("two", 2), ("four", 4)]
                .map(|(name, number)| tensor_i64(name, &[1], &[number]))
                .to_vec(),
            output: vec![value(output, Dtype::Float, &[1, 4])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(fold(&mut model).unwrap().unwrap().count, 6);
        let read: Vec<&str> =
            bodies(&model.graph().node[0]).map(|body| body.node[0].input[1].as_str()).collect();
        assert_eq!(read[0], read[1]);
        let made = model.graph().initializer.iter().find(|tensor| tensor.name() == read[0]).unwrap();
        assert_eq!(floats(made).unwrap(), [4.0, 5.0, 6.0, 7.0, 0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn outputs_left_out_tell_no_nodes_apart() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2, 2]);
        let w = graph.weights("w", &[4, 2]);
        graph.push(node("Split", "split", &[&w], &["", "half"], &[attr::int("num_outputs", 2)]));
        graph.push(node("Dropout", "other", &[&x], &["", "mask"], &[]));
        let y = graph.node("MatMul", &[&x, "half"], &[]);
        graph.output(&y);
        graph.output("mask");
        let mut model = graph.model();
        assert_eq!(fold(&mut model).unwrap().unwrap().count, 1);
        let left: Vec<&str> = model.graph().node.iter().map(|node| node.op_type()).collect();
        assert_eq!(left, ["Dropout", "MatMul"]);
        assert!(model.graph().initializer.iter().all(|tensor| !tensor.name().is_empty()));
        assert!(model.graph().initializer.iter().any(|tensor| tensor.name() == "half"));
    }

    #[test]
    fn what_grows_from_level_to_level_ends() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1]);
        let mut w = graph.weights("w", &[1 << 10]);
        let [one, end] = [("one", 1), ("end", i64::MAX)]
            .map(|(name, at)| graph.initializer(tensor_i64(name, &[1], &[at])));
        for _ in 0..30 {
            let parts = [graph.node("Slice", &[&w, &one, &end], &[]), graph.node("Transpose", &[&w], &[])];
            w = graph.node("Concat", &[&parts[0], &parts[1]], &[attr::int("axis", 0)]);
        }
        let y = graph.node("Mul", &[&x, &w], &[]);
        graph.output(&y);
        let mut model = graph.model();
        fold(&mut model).unwrap();
        let bytes: usize = model.graph().initializer.iter().map(size).sum();
        assert!(bytes <= (4096 + 16) * (1 + GROWTH) && model.graph().node.len() > 80, "{bytes}");
    }

    #[test]
    fn a_long_way_of_one_weight_is_no_growth() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 8]);
        let mut w = graph.weights("w", &[8, 8]);
        for _ in 0..20 {
            w = graph.node("Transpose", &[&w], &[]);
        }
        let y = graph.node("MatMul", &[&x, &w], &[]);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(fold(&mut model).unwrap().unwrap().count, 20);
        assert_eq!((model.graph().node.len(), model.graph().initializer.len()), (1, 1));
    }
}

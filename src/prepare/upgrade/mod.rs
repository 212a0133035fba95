//! The way of each operator to a newer opset, one schema change at a time.
//!
//! A model is never declared newer by its number alone: every standard operator in it must have
//! an entry for every change of its schema on the way. An operator without one stops the upgrade.

mod activation;
mod arithmetic;
mod control;
mod experimental;
mod facts;
mod legacy;
mod normalization;
mod recurrence;
mod reduction;
mod scope;
mod selection;
mod shape;
mod spatial;
mod table;

pub use table::known_operators;

use super::{Change, changed};
use crate::error::{Error, Result};
use crate::onnx::Names;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{Model, bodies_mut, is_standard, node_label, operator_label};
use crate::options::OPSET;
use facts::{Facts, FloatTypes};
use scope::Scope;
use table::step;

/// Turns a node of the opset before into nodes of the opset at hand, whose last output names are
/// the node's own; `None` where that is not known to be exact.
type Convert = fn(NodeProto, &mut Scope) -> Option<Vec<NodeProto>>;

/// Operators that share their history.
struct Row {
    pub operators: &'static [&'static str],
    /// Every opset up to the newest that gave them a schema.
    pub versions: &'static [i64],
    /// Those that ask something of a node. All others brought more types, an optional input or attribute
    /// whose default is the old behaviour, or clearer words.
    pub changed: &'static [(i64, Convert)],
}

/// The oldest opset to stop at: Resize changes its form at 10, 11 and 13 and is only whole again
/// after the last of these.
pub(super) const OLDEST: i64 = 13;
/// The IR versions that opsets came with, from the one that knows INT4 on
/// (<https://github.com/onnx/onnx/blob/main/docs/Versioning.md>).
const IR_VERSIONS: &[(i64, i64)] = &[(21, 10), (23, 11), (24, 12), (25, 13)];

/// Brings `model` to at least `wanted`.
pub(super) fn upgrade(model: &mut Model, wanted: i64) -> Result<Option<Change>> {
    let from = model.opset();
    let mut change = None;
    if from < wanted {
        let to = wanted.max(OLDEST);
        let way = Way { from, to, floats: FloatTypes::of(model.graph()) };
        if let Some(function) = model.proto.functions.first() {
            let operator = format!("function {}.{}", function.domain(), function.name());
            return Err(Error::NoConversion { file: None, node: function.name().into(), operator, from, to });
        }
        let mut names = super::names(model.graph());
        let count = way.graph(model.graph_mut(), None, &mut names)?;
        model.proto.opset_import.retain({
            let mut seen = false;
            move |import| !is_standard(import.domain()) || !std::mem::replace(&mut seen, true)
        });
        model.set_opset(to);
        change = Some(Change {
            pass: "opset-upgrade",
            count,
            detail: format!("opset {from} to {to}, counting the nodes that changed their form"),
        });
    }
    // A model that came with its opset was loaded at its IR version somewhere; INT4 alone asks for more.
    let opset = if change.is_some() { model.opset() } else { model.opset().min(OPSET) };
    if let Some(needed) = ir_version(opset).filter(|&needed| model.proto.ir_version() < needed) {
        let old = model.proto.ir_version.replace(needed).unwrap_or_default();
        let raised = || format!("IR version {old} to {needed}, which opset {opset} needs");
        change = change.or_else(|| changed("opset-upgrade", 1, raised));
    }
    Ok(change)
}

fn ir_version(opset: i64) -> Option<i64> {
    IR_VERSIONS.iter().rev().find(|&&(since, _)| since <= opset).map(|&(_, version)| version)
}

/// From which opset to which.
struct Way {
    from: i64,
    to: i64,
    floats: FloatTypes,
}

impl Way {
    /// Returns how many nodes of `graph` and of the graphs inside it were rewritten.
    fn graph(&self, graph: &mut GraphProto, outer: Option<&Facts>, names: &mut Names) -> Result<usize> {
        let facts = Facts::of(graph, outer, &self.floats);
        let mut scope = Scope::new(facts, names, graph);
        let mut count = 0;
        let mut converted = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            let nodes = match is_standard(node.domain()) {
                true => self.node(node, &mut scope, &mut count)?,
                false => vec![node],
            };
            converted.extend(nodes);
        }
        let Scope { facts, names, added, .. } = scope;
        for node in &mut converted {
            for body in bodies_mut(node) {
                count += self.graph(body, Some(&facts), names)?;
            }
        }
        graph.node = converted;
        graph.initializer.extend(added);
        Ok(count)
    }

    /// Takes one node, and whatever it turns into, through every opset on the way.
    fn node(&self, node: NodeProto, scope: &mut Scope, count: &mut usize) -> Result<Vec<NodeProto>> {
        let refusal = |node: &NodeProto| Error::NoConversion {
            file: None,
            node: node_label(node).into(),
            operator: operator_label(node),
            from: self.from,
            to: self.to,
        };
        let mut nodes = vec![node];
        let mut touched = false;
        for version in self.from + 1..=self.to {
            let mut next = Vec::with_capacity(nodes.len());
            for node in nodes {
                match step(node.op_type(), version) {
                    None => return Err(refusal(&node)),
                    Some(None) => next.push(node),
                    // What a caller of a function says is not known here.
                    Some(Some(_)) if node.attribute.iter().any(|it| !it.ref_attr_name().is_empty()) => {
                        return Err(refusal(&node));
                    }
                    Some(Some(convert)) => {
                        let (old, at) = (node.clone(), next.len());
                        next.extend(convert(node, scope).ok_or_else(|| refusal(&old))?);
                        touched |= next[at..] != [old];
                    }
                }
            }
            nodes = next;
        }
        *count += usize::from(touched);
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node, value};
    use crate::onnx::{Dtype, attr};
    use crate::options::NEWEST_OPSET;

    fn refused(opset: i64, operator: &str, attributes: &[crate::onnx::proto::AttributeProto]) -> String {
        let mut graph = GraphBuilder::new(opset);
        let x = graph.input("x", &[1, 3, 4, 4]);
        let y = graph.node(operator, &[&x], attributes);
        graph.output(&y);
        upgrade(&mut graph.model(), 21).unwrap_err().to_string()
    }

    #[test]
    fn the_unknown_is_refused_by_name() {
        for (opset, operator) in [(7, "ATen"), (7, "Celu"), (7, "NoSuchThing"), (10, "ImageScaler")] {
            let message = refused(opset, operator, &[]);
            assert!(message.contains(operator) && message.contains("opset 21"), "{message}");
            assert!(message.contains("`.opset` keep") && message.contains(&format!("opset {opset}")));
        }
        assert!(refused(8, "Scan", &[]).contains("Scan"));
        assert!(refused(7, "BatchNormalization", &[attr::int("spatial", 0)]).contains("BatchNorm"));
        assert!(refused(6, "Add", &[attr::int("broadcast", 1), attr::int("axis", 1)]).contains("Add"));
        assert!(refused(10, "Resize", &[]).contains("Resize"));
    }

    #[test]
    fn what_onnxruntime_writes_passes_as_it_is() {
        for (opset, operator) in [
            (11, "LayerNormalization"),
            (17, "SimplifiedLayerNormalization"),
            (7, "FusedGemm"),
            (13, "FastGelu"),
        ] {
            let mut graph = GraphBuilder::new(opset);
            let x = graph.input("x", &[1, 3]);
            let y = graph.node(operator, &[&x, &x], &[attr::float("epsilon", 0.5)]);
            graph.output(&y);
            let mut model = graph.model();
            let before = model.graph().node.clone();
            upgrade(&mut model, NEWEST_OPSET).unwrap();
            assert_eq!((model.opset(), &model.graph().node), (NEWEST_OPSET, &before));
        }
    }

    #[test]
    fn a_mask_that_is_read_stops_an_old_dropout() {
        for (opset, read) in [(7, true), (10, true), (7, false), (10, false)] {
            let mut graph = GraphBuilder::new(opset);
            let x = graph.input("x", &[1]);
            graph.push(node("Dropout", "", &[&x], &["y", "mask"], &[]));
            graph.output(if read { "mask" } else { "y" });
            assert_eq!(upgrade(&mut graph.model(), 21).is_err(), read);
        }
    }

    #[test]
    fn the_attributes_of_opset_6_go_where_they_say_what_is_now_the_rule() {
        let mut graph = GraphBuilder::new(6);
        let x = graph.input("x", &[1, 3]);
        let sum = graph.node("Add", &[&x, &x], &[attr::int("broadcast", 1)]);
        let test = [attr::int("is_test", 1)];
        let normal = graph.node("BatchNormalization", &[&sum, &x, &x, &x, &x], &test);
        let y = graph.node("Dropout", &[&normal], &test);
        graph.output(&y);
        let mut model = graph.model();
        upgrade(&mut model, 21).unwrap();
        assert!(model.graph().node.iter().all(|node| node.attribute.is_empty()));
    }

    #[test]
    fn other_domains_and_newer_models_are_not_touched() {
        let mut graph = GraphBuilder::new(7);
        let x = graph.input("x", &[1]);
        graph.push(crate::onnx::proto::NodeProto {
            domain: Some("com.example".into()),
            ..node("Own", "own", &[&x], &["y"], &[])
        });
        graph.output("y");
        let mut model = graph.model();
        assert_eq!(upgrade(&mut model, 21).unwrap().unwrap().count, 0);
        assert_eq!((model.opset(), model.proto.ir_version()), (21, 10));
        assert!(upgrade(&mut model, 21).unwrap().is_none());
        // Beyond the table nothing is promised, not even for an operator that never changed.
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1]);
        let y = graph.node("Softsign", &[&x], &[]);
        graph.output(&y);
        let mut model = graph.model();
        upgrade(&mut model, NEWEST_OPSET).unwrap();
        assert_eq!((model.opset(), model.proto.ir_version()), (NEWEST_OPSET, 13));
        assert!(upgrade(&mut model, NEWEST_OPSET + 1).is_err());
    }

    #[test]
    fn bodies_are_upgraded_with_their_own_initializers() {
        let mut graph = GraphBuilder::new(11);
        graph.input("x", &[1, 3]);
        let condition = graph.input("condition", &[]);
        let body = |output: &str| GraphProto {
            node: vec![node("Squeeze", "", &["x"], &[output], &[attr::ints("axes", &[0])])],
            output: vec![value(output, Dtype::Float, &[3])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("a")), attr::graph("else_branch", body("b"))];
        let y = graph.node("If", &[&condition], &branches);
        graph.output(&y);
        let mut model = graph.model();
        assert_eq!(upgrade(&mut model, 21).unwrap().unwrap().count, 2);
        let made: Vec<(String, String)> = crate::onnx::bodies(&model.graph().node[0])
            .map(|body| (body.node[0].input[1].clone(), body.initializer[0].name().to_owned()))
            .collect();
        assert_eq!(made, [("a_axes".into(), "a_axes".into()), ("b_axes".into(), "b_axes".into())]);
    }
}

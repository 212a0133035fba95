//! The form of the table that the family files fill.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::scope::Scope;
use super::{activation, arithmetic, control, normalization, reduction, selection, shape, spatial};
use crate::onnx::proto::NodeProto;

/// Turns a node of the opset before into nodes of the opset at hand, whose last output names are
/// the node's own; `None` where that is not known to be exact.
pub(super) type Convert = fn(NodeProto, &mut Scope) -> Option<Vec<NodeProto>>;

/// What a change of schema asks of a node.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Nothing: more types, an optional input or attribute whose default is the old behaviour, or
    /// clearer words.
    Widened,
    /// A new form.
    Convert(Convert),
    /// The meaning changed in a way that is not settled here.
    Refused,
}

/// Operators that share their history.
pub(super) struct Row {
    pub operators: &'static [&'static str],
    /// The version in force at opset 6, or the first one.
    pub since: i64,
    /// Every later version up to opset 21.
    pub steps: &'static [(i64, Step)],
}

static TABLE: LazyLock<HashMap<&'static str, &'static Row>> = LazyLock::new(|| {
    let families = [
        arithmetic::ROWS,
        activation::ROWS,
        shape::ROWS,
        selection::ROWS,
        reduction::ROWS,
        normalization::ROWS,
        spatial::ROWS,
        control::ROWS,
    ];
    let rows = families.into_iter().flatten();
    rows.flat_map(|row| row.operators.iter().map(move |&operator| (operator, row))).collect()
});

/// The history of a standard operator, if it is settled.
pub(super) fn steps(operator: &str) -> Option<&'static Row> {
    TABLE.get(operator).copied()
}

/// Every operator in the table with the opsets that gave it a schema: the one in force at opset 6
/// or its first, then all others up to 21. For checks against the ONNX package.
pub fn known_operators() -> Vec<(&'static str, Vec<i64>)> {
    let history =
        |row: &Row| std::iter::once(row.since).chain(row.steps.iter().map(|&(version, _)| version)).collect();
    let mut known: Vec<_> = TABLE.iter().map(|(&operator, row)| (operator, history(row))).collect();
    known.sort_unstable();
    known
}

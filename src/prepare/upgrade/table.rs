//! The table that the family files fill.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::experimental::{EXPERIMENTS, OF_ONNXRUNTIME};
use super::{
    Convert, Row, activation, arithmetic, control, normalization, recurrence, reduction, selection, shape,
    spatial,
};
use crate::options::NEWEST_OPSET;

static TABLE: LazyLock<HashMap<&'static str, &'static Row>> = LazyLock::new(|| {
    let families = [
        arithmetic::ROWS,
        activation::ROWS,
        shape::ROWS,
        selection::ROWS,
        reduction::ROWS,
        normalization::ROWS,
        recurrence::ROWS,
        spatial::ROWS,
        control::ROWS,
    ];
    let rows = families.into_iter().flatten();
    rows.flat_map(|row| row.operators.iter().map(move |&operator| (operator, row))).collect()
});

/// What the step from the opset before `version` asks of an operator; `None` where that is not known, because
/// there is no such operator before or the table ends.
pub(super) fn step(operator: &str, version: i64) -> Option<Option<Convert>> {
    let row = TABLE.get(operator).filter(|row| row.versions.first().is_some_and(|&first| first < version));
    if let Some(row) = row.filter(|_| version <= NEWEST_OPSET) {
        let change = row.changed.iter().find(|(at, _)| *at == version);
        return Some(change.map(|&(_, convert)| convert));
    }
    if OF_ONNXRUNTIME.contains(&operator) && version <= NEWEST_OPSET {
        return Some(None);
    }
    let mut experiments = EXPERIMENTS.iter().filter(|(name, gone, _)| *name == operator && version <= *gone);
    experiments.next().map(|&(_, gone, convert)| Some(convert).filter(|_| version == gone))
}

/// Every operator in the table with all opsets that gave it a schema, up to the newest that is known. For checks
/// against the ONNX package.
pub fn known_operators() -> Vec<(&'static str, &'static [i64])> {
    let mut known: Vec<_> = TABLE.iter().map(|(&operator, row)| (operator, row.versions)).collect();
    known.sort_unstable();
    known
}

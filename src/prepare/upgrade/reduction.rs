//! Reductions: their axes moved from an attribute to an input, of ReduceSum first.

use super::Row;
use super::shape::axes_to_input;

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["ReduceSum"], versions: &[1, 11, 13], changed: &[(13, axes_to_input)] },
    Row {
        operators: &[
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceMean",
            "ReduceProd",
            "ReduceSumSquare",
        ],
        versions: &[1, 11, 13, 18],
        changed: &[(18, axes_to_input)],
    },
    Row {
        operators: &["ReduceMax", "ReduceMin"],
        versions: &[1, 11, 12, 13, 18, 20],
        changed: &[(18, axes_to_input)],
    },
];

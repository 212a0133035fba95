//! Reductions: their axes moved from an attribute to an input, of ReduceSum first.

use super::shape::axes_to_input;
use super::table::{Row, Step::Convert, Step::Widened};

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["ReduceSum"], since: 1, steps: &[(11, Widened), (13, Convert(axes_to_input))] },
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
        since: 1,
        steps: &[(11, Widened), (13, Widened), (18, Convert(axes_to_input))],
    },
    Row {
        operators: &["ReduceMax", "ReduceMin"],
        since: 1,
        steps: &[(11, Widened), (12, Widened), (13, Widened), (18, Convert(axes_to_input)), (20, Widened)],
    },
];

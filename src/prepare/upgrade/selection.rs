//! Gathering, scattering, searching, sorting, and random numbers.

use super::scope::{Scope, set_input};
use super::table::{Row, Step::Convert, Step::Widened};
use crate::onnx::proto::NodeProto;
use crate::onnx::without_attribute;

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["Gather"], since: 1, steps: &[(11, Widened), (13, Widened)] },
    Row { operators: &["GatherElements"], since: 11, steps: &[(13, Widened)] },
    Row { operators: &["GatherND"], since: 11, steps: &[(12, Widened), (13, Widened)] },
    Row { operators: &["Scatter"], since: 9, steps: &[(11, Convert(scatter_elements))] },
    Row {
        operators: &["ScatterElements", "ScatterND"],
        since: 11,
        steps: &[(13, Widened), (16, Widened), (18, Widened)],
    },
    // Opset 9 demands indices that are not negative; 11 gives the negative ones a meaning.
    Row { operators: &["OneHot"], since: 9, steps: &[(11, Widened)] },
    Row { operators: &["TopK"], since: 1, steps: &[(10, Convert(k_to_input)), (11, Widened)] },
    // `select_last_index` is 0 by default: the first one wins, as before.
    Row { operators: &["ArgMax", "ArgMin"], since: 1, steps: &[(11, Widened), (12, Widened), (13, Widened)] },
    Row { operators: &["NonZero"], since: 9, steps: &[(13, Widened)] },
    Row { operators: &["NonMaxSuppression"], since: 10, steps: &[(11, Widened)] },
    Row { operators: &["Compress"], since: 9, steps: &[(11, Widened)] },
    Row { operators: &["Unique"], since: 11, steps: &[] },
    Row { operators: &["ReverseSequence"], since: 10, steps: &[] },
    Row {
        operators: &["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"],
        since: 1,
        steps: &[],
    },
    Row { operators: &["Multinomial"], since: 7, steps: &[] },
    Row { operators: &["Bernoulli"], since: 15, steps: &[] },
];

fn scatter_elements(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    node.op_type = Some("ScatterElements".into());
    Some(vec![node])
}

fn k_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let k = without_attribute(&mut node, "k")?.i?;
    let k = scope.integers(&node, "k", &[k]);
    set_input(&mut node, 1, k);
    Some(vec![node])
}

//! Gathering, scattering, searching, sorting, and random numbers.

use super::Row;
use super::scope::{Scope, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::without_attribute;

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["Gather"], versions: &[1, 11, 13], changed: &[] },
    Row { operators: &["GatherElements"], versions: &[11, 13], changed: &[] },
    Row { operators: &["GatherND"], versions: &[11, 12, 13], changed: &[] },
    Row { operators: &["Scatter"], versions: &[9, 11], changed: &[(11, scatter_elements)] },
    Row { operators: &["ScatterElements", "ScatterND"], versions: &[11, 13, 16, 18], changed: &[] },
    // OneHot 9 demands indices that are not negative; 11 gives the negative ones a meaning.
    Row { operators: &["OneHot", "Compress"], versions: &[9, 11], changed: &[] },
    Row { operators: &["TopK"], versions: &[1, 10, 11, 24], changed: &[(10, k_to_input)] },
    // `select_last_index` is 0 by default: the first one wins, as before.
    Row { operators: &["ArgMax", "ArgMin"], versions: &[1, 11, 12, 13], changed: &[] },
    Row { operators: &["NonZero"], versions: &[9, 13], changed: &[] },
    Row { operators: &["NonMaxSuppression"], versions: &[10, 11], changed: &[] },
    Row { operators: &["Unique"], versions: &[11], changed: &[] },
    Row { operators: &["ReverseSequence"], versions: &[10], changed: &[] },
    Row {
        operators: &["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"],
        versions: &[1, 22],
        changed: &[],
    },
    Row { operators: &["Multinomial"], versions: &[7, 22], changed: &[] },
    Row { operators: &["Bernoulli"], versions: &[15, 22], changed: &[] },
    Row { operators: &["TensorScatter"], versions: &[24], changed: &[] },
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

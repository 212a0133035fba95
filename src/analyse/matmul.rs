//! MatMul with a constant right factor `[in, out]`. Its bias is the constant of an Add that alone
//! reads the product.

use super::rule::{Factor, Rule, is_row};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Index, is_standard, node_label};
use crate::plan::{Kernel, Read};

pub(super) const RULE: Rule = Rule {
    operator: "MatMul",
    weights: 1,
    data: 0,
    factor: |node, _, dims, index| {
        if dims.len() != 2 {
            return Err(format!("weights of {} axes", dims.len()));
        }
        let kernel = Kernel::Matrix { transposed: false, input_transposed: false, alpha: 1.0, beta: 1.0 };
        Ok(Factor { axis: 1, input_axis: 0, kernel, bias: added(node, dims[1], index) })
    },
};

fn added(node: &NodeProto, channels: i64, index: &Index) -> Option<(Read, Option<String>)> {
    let product = node.output.first()?;
    let &[(at, slot)] = index.consumers(product) else { return None };
    if index.is_output(product) || index.is_captured(product) {
        return None;
    }
    let add = &index.graph().node[at];
    let other =
        add.input.get(1 - slot.min(1)).filter(|_| is_standard(add.domain()) && add.op_type() == "Add")?;
    let read = Read { node: node_label(add).into(), operator: "Add".into(), at, slot: 1 - slot.min(1) };
    is_row(other, channels, index).then(|| (read, Some(other.clone())))
}

//! MatMul with a constant factor: on the right `[in, out]`, whose bias is the constant of an Add that alone reads the
//! product; or on the left `[out, in]`. A stack of matrices has kernels of its own in each.

use super::rule::{Factor, Rule, Seen, is_row};
use crate::onnx::is_standard;
use crate::plan::{BiasSlot, Kernel, Partition, Read, Work};

pub(super) const RULE: Rule = Rule {
    operator: "MatMul",
    is_foreign: false,
    slots: &[(1, Some(0)), (0, Some(1))],
    either: true,
    product: true,
    integer: true,
    factor: |seen| {
        let (dims, left) = (seen.dims, seen.slot == 0);
        let rank = dims.len();
        if rank < 2 {
            return Err(format!("weights of {rank} axes"));
        }
        let (axis, input_axis) = if left { (rank - 2, rank - 1) } else { (rank - 1, rank - 2) };
        if rank > 2 {
            let size = usize::try_from(dims[input_axis]).unwrap_or(0).max(1);
            let by_kernel = Partition::Block { axis: input_axis, size };
            return Ok(Factor {
                data: None,
                by_kernel,
                input_axis,
                bias: None,
                kernel: Kernel::Other(Work::Unknown),
            });
        }
        let kernel = Kernel::Matrix { transposed: left, input_transposed: left, alpha: 1.0, beta: 1.0 };
        let bias = if left { None } else { added(seen, dims[axis]) };
        Ok(Factor { data: None, by_kernel: Partition::Channel { axis }, input_axis, bias, kernel })
    },
};

fn added(seen: &Seen, channels: i64) -> Option<BiasSlot> {
    let index = seen.index;
    let product = seen.node.output.first()?;
    let &[(at, slot)] = index.consumers(product) else { return None };
    if index.is_output(product) || index.is_captured(product) {
        return None;
    }
    let add = &index.graph().node[at];
    let other =
        add.input.get(1 - slot.min(1)).filter(|_| is_standard(add.domain()) && add.op_type() == "Add")?;
    let read = Read::new(add, at, 1 - slot.min(1));
    is_row(other, channels, index).then(|| BiasSlot { read, tensor: Some(other.clone()) })
}

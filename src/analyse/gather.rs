//! Gather from a constant table, such as an embedding: one scale a row that is looked up.

use super::rule::{Factor, Rule};
use crate::onnx::{axis_of, int};
use crate::plan::{Kernel, Partition, Work};

pub(super) const RULE: Rule = Rule {
    operator: "Gather",
    is_foreign: false,
    slots: &[(0, None)],
    either: true,
    product: false,
    integer: false,
    factor: |seen| {
        let rank = seen.dims.len();
        if rank < 2 {
            return Err("a table of single numbers".into());
        }
        let asked = int(seen.node, "axis").unwrap_or(0);
        let axis = axis_of(asked, rank).ok_or_else(|| format!("axis {asked} of {rank}"))?;
        let input_axis = if axis + 1 < rank { rank - 1 } else { rank - 2 };
        let by_kernel = Partition::Channel { axis };
        Ok(Factor { data: None, by_kernel, input_axis, bias: None, kernel: Kernel::Other(Work::None) })
    },
};

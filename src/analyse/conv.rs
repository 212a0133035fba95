//! Conv: weights `[out, in / groups, k...]`, any number of groups, one to three spatial axes; and DeformConv, whose weights
//! lie the same way but meet values between the elements of its input.

use super::rule::{Factor, Rule, Seen, bias_slot, spatial};
use crate::plan::{Kernel, Partition, Work};

pub(super) const RULE: Rule = Rule {
    operator: "Conv",
    is_foreign: false,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: true,
    factor: |seen| {
        let bias = bias_slot(seen, 2, seen.dims.first().copied().unwrap_or(0));
        Ok(Factor { bias, ..factor(seen)? })
    },
};

pub(super) const DEFORMABLE: Rule = Rule {
    operator: "DeformConv",
    is_foreign: false,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: false,
    factor: |seen| Ok(Factor { kernel: Kernel::Other(Work::Unknown), ..factor(seen)? }),
};

fn factor(seen: &Seen) -> Result<Factor, String> {
    let spatial = spatial(seen.node, seen.dims, "output")?;
    let by_kernel = Partition::Channel { axis: 0 };
    Ok(Factor { data: None, by_kernel, input_axis: 1, bias: None, kernel: Kernel::Conv(spatial) })
}

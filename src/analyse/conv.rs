//! Conv: weights `[out, in / groups, k...]`, any number of groups, one to three spatial axes.

use super::rule::{Factor, Rule, bias_slot, spatial};
use crate::plan::Kernel;

pub(super) const RULE: Rule = Rule {
    operator: "Conv",
    weights: 1,
    data: 0,
    factor: |node, at, dims, index| {
        if !(3..=5).contains(&dims.len()) {
            return Err(format!("weights of {} axes", dims.len()));
        }
        let spatial = spatial(node, dims)?;
        if dims[0] % spatial.groups as i64 != 0 {
            return Err(format!("{} output channels in {} groups", dims[0], spatial.groups));
        }
        Ok(Factor {
            axis: 0,
            input_axis: 1,
            bias: bias_slot(node, at, 2, dims[0], index),
            kernel: Kernel::Conv(spatial),
        })
    },
};

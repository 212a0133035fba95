//! ConvTranspose: weights `[in, out / groups, k...]`. Channels of different groups share a scale,
//! since DequantizeLinear has no finer partition along axis 1.

use super::rule::{Factor, Rule, bias_slot, spatial};
use crate::onnx::{ints, string};
use crate::plan::{Kernel, Partition};

pub(super) const RULE: Rule = Rule {
    operator: "ConvTranspose",
    is_foreign: false,
    slots: &[(1, Some(0))],
    either: true,
    product: true,
    integer: true,
    factor: |seen| {
        let (node, dims) = (seen.node, seen.dims);
        let spatial = spatial(node, dims, "input")?;
        // With the output's size given or padded to match, what is cropped depends on the input.
        let fixed = ints(node, "output_shape").is_none()
            && string(node, "auto_pad").is_none_or(|pad| pad == "NOTSET");
        let channels = dims[1].saturating_mul(spatial.groups as i64);
        let bias = if fixed { bias_slot(seen, 2, channels) } else { None };
        let by_kernel = Partition::Channel { axis: 1 };
        Ok(Factor { data: None, by_kernel, input_axis: 0, bias, kernel: Kernel::ConvTranspose(spatial) })
    },
};

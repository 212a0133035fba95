//! ConvTranspose: weights `[in, out / groups, k...]`. Channels of different groups share a scale,
//! since DequantizeLinear has no finer partition along axis 1.

use super::rule::{Factor, Rule, bias_slot, spatial};
use crate::onnx::{ints, string};
use crate::plan::Kernel;

pub(super) const RULE: Rule = Rule {
    operator: "ConvTranspose",
    weights: 1,
    data: 0,
    factor: |node, at, dims, index| {
        if !(3..=5).contains(&dims.len()) {
            return Err(format!("weights of {} axes", dims.len()));
        }
        let spatial = spatial(node, dims)?;
        if dims[0] % spatial.groups as i64 != 0 {
            return Err(format!("{} input channels in {} groups", dims[0], spatial.groups));
        }
        // With the output's size given or padded to match, what is cropped depends on the input.
        let fixed = ints(node, "output_shape").is_none()
            && string(node, "auto_pad").is_none_or(|pad| pad == "NOTSET");
        let channels = dims[1].saturating_mul(spatial.groups as i64);
        let bias = if fixed { bias_slot(node, at, 2, channels, index) } else { None };
        Ok(Factor { axis: 1, input_axis: 0, bias, kernel: Kernel::ConvTranspose(spatial) })
    },
};

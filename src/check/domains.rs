//! Opsets, the version of the format, and operators outside the standard.

use super::Seen;
use crate::onnx::proto::NodeProto;
use crate::onnx::{CONTRIB, Dtype, Model, int, is_standard, tensors};
use crate::plan::Finding;

/// The IR version and the opset that know 4-bit types.
const IR_FOUR_BIT: i64 = 10;
/// Sizes that com.microsoft MatMulNBits knows.
const BLOCKS: std::ops::RangeInclusive<i64> = 16..=256;

/// The model as a whole.
pub(super) fn whole(model: &Model, seen: &mut Seen) {
    let mut refuse = |problem: String| {
        seen.findings.push(Finding {
            node: String::new(),
            operator: String::new(),
            tensor: String::new(),
            problem,
            refused: true,
        });
    };
    let (least, most) = seen.target.opsets;
    let opset = model.opset();
    if !(least..=most).contains(&opset) {
        refuse(format!("opset {opset}; {} takes {least} to {most}", seen.target.name));
    }
    let four = |dtype: i32| matches!(Dtype::try_from(dtype), Ok(Dtype::Int4 | Dtype::Uint4));
    let version = model.proto.ir_version();
    if version < IR_FOUR_BIT && tensors(model.graph()).into_iter().any(|tensor| four(tensor.data_type())) {
        refuse(format!("IR version {version} knows no 4-bit types, which need {IR_FOUR_BIT}"));
    }
}

/// The domain of one node, and what is known of its operator there.
pub(super) fn node(node: &NodeProto, functions: &[(&str, &str)], seen: &mut Seen) {
    let domain = node.domain();
    if is_standard(domain) || functions.contains(&(domain, node.op_type())) {
        return;
    }
    let target = seen.target;
    if domain != CONTRIB || !target.contrib {
        let known = if target.contrib { "the standard's and com.microsoft" } else { "the standard's" };
        let takes = if target.matmul_nbits && !target.contrib { " and MatMulNBits" } else { "" };
        if node.op_type() != "MatMulNBits" || domain != CONTRIB || !target.matmul_nbits {
            seen.refuse(node, "", format!("domain {domain}; {} takes {known}{takes}", target.name));
            return;
        }
    }
    if node.op_type() != "MatMulNBits" {
        return;
    }
    seen.quantized += 1;
    if !target.matmul_nbits {
        seen.refuse(node, "", format!("{} takes no MatMulNBits as it is meant to run", target.name));
        return;
    }
    let (bits, block) = (int(node, "bits").unwrap_or(4), int(node, "block_size").unwrap_or(0));
    if !BLOCKS.contains(&block) || block.count_ones() != 1 {
        let sizes = format!("powers of two from {} to {}", BLOCKS.start(), BLOCKS.end());
        seen.refuse(node, "", format!("MatMulNBits in blocks of {block}; {sizes} are known"));
    }
    if !matches!(bits, 2 | 4 | 8) {
        seen.refuse(node, "", format!("MatMulNBits of {bits} bits; 2, 4 and 8 are known"));
    }
}

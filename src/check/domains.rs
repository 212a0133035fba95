//! Opsets, the version of the format, and operators outside the standard.

use super::Seen;
use crate::onnx::proto::NodeProto;
use crate::onnx::{CONTRIB, Dtype, Model, int, is_standard, tensors};
use crate::options::{Contrib, NBITS_BLOCKS, fits_nbits};
use crate::plan::Finding;

/// The IR version and the opset that know 4-bit types.
const IR_FOUR_BIT: i64 = 10;

/// The model as a whole.
pub(super) fn whole(model: &Model, seen: &mut Seen) {
    let mut refuse = |problem: String| {
        seen.findings.push(Finding {
            node: String::new(),
            operator: String::new(),
            tensor: String::new(),
            problem,
            refused: true,
            saturates: false,
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

/// Operators that compute in integers by name.
fn is_integer(operator: &str) -> bool {
    operator.starts_with("QLinear")
        || matches!(
            operator,
            "QGemm" | "ConvInteger" | "MatMulInteger" | "MatMulIntegerToFloat" | "DynamicQuantizeMatMul"
        )
}

/// The domain of one node, and what is known of its operator there.
pub(super) fn node(node: &NodeProto, functions: &[(&str, &str)], seen: &mut Seen) {
    let (domain, operator) = (node.domain(), node.op_type());
    if functions.contains(&(domain, operator)) {
        return;
    }
    let target = seen.target;
    if is_integer(operator) {
        seen.quantized += 1;
        if !target.integer_operators {
            let problem =
                format!("{} takes QuantizeLinear and DequantizeLinear around float operators", target.name);
            seen.refuse(node, "", problem);
            return;
        }
    }
    if is_standard(domain) {
        return;
    }
    let linear = matches!(operator, "QuantizeLinear" | "DequantizeLinear");
    let nbits = operator == "MatMulNBits";
    let known = domain == CONTRIB
        && match target.contrib {
            Contrib::All => true,
            Contrib::Linear => linear || nbits,
            Contrib::No => nbits && target.matmul_nbits,
        };
    if !known {
        let takes = match target.contrib {
            Contrib::All => "the standard's and com.microsoft",
            Contrib::Linear => {
                "the standard's, and of com.microsoft QuantizeLinear, DequantizeLinear and MatMulNBits"
            }
            Contrib::No => "the standard's",
        };
        seen.refuse(node, "", format!("domain {domain}; {} takes {takes}", target.name));
        return;
    }
    if !nbits {
        return;
    }
    seen.quantized += 1;
    if !target.matmul_nbits {
        seen.refuse(node, "", format!("{} takes no MatMulNBits as it is meant to run", target.name));
        return;
    }
    let (bits, block) = (int(node, "bits").unwrap_or(4), int(node, "block_size").unwrap_or(0));
    if !usize::try_from(block).is_ok_and(fits_nbits) {
        let sizes = format!("powers of two from {} to {}", NBITS_BLOCKS.start(), NBITS_BLOCKS.end());
        seen.refuse(node, "", format!("MatMulNBits in blocks of {block}; {sizes} are known"));
    }
    if !matches!(bits, 2 | 4 | 8) {
        seen.refuse(node, "", format!("MatMulNBits of {bits} bits; 2, 4 and 8 are known"));
    }
}

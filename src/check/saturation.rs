//! Integer layers whose sums may leave 16 bits.

use super::Seen;
use super::codes::Codes;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Index, int};
use crate::options::{Case, CodeType, HELD};
use crate::plan::is_depthwise;

/// Notes where two products with `codes` can leave 16 bits in the kernel that the target has for `reader`.
/// Which codes it adds in pairs depends on how it lays them out, so the two largest of an output channel are taken.
pub(super) fn layer(reader: &NodeProto, case: &Case, codes: Codes, index: &Index, seen: &mut Seen) {
    let eight =
        case.weights == CodeType::Int8 && case.activation.is_some_and(|code_type| code_type.bits() == 8);
    if !eight || !seen.target.saturating.contains(&reader.op_type()) {
        return;
    }
    let convolution = matches!(reader.op_type(), "Conv" | "ConvTranspose");
    if convolution && is_depthwise(codes.dims, int(reader, "group").unwrap_or(1)) {
        return;
    }
    let Some(values) = codes.values() else { return };
    // The codes of an output channel lie `inner` apart where it is not the outermost axis.
    let (channels, inner) = channels(reader, codes, index);
    let mut largest = vec![(0, 0); channels.max(1)];
    for (at, code) in values.iter().enumerate() {
        let (first, second) = &mut largest[at / inner % channels.max(1)];
        let code = code.abs();
        if code > *first {
            (*first, *second) = (code, *first);
        } else if code > *second {
            *second = code;
        }
    }
    let sum = largest.into_iter().map(|(first, second)| first + second).max().unwrap_or(0);
    let (lowest, highest) = HELD;
    if sum > i64::from(highest - lowest) {
        let problem = format!(
            "two products with its codes can exceed 16 bits, where kernels of x86 without VNNI saturate; codes of {lowest} to \
             {highest} cannot"
        );
        seen.saturates(reader, codes.name, problem);
    }
}

/// How many output channels there are, and how many elements share the place of one within the others; one channel where that
/// cannot be told.
fn channels(reader: &NodeProto, codes: Codes, index: &Index) -> (usize, usize) {
    let decoded = reader.input.get(1).and_then(|name| index.producer(name));
    if decoded.is_none_or(|node| node.input.first().is_none_or(|name| name != codes.value)) {
        return (1, 1);
    }
    let axis = match (reader.op_type(), codes.dims.len()) {
        ("Conv", 1..) => 0,
        ("Gemm", 2) if int(reader, "transB").unwrap_or(0) != 0 => 0,
        ("Gemm" | "MatMul", 2) => 1,
        _ => return (1, 1),
    };
    let length = |dims: &[i64]| dims.iter().product::<i64>().unsigned_abs().max(1) as usize;
    (length(&codes.dims[axis..=axis]), length(&codes.dims[axis + 1..]))
}

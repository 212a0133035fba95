//! What is quantized already in a model.

use std::collections::HashSet;

use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{CONTRIB, Index, Model, dtype_name, element_count, int, operator_label};
use crate::pipeline::measure::{bytes, parameters};
use crate::plan::SiteRow;

/// The axis of a DequantizeLinear that says none.
const USUAL_AXIS: i64 = 1;

/// Constants behind DequantizeLinear, and weights of MatMulNBits.
pub(super) fn sites(model: &Model) -> Vec<SiteRow> {
    let index = Index::new(model.graph());
    let nodes = &model.graph().node;
    nodes.iter().filter_map(|node| dequantized(node, &index).or_else(|| packed(node, &index))).collect()
}

/// How many parameters there are: float ones without the scales of quantized tensors, and one a code.
pub(super) fn count(model: &Model) -> u64 {
    let index = Index::new(model.graph());
    let (mut codes, mut scales) = (0u64, HashSet::new());
    for node in &model.graph().node {
        let scale = match node.op_type() {
            "DequantizeLinear" | "QuantizeLinear" => 1,
            "MatMulNBits" if node.domain() == CONTRIB => 2,
            _ => continue,
        };
        scales.extend(node.input.get(scale).map(String::as_str));
        let row = dequantized(node, &index).or_else(|| packed(node, &index));
        let elements = |row: SiteRow| {
            let dims = row.dims.iter().map(|&dim| u64::try_from(dim).unwrap_or(0));
            dims.fold(1, u64::saturating_mul)
        };
        codes = codes.saturating_add(row.map_or(0, elements));
    }
    let scales = scales.into_iter().filter_map(|name| index.initializer(name));
    let scales: u64 = scales.map(|scale| element_count(scale).unwrap_or(0) as u64).sum();
    parameters(model).saturating_sub(scales).saturating_add(codes)
}

fn dequantized(node: &NodeProto, index: &Index) -> Option<SiteRow> {
    let is_pair = node.op_type() == "DequantizeLinear";
    let codes = index.constant(node.input.first().filter(|_| is_pair)?)?;
    let readers = node.output.first().map_or(&[][..], |output| index.consumers(output));
    let reader = readers.first().map(|&(at, _)| operator_label(&index.graph().node[at]));
    Some(SiteRow {
        tensor: codes.name().to_owned(),
        operator: reader.unwrap_or_default(),
        dims: codes.dims.clone(),
        axis: axis(node, codes, index),
        readers: readers.len(),
        bytes: bytes(codes),
        code_type: Some(dtype_name(codes.data_type()).to_lowercase()),
    })
}

/// The axis along which each index has a scale of its own.
fn axis(node: &NodeProto, codes: &TensorProto, index: &Index) -> Option<usize> {
    let scale = index.constant(node.input.get(1)?)?;
    let rank = i64::try_from(codes.dims.len()).ok()?;
    let axis = int(node, "axis").unwrap_or(USUAL_AXIS);
    let axis = usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok()?;
    let is_channel = scale.dims.len() == 1 && scale.dims.first() == codes.dims.get(axis);
    is_channel.then_some(axis)
}

fn packed(node: &NodeProto, index: &Index) -> Option<SiteRow> {
    let is_packed = node.op_type() == "MatMulNBits" && node.domain() == CONTRIB;
    let codes = index.constant(node.input.get(1).filter(|_| is_packed)?)?;
    let bits = int(node, "bits").unwrap_or(4);
    Some(SiteRow {
        tensor: codes.name().to_owned(),
        operator: operator_label(node),
        dims: vec![int(node, "N")?, int(node, "K")?],
        axis: None,
        readers: index.consumers(codes.name()).len(),
        bytes: bytes(codes),
        code_type: Some(format!("uint{bits} (MatMulNBits)")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{Dtype, attr, tensor_f32};

    #[test]
    fn codes_count_and_scales_do_not() {
        let mut graph = GraphBuilder::new(21);
        graph.input("x", &[1, 4]);
        let codes = |name: &str, dtype: Dtype, dims: &[i64], raw: Vec<u8>| TensorProto {
            name: Some(name.into()),
            data_type: Some(dtype as i32),
            dims: dims.to_vec(),
            raw_data: Some(raw.into()),
            ..Default::default()
        };
        graph.initializer(codes("w", Dtype::Int8, &[4, 3], vec![1; 12]));
        graph.initializer(codes("b", Dtype::Int32, &[3], vec![0; 12]));
        graph.initializer(tensor_f32("scale", &[3], &[0.5; 3]));
        graph.initializer(tensor_f32("one", &[], &[0.5]));
        let w = graph.node("DequantizeLinear", &["w", "scale"], &[attr::int("axis", 1)]);
        let b = graph.node("DequantizeLinear", &["b", "one"], &[]);
        let y = graph.node("Gemm", &["x", &w, &b], &[]);
        graph.output(&y);
        let model = graph.model();
        assert_eq!(count(&model), 15);
        let found = sites(&model);
        let types: Vec<_> = found.iter().map(|site| (site.code_type.as_deref(), site.axis)).collect();
        assert_eq!(types, [(Some("int8"), Some(1)), (Some("int32"), None)]);
        assert_eq!((found[1].bytes, found[0].operator.as_str()), (12, "Gemm"));
    }
}

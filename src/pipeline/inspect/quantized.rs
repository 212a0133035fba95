//! What is quantized already in a model.

use std::collections::HashSet;

use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    CONTRIB, Decoded, Dtype, Index, Model, dtype_name, element_count, int, is_dequantized, node_label,
    operator_label,
};
use crate::pipeline::measure::{bytes, is_float, parameters};
use crate::plan::{ActivationRow, SiteRow, Stamp};

/// The axis of a DequantizeLinear that says none.
const USUAL_AXIS: i64 = 1;
/// Operators between a tensor and its reader that are followed.
const MOST_BETWEEN: usize = 8;

/// By what a file was quantized, in words.
pub(super) fn origin(stamp: &Stamp) -> String {
    let form = if stamp.precision.is_empty() { String::new() } else { format!(", {}", stamp.precision) };
    let count = match stamp.quantized {
        None => String::new(),
        Some(1) => ", 1 tensor of codes".to_owned(),
        Some(count) => format!(", {count} tensors of codes"),
    };
    format!("fourbit {}{form}{count}", stamp.version)
}

/// Constants behind DequantizeLinear or other operators over codes, and weights of MatMulNBits.
pub(super) fn sites(model: &Model) -> Vec<SiteRow> {
    let index = Index::new(model.graph());
    let decoded = Decoded::of(&index);
    let row = |(at, node)| unpacked(at, &decoded, &index).or_else(|| constant(node, &index));
    model.graph().node.iter().enumerate().filter_map(row).collect()
}

/// How many parameters there are: float ones without those that only decode quantized tensors, and one a code.
pub(super) fn count(model: &Model) -> u64 {
    let index = Index::new(model.graph());
    let decoded = Decoded::of(&index);
    let (mut codes, mut scales) = (0u64, HashSet::new());
    for (at, node) in model.graph().node.iter().enumerate() {
        let row = unpacked(at, &decoded, &index).or_else(|| constant(node, &index));
        let elements = |row: SiteRow| {
            let dims = row.dims.iter().map(|&dim| u64::try_from(dim).unwrap_or(0));
            dims.fold(1, u64::saturating_mul)
        };
        codes = codes.saturating_add(row.map_or(0, elements));
        let scale = match node.op_type() {
            _ if decoded.is_over(at) => {
                scales.extend(node.input.iter().map(String::as_str));
                continue;
            }
            "DequantizeLinear" | "QuantizeLinear" => 1,
            "MatMulNBits" if node.domain() == CONTRIB => 2,
            _ => continue,
        };
        scales.extend(node.input.get(scale).map(String::as_str));
    }
    let scales = scales.into_iter().filter_map(|name| index.initializer(name)).filter(|it| is_float(it));
    let scales: u64 = scales.map(|scale| element_count(scale).unwrap_or(0) as u64).sum();
    parameters(model).saturating_sub(scales).saturating_add(codes)
}

/// A tensor whose codes operators unpack, the last of which stands at `at`.
fn unpacked(at: usize, decoded: &Decoded, index: &Index) -> Option<SiteRow> {
    let found = decoded.end(at)?;
    let stored = found.stored()?;
    let name = index.graph().node[at].output.first()?;
    let Reader { operator, value, nodes } = read(name, index);
    Some(SiteRow {
        tensor: name.clone(),
        operator,
        dims: found.dims.clone(),
        axis: found.axis(),
        readers: nodes.len(),
        bytes: bytes(stored.tensor),
        code_type: Some(match stored.in_bytes {
            true => format!("{}-bit in bytes", stored.bits),
            false => format!("{} (unpacked by Cast)", dtype_name(stored.tensor.data_type()).to_lowercase()),
        }),
        block: None,
        value,
        nodes,
    })
}

/// Who reads a decoded tensor.
#[derive(Default)]
struct Reader {
    /// The first of their operators.
    operator: String,
    /// What they read.
    value: String,
    nodes: Vec<String>,
}

/// Who reads `value`, through a Cast to another float type and a sum of terms.
fn read(value: &str, index: &Index) -> Reader {
    let mut value = value;
    for _ in 0..MOST_BETWEEN {
        let &[(at, _)] = index.consumers(value) else { break };
        let node = &index.graph().node[at];
        match (node.op_type(), node.output.as_slice()) {
            ("Cast", [output]) => value = output,
            ("Add", [output]) if node.input.iter().all(|input| is_dequantized(input, index)) => {
                value = output
            }
            _ => break,
        }
    }
    let readers: Vec<_> = index.consumers(value).iter().map(|&(at, _)| &index.graph().node[at]).collect();
    Reader {
        operator: readers.first().map(|node| operator_label(node)).unwrap_or_default(),
        value: value.to_owned(),
        nodes: readers.into_iter().map(|node| node_label(node).to_owned()).collect(),
    }
}

/// Activations behind which codes become floats again.
pub(super) fn activations(model: &Model) -> Vec<ActivationRow> {
    let index = Index::new(model.graph());
    let row = |node: &NodeProto| {
        let tensor = node.input.first().filter(|input| index.constant(input).is_none())?;
        let output = node.output.first().filter(|_| node.op_type() == "QuantizeLinear")?;
        let zero_point = node.input.get(2).and_then(|name| index.constant(name)).map(|it| it.data_type());
        let declared = int(node, "output_dtype").and_then(|code| i32::try_from(code).ok());
        let code = zero_point.or(declared.filter(|&code| code != 0)).unwrap_or(Dtype::Uint8 as i32);
        let decoded = index.consumers(output).iter().map(|&(at, _)| &index.graph().node[at]);
        let decoded = decoded.filter(|node| node.op_type() == "DequantizeLinear");
        let nodes =
            decoded.filter_map(|node| node.output.first()).flat_map(|value| read(value, &index).nodes);
        Some(ActivationRow {
            tensor: tensor.clone(),
            code_type: dtype_name(code).to_lowercase(),
            nodes: nodes.collect(),
        })
    };
    model.graph().node.iter().filter_map(row).collect()
}

fn constant(node: &NodeProto, index: &Index) -> Option<SiteRow> {
    dequantized(node, index).or_else(|| packed(node, index))
}

fn dequantized(node: &NodeProto, index: &Index) -> Option<SiteRow> {
    let is_pair = node.op_type() == "DequantizeLinear";
    let codes = index.constant(node.input.first().filter(|_| is_pair)?)?;
    let Reader { operator, value, nodes } =
        node.output.first().map_or_else(Reader::default, |output| read(output, index));
    let block = int(node, "block_size").and_then(|size| u64::try_from(size).ok()).filter(|&size| size > 0);
    Some(SiteRow {
        tensor: codes.name().to_owned(),
        operator,
        dims: codes.dims.clone(),
        axis: axis(node, codes, index),
        readers: nodes.len(),
        bytes: bytes(codes),
        code_type: Some(dtype_name(codes.data_type()).to_lowercase()),
        block,
        value,
        nodes,
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
        block: int(node, "block_size").and_then(|size| u64::try_from(size).ok()),
        value: codes.name().to_owned(),
        nodes: vec![node_label(node).to_owned()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, tensor_f32};

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

    #[test]
    fn unpacked_codes_are_listed_and_counted() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 4]);
        graph.initializer(crate::onnx::tensor("codes", Dtype::Uint4, &[4, 2], vec![0x31; 4]));
        graph.initializer(tensor_f32("zero", &[], &[8.0]));
        graph.initializer(tensor_f32("scale", &[2], &[0.5, 0.25]));
        let value = graph.node("Cast", &["codes"], &[attr::int("to", Dtype::Float as i64)]);
        let value = graph.node("Sub", &[&value, "zero"], &[]);
        let w = graph.node("Mul", &[&value, "scale"], &[]);
        let bias = graph.weights("bias", &[2]);
        let y = graph.node("Gemm", &[&x, &w, &bias], &[]);
        graph.output(&y);
        let model = graph.model();
        assert_eq!(count(&model), 8 + 2);
        let found = sites(&model);
        let [site] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((site.tensor.as_str(), site.operator.as_str(), site.bytes), (w.as_str(), "Gemm", 4));
        assert_eq!((site.dims.as_slice(), site.axis, site.readers), (&[4, 2][..], Some(1), 1));
        assert_eq!(site.code_type.as_deref(), Some("uint4 (unpacked by Cast)"));
    }
}

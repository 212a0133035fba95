//! A model as one protobuf message, handed out in pieces: the same bytes as encoding it in memory gives, without a copy of
//! its tensors.

use std::io;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::maps::let_go;
use super::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use super::subgraphs::bodies;

/// Takes one piece after another.
type Take<'t> = dyn FnMut(&[u8]) -> io::Result<()> + 't;

/// Data from this size on goes out by itself, in bytes; messages without any are encoded in memory.
const LARGE: usize = 64 << 10;
/// Bytes handed out at a time, after which their pages are let go.
const PIECE: usize = 8 << 20;

/// Hands `bytes` to `take` in pieces and lets go of each.
pub(super) fn pieces(bytes: &[u8], take: &mut Take) -> io::Result<()> {
    bytes.chunks(PIECE).try_for_each(|piece| {
        take(piece)?;
        let_go(piece);
        Ok(())
    })
}

// Fields go out in the order of their numbers, as prost writes them. Each message is taken apart by name, so that a field
// that is new in the format cannot be forgotten here.

pub(super) fn model(model: &ModelProto, take: &mut Take) -> io::Result<()> {
    let ModelProto {
        ir_version,
        producer_name,
        producer_version,
        domain,
        model_version,
        doc_string,
        graph: inner,
        opset_import,
        metadata_props,
        training_info,
        functions,
        configuration,
    } = model;
    let head = ModelProto {
        ir_version: *ir_version,
        producer_name: producer_name.clone(),
        producer_version: producer_version.clone(),
        domain: domain.clone(),
        model_version: *model_version,
        doc_string: doc_string.clone(),
        ..Default::default()
    };
    take(&head.encode_to_vec())?;
    if let Some(inner) = inner {
        header(7, inner.encoded_len(), take)?;
        graph(inner, take)?;
    }
    let tail = ModelProto {
        opset_import: opset_import.clone(),
        metadata_props: metadata_props.clone(),
        training_info: training_info.clone(),
        functions: functions.clone(),
        configuration: configuration.clone(),
        ..Default::default()
    };
    take(&tail.encode_to_vec())
}

fn graph(graph: &GraphProto, take: &mut Take) -> io::Result<()> {
    let GraphProto {
        node: nodes,
        name,
        initializer,
        doc_string,
        input,
        output,
        value_info,
        quantization_annotation,
        sparse_initializer,
        metadata_props,
    } = graph;
    nodes.iter().try_for_each(|inner| part(1, inner, is_large_node(inner), node, take))?;
    take(&GraphProto { name: name.clone(), ..Default::default() }.encode_to_vec())?;
    initializer.iter().try_for_each(|inner| part(5, inner, is_large(inner), tensor, take))?;
    let tail = GraphProto {
        doc_string: doc_string.clone(),
        input: input.clone(),
        output: output.clone(),
        value_info: value_info.clone(),
        quantization_annotation: quantization_annotation.clone(),
        sparse_initializer: sparse_initializer.clone(),
        metadata_props: metadata_props.clone(),
        ..Default::default()
    };
    take(&tail.encode_to_vec())
}

fn node(node: &NodeProto, take: &mut Take) -> io::Result<()> {
    let NodeProto {
        input,
        output,
        name,
        op_type,
        attribute: attributes,
        doc_string,
        domain,
        overload,
        metadata_props,
        device_configurations,
    } = node;
    let head = NodeProto {
        input: input.clone(),
        output: output.clone(),
        name: name.clone(),
        op_type: op_type.clone(),
        ..Default::default()
    };
    take(&head.encode_to_vec())?;
    attributes.iter().try_for_each(|inner| part(5, inner, is_large_attribute(inner), attribute, take))?;
    let tail = NodeProto {
        doc_string: doc_string.clone(),
        domain: domain.clone(),
        overload: overload.clone(),
        metadata_props: metadata_props.clone(),
        device_configurations: device_configurations.clone(),
        ..Default::default()
    };
    take(&tail.encode_to_vec())
}

fn attribute(attribute: &AttributeProto, take: &mut Take) -> io::Result<()> {
    let AttributeProto {
        name,
        f,
        i,
        s,
        t,
        g,
        floats,
        ints,
        strings,
        tensors,
        graphs,
        doc_string,
        tp,
        type_protos,
        r#type,
        ref_attr_name,
        sparse_tensor,
        sparse_tensors,
    } = attribute;
    let head = AttributeProto { name: name.clone(), f: *f, i: *i, s: s.clone(), ..Default::default() };
    take(&head.encode_to_vec())?;
    t.iter().try_for_each(|inner| part(5, inner, is_large(inner), tensor, take))?;
    g.iter().try_for_each(|inner| part(6, inner, is_large_graph(inner), graph, take))?;
    let middle = AttributeProto {
        floats: floats.clone(),
        ints: ints.clone(),
        strings: strings.clone(),
        ..Default::default()
    };
    take(&middle.encode_to_vec())?;
    tensors.iter().try_for_each(|inner| part(10, inner, is_large(inner), tensor, take))?;
    graphs.iter().try_for_each(|inner| part(11, inner, is_large_graph(inner), graph, take))?;
    let tail = AttributeProto {
        doc_string: doc_string.clone(),
        tp: tp.clone(),
        type_protos: type_protos.clone(),
        r#type: *r#type,
        ref_attr_name: ref_attr_name.clone(),
        sparse_tensor: sparse_tensor.clone(),
        sparse_tensors: sparse_tensors.clone(),
        ..Default::default()
    };
    take(&tail.encode_to_vec())
}

fn tensor(tensor: &TensorProto, take: &mut Take) -> io::Result<()> {
    let TensorProto {
        dims,
        data_type,
        segment,
        float_data,
        int32_data,
        string_data,
        int64_data,
        name,
        raw_data,
        double_data,
        uint64_data,
        doc_string,
        external_data,
        data_location,
        metadata_props,
    } = tensor;
    let head = TensorProto {
        dims: dims.clone(),
        data_type: *data_type,
        segment: *segment,
        float_data: float_data.clone(),
        int32_data: int32_data.clone(),
        string_data: string_data.clone(),
        int64_data: int64_data.clone(),
        name: name.clone(),
        ..Default::default()
    };
    take(&head.encode_to_vec())?;
    if let Some(raw) = raw_data {
        header(9, raw.len(), take)?;
        pieces(raw, take)?;
    }
    let tail = TensorProto {
        double_data: double_data.clone(),
        uint64_data: uint64_data.clone(),
        doc_string: doc_string.clone(),
        external_data: external_data.clone(),
        data_location: *data_location,
        metadata_props: metadata_props.clone(),
        ..Default::default()
    };
    take(&tail.encode_to_vec())
}

fn is_large(tensor: &TensorProto) -> bool {
    tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= LARGE)
}

fn is_large_graph(graph: &GraphProto) -> bool {
    graph.initializer.iter().any(is_large) || graph.node.iter().any(is_large_node)
}

fn is_large_node(node: &NodeProto) -> bool {
    node.attribute.iter().any(|attribute| attribute.t.iter().chain(&attribute.tensors).any(is_large))
        || bodies(node).any(is_large_graph)
}

fn is_large_attribute(attribute: &AttributeProto) -> bool {
    attribute.t.iter().chain(&attribute.tensors).any(is_large)
        || attribute.g.iter().chain(&attribute.graphs).any(is_large_graph)
}

/// One message as field `tag` of another: by `inside` where it is `large`.
fn part<M: Message>(
    tag: u32,
    message: &M,
    large: bool,
    inside: impl Fn(&M, &mut Take) -> io::Result<()>,
    take: &mut Take,
) -> io::Result<()> {
    header(tag, message.encoded_len(), take)?;
    if large { inside(message, take) } else { take(&message.encode_to_vec()) }
}

fn header(tag: u32, length: usize, take: &mut Take) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(16);
    encode_key(tag, WireType::LengthDelimited, &mut bytes);
    encode_varint(length as u64, &mut bytes);
    take(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, node};
    use crate::onnx::proto::{StringStringEntryProto, TrainingInfoProto, TypeProto};
    use crate::onnx::{Dtype, attr, tensor_f32};

    #[test]
    fn pieces_make_up_the_message() {
        let large = |name: &str| tensor_f32(name, &[20_000], &vec![0.25; 20_000]);
        let entry = StringStringEntryProto { key: Some("key".into()), value: Some("value".into()) };
        let mut inner = GraphBuilder::new(21);
        let w = inner.initializer(large("inner"));
        let constant = inner.node("Constant", &[], &[attr::tensor("value", large(""))]);
        inner.output(&w);
        inner.output(&constant);
        let body = inner.proto().graph.unwrap();
        let mut odd = attr::tensor("odd", large("t"));
        odd.graphs = vec![body.clone(), Default::default()];
        odd.tensors = vec![large("a"), tensor_f32("b", &[1], &[1.0])];
        odd.floats = vec![1.0, 2.0];
        odd.strings = vec![b"word".to_vec()];
        odd.type_protos = vec![TypeProto::default()];
        odd.doc_string = Some("doc".into());
        odd.ref_attr_name = Some("other".into());
        let mut outer = GraphBuilder::new(21);
        let x = outer.input("x", &[1, 4]);
        let mut full = large("full");
        full.double_data = vec![1.0];
        full.int64_data = vec![3, -3];
        full.doc_string = Some("doc".into());
        full.metadata_props = vec![entry.clone()];
        outer.initializer(full);
        outer.initializer(tensor_f32("small", &[2], &[1.0, 2.0]));
        let mut branch = node("If", "if", &[&x], &["y"], &[attr::graph("then_branch", body), odd]);
        branch.domain = Some("somewhere".into());
        branch.doc_string = Some("doc".into());
        branch.metadata_props = vec![entry.clone()];
        outer.push(branch);
        outer.push(node("Relu", "relu", &["y"], &["z"], &[]));
        outer.output("z");
        let mut proto = outer.proto();
        proto.producer_name = Some("somebody".into());
        proto.doc_string = Some(String::new());
        proto.training_info = vec![TrainingInfoProto::default()];
        proto.metadata_props = vec![entry.clone()];
        let inside = proto.graph.get_or_insert_default();
        inside.doc_string = Some("doc".into());
        inside.metadata_props = vec![entry];
        inside.value_info = vec![crate::onnx::build::value("y", Dtype::Float, &[1])];
        let mut found = Vec::new();
        model(&proto, &mut |piece| {
            found.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert!(found == proto.encode_to_vec());
        for proto in [ModelProto::default(), ModelProto { graph: Some(GraphProto::default()), ..proto }] {
            found.clear();
            model(&proto, &mut |piece| {
                found.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert!(found == proto.encode_to_vec());
        }
    }
}

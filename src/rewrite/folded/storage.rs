//! 4-bit codes in 8-bit storage.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use crate::onnx::{Dtype, bodies_mut, int, integers, is_linear, node_label};

/// Stores every 4-bit tensor of `graph` and its subgraphs in 8 bits.
///
/// # Errors
/// [`Error::Invalid`] where data is not as long as its dimensions say, or where a node rounds to
/// 4 bits: with 8-bit operands it would no longer saturate at the same values.
pub(super) fn widen(graph: &mut GraphProto) -> Result<()> {
    widen_within(graph, &HashSet::new())
}

fn widen_within(graph: &mut GraphProto, outer: &HashSet<String>) -> Result<()> {
    let mut four_bit = outer.clone();
    for tensor in &mut graph.initializer {
        if widen_tensor(tensor)? {
            four_bit.insert(tensor.name().to_owned());
        }
    }
    for node in &mut graph.node {
        let mut found = false;
        for tensor in node.attribute.iter_mut().flat_map(|it| it.t.iter_mut().chain(&mut it.tensors)) {
            found |= widen_tensor(tensor)?;
        }
        if found {
            four_bit.extend(node.output.iter().cloned());
        }
        refuse_rounding(node, &four_bit)?;
        for body in bodies_mut(node) {
            widen_within(body, &four_bit)?;
        }
    }
    graph.value_info.retain(|value| wide(element_type(value)).is_none());
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(dtype) = wide(element_type(value)) {
            set_element_type(value, dtype);
        }
    }
    Ok(())
}

fn wide(dtype: i32) -> Option<Dtype> {
    match Dtype::try_from(dtype) {
        Ok(Dtype::Int4) => Some(Dtype::Int8),
        Ok(Dtype::Uint4) => Some(Dtype::Uint8),
        _ => None,
    }
}

fn widen_tensor(tensor: &mut TensorProto) -> Result<bool> {
    let Some(dtype) = wide(tensor.data_type()) else { return Ok(false) };
    let bytes: Vec<u8> = integers(tensor)?.into_iter().map(|code| code as u8).collect();
    tensor.int32_data.clear();
    tensor.raw_data = Some(bytes.into());
    tensor.data_type = Some(dtype as i32);
    Ok(true)
}

fn refuse_rounding(node: &NodeProto, four_bit: &HashSet<String>) -> Result<()> {
    if !is_linear(node, "QuantizeLinear") {
        return Ok(());
    }
    let asked = int(node, "output_dtype").and_then(|dtype| i32::try_from(dtype).ok()).and_then(wide);
    match asked.is_some() || node.input.get(2).is_some_and(|zero| four_bit.contains(zero)) {
        true => {
            let place = format!("node {}", node_label(node));
            Err(Error::invalid(place, "it rounds to 4 bits, which 8-bit storage cannot express"))
        }
        false => Ok(()),
    }
}

fn element_type(value: &ValueInfoProto) -> i32 {
    match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type(),
        _ => 0,
    }
}

fn set_element_type(value: &mut ValueInfoProto, dtype: Dtype) {
    if let Some(type_proto::Value::TensorType(tensor)) =
        value.r#type.as_mut().and_then(|kind| kind.value.as_mut())
    {
        tensor.elem_type = Some(dtype as i32);
    }
}

//! Typed access to a node's attributes.

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// The attribute called `name`.
pub fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// An integer attribute.
pub fn int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).and_then(|attribute| attribute.i)
}

/// A float attribute.
pub fn float(node: &NodeProto, name: &str) -> Option<f32> {
    attribute(node, name).and_then(|attribute| attribute.f)
}

/// A list of integers.
pub fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

/// A string attribute, where it is UTF-8.
pub fn string<'n>(node: &'n NodeProto, name: &str) -> Option<&'n str> {
    attribute(node, name).and_then(|attribute| std::str::from_utf8(attribute.s.as_deref()?).ok())
}

/// Removes `name` and returns it.
pub fn without_attribute(node: &mut NodeProto, name: &str) -> Option<AttributeProto> {
    let at = node.attribute.iter().position(|attribute| attribute.name() == name)?;
    Some(node.attribute.remove(at))
}

/// Adds an attribute, in place of one of the same name.
pub fn set_attribute(node: &mut NodeProto, attribute: AttributeProto) {
    match node.attribute.iter_mut().find(|old| old.name() == attribute.name()) {
        Some(old) => *old = attribute,
        None => node.attribute.push(attribute),
    }
}

/// Constructors of attributes.
pub mod attr {
    use super::{AttributeProto, AttributeType, GraphProto, TensorProto};

    fn empty(name: &str, kind: AttributeType) -> AttributeProto {
        AttributeProto { name: Some(name.into()), r#type: Some(kind as i32), ..Default::default() }
    }

    /// An integer.
    pub fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto { i: Some(value), ..empty(name, AttributeType::Int) }
    }

    /// A float.
    pub fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto { f: Some(value), ..empty(name, AttributeType::Float) }
    }

    /// A string.
    pub fn string(name: &str, value: &str) -> AttributeProto {
        AttributeProto { s: Some(value.as_bytes().to_vec()), ..empty(name, AttributeType::String) }
    }

    /// A list of integers.
    pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
        AttributeProto { ints: values.to_vec(), ..empty(name, AttributeType::Ints) }
    }

    /// A list of strings.
    pub fn strings(name: &str, values: &[&str]) -> AttributeProto {
        let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        AttributeProto { strings, ..empty(name, AttributeType::Strings) }
    }

    /// A list of floats.
    pub fn floats(name: &str, values: &[f32]) -> AttributeProto {
        AttributeProto { floats: values.to_vec(), ..empty(name, AttributeType::Floats) }
    }

    /// A tensor.
    pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
        AttributeProto { t: Some(value), ..empty(name, AttributeType::Tensor) }
    }

    /// A subgraph.
    pub fn graph(name: &str, value: GraphProto) -> AttributeProto {
        AttributeProto { g: Some(value), ..empty(name, AttributeType::Graph) }
    }
}
/// The position of `axis`, which counts from the end where it is negative, among `rank` axes; `None` where there is no such axis.
pub fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let from_front = if axis < 0 { axis.checked_add_unsigned(rank as u64)? } else { axis };
    usize::try_from(from_front).ok().filter(|&axis| axis < rank)
}

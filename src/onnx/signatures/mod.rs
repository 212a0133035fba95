//! What a model breaks of the operators' own definitions: element types, attributes and numbers of inputs, by opset, and scales
//! that nothing can be computed with. Whoever loads such a file refuses it, or computes nonsense.

mod scales;
mod table;
mod types;

#[cfg(test)]
mod tests;

use super::model::{Model, node_label, operator_label};
use super::proto::NodeProto;

pub use types::ElementTypes;

/// One breach of an operator's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The node, or its first output where it has no name.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// The tensor concerned; empty where it is none in particular.
    pub tensor: String,
    /// What is broken.
    pub problem: String,
}

impl Breach {
    fn new(node: &NodeProto, tensor: &str, problem: String) -> Self {
        let (label, operator) = (node_label(node).to_owned(), operator_label(node));
        Self { node: label, operator, tensor: tensor.to_owned(), problem }
    }
}

/// Everything that `model` breaks, in graph order: first types, attributes and numbers of inputs, then scales. Operators of which
/// no definition is known are passed over, and so is what depends on the types that they give.
pub fn breaches(model: &Model) -> Vec<Breach> {
    let mut found = types::check(model);
    found.extend(scales::check(model));
    found
}

//! The written file keeps to the operators' own definitions, so that a runtime loads it.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::onnx::proto::GraphProto;
use crate::onnx::{Breach, Decoded, Index, Model, bodies, breaches};

/// What the names of operators have in them that a float model does not have.
const QUANTIZING: &[&str] = &["QuantizeLinear", "DequantizeLinear", "QLinear", "Integer", "NBits"];

/// Holds `written` against the definitions of its operators. What `float`, the model that it was made of, breaks already is left
/// out: whoever runs that runs the other too.
///
/// # Errors
/// [`Error::SelfCheck`] naming the first node that breaks them.
pub fn sound(written: &Model, float: &Model) -> Result<()> {
    match breach(written, float) {
        // What the input itself breaks, in a node that has become another.
        Some(found) if breaches(float).iter().any(|own| own.node == found.node) => Err(Error::invalid(
            format!("{}: node {} {}", float.label(), found.operator, found.node),
            format!("{}{}", subject(&found), found.problem),
        )),
        Some(breach) => Err(Error::SelfCheck {
            place: format!("node {} {}", breach.operator, breach.node),
            problem: format!("{}runtimes would refuse the file: {}", subject(&breach), breach.problem),
        }),
        None => Ok(()),
    }
}

/// The same of a file that somebody else may have written.
///
/// # Errors
/// [`Error::Invalid`] naming the first node that breaks the definitions.
pub fn loadable(quantized: &Model, float: &Model) -> Result<()> {
    match breach(quantized, float) {
        Some(breach) => Err(Error::invalid(
            format!("{}: node {} {}", quantized.label(), breach.operator, breach.node),
            format!("{}{}", subject(&breach), breach.problem),
        )),
        None => Ok(()),
    }
}

/// Whether a model has operators that a float model does not have, or unpacks codes by those that it has.
pub fn is_quantized(model: &Model) -> bool {
    fn any(graph: &GraphProto) -> bool {
        let quantizes = |operator: &str| QUANTIZING.iter().any(|part| operator.contains(part));
        graph.node.iter().any(|node| quantizes(node.op_type()) || bodies(node).any(any))
    }
    fn unpacks(graph: &GraphProto) -> bool {
        Decoded::of(&Index::new(graph)).ends().next().is_some()
            || graph.node.iter().flat_map(bodies).any(unpacks)
    }
    any(model.graph()) || unpacks(model.graph())
}

fn subject(breach: &Breach) -> String {
    if breach.tensor.is_empty() { String::new() } else { format!("{}: ", breach.tensor) }
}

fn breach(model: &Model, float: &Model) -> Option<Breach> {
    let found = breaches(model);
    if found.is_empty() {
        return None;
    }
    let quantizes = |breach: &Breach| QUANTIZING.iter().any(|part| breach.operator.contains(part));
    let known: HashSet<String> =
        breaches(float).into_iter().filter(|breach| !quantizes(breach)).map(|breach| breach.node).collect();
    found.into_iter().find(|breach| !known.contains(&breach.node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{Dtype, attr, tensor, tensor_f32};

    #[test]
    fn codes_that_ordinary_operators_unpack_are_quantized() {
        let made = |codes: bool| {
            let mut graph = GraphBuilder::new(13);
            let x = graph.input("x", &[1, 4]);
            let w = if codes {
                graph.initializer(tensor("codes", Dtype::Int8, &[4, 2], vec![1; 8]));
                graph.initializer(tensor_f32("scale", &[2], &[0.5, 0.25]));
                let value = graph.node("Cast", &["codes"], &[attr::int("to", Dtype::Float as i64)]);
                graph.node("Mul", &[&value, "scale"], &[])
            } else {
                graph.weights("w", &[4, 2])
            };
            let y = graph.node("MatMul", &[&x, &w], &[]);
            graph.output(&y);
            graph.model()
        };
        assert!(is_quantized(&made(true)) && !is_quantized(&made(false)));
    }
}

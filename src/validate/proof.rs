//! The written codes and scales decode to exactly the weights that the judged view runs with.

use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Index, Model, bodies, floats};
use crate::options::Spelling;
use crate::plan::{Decision, Plan, WeightDecision};

/// Compares each planned weight tensor, decoded here from the plan, with the constant of the same
/// name in `view`, bit for bit; where terms are written as branches, each term with its own constant. Returns how many
/// weight tensors were compared; `first` is the number of decisions that were applied.
///
/// # Errors
/// [`Error::SelfCheck`] naming the first tensor that differs.
pub fn prove(plan: &Plan, first: Option<usize>, view: &Model) -> Result<usize> {
    let index = Index::new(view.graph());
    let mut proven = 0;
    for decision in plan.decisions.iter().take(first.unwrap_or(usize::MAX)) {
        let Decision::Weight(weight) = decision else { continue };
        if weight.terms.len() > 1 && weight.spelling == Spelling::Branches {
            for at in 0..weight.terms.len() {
                branch(weight, at, &index)?;
            }
        } else {
            let inside = || within(view.graph(), &weight.tensor);
            let problem = match index.constant(&weight.tensor).or_else(inside) {
                Some(written) => difference(&weight.dims, &weight.decode(), written)?,
                None => Some("it is not a constant of the view".into()),
            };
            if let Some(problem) = problem {
                return Err(Error::SelfCheck { place: weight.tensor.clone(), problem });
            }
        }
        proven += 1;
    }
    Ok(proven)
}

/// The constant called `name` of a graph inside a node of `graph`.
fn within<'g>(graph: &'g GraphProto, name: &str) -> Option<&'g TensorProto> {
    let mut all = graph.node.iter().flat_map(bodies);
    all.find_map(|body| {
        body.initializer.iter().find(|tensor| tensor.name() == name).or_else(|| within(body, name))
    })
}

/// Proves one term that has an operator of its own: it stands under its name, or that name and a number, and is read
/// as often as the weights were.
fn branch(weight: &WeightDecision, at: usize, index: &Index) -> Result<()> {
    let name = weight.term_name(at);
    let numbered = |found: &str| {
        let rest = found.strip_prefix(&name).map(|rest| rest.strip_prefix('_').unwrap_or(rest));
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let planned = weight.decode_term(at);
    let mut problem = "it is not a constant of the view".to_owned();
    for written in index.graph().initializer.iter().filter(|tensor| numbered(tensor.name())) {
        let readers = index.consumers(written.name()).len();
        match difference(&weight.dims, &planned, written)? {
            None if readers == weight.reads.len() => return Ok(()),
            None => problem = format!("{readers} nodes read it, planned {}", weight.reads.len()),
            Some(found) => problem = found,
        }
    }
    Err(Error::SelfCheck { place: name, problem })
}

/// How `written` is not `planned`, if so.
fn difference(dims: &[i64], planned: &[f32], written: &TensorProto) -> Result<Option<String>> {
    if written.dims != dims {
        return Ok(Some(format!("dimensions {:?}, planned {dims:?}", written.dims)));
    }
    let found = floats(written)?;
    let differs = |(found, planned): (&f32, &f32)| {
        found.to_bits() != planned.to_bits() && (*planned != 0.0 || *found != 0.0)
    };
    Ok(match found.iter().zip(planned).position(differs) {
        Some(at) => Some(format!("element {at} is {}, planned {}", found[at], planned[at])),
        None if found.len() != planned.len() => {
            Some(format!("{} elements, planned {}", found.len(), planned.len()))
        }
        None => None,
    })
}

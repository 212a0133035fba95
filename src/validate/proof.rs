//! The written codes and scales decode to exactly the weights that the plan says, read from the file piece by piece.

mod nbits;

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::onnx::proto::GraphProto;
use crate::onnx::{Dequantized, Index, Model, bodies, dtype_name, int, is_standard};
use crate::options::Spelling;
use crate::plan::{Decision, Float, Plan, WeightDecision, decode_sum};

/// Elements that are compared at a time, by each thread.
const PIECE: usize = 1 << 17;
/// Most nodes that are looked at for one tensor; a plan has far fewer terms.
const MOST_NODES: usize = 64;

/// Compares each planned weight tensor, decoded here from the plan, with what its operators in `written` make of the
/// constants there, bit for bit; where terms are written as branches, each term with its own operator. Returns how many
/// weight tensors were compared; `first` is the number of decisions that were applied.
///
/// # Errors
/// [`Error::SelfCheck`] naming the first tensor that differs.
pub fn prove(plan: &Plan, first: Option<usize>, written: &Model) -> Result<usize> {
    let index = Index::new(written.graph());
    let mut inner = HashMap::new();
    makers(written.graph(), &mut inner);
    let products = nbits::products(written.graph());
    let mut proven = 0;
    for decision in plan.decisions.iter().take(first.unwrap_or(usize::MAX)) {
        let Decision::Weight(weight) = decision else { continue };
        if weight.spelling == Spelling::MatMulNBits {
            nbits::prove(weight, &products, &index)?;
        } else if weight.terms.len() > 1 && weight.spelling == Spelling::Branches {
            for at in 0..weight.terms.len() {
                branch(weight, at, &index)?;
            }
        } else {
            let planned = |start, out: &mut [f32]| weight.decode_piece(start, out);
            let found = match Value::of(&weight.tensor, &index)? {
                None => match inner.get(weight.tensor.as_str()) {
                    Some(body) => Value::of(&weight.tensor, &Index::new(body))?,
                    None => None,
                },
                found => found,
            };
            let problem = match found {
                Some(value) => difference(weight, planned, &value),
                None => Some("the file does not make it of quantized constants".into()),
            };
            if let Some(problem) = problem {
                return Err(Error::SelfCheck { place: weight.tensor.clone(), problem });
            }
        }
        proven += 1;
    }
    Ok(proven)
}

/// Proves one term that has an operator of its own: it stands under its name, or that name and a number, and is read
/// as often as the weights were.
fn branch(weight: &WeightDecision, at: usize, index: &Index) -> Result<()> {
    let name = weight.term_name(at);
    let numbered = |found: &&str| {
        let rest = found.strip_prefix(&name).map(|rest| rest.strip_prefix('_').unwrap_or(rest));
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let term = std::slice::from_ref(&weight.terms[at]);
    let planned = |start, out: &mut [f32]| decode_sum(term, &weight.dims, weight.types(), start, out);
    let mut problem = "the file does not make it of quantized constants".to_owned();
    let values = index.graph().node.iter().flat_map(|node| &node.output).map(String::as_str);
    for found in values.filter(numbered) {
        let Some(value) = Value::of(found, index)? else { continue };
        let readers = index.consumers(found).len();
        match difference(weight, planned, &value) {
            None if readers == weight.reads.len() => return Ok(()),
            None => problem = format!("{readers} nodes read it, planned {}", weight.reads.len()),
            Some(found) => problem = found,
        }
    }
    Err(Error::SelfCheck { place: name, problem })
}

/// The graph inside a node of `graph` that makes each value.
fn makers<'g>(graph: &'g GraphProto, found: &mut HashMap<&'g str, &'g GraphProto>) {
    for body in graph.node.iter().flat_map(bodies) {
        let made = body.node.iter().flat_map(|node| &node.output);
        found.extend(made.map(|name| (name.as_str(), body)));
        makers(body, found);
    }
}

/// What a file makes of constants.
enum Value<'g> {
    Term(Dequantized<'g>),
    Sum(Box<[Value<'g>; 2]>),
    Cast(Box<Value<'g>>, Float),
}

impl<'g> Value<'g> {
    fn of(name: &str, index: &Index<'g>) -> Result<Option<Self>> {
        Self::within(name, index, &mut { MOST_NODES })
    }

    /// Goes on while there are nodes `left` to look at: a file may add up sums of one value again and again.
    fn within(name: &str, index: &Index<'g>, left: &mut usize) -> Result<Option<Self>> {
        let Some(node) = index.producer(name).filter(|_| *left > 0) else { return Ok(None) };
        *left -= 1;
        if let Some(found) = Dequantized::of(node, index)? {
            return Ok(Some(Self::Term(found)));
        }
        if let ("Cast", true, [one]) = (node.op_type(), is_standard(node.domain()), node.input.as_slice()) {
            let to = int(node, "to").and_then(|to| Float::of(i32::try_from(to).ok()?));
            let part = Self::within(one, index, left)?;
            return Ok(part.zip(to).map(|(part, to)| Self::Cast(Box::new(part), to)));
        }
        if let ("Add", [one, other]) = (node.op_type(), node.input.as_slice()) {
            let Some(one) = Self::within(one, index, left)? else { return Ok(None) };
            let other = Self::within(other, index, left)?;
            return Ok(other.map(|other| Self::Sum(Box::new([one, other]))));
        }
        Ok(None)
    }

    fn terms(&self) -> Vec<&Dequantized<'g>> {
        match self {
            Self::Term(term) => vec![term],
            Self::Sum(parts) => parts.iter().flat_map(Self::terms).collect(),
            Self::Cast(part, _) => part.terms(),
        }
    }

    /// The type of what comes out; `None` of a sum of different ones.
    fn float(&self) -> Option<Float> {
        match self {
            Self::Term(term) => Float::of(term.dtype as i32),
            Self::Sum(parts) => parts[0].float().filter(|float| parts[1].float() == Some(*float)),
            Self::Cast(_, float) => Some(*float),
        }
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        match self {
            Self::Term(term) => term.read(start, out),
            Self::Sum(parts) => {
                let mut other = vec![0.0; out.len()];
                parts[0].read(start, out);
                parts[1].read(start, &mut other);
                out.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
            }
            Self::Cast(part, _) => part.read(start, out),
        }
        if let Some(float @ (Float::Float16 | Float::Bfloat16)) = self.float() {
            out.iter_mut().for_each(|value| *value = float.round(*value));
        }
    }
}

/// How `written` is not `planned`, if so.
fn difference(
    weight: &WeightDecision,
    planned: impl Fn(usize, &mut [f32]) + Sync,
    written: &Value,
) -> Option<String> {
    for term in written.terms() {
        if term.dims != weight.dims {
            return Some(format!("dimensions {:?}, planned {:?}", term.dims, weight.dims));
        }
    }
    if written.float() != Some(weight.float) {
        let found =
            written.float().map_or("sums of different types".into(), |it| dtype_name(it.dtype() as i32));
        return Some(format!("{found}, planned {}", dtype_name(weight.float.dtype() as i32)));
    }
    let found = written.terms().first().map_or(0, |term| term.len());
    different_element(weight, planned, found, |start, out| written.read(start, out))
}

/// The first element of `found` that `written` makes otherwise than `planned`, in words.
fn different_element(
    weight: &WeightDecision,
    planned: impl Fn(usize, &mut [f32]) + Sync,
    found: usize,
    written: impl Fn(usize, &mut [f32]) + Sync,
) -> Option<String> {
    let count = planned_count(weight);
    if found != count {
        return Some(format!("{found} elements, planned {count}"));
    }
    let piece = |range: Range<usize>| {
        let (mut ours, mut theirs) = (vec![0.0f32; range.len()], vec![0.0f32; range.len()]);
        planned(range.start, &mut ours);
        weight.terms.iter().for_each(|term| term.codes.let_go(range.clone()));
        written(range.start, &mut theirs);
        let differs = |(found, planned): (&f32, &f32)| {
            found.to_bits() != planned.to_bits() && (*planned != 0.0 || *found != 0.0)
        };
        let at = theirs.iter().zip(&ours).position(differs)?;
        Some(format!("element {} is {}, planned {}", range.start + at, theirs[at], ours[at]))
    };
    let starts = (0..count.div_ceil(PIECE)).into_par_iter().map(|number| number * PIECE);
    starts.map(|start| start..count.min(start + PIECE)).find_map_first(piece)
}

fn planned_count(weight: &WeightDecision) -> usize {
    weight.terms.first().map_or(0, |term| term.codes.len())
}

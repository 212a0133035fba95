//! The activations that quantized weights meet, and those around them that a runtime has integer kernels for.

use std::collections::BTreeMap;

mod placement;

use super::{computes_in_integers, source::Source};
use crate::onnx::{ElementTypes, Index, dtype_name, is_dequantized};
use crate::options::Placement;
use crate::plan::{ActivationSite, Float, Keep, Operand, Origin, Read, Reader, Skip, WeightSite};

/// What is known of the values of a graph.
pub(super) struct Values<'v, 'g> {
    pub index: &'v Index<'g>,
    pub types: &'v ElementTypes,
    pub opset: i64,
}

impl Values<'_, '_> {
    /// The type of `name`, or `other` where that is not known.
    fn float(&self, name: &str, other: Float) -> Float {
        self.types.get(name).and_then(Float::of).unwrap_or(other)
    }
}

/// The site of each activation, in graph order; others go to `skips`.
pub(super) fn find(
    weights: &[WeightSite],
    values: &Values,
    placement: Placement,
    skips: &mut Vec<Skip>,
) -> Vec<ActivationSite> {
    let index = values.index;
    let mut sites: BTreeMap<&str, (Vec<Read>, Option<Float>)> = BTreeMap::new();
    let mut floats: BTreeMap<&str, &Read> = BTreeMap::new();
    for site in weights {
        for Reader { read, operand, .. } in &site.readers {
            let Some(Operand { value: input, slot }) = operand else { continue };
            if !computes_in_integers(read) {
                floats.insert(input, read);
                continue;
            }
            let node = &index.graph().node[read.at];
            // Both operands of a product have the same type.
            let float = node.input.get(read.slot).and_then(|name| Source::of(index, name)?.float);
            let found = sites.entry(input).or_insert((Vec::new(), float));
            let read = Read { slot: *slot, ..read.clone() };
            if !found.0.contains(&read) {
                found.0.push(read);
            }
        }
    }
    let mut skip = |tensor: &str, operator: &str, reason| {
        skips.push(Skip {
            name: tensor.to_owned(),
            operator: operator.to_owned(),
            dims: Vec::new(),
            bytes: 0,
            reason,
        });
    };
    for (tensor, read) in floats.into_iter().filter(|(tensor, _)| !sites.contains_key(tensor)) {
        skip(tensor, &read.operator, Keep::FloatOperator);
    }
    let mut found = Vec::new();
    for (tensor, (mut reads, float)) in sites {
        reads.sort_by_key(|read| (read.at, read.slot));
        let element = values.types.get(tensor).unwrap_or(float.unwrap_or_default().dtype() as i32);
        let kind = Float::of(element).filter(|kind| *kind != Float::Double);
        let reason = match kind {
            None => Some(Keep::ElementType(dtype_name(element))),
            Some(_) if is_dequantized(tensor, index) => Some(Keep::Quantized),
            Some(_) if index.initializer(tensor).is_some() => {
                Some(Keep::Place("a constant, not an activation".into()))
            }
            Some(_) => None,
        };
        match reason {
            Some(reason) => skip(tensor, &reads[0].operator, reason),
            None => found.push(ActivationSite {
                tensor: tensor.to_owned(),
                float: kind.unwrap_or_default(),
                wide_scales: kind.unwrap_or_default().is_new_to(values.opset),
                reads,
                followers: Vec::new(),
                elements: None,
                origin: Origin::Any,
                returned: false,
            }),
        }
    }
    found.sort_by_key(ActivationSite::first);
    placement::extend(&mut found, weights, values, placement);
    found
}

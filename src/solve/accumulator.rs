//! Biases that an integer accumulator can hold. A layer whose input and weights are both integers sums products in steps of
//! `input scale * weight scale`, and its bias is an int32 in those steps (onnx QLinearConv-10, input `B`). Runtimes that fuse
//! such layers round the bias; so it is rounded here, where later layers can still make up for it, and the file means the same
//! with and without fusion.

use crate::error::Result;
use crate::onnx::{Index, floats};
use crate::plan::{
    ActivationDecision, BiasChange, BiasSlot, Kernel, Layout, Partition, WeightDecision, WeightSite,
};

/// Steps beyond which a step is less than what f32 resolves, so that nothing is gained by rounding.
const MOST_STEPS: f64 = (1 << 23) as f64;

/// The biases of `decision`, and those that it left alone, in whole steps of the accumulator wherever there is one: where the
/// bias is the node's own, and one term of weights meets one of `activations`. Gives the changes, and whether any was rounded.
pub(super) fn rounded<'a>(
    site: &WeightSite,
    decision: &WeightDecision,
    activations: impl Fn(&str) -> Option<&'a ActivationDecision>,
    index: &Index,
) -> Result<(Vec<BiasChange>, bool)> {
    let mut changes = decision.biases.clone();
    let mut any = false;
    let ([term], false) =
        (&decision.terms[..], matches!(decision.terms[0].partition, Partition::Block { .. }))
    else {
        return Ok((changes, any));
    };
    for reader in &site.readers {
        let (read, kernel) = (&reader.read, &reader.kernel);
        let Some(BiasSlot { read: place, tensor }) =
            reader.bias.as_ref().filter(|bias| bias.read.at == read.at)
        else {
            continue;
        };
        let met = reader
            .input()
            .and_then(&activations)
            .filter(|found| found.reads.iter().any(|other| other.at == read.at));
        let Some([activation]) = met.map(|found| &found.terms[..]) else { continue };
        if matches!(kernel, Kernel::Matrix { alpha, beta, .. } if *alpha != 1.0 || *beta != 1.0) {
            continue;
        }
        let (Some(layout), Some(groups)) =
            (Layout::new(kernel, &site.dims), term.partition.groups(&site.dims))
        else {
            continue;
        };
        let at = changes.iter().position(|change| change.read == *place);
        let old = match (at, tensor.as_ref().and_then(|name| index.constant(name))) {
            (Some(at), _) => changes[at].values.clone(),
            (None, Some(tensor)) => floats(tensor)?,
            (None, None) => continue,
        };
        if old.len() != layout.groups * layout.rows {
            continue;
        }
        let whole = |(channel, &value): (usize, &f32)| {
            let element = layout.element(channel / layout.rows, channel % layout.rows, 0);
            // In f32, as a runtime that reads both scales from the file multiplies them.
            in_steps(value, activation.scale * term.scales[groups.of(element)])
        };
        let values: Vec<f32> = old.iter().enumerate().map(whole).collect();
        any = true;
        match at {
            Some(at) => changes[at].values = values,
            None if values != old => {
                changes.push(BiasChange { read: place.clone(), tensor: tensor.clone(), values });
            }
            None => {}
        }
    }
    Ok((changes, any))
}

/// `value` to the nearest whole number of steps; as it is where that has no meaning.
fn in_steps(value: f32, step: f32) -> f32 {
    let steps = (f64::from(value) / f64::from(step)).round_ties_even();
    let sound = step.is_normal() && step > 0.0 && steps.abs() <= MOST_STEPS;
    if sound { steps as f32 * step } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_steps_are_kept_and_others_go_to_the_nearest() {
        assert_eq!(in_steps(0.75, 0.25), 0.75);
        assert_eq!(in_steps(0.8, 0.25), 0.75);
        assert_eq!(in_steps(-0.9, 0.25), -1.0);
        assert_eq!(in_steps(0.1, 0.25), 0.0);
        let once = in_steps(0.123_456, 0.000_7);
        assert_eq!(in_steps(once, 0.000_7), once, "rounding again changes nothing");
    }

    #[test]
    fn steps_without_meaning_leave_the_bias() {
        for step in [0.0, f32::MIN_POSITIVE / 4.0, f32::INFINITY, f32::NAN, -1.0] {
            assert_eq!(in_steps(0.3, step), 0.3, "{step}");
        }
        assert_eq!(in_steps(1e9, 1e-3), 1e9, "more steps than f32 tells apart");
        assert!(in_steps(f32::NAN, 0.1).is_nan());
    }
}

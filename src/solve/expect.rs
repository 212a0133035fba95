//! Mean and variance of activations without samples, carried from BatchNormalization, where it was folded, through what
//! follows it.
//!
//! What no normalisation says is not estimated: sums over channels taken as independent drift within a few layers, and
//! a wrong mean in a bias costs more than none.

use std::collections::HashSet;

use crate::error::Result;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Index, float, floats, int, is_standard};
use crate::plan::{Channels, Expected};
use crate::reconstruct::{clipped, leaky};

/// Part of the variance that is left where a whole plane is averaged: positions of one sample are alike.
const POOLED: f64 = 0.25;
/// Slope of LeakyRelu where the node gives none.
const SLOPE: f32 = 0.01;

/// `known`, and every value that follows from it.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where a constant on the way is damaged.
pub(super) fn expect(index: &Index, known: &Expected) -> Result<Expected> {
    let mut found = known.clone();
    found.retain(|_, channels| channels.is_sound());
    for node in &index.graph().node {
        let Some(output) = node.output.first().filter(|_| is_standard(node.domain())) else { continue };
        if found.contains_key(output) {
            continue;
        }
        let channels = follow(index, node, &found)?.filter(Channels::is_sound);
        found.extend(channels.map(|channels| (output.clone(), channels)));
    }
    Ok(found)
}

fn follow(index: &Index, node: &NodeProto, found: &Expected) -> Result<Option<Channels>> {
    let input = |slot: usize| node.input.get(slot).and_then(|name| found.get(name));
    let Some(first) = input(0) else { return Ok(None) };
    let map = |through: &dyn Fn(f64, f64) -> (f64, f64)| {
        let pairs = first.mean.iter().zip(&first.variance).map(|(&mean, &variance)| through(mean, variance));
        let (mean, variance) = pairs.unzip();
        Channels { mean, variance }
    };
    Ok(match node.op_type() {
        "Relu" => Some(map(&|mean, variance| clipped(mean, variance, 0.0, f64::INFINITY))),
        "Clip" => bounds(index, node)?.map(|(lo, hi)| map(&|mean, variance| clipped(mean, variance, lo, hi))),
        "LeakyRelu" => {
            let slope = f64::from(float(node, "alpha").unwrap_or(SLOPE));
            Some(map(&|mean, variance| leaky(mean, variance, slope)))
        }
        // The largest of several positions is larger than one of them, by how much depends on how alike they are.
        "MaxPool" | "AveragePool" | "Identity" | "Dropout" => Some(first.clone()),
        "Flatten" if int(node, "axis").unwrap_or(1) == 1 => Some(first.clone()),
        "GlobalAveragePool" => Some(map(&|mean, variance| (mean, variance * POOLED))),
        "Add" => input(1).and_then(|other| first.plus(other)),
        // Behind a Flatten channels are runs of elements, of lengths that differ.
        "Concat" if int(node, "axis") == Some(1) && !node.input.iter().any(|name| flattened(index, name)) => {
            let all: Option<Vec<&Channels>> = node.input.iter().map(|name| found.get(name)).collect();
            // A file may double them again and again.
            let few =
                |all: &Vec<&Channels>| all.iter().map(|it| it.mean.len()).sum::<usize>() <= MOST_CHANNELS;
            all.filter(few).map(|all| Channels {
                mean: all.iter().flat_map(|channels| channels.mean.clone()).collect(),
                variance: all.iter().flat_map(|channels| channels.variance.clone()).collect(),
            })
        }
        _ => None,
    })
}

/// Most channels of one value; wider ones are not followed.
const MOST_CHANNELS: usize = 1 << 16;

/// Whether a Flatten lies before `value`, with nothing between but what works element by element.
pub(super) fn flattened(index: &Index, value: &str) -> bool {
    let (mut seen, mut left) = (HashSet::from([value]), vec![value]);
    while let Some(node) = left.pop().map(|value| index.producer(value)) {
        match node.map_or("", |node| node.op_type()) {
            "Flatten" => return true,
            "Relu" | "Clip" | "LeakyRelu" | "Identity" | "Dropout" | "Add" | "Concat" => {
                let inputs = node.into_iter().flat_map(|node| &node.input).map(String::as_str);
                left.extend(inputs.filter(|input| seen.insert(input)));
            }
            _ => {}
        }
    }
    false
}

/// The ends of a Clip; `None` where one is not constant.
pub(super) fn bounds(index: &Index, node: &NodeProto) -> Result<Option<(f64, f64)>> {
    // Below opset 11 they are attributes.
    let attribute = |name: &str, open: f64| float(node, name).map_or(open, f64::from);
    let lo = end(index, node, 1, attribute("min", f64::NEG_INFINITY))?;
    Ok(lo.zip(end(index, node, 2, attribute("max", f64::INFINITY))?))
}

/// One end; `None` where it is not constant.
fn end(index: &Index, node: &NodeProto, slot: usize, default: f64) -> Result<Option<f64>> {
    let Some(name) = node.input.get(slot).filter(|name| !name.is_empty()) else { return Ok(Some(default)) };
    let values = index.constant(name).map(floats).transpose()?;
    Ok(values.and_then(|values| values.first().map(|&value| f64::from(value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, tensor_f32};

    #[test]
    fn statistics_go_as_far_as_the_functions_are_known() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 2, 4, 4]);
        let relu = graph.node("Relu", &[&x], &[]);
        let ends =
            [("lo", 0.0), ("hi", 6.0)].map(|(name, end)| graph.initializer(tensor_f32(name, &[], &[end])));
        let clip = graph.node("Clip", &[&x, &ends[0], &ends[1]], &[]);
        let sum = graph.node("Add", &[&relu, &clip], &[]);
        let both = graph.node("Concat", &[&sum, &x], &[attr::int("axis", 1)]);
        let open = graph.node("Sigmoid", &[&x], &[]);
        let lost = graph.node("Add", &[&open, &x], &[]);
        graph.output(&both);
        graph.output(&lost);
        let model = graph.model();
        let channels = Channels { mean: vec![0.0, 9.0], variance: vec![1.0, 1.0] };
        let known = Expected::from([(x, channels.clone())]);
        let found = expect(&Index::new(model.graph()), &known).unwrap();
        let half = (0.5 / std::f64::consts::PI).sqrt();
        assert!((found[&relu].mean[0] - half).abs() < 1e-6 && (found[&relu].mean[1] - 9.0).abs() < 1e-6);
        assert!((found[&clip].mean[1] - 6.0).abs() < 1e-3 && found[&clip].variance[1] < 1e-3);
        assert_eq!(found[&both].mean[2..], channels.mean);
        assert!((found[&both].mean[1] - 15.0).abs() < 1e-3);
        assert!(!found.contains_key(&open) && !found.contains_key(&lost));
    }

    #[test]
    fn values_that_double_again_and_again_are_not_followed() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 2, 4, 4]);
        let mut both = x.clone();
        for _ in 0..60 {
            both = graph.node("Concat", &[&both, &both, &both], &[attr::int("axis", 1)]);
        }
        graph.output(&both);
        let model = graph.model();
        let index = Index::new(model.graph());
        let known = Expected::from([(x, Channels { mean: vec![0.0; 2], variance: vec![1.0; 2] })]);
        assert!(!expect(&index, &known).unwrap().contains_key(&both));
        assert!(!flattened(&index, &both));
    }
}

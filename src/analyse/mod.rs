//! What in a model could be quantized, and why the rest could not.
//!
//! One rule an operator, in the list [`RULES`]; a rule says where the operator keeps its weights
//! and how it multiplies with them. Nothing is passed over in silence: every float initializer
//! ends up in a site or among the skips.

mod conv;
mod conv_transpose;
mod ends;
mod filter;
mod gemm;
mod matmul;
mod rest;
mod rule;

use std::collections::{BTreeMap, BTreeSet};

use filter::Filter;
use rule::{Factor, Rule};

use crate::error::Result;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, Index, Model, dtype_name, is_standard, node_label, operator_label, value_shape};
use crate::options::Options;
use crate::plan::{ActivationSite, Analysis, Keep, Place, Read, Skip, WeightSite};

/// Every operator whose weights are quantized.
const RULES: &[Rule] = &[conv::RULE, conv_transpose::RULE, gemm::RULE, matmul::RULE];

/// The operators that `--op-types` may name.
pub fn operators() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.operator)
}

/// Finds the sites of a prepared model.
///
/// # Errors
/// [`crate::error::Error::Options`] for a glob or operator that cannot be followed.
pub fn analyse(model: &Model, options: &Options) -> Result<Analysis> {
    let index = Index::new(model.graph());
    let filter = Filter::new(options, operators())?;
    let mut sites: BTreeMap<(usize, String), WeightSite> = BTreeMap::new();
    let mut first_read: BTreeMap<String, usize> = BTreeMap::new();
    let mut skips = Vec::new();
    for (at, node) in model.graph().node.iter().enumerate() {
        let Some(rule) = rule_for(node) else { continue };
        match factor(rule, node, at, &index, &filter) {
            Ok((tensor, dims, factor)) => {
                let first = *first_read.entry(tensor.clone()).or_insert(at);
                let site = sites.entry((first, tensor.clone())).or_insert_with(|| WeightSite {
                    tensor,
                    dims,
                    axis: Some(factor.axis),
                    input_axis: Some(factor.input_axis),
                    place: Place::default(),
                    reads: Vec::new(),
                    kernels: Vec::new(),
                    inputs: Vec::new(),
                    biases: Vec::new(),
                    macs: None,
                });
                if site.axis != Some(factor.axis) {
                    site.axis = None;
                }
                if site.input_axis != Some(factor.input_axis) {
                    site.input_axis = None;
                }
                site.reads.push(read(node, at, rule.weights));
                site.kernels.push(factor.kernel);
                site.inputs.push(node.input[rule.data].clone());
                site.biases.push(factor.bias);
            }
            Err(skip) => skips.push(skip),
        }
    }
    let skipped: BTreeSet<String> = skips.iter().map(|skip: &Skip| skip.name.clone()).collect();
    let mut weights = Vec::new();
    for site in sites.into_values() {
        match stranger(&site, &index) {
            Some(reader) => skips.push(rest::skip(
                &index,
                &site.tensor,
                &site.reads[0].operator,
                Keep::AlsoReadBy(reader),
            )),
            None if skipped.contains(&site.tensor) => {}
            None => weights.push(site),
        }
    }
    for (site, place) in ends::places(model.graph(), &weights).into_iter().enumerate() {
        weights[site].place = place;
    }
    let activations =
        if options.quantizes_activations() { activations(&weights, &index, &mut skips) } else { Vec::new() };
    rest::collect(model, &index, &weights, &mut skips);
    Ok(Analysis { weights, activations, skips })
}

fn rule_for(node: &NodeProto) -> Option<&'static Rule> {
    RULES.iter().find(|rule| is_standard(node.domain()) && rule.operator == node.op_type())
}

fn read(node: &NodeProto, at: usize, slot: usize) -> Read {
    Read { node: node_label(node).to_owned(), operator: operator_label(node), at, slot }
}

fn factor(
    rule: &Rule,
    node: &NodeProto,
    at: usize,
    index: &Index,
    filter: &Filter,
) -> Result<(String, Vec<i64>, Factor), Skip> {
    let name = |slot: usize| node.input.get(slot).map_or("", String::as_str);
    let (weights, data) = (name(rule.weights), name(rule.data));
    let node_skip = |reason| Skip {
        name: node_label(node).to_owned(),
        operator: rule.operator.into(),
        dims: Vec::new(),
        bytes: 0,
        reason,
    };
    let Some(tensor) = index.constant(weights) else {
        if index.initializer(weights).is_some() {
            return Err(rest::skip(index, weights, rule.operator, Keep::CallersDefault));
        }
        if index.producer(weights).is_some_and(|producer| producer.op_type() == "DequantizeLinear") {
            return Err(node_skip(Keep::Quantized));
        }
        if index.constant(data).is_some() {
            let place = format!("the constant is the left factor of {}", rule.operator);
            return Err(rest::skip(index, data, rule.operator, Keep::Place(place)));
        }
        return Err(node_skip(Keep::NoConstantFactor));
    };
    let skip = |reason| rest::skip(index, weights, rule.operator, reason);
    if tensor.data_type() != Dtype::Float as i32 {
        return Err(skip(Keep::ElementType(dtype_name(tensor.data_type()))));
    }
    filter.check(weights, node, &tensor.dims).map_err(skip)?;
    let factor = (rule.factor)(node, at, &tensor.dims, index).map_err(|place| skip(Keep::Place(place)))?;
    Ok((weights.to_owned(), tensor.dims.clone(), factor))
}

/// A reader of the weights that is not among the site's.
fn stranger(site: &WeightSite, index: &Index) -> Option<String> {
    let known: BTreeSet<(usize, usize)> = site.reads.iter().map(|read| (read.at, read.slot)).collect();
    let other = index.consumers(&site.tensor).iter().find(|read| !known.contains(read));
    let reader = other.map(|&(at, _)| {
        let node = &index.graph().node[at];
        format!("{} {}", operator_label(node), node_label(node))
    });
    let captured = || index.is_captured(&site.tensor).then(|| "a subgraph".to_owned());
    let output = || index.is_output(&site.tensor).then(|| "the graph's outputs".to_owned());
    reader.or_else(captured).or_else(output)
}

fn activations(weights: &[WeightSite], index: &Index, skips: &mut Vec<Skip>) -> Vec<ActivationSite> {
    let mut sites: BTreeMap<&str, Vec<Read>> = BTreeMap::new();
    for site in weights {
        for (read, input) in site.reads.iter().zip(&site.inputs) {
            // Where weights stand right of a product, its data stands left: slot 0 in every rule.
            sites.entry(input).or_default().push(Read { slot: 0, ..read.clone() });
        }
    }
    let mut found = Vec::new();
    for (tensor, mut reads) in sites {
        reads.sort_by_key(|read| (read.at, read.slot));
        let element =
            index.info(tensor).and_then(value_shape).map_or(Dtype::Float as i32, |(element, _)| element);
        let reason = if element != Dtype::Float as i32 && element != Dtype::Undefined as i32 {
            Some(Keep::ElementType(dtype_name(element)))
        } else if index.producer(tensor).is_some_and(|node| node.op_type() == "DequantizeLinear") {
            Some(Keep::Quantized)
        } else if index.initializer(tensor).is_some() {
            Some(Keep::Place("a constant, not an activation".into()))
        } else {
            None
        };
        match reason {
            None => found.push(ActivationSite { tensor: tensor.to_owned(), reads, elements: None }),
            Some(reason) => skips.push(Skip {
                name: tensor.to_owned(),
                operator: reads[0].operator.clone(),
                dims: Vec::new(),
                bytes: 0,
                reason,
            }),
        }
    }
    found.sort_by_key(|site| site.reads[0].at);
    found
}

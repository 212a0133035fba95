//! What in a model could be quantized, and why the rest could not.
//!
//! One rule an operator, in the list `RULES`; a rule says where the operator keeps its weights
//! and how it multiplies with them. Nothing is passed over in silence: every float initializer
//! ends up in a site or among the skips.

mod activations;
mod conv;
mod conv_transpose;
mod einsum;
mod ends;
mod filter;
mod gather;
mod gemm;
mod inner;
mod matmul;
mod microsoft;
mod recurrent;
mod rest;
mod rule;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use filter::Filter;
use inner::{Inner, Local, Spot};
use rule::{Factor, Rule, Seen};
use source::Source;

use crate::error::Result;
use crate::onnx::proto::NodeProto;
use crate::onnx::{
    CONTRIB, Dtype, ElementTypes, Index, Model, dtype_name, int, is_dequantized, is_standard, node_label,
    operator_label,
};
use crate::options::Options;
use crate::plan::{Analysis, Float, Keep, Kernel, Operand, Place, Read, Reader, Skip, WeightSite, Work};

/// Every operator whose weights are quantized.
const RULES: &[Rule] = &[
    conv::RULE,
    conv_transpose::RULE,
    gemm::RULE,
    matmul::RULE,
    gather::RULE,
    recurrent::LSTM,
    recurrent::GRU,
    recurrent::RNN,
    einsum::RULE,
    conv::DEFORMABLE,
    microsoft::FUSED_CONV,
    microsoft::FUSED_GEMM,
    microsoft::FUSED_MATMUL,
    microsoft::ATTENTION,
    microsoft::EMBEDDING,
];

/// The operators that `op_types` may name.
pub fn operators() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.operator)
}

/// Finds the sites of a prepared model.
///
/// # Errors
/// [`crate::error::Error::Options`] for a glob or operator that cannot be followed.
pub fn analyse(model: &Model, options: &Options) -> Result<Analysis> {
    let index = Index::new(model.graph());
    let inner = Inner::of(model.graph());
    let filter = Filter::new(options, operators())?;
    let mut finder = SiteFinder {
        index: &index,
        opset: model.opset(),
        filter,
        sites: BTreeMap::new(),
        first: BTreeMap::new(),
        skips: Vec::new(),
    };
    for (at, node) in model.graph().node.iter().enumerate() {
        finder.node(node, &(at, Vec::new()), &Local::default());
    }
    for (spot, node, local) in &inner.nodes {
        finder.node(node, spot, local);
    }
    let SiteFinder { sites, mut skips, .. } = finder;
    let skipped: BTreeSet<String> = skips.iter().map(|skip: &Skip| skip.name.clone()).collect();
    let mut weights = Vec::new();
    for site in sites.into_values() {
        if !skipped.contains(&site.tensor) {
            let others = stranger(&site, &index, &inner);
            weights.push(widened(WeightSite { others, ..site }, &index));
        }
    }
    for (site, place) in ends::places(model.graph(), &weights).into_iter().enumerate() {
        weights[site].place = place;
    }
    let activations = match options.quantizes_activations() {
        true => {
            let types = ElementTypes::of(model);
            let values = activations::Values { index: &index, types: &types, opset: model.opset() };
            activations::find(&weights, &values, options.placement, &mut skips)
        }
        false => Vec::new(),
    };
    rest::collect(model, &index, &weights, &mut skips);
    Ok(Analysis { weights, activations, skips })
}

/// `site` as FLOAT where all its readers get it through a Cast to that: its scales are FLOAT then, and no Cast is left, so that
/// a runtime sees the weights of an ordinary layer.
fn widened(site: WeightSite, index: &Index) -> WeightSite {
    let cast = |reader: &Reader| {
        let casts =
            reader.chain.iter().map(|&at| &index.graph().node[at]).filter(|node| node.op_type() == "Cast");
        let targets: Vec<Option<i64>> = casts.map(|node| int(node, "to")).collect();
        targets == [Some(Dtype::Float as i64)]
    };
    let outer = site.reads().all(Read::is_outer);
    match site.stored != Float::Float && outer && site.others.is_none() && site.readers.iter().all(cast) {
        true => WeightSite { float: Float::Float, wide_scales: false, ..site },
        false => site,
    }
}

/// Whether runtimes compute the node of `read` in integers.
fn computes_in_integers(read: &Read) -> bool {
    read.is_outer() && RULES.iter().any(|rule| rule.operator == read.operator && rule.integer)
}

/// What is found, node by node.
struct SiteFinder<'s, 'g> {
    index: &'s Index<'g>,
    opset: i64,
    filter: Filter<'s>,
    /// By position of the first reader.
    sites: BTreeMap<(usize, String), WeightSite>,
    first: BTreeMap<String, usize>,
    skips: Vec<Skip>,
}

impl<'g> SiteFinder<'_, 'g> {
    /// Looks at a node at `spot`; `local` are the names that the graphs around it make themselves.
    fn node(&mut self, node: &'g NodeProto, spot: &Spot, local: &Local) {
        let is_its = |rule: &&Rule| {
            let is_in = if rule.is_foreign { node.domain() == CONTRIB } else { is_standard(node.domain()) };
            is_in && rule.operator == node.op_type()
        };
        let Some(rule) = RULES.iter().find(is_its) else { return };
        let name = |slot: usize| node.input.get(slot).map_or("", String::as_str);
        let mut found = false;
        for &(slot, data) in rule.slots {
            let outer = !name(slot).is_empty() && !local.contains(name(slot));
            let Some(source) = outer.then(|| Source::of(self.index, name(slot))).flatten() else { continue };
            found = true;
            match self.factor(rule, node, spot, slot, &source) {
                Ok(factor) => self.add(node, spot, slot, data, &source, factor),
                Err(Some(skip)) => self.skips.push(skip),
                Err(None) => {}
            }
            if rule.either {
                return;
            }
        }
        if !found && rule.product {
            self.without(rule, node, local);
        }
    }

    fn add(
        &mut self,
        node: &NodeProto,
        spot: &Spot,
        slot: usize,
        data: Option<usize>,
        source: &Source,
        factor: Factor,
    ) {
        let tensor = source.tensor.name().to_owned();
        let float = Float::of(source.tensor.data_type()).unwrap_or_default();
        let first = *self.first.entry(tensor.clone()).or_insert(spot.0);
        let (by_kernel, input_axis) = (source.partition(factor.by_kernel), source.axis(factor.input_axis));
        let wide_scales = float.is_new_to(self.opset);
        let site = self.sites.entry((first, tensor.clone())).or_insert_with(|| WeightSite {
            tensor,
            dims: source.tensor.dims.clone(),
            float,
            stored: float,
            wide_scales,
            by_kernel: Some(by_kernel),
            input_axis: Some(input_axis),
            place: Place::default(),
            readers: Vec::new(),
            others: None,
            macs: None,
        });
        if site.by_kernel != Some(by_kernel) {
            site.by_kernel = None;
        }
        if site.input_axis != Some(input_axis) {
            site.input_axis = None;
        }
        let outer = spot.1.is_empty();
        let kernel = source.kernel(factor.kernel);
        let operand = |slot: usize| {
            let value = node.input.get(slot).filter(|value| outer && !value.is_empty())?;
            Some(Operand { value: value.clone(), slot })
        };
        site.readers.push(Reader {
            read: Read { within: spot.1.clone(), ..Read::new(node, spot.0, slot) },
            kernel: if outer { kernel } else { Kernel::Other(Work::Unknown) },
            operand: factor.data.or(data).and_then(operand),
            chain: source.chain.clone(),
            // A new bias would have to be of the reader's type.
            bias: factor.bias.filter(|_| outer && source.float == Some(Float::Float)),
        });
    }

    /// How `node` multiplies with the weights in `slot`; or why they stay, `None` where they are no floats that it could.
    fn factor(
        &self,
        rule: &Rule,
        node: &'g NodeProto,
        spot: &Spot,
        slot: usize,
        source: &Source<'g>,
    ) -> Result<Factor, Option<Skip>> {
        let name = source.tensor.name();
        let skip = |reason| Some(rest::skip(self.index, name, rule.operator, reason));
        if Float::of(source.tensor.data_type()).is_none() {
            let kind = dtype_name(source.tensor.data_type());
            return Err(skip(Keep::ElementType(kind)).filter(|_| rule.product));
        }
        self.filter.check(source.tensor, node).map_err(skip)?;
        let dims = source.dims();
        let seen = Seen { node, at: spot.0, slot, dims: &dims, index: self.index };
        (rule.factor)(&seen).map_err(|place| skip(Keep::Place(place)))
    }

    /// A product without constant weights.
    fn without(&mut self, rule: &Rule, node: &NodeProto, local: &Local) {
        let inputs = rule.slots.iter().filter_map(|&(slot, _)| node.input.get(slot));
        let inputs: Vec<&String> = inputs.filter(|name| !local.contains(name)).collect();
        let index = self.index;
        if let Some(name) = inputs.iter().find(|name| index.initializer(name).is_some()) {
            self.skips.push(rest::skip(index, name, rule.operator, Keep::CallersDefault));
            return;
        }
        let quantized = inputs.iter().any(|name| is_dequantized(name, index));
        let reason = if quantized { Keep::Quantized } else { Keep::NoConstantFactor };
        self.skips.push(Skip {
            name: node_label(node).to_owned(),
            operator: rule.operator.into(),
            dims: Vec::new(),
            bytes: 0,
            reason,
        });
    }
}

/// A reader of the weights, or of what nodes between make of them, that is not among the site's.
fn stranger(site: &WeightSite, index: &Index, inner: &Inner) -> Option<String> {
    let nodes = &index.graph().node;
    let mut known: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut within: BTreeSet<(&Spot, usize)> = BTreeSet::new();
    let spots: Vec<Spot> = site.reads().map(|read| (read.at, read.within.clone())).collect();
    let mut values: BTreeSet<&str> = BTreeSet::from([site.tensor.as_str()]);
    for (Reader { read, chain, .. }, spot) in site.readers.iter().zip(&spots) {
        match read.is_outer() {
            true => drop(known.insert((read.at, read.slot))),
            false => drop(within.insert((spot, read.slot))),
        }
        known.extend(chain.iter().map(|&at| (at, 0)));
        values.extend(chain.iter().flat_map(|&at| nodes[at].output.iter().map(String::as_str)));
    }
    values.into_iter().find_map(|value| {
        let other = index.consumers(value).iter().find(|read| !known.contains(read));
        let reader = other.map(|&(at, _)| {
            let node = &nodes[at];
            format!("{} {}", operator_label(node), node_label(node))
        });
        let inside = || {
            let foreign = |(spot, slot): &(Spot, usize)| !within.contains(&(spot, *slot));
            let read = inner.is_returned(value) || inner.reads(value).iter().any(foreign);
            read.then(|| "a subgraph".to_owned())
        };
        let output = || index.is_output(value).then(|| "the graph's outputs".to_owned());
        reader.or_else(inside).or_else(output)
    })
}

//! Activations beyond the inputs of layers: what lets a runtime go from one integer kernel to the next.
//!
//! A kernel that takes codes and gives codes needs a pair on either side. onnxruntime (its QDQ selectors, 1.32) so runs
//! Conv, Gemm, MatMul and the operators in [`COMPUTING`]; those in [`MOVING`] pass codes on if scale and zero point
//! are the same on both sides; a Relu or Clip before a pair vanishes into its unsigned codes.

use std::collections::{BTreeMap, BTreeSet};

use super::Values;
use crate::analyse::computes_in_integers;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Index, is_dequantized, is_standard, string};
use crate::options::Placement;
use crate::plan::{ActivationSite, Float, Origin, Read, Reader, WeightSite};

/// Operators of one or more activations with integer kernels.
const COMPUTING: &[&str] =
    &["Add", "Mul", "Concat", "LeakyRelu", "Sigmoid", "AveragePool", "GlobalAveragePool"];
/// Operators that only move values of their first input, or choose among them.
const MOVING: &[&str] = &[
    "MaxPool",
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Expand",
    "DepthToSpace",
    "Gather",
    "Split",
    "Resize",
];
/// Operators that a runtime adds while it writes the output of a layer.
const JOINS: &[&str] = &["Add", "Concat"];

/// Adds to `found`, the inputs of layers, what `placement` asks for beside them.
pub(super) fn extend(
    found: &mut Vec<ActivationSite>,
    weights: &[WeightSite],
    values: &Values,
    placement: Placement,
) {
    let mut layers: BTreeMap<usize, &WeightSite> = BTreeMap::new();
    for site in weights {
        let reads = site.reads().filter(|read| computes_in_integers(read));
        layers.extend(reads.map(|read| (read.at, site)));
    }
    let sites = found.drain(..).map(|site| (site.tensor.clone(), site)).collect();
    let mut chain =
        Chain { values, index: values.index, layers, sites, everywhere: placement == Placement::Everywhere };
    match placement {
        Placement::Inputs => {}
        Placement::Joins => chain.joins(),
        Placement::Outputs | Placement::Everywhere => chain.outputs(),
    }
    *found = chain.sites.into_values().collect();
    for site in found.iter_mut() {
        site.followers.sort_by_key(|read| (read.at, read.slot));
        site.followers.dedup();
    }
    found.sort_by_key(ActivationSite::first);
}

struct Chain<'c, 'g> {
    values: &'c Values<'c, 'g>,
    index: &'c Index<'g>,
    /// Layers with integer kernels, by position.
    layers: BTreeMap<usize, &'c WeightSite>,
    sites: BTreeMap<String, ActivationSite>,
    /// Whether what the model gives back is quantized too.
    everywhere: bool,
}

impl<'g> Chain<'_, 'g> {
    /// What an Add or Concat takes beside the output of a layer.
    fn joins(&mut self) {
        for (at, node) in self.nodes() {
            if !is_one_of(node, JOINS) {
                continue;
            }
            let layer = |name: &String| {
                let maker = self.index.producer_at(name)?;
                self.layers.get_key_value(&maker).map(|(&at, site)| (at, *site))
            };
            // The first one that a layer makes is the output that the others are added to.
            let Some((own, (maker, site))) = node.input.iter().find_map(|name| Some((name, layer(name)?)))
            else {
                continue;
            };
            let input = site.readers.iter().find(|reader| reader.read.at == maker).and_then(Reader::input);
            let origin = Origin::Operator(input.map(str::to_owned).into_iter().collect());
            let float = site.float;
            for (slot, name) in node.input.iter().enumerate().filter(|(_, name)| *name != own) {
                if !self.is_activation(name) {
                    continue;
                }
                let read = Read::new(node, at, slot);
                let float = self.values.float(name, float);
                let new = || ActivationSite {
                    tensor: name.clone(),
                    float,
                    wide_scales: float.is_new_to(self.values.opset),
                    reads: Vec::new(),
                    followers: Vec::new(),
                    elements: None,
                    origin: origin.clone(),
                    returned: false,
                };
                self.sites.entry(name.clone()).or_insert_with(new).followers.push(read);
            }
        }
    }

    /// Outputs of layers, and what integer operators behind them take and give.
    fn outputs(&mut self) {
        for (at, node) in self.nodes() {
            let [output, ..] = node.output.as_slice() else { continue };
            if let Some(site) = self.layers.get(&at) {
                let always = matches!(node.op_type(), "Conv" | "ConvTranspose");
                let float = site.float;
                let tail = self.tail(output);
                if (always || self.is_wanted(tail)) && self.may_be_low(tail) {
                    self.add(tail, float, Origin::Layer(at));
                }
                continue;
            }
            let runs = is_one_of(node, COMPUTING);
            let moves = moves(node);
            if !runs && !moves {
                continue;
            }
            let data = if moves { &node.input[..node.input.len().min(1)] } else { &node.input[..] };
            let low = data.iter().map(|name| self.sites.get(name)).collect::<Option<Vec<_>>>();
            let Some(float) = low.and_then(|sites| sites.first().map(|site| site.float)) else { continue };
            let tails = match moves {
                true => node.output.iter().map(String::as_str).filter(|name| !name.is_empty()).collect(),
                false => vec![self.tail(output)],
            };
            if !tails.iter().any(|tail| self.is_wanted(tail))
                || !tails.iter().all(|tail| self.may_be_low(tail))
            {
                continue;
            }
            let origin = if moves { Origin::Moved(data[0].clone()) } else { Origin::Operator(data.to_vec()) };
            tails.into_iter().for_each(|tail| self.add(tail, float, origin.clone()));
            for (slot, name) in data.iter().enumerate() {
                if let Some(site) = self.sites.get_mut(name) {
                    site.followers.push(Read::new(node, at, slot));
                }
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (usize, &'g NodeProto)> + use<'g> {
        self.index.graph().node.iter().enumerate()
    }

    /// Where the value `name` goes through a Relu or Clip that alone reads it, what comes out.
    fn tail<'n>(&self, name: &'n str) -> &'n str
    where
        'g: 'n,
    {
        let mut name = name;
        while let &[(at, 0)] = self.index.consumers(name) {
            let node = &self.index.graph().node[at];
            let [output] = node.output.as_slice() else { break };
            if self.index.is_captured(name)
                || self.index.is_output(name)
                || !is_one_of(node, &["Relu", "Clip"])
            {
                break;
            }
            name = output;
        }
        name
    }

    /// Whether a pair on `name` leads to another integer kernel.
    fn is_wanted(&self, name: &str) -> bool {
        self.everywhere
            || self.sites.contains_key(name)
            || self.index.consumers(name).iter().any(|(at, _)| {
                let node = &self.index.graph().node[*at];
                self.layers.contains_key(at) || is_one_of(node, COMPUTING) || moves(node)
            })
    }

    /// Whether all that read `name` can be given its low-bit form, and nothing that the model gives back is rounded unasked.
    fn may_be_low(&self, name: &str) -> bool {
        let single = self.index.producer(name).is_some_and(|node| node.output.len() == 1);
        !self.index.is_captured(name) && (!self.index.is_output(name) || (self.everywhere && single))
    }

    /// Makes `name` low-bit for all its readers.
    fn add(&mut self, name: &str, float: Float, origin: Origin) {
        let returned = self.index.is_output(name);
        let float = self.values.float(name, float);
        let nodes = &self.index.graph().node;
        let reads: BTreeSet<(usize, usize)> = self.index.consumers(name).iter().copied().collect();
        let reads = reads.into_iter().map(|(at, slot)| Read::new(&nodes[at], at, slot));
        let site = self.sites.entry(name.to_owned()).or_insert_with(|| ActivationSite {
            tensor: name.to_owned(),
            float,
            wide_scales: float.is_new_to(self.values.opset),
            reads: Vec::new(),
            followers: Vec::new(),
            elements: None,
            origin: Origin::Any,
            returned: false,
        });
        let known: BTreeSet<(usize, usize)> = site.reads.iter().map(|read| (read.at, read.slot)).collect();
        site.followers.extend(reads.filter(|read| !known.contains(&(read.at, read.slot))));
        (site.origin, site.returned) = (origin, returned);
    }

    /// Whether `name` is a value of a run, and no constant.
    fn is_activation(&self, name: &str) -> bool {
        !name.is_empty()
            && self.index.constant(name).is_none()
            && (self.index.producer(name).is_some() || self.index.is_input(name))
            && !is_dequantized(name, self.index)
            && !self.index.is_captured(name)
    }
}

fn moves(node: &NodeProto) -> bool {
    // Between neighbours a Resize makes new values.
    let nearest = node.op_type() != "Resize" || string(node, "mode").is_none_or(|mode| mode == "nearest");
    // The second output of a MaxPool holds places, not values.
    let values = node.op_type() == "Split" || node.output.len() == 1;
    is_one_of(node, MOVING) && nearest && values
}

fn is_one_of(node: &NodeProto, operators: &[&str]) -> bool {
    is_standard(node.domain()) && operators.contains(&node.op_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{Model, attr, tensor_f32, tensor_i64};
    use crate::options::Options;

    /// A residual block, a pool, a table of moves, and a last product.
    fn model(given_back: bool) -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 4, 4, 4]);
        let [a, b] = ["a", "b"].map(|name| graph.weights(name, &[4, 4, 1, 1]));
        let w = graph.weights("w", &[16, 3]);
        let first = graph.node("Conv", &[&x, &a], &[]);
        let relu = graph.node("Relu", &[&first], &[]);
        let second = graph.node("Conv", &[&relu, &b], &[]);
        let sum = graph.node("Add", &[&second, &relu], &[]);
        let [lo, hi] =
            [("lo", 0.0), ("hi", 6.0)].map(|(name, end)| graph.initializer(tensor_f32(name, &[], &[end])));
        let clip = graph.node("Clip", &[&sum, &lo, &hi], &[]);
        let pool = [attr::ints("kernel_shape", &[2, 2]), attr::ints("strides", &[2, 2])];
        let pooled = graph.node("MaxPool", &[&clip], &pool);
        let shape = graph.initializer(tensor_i64("shape", &[2], &[1, 16]));
        let flat = graph.node("Reshape", &[&pooled, &shape], &[]);
        let y = graph.node("MatMul", &[&flat, &w], &[]);
        graph.output(&y);
        if given_back {
            graph.output(&second);
        }
        graph.model()
    }

    fn sites(model: &Model, placement: Placement) -> Vec<(String, Vec<String>)> {
        let options = Options { placement, ..Options::default() };
        let row = |site: &ActivationSite| {
            let readers = site.all_reads().map(|read| format!("{}:{}", read.operator, read.slot));
            (site.tensor.clone(), readers.collect())
        };
        analyse(model, &options).unwrap().activations.iter().map(row).collect()
    }

    fn names(model: &Model, placement: Placement) -> Vec<String> {
        sites(model, placement).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_placement_adds_what_it_says() {
        let model = model(false);
        assert_eq!(names(&model, Placement::Inputs), ["x", "relu_1", "reshape_6"]);
        let joins = sites(&model, Placement::Joins);
        assert_eq!(names(&model, Placement::Joins), ["x", "relu_1", "reshape_6"]);
        assert_eq!(joins[1].1, ["Conv:0", "Add:1"], "the branch that is added takes the low-bit form");
        let all = ["x", "relu_1", "conv_2", "clip_4", "maxpool_5", "reshape_6"];
        assert_eq!(names(&model, Placement::Outputs), all);
        let everywhere = names(&model, Placement::Everywhere);
        assert_eq!(everywhere[..6], all);
        assert_eq!(everywhere[6], "matmul_7", "what is given back, too");
    }

    #[test]
    fn origins_say_what_decides() {
        let analysis =
            analyse(&model(false), &Options { placement: Placement::Outputs, ..Options::default() }).unwrap();
        let origin = |name: &str| {
            analysis
                .activations
                .iter()
                .find(|site| site.tensor == name)
                .map(|site| site.origin.clone())
                .unwrap()
        };
        assert_eq!(origin("x"), Origin::Any);
        assert_eq!(origin("relu_1"), Origin::Layer(0));
        assert_eq!(origin("conv_2"), Origin::Layer(2));
        assert_eq!(origin("clip_4"), Origin::Operator(vec!["conv_2".into(), "relu_1".into()]));
        assert_eq!(origin("maxpool_5"), Origin::Moved("clip_4".into()));
        assert_eq!(origin("reshape_6"), Origin::Moved("maxpool_5".into()));
    }

    #[test]
    fn what_the_model_gives_back_is_rounded_only_where_that_is_asked() {
        let model = model(true);
        let found = names(&model, Placement::Outputs);
        assert!(!found.contains(&"conv_2".to_owned()) && !found.contains(&"clip_4".to_owned()), "{found:?}");
        let options = Options { placement: Placement::Everywhere, ..Options::default() };
        let analysis = analyse(&model, &options).unwrap();
        let given: Vec<&str> = analysis
            .activations
            .iter()
            .filter(|site| site.returned)
            .map(|site| site.tensor.as_str())
            .collect();
        assert_eq!(given, ["conv_2", "matmul_7"]);
    }
}

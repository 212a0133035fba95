//! A walk through the network, layer after layer, in which the float network and the quantized one advance together.
//!
//! The graph is cut where weights are still to be decided. What later nodes need of the values on either side of the cut,
//! the frontier, is kept for every sample; so each node is run once in the float network and once in the quantized
//! one, however many layers there are. Memory is bounded: the frontier goes to temporary files where it is large.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::segment::{Changes, Segment, leading};
use super::spool::Spool;
use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Index, Model, floats, outer_names, tensor_f32, tensor_of};
use crate::plan::{ActivationDecision, Analysis, BiasChange, WeightSite};
use crate::progress::{Progress, Stage};
use crate::runtime::Session;

/// Samples whose frontier is in memory at a time.
const CHUNK: usize = 16;

/// Gives the inputs of a sample.
pub type Feed<'f> = dyn Fn(usize) -> Result<Vec<TensorProto>> + Sync + 'f;

/// What is to be decided next, as positions in the analysis; what lies there is at the frontier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Activations, before the weights that meet them.
    pub activations: Vec<usize>,
    /// Weights.
    pub weights: Vec<usize>,
}

/// One value of the frontier.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub float: Source,
    pub own: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Position among the model's inputs.
    Input(usize),
    Kept(Arc<Spool>),
}

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Float,
    /// The quantized one, as far as it is decided.
    Own,
}

/// A walk of both networks, layer after layer.
pub struct Walk<'w> {
    pub(super) analysis: &'w Analysis,
    pub(super) count: usize,
    model: &'w Model,
    index: Index<'w>,
    pub(super) feed: &'w Feed<'w>,
    /// Until the end of the walk.
    stage: Option<Stage<'w>>,
    /// Whether layers see what the quantized layers before them give; otherwise all see the float network.
    pub(super) sequential: bool,
    /// Nodes that decide the input of some weights, or read them, and have not run.
    pending: BTreeSet<usize>,
    /// Weights not decided yet, as positions in the analysis.
    open: BTreeSet<usize>,
    /// Activations not decided yet, likewise.
    unranged: BTreeSet<usize>,
    pub(super) live: BTreeMap<String, Live>,
    /// Values that are the same on every sample, apart from initializers.
    pub(super) known: BTreeMap<String, TensorProto>,
    changes: Changes,
    /// How the low-bit form of a value is called, and what it is.
    pub(super) low_bit: BTreeMap<String, (String, ActivationDecision)>,
}

impl<'w> Walk<'w> {
    /// At the inputs of `model`, whose sites are `analysis`, on the way to the weights at the positions `open` of them; `feed`
    /// gives the inputs of `count` samples.
    pub fn new(
        model: &'w Model,
        analysis: &'w Analysis,
        open: BTreeSet<usize>,
        count: usize,
        feed: &'w Feed<'w>,
        sequential: bool,
        progress: &'w dyn Progress,
    ) -> Result<Self> {
        let index = Index::new(model.graph());
        let inputs = model.inputs().enumerate();
        let source = |at| Live { float: Source::Input(at), own: Source::Input(at) };
        let live = inputs.map(|(at, input)| (input.name().to_owned(), source(at))).collect();
        // A reader whose input is not looked at need not run, nor what leads there.
        let sites = open.iter().map(|&at| &analysis.weights[at]);
        let readers = sites.flat_map(|site| &site.readers).filter(|reader| reader.operand.is_some());
        let made = readers
            .map(|reader| reader.read.at)
            .flat_map(|at| &model.graph().node[at].output)
            .map(String::as_str);
        let made = made.chain(analysis.activations.iter().map(|site| site.tensor.as_str()));
        let pending = leading(&index, made, |_| false);
        let stage = Some(Stage::begin(progress, "quantize", pending.len())?);
        Ok(Self {
            analysis,
            count,
            model,
            index,
            feed,
            stage,
            sequential,
            pending,
            open,
            unranged: (0..analysis.activations.len()).collect(),
            live,
            known: BTreeMap::new(),
            changes: Changes::default(),
            low_bit: BTreeMap::new(),
        })
    }

    /// Whether the two networks are told apart.
    pub fn is_sequential(&self) -> bool {
        self.sequential
    }

    /// Runs both networks up to the next activations and weights to be decided; nothing of either at the end.
    ///
    /// # Errors
    /// Whatever reading a sample or running a part of the model gives.
    pub fn advance(&mut self) -> Result<Stop> {
        loop {
            let nodes = self.runnable();
            if !nodes.is_empty() {
                self.run(&nodes)?;
            }
            let waiting = |site: &WeightSite, all: bool| match all {
                true => site.inputs().all(|input| self.is_there(input)),
                // A constant waits for the others.
                false => site.inputs().any(|input| self.live.contains_key(input)),
            };
            let activations = &self.analysis.activations;
            let met = |at: &usize| self.is_there(&activations[*at].tensor);
            let activations: Vec<usize> = self.unranged.iter().copied().filter(met).collect();
            for all in [true, false] {
                let weights = &self.analysis.weights;
                let ready: Vec<usize> =
                    self.open.iter().copied().filter(|&at| waiting(&weights[at], all)).collect();
                if !ready.is_empty() {
                    return Ok(Stop { activations, weights: ready });
                }
            }
            if !activations.is_empty() {
                return Ok(Stop { activations, weights: Vec::new() });
            }
            if nodes.is_empty() {
                self.stage = None;
                return match self.open.first() {
                    None => Ok(Stop::default()),
                    // In a circle: nothing that runs leads there.
                    Some(&site) => {
                        let inputs: Vec<&str> = self.analysis.weights[site].inputs().collect();
                        Err(self.lost(&inputs.join(", ")))
                    }
                };
            }
        }
    }

    /// The activation at `site` is decided: from here on the reads that `decision` lists see its low-bit form.
    pub fn range(&mut self, site: usize, decision: Option<ActivationDecision>) {
        self.unranged.remove(&site);
        let Some(decision) = decision else { return };
        let name = format!("{}/low bit", decision.tensor);
        for read in &decision.reads {
            self.changes.reads.insert((read.at, read.slot), name.clone());
        }
        self.low_bit.insert(decision.tensor.clone(), (name, decision));
    }

    /// From here on the quantized network has `values` for the weights at `site`, and the biases given.
    pub fn settle(&mut self, site: usize, values: Option<&[f32]>, biases: &[BiasChange]) {
        self.open.remove(&site);
        let site = &self.analysis.weights[site];
        let dtype = site.float.dtype();
        if let Some(values) = values {
            self.changes
                .weights
                .insert(site.tensor.clone(), tensor_of(site.tensor.as_str(), dtype, &site.dims, values));
        }
        for change in biases {
            let name = format!("bias of node {}, input {}", change.read.at, change.read.slot);
            let constant = tensor_f32(name, &[change.values.len() as i64], &change.values);
            self.changes.constants.insert((change.read.at, change.read.slot), constant);
        }
    }

    /// Who makes and reads what.
    pub(super) fn index(&self) -> &Index<'_> {
        &self.index
    }

    /// Pending nodes that everything is there for.
    fn runnable(&self) -> BTreeSet<usize> {
        let graph = self.index.graph();
        let blocked: BTreeSet<usize> = self
            .open
            .iter()
            .flat_map(|&site| {
                let readers = self.analysis.weights[site].readers.iter();
                readers.flat_map(|reader| std::iter::once(reader.read.at).chain(reader.chain.iter().copied()))
            })
            .chain(
                self.unranged
                    .iter()
                    .flat_map(|&site| self.analysis.activations[site].all_reads())
                    .map(|read| read.at),
            )
            .collect();
        let mut made = BTreeSet::new();
        let mut nodes = BTreeSet::new();
        for &at in self.pending.difference(&blocked) {
            let node = &graph.node[at];
            let there = |name: &str| {
                name.is_empty()
                    || made.contains(name)
                    || self.is_there(name)
                    || (self.index.producer_at(name).is_none() && !self.index.is_input(name))
            };
            if node.input.iter().all(|name| there(name)) && outer_names(node).into_iter().all(there) {
                nodes.insert(at);
                made.extend(node.output.iter().map(String::as_str));
            }
        }
        nodes
    }

    /// Runs `nodes` in both networks and moves the frontier behind them.
    fn run(&mut self, nodes: &BTreeSet<usize>) -> Result<()> {
        let graph = self.index.graph();
        self.pending.retain(|at| !nodes.contains(at));
        let wanted: BTreeSet<&str> = self
            .pending
            .iter()
            .flat_map(|&at| {
                graph.node[at].input.iter().map(String::as_str).chain(outer_names(&graph.node[at]))
            })
            .chain(self.unranged.iter().map(|&site| self.analysis.activations[site].tensor.as_str()))
            .collect();
        let outputs: Vec<String> = nodes
            .iter()
            .flat_map(|&at| graph.node[at].output.iter())
            .filter(|name| wanted.contains(name.as_str()))
            .cloned()
            .collect();
        if !outputs.is_empty() {
            let plain = Changes::default();
            let float = self.pass(nodes, &outputs, &plain, Network::Float)?;
            let touched = self.sequential && self.touched(nodes);
            let own = match touched {
                true => Some(self.pass(nodes, &outputs, &self.changes, Network::Own)?),
                false => None,
            };
            for (at, name) in outputs.into_iter().enumerate() {
                let constant = float[at]
                    .constant()
                    .filter(|one| own.as_ref().is_none_or(|own| own[at].constant() == Some(one)));
                if let Some(constant) = constant {
                    // A constant has no range to look for.
                    self.unranged.retain(|&site| self.analysis.activations[site].tensor != name);
                    self.known.insert(name, constant.clone());
                    continue;
                }
                let float = Source::Kept(float[at].clone());
                let own = own.as_ref().map_or_else(|| float.clone(), |own| Source::Kept(own[at].clone()));
                self.live.insert(name, Live { float, own });
            }
        }
        self.live.retain(|name, _| wanted.contains(name.as_str()));
        let stage = self.stage.as_ref();
        nodes.iter().try_for_each(|_| stage.map_or(Ok(()), Stage::step))
    }

    /// Whether `nodes` give anything else in the quantized network than in the float one.
    fn touched(&self, nodes: &BTreeSet<usize>) -> bool {
        let graph = self.index.graph();
        nodes.iter().any(|&at| {
            let node = &graph.node[at];
            let low = self.changes.reads.range((at, 0)..(at + 1, 0)).next().is_some();
            let bias = self.changes.constants.range((at, 0)..(at + 1, 0)).next().is_some();
            let mut names = node.input.iter().map(String::as_str).chain(outer_names(node));
            low || bias
                || names.any(|name| {
                    self.changes.weights.contains_key(name) || (self.is_there(name) && self.differs(name))
                })
        })
    }

    /// One network's values of `outputs` on all samples.
    fn pass(
        &self,
        nodes: &BTreeSet<usize>,
        outputs: &[String],
        changes: &Changes,
        network: Network,
    ) -> Result<Vec<Arc<Spool>>> {
        let segment = Segment::new(self.model, &self.index, nodes, outputs, changes, &self.known)?;
        let view = if network == Network::Float { "float" } else { "quantized" };
        let session = Session::new(&segment.model, view, &[])?;
        let low_bit: BTreeMap<&str, &ActivationDecision> =
            self.low_bit.values().map(|(name, decision)| (name.as_str(), decision)).collect();
        let mut spools: Vec<Spool> = outputs.iter().map(|name| Spool::new(name)).collect();
        for start in (0..self.count).step_by(CHUNK) {
            let values: Vec<Vec<TensorProto>> = (start..self.count.min(start + CHUNK))
                .into_par_iter()
                .map(|at| {
                    let inputs = segment.inputs.iter().map(|name| match low_bit.get(name.as_str()) {
                        Some(decision) => {
                            let value = self.get(&decision.tensor, at, network)?;
                            let mut values = floats(&value)?;
                            decision.round(&mut values);
                            let dtype = Dtype::try_from(value.data_type()).unwrap_or(Dtype::Float);
                            Ok(tensor_of(name.as_str(), dtype, &value.dims, &values))
                        }
                        None => self.get(name, at, network),
                    });
                    session.run_tensors(&inputs.collect::<Result<Vec<_>>>()?)
                })
                .collect::<Result<_>>()?;
            for values in values {
                for (spool, value) in spools.iter_mut().zip(&values) {
                    spool.push(value)?;
                }
            }
        }
        Ok(spools.into_iter().map(Arc::new).collect())
    }
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Walk")
            .field("open", &self.open)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

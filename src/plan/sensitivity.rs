//! What single layers do to the outputs of the whole network, and a plan taken apart into layers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::options::Container;

use super::decision::{Decision, Plan, WeightDecision};
use super::site::{Analysis, WeightSite};

/// A site of weights together with the activations at its input, as far as a plan changes them.
#[derive(Clone, Debug)]
pub struct Layer<'p> {
    /// The weights.
    pub site: &'p WeightSite,
    /// What becomes of them; `None` where only their input is rounded.
    pub weights: Option<&'p WeightDecision>,
    plan: &'p Plan,
    nodes: BTreeSet<usize>,
}

impl<'p> Layer<'p> {
    /// The layers that `plan` changes, in graph order of their first node.
    pub fn all(analysis: &'p Analysis, plan: &'p Plan) -> Vec<Self> {
        let layers = analysis.weights.iter().filter_map(|site| {
            let nodes: BTreeSet<usize> = site.reads.iter().map(|read| read.at).collect();
            let mut layer = Self { site, weights: None, plan, nodes };
            let mut changed = false;
            for decision in &plan.decisions {
                match decision {
                    Decision::Weight(weight) if weight.tensor == site.tensor => layer.weights = Some(weight),
                    Decision::Weight(_) => {}
                    Decision::Activation(activation) => {
                        changed |= activation.reads.iter().any(|read| layer.nodes.contains(&read.at));
                    }
                }
            }
            (changed || layer.weights.is_some()).then_some(layer)
        });
        let mut layers: Vec<Self> = layers.collect();
        layers.sort_by_key(Layer::first);
        layers
    }

    /// Position of the first node of the layer.
    pub fn first(&self) -> usize {
        self.nodes.first().copied().unwrap_or_default()
    }

    /// How 4-bit codes are stored.
    pub fn container(&self) -> Container {
        self.plan.container
    }

    /// The plan with the decisions on this layer alone.
    pub fn only(&self) -> Plan {
        self.part(true)
    }

    /// The plan without the decisions on this layer.
    pub fn without(&self) -> Plan {
        self.part(false)
    }

    fn part(&self, own: bool) -> Plan {
        let decisions = self.plan.decisions.iter().filter_map(|decision| match decision {
            Decision::Weight(weight) => {
                ((weight.tensor == self.site.tensor) == own).then(|| decision.clone())
            }
            Decision::Activation(activation) => {
                let mut part = activation.clone();
                part.reads.retain(|read| self.nodes.contains(&read.at) == own);
                part.returned &= !own;
                (!part.reads.is_empty() || part.returned).then_some(Decision::Activation(part))
            }
        });
        Plan {
            version: self.plan.version,
            tool: self.plan.tool.clone(),
            subject: self.plan.subject.clone(),
            precision: self.plan.precision.clone(),
            opset: self.plan.opset,
            container: self.plan.container,
            bias: self.plan.bias,
            explicit_zero_points: self.plan.explicit_zero_points,
            shapes: self.plan.shapes.clone(),
            calibrated: self.plan.calibrated.clone(),
            decisions: decisions.collect(),
            skips: self.plan.skips.clone(),
        }
    }
}

/// How far a network's outputs are from the float network's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Loss {
    /// Energy of the difference over energy of the float output, the mean over the float outputs. Of errors that do not
    /// hang together the energies add up, which decibels do not.
    pub noise: f64,
    /// `-10 log10(noise)`, in dB; `None` where there is no difference.
    pub sqnr_db: Option<f64>,
    /// Float minus quantized top-1, in points; `None` without labels.
    pub drop_points: Option<f64>,
    /// Standard error of `drop_points`, from the samples on which the two networks differ.
    pub drop_error: Option<f64>,
    /// Elements that are not finite where the float network's are.
    pub broken: u64,
}

/// What one layer does to the outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSensitivity {
    /// The weights.
    pub tensor: String,
    /// The first node that reads them.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// Number of weights.
    pub weights: u64,
    /// Bytes of the weights in float.
    pub bytes_float: u64,
    /// Bytes of the weights as planned, with scales and zero points.
    pub bytes_low: u64,
    /// This layer quantized, all others float.
    pub alone: Loss,
    /// This layer float, all others quantized.
    pub without: Loss,
    /// The noise that the layer answers for: the mean of what it brings to the float network and of what the quantized
    /// network loses without it. Below zero where the other layers make up for it.
    pub guilt: f64,
    /// `guilt` over the noise of the whole quantized network; `None` where that has no noise.
    pub share: Option<f64>,
}

/// What each layer does to the outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivities {
    /// All layers quantized.
    pub whole: Loss,
    /// The layers.
    pub layers: Vec<LayerSensitivity>,
    /// Why whole runs were made for each layer, if the network could not be resumed at them.
    pub not_resumed: Option<String>,
}

/// Layers by guilt, and how that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The model.
    pub input: PathBuf,
    /// `w4a8` and the like.
    pub precision: String,
    /// Where calibration samples came from, and how many were used.
    pub calibration: Option<(String, usize)>,
    /// Where the samples that were measured on came from.
    pub source: String,
    /// How many there were.
    pub samples: usize,
    /// Whether calibration used the same samples.
    pub calibrated_on: bool,
    /// All layers quantized.
    pub whole: Loss,
    /// The guiltiest first.
    pub layers: Vec<LayerSensitivity>,
    /// What a person should know before trusting the result.
    pub warnings: Vec<String>,
    /// Seconds a stage, in order.
    pub seconds: Vec<(String, f64)>,
}

//! What single layers do to the outputs of the whole network, and a plan taken apart into layers.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::options::Storage;

use super::decision::{Decision, Plan, WeightDecision};
use super::outcome::Doubt;
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
            let nodes: BTreeSet<usize> = site.reads().map(|read| read.at).collect();
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

    /// How codes are stored.
    pub fn storage(&self) -> Storage {
        self.plan.storage
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
            storage: self.plan.storage,
            bias: self.plan.bias,
            explicit_zero_points: self.plan.explicit_zero_points,
            shapes: self.plan.shapes.clone(),
            calibrated: self.plan.calibrated.clone(),
            generated: self.plan.generated.clone(),
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
    /// Share of samples on which both networks choose the same class; `None` where the first output has no class scores.
    pub agreement: Option<f64>,
    /// Standard error of that share.
    pub agreement_error: Option<f64>,
    /// What that share is at least, at 95 % confidence.
    pub agreement_bound: Option<f64>,
    /// Elements that are not finite where the float network's are.
    pub broken: u64,
}

/// A difference and its standard error over the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The difference; infinite, which JSON writes as null, where a network has no noise at all.
    pub value: f64,
    /// Its standard error; infinite, which JSON writes as null, where the samples are too few to tell.
    pub error: f64,
}

impl Change {
    /// Standard errors that a difference must exceed to be told as a fact.
    const CLEAR: f64 = 2.0;

    /// Whether the samples tell the difference from none.
    pub fn is_clear(&self) -> bool {
        self.value.abs() > Self::CLEAR * self.error
    }

    /// Whether it is clear, and for the better.
    pub fn is_gain(&self) -> bool {
        self.value > 0.0 && self.is_clear()
    }
}

/// What the outputs gain where one layer is left float: the quantized network with that layer against the one without it, on
/// the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// Samples that both networks ran on.
    pub samples: usize,
    /// More SQNR, in dB.
    pub sqnr_db: Change,
    /// More top-1, in points; `None` without labels.
    pub top1_points: Option<Change>,
    /// More answers that are the float network's, in points; `None` where the outputs are no class scores.
    pub agreement_points: Option<Change>,
    /// Elements that become finite; below zero where more are not.
    pub mended: i64,
}

impl Gain {
    /// Whether leaving the layer float improves the outputs, as far as the samples tell.
    pub fn is_clear(&self) -> bool {
        self.mended > 0 || self.mended == 0 && self.sqnr_db.is_gain()
    }

    /// The larger gain first.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_noise = || other.sqnr_db.value.total_cmp(&self.sqnr_db.value);
        other.mended.cmp(&self.mended).then_with(by_noise)
    }
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
    /// The mean of the noise that the layer brings alone and of the noise that goes when it is left float and no later
    /// weights change, over the noise of the whole: which layers are worth an estimate. `None` where all have one.
    pub first_look: Option<f64>,
    /// What the outputs gain without this layer, from a cheaper solution; `None` where the first look promised less than others.
    pub estimate: Option<Gain>,
    /// What they gain in a conversion without this layer.
    pub confirmed: Option<Confirmed>,
    /// Why there could be no such conversion.
    pub refused: Option<String>,
    /// The pattern for `exclude` that fits this layer.
    pub exclude: String,
    /// The arguments of `fourbit` for a conversion without this layer; empty where it was not confirmed to gain anything.
    pub command: Vec<String>,
}

/// A conversion without one layer, measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confirmed {
    /// Against the conversion with it.
    pub gain: Gain,
    /// How far the outputs are then from the float network's.
    pub without: Loss,
}

impl LayerSensitivity {
    /// The best that is known of the gain, and whether a conversion showed it.
    pub fn known(&self) -> Option<(&Gain, bool)> {
        match &self.confirmed {
            Some(confirmed) => Some((&confirmed.gain, true)),
            None => self.estimate.as_ref().map(|gain| (gain, false)),
        }
    }

    /// Whether an estimate promised what a conversion did not show.
    pub fn is_contradicted(&self) -> bool {
        let confirmed = self.confirmed.as_ref();
        confirmed.is_some_and(|confirmed| !confirmed.gain.is_clear())
            && self.estimate.as_ref().is_some_and(Gain::is_clear)
    }

    /// What conversions showed first, then what was estimated, then what was not; each the largest first.
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |layer: &Self| match (layer.confirmed.is_some(), layer.estimate.is_some()) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        let by_gain = match (self.known(), other.known()) {
            (Some((one, _)), Some((other, _))) => one.order(other),
            _ => Ordering::Equal,
        };
        let first_look = |layer: &Self| layer.first_look.unwrap_or(0.0);
        let by_look = || first_look(other).total_cmp(&first_look(self));
        place(self).cmp(&place(other)).then(by_gain).then_with(by_look)
    }
}

/// The samples that gains are judged on, none of which calibration used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judges {
    /// Where they came from.
    pub source: String,
    /// How many there were for conversions.
    pub samples: usize,
    /// How many of these for estimates.
    pub measured: usize,
    /// Whether they were calibration samples that were held back, so that the conversions looked at had fewer.
    pub held_back: bool,
    /// Samples that calibration used too, and that were left out for that.
    pub left_out: usize,
}

/// What the outputs gain from each layer left float, and how that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The model.
    pub input: PathBuf,
    /// `w4a8` and the like.
    pub precision: String,
    /// Where calibration samples came from, and how many were used.
    pub calibration: Option<(String, usize)>,
    /// The samples judged on.
    pub judges: Judges,
    /// Calibration samples that plans for estimates were made on; `None` where no weights depend on other layers, and
    /// estimates leave out a layer's decisions and change no others.
    pub solved_on: Option<usize>,
    /// All layers quantized.
    pub whole: Loss,
    /// The largest gain first, those confirmed before those estimated.
    pub layers: Vec<LayerSensitivity>,
    /// What stands against the samples judged on.
    pub doubts: Vec<Doubt>,
    /// What a person should know before trusting the result.
    pub warnings: Vec<String>,
    /// Seconds a stage, in order.
    pub seconds: Vec<(String, f64)>,
}

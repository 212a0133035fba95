//! A float network, what it gives on some samples, and how far changed networks are from that.

use crate::calibrate::{Resume, frontier};
use crate::error::{Error, Result};
use crate::onnx::proto::{TypeProto, ValueInfoProto, type_proto};
use crate::onnx::{Dtype, Model};
use crate::plan::{Decision, Doubt, Loss, Plan, Score};
use crate::progress::{Progress, Stage};
use crate::rewrite::{Dialect, apply, lower};
use crate::runtime::Output;
use crate::samples::Samples;
use crate::validate::{Differences, Paired, check_labels, expected_agreement, expected_drop};

/// What changes of a network are measured with.
pub(super) struct Bench<'b> {
    pub model: &'b Model,
    /// The model as tract runs it.
    pub float: Model,
    /// At the inputs.
    pub start: Resume,
    outputs: Vec<String>,
    /// The float network's outputs, for each sample.
    reference: Vec<Vec<Output>>,
    labels: Vec<Vec<i64>>,
}

/// What a whole plan loses.
pub(super) struct Whole {
    pub loss: Loss,
    /// The drop in points that errors as large as these lead one to expect, where the samples are labelled.
    pub expected_drop: Option<f64>,
    /// The share of rows with the same class that these errors lead one to expect, where there are class scores.
    pub expected_agreement: Option<f64>,
    /// Rows of class scores.
    pub rows: usize,
    /// Right answers, where the samples are labelled.
    pub score: Option<Score>,
    /// What speaks against the samples.
    pub doubts: Vec<Doubt>,
}

impl<'b> Bench<'b> {
    /// For the outputs of `model`, which is prepared, on `samples`.
    pub fn new(model: &'b Model, samples: &Samples) -> Result<Self> {
        let feed = |at: usize| Ok(samples.get(at)?.inputs);
        let float = lower(model, Dialect::Folded)?;
        let start = Resume::new(&float, samples.len(), &feed, "float")?;
        let labels = match samples.labelled() {
            true => (0..samples.len()).map(|at| Ok(samples.get(at)?.labels)).collect::<Result<_>>()?,
            false => vec![Vec::new(); samples.len()],
        };
        let outputs = float_outputs(&float);
        let mut reference = Vec::new();
        start.finish(&float, &outputs, &mut |at, values| {
            if let Some(first) = values.first() {
                check_labels(samples, at, first, &labels[at])?;
            }
            reference.push(values);
            Ok(())
        })?;
        Ok(Self { model, float, start, outputs, reference, labels })
    }

    /// The model with `plan` carried out, as tract runs it.
    pub fn changed(&self, plan: &Plan) -> Result<Model> {
        lower(&apply(self.model, plan, None)?, Dialect::Folded)
    }

    /// The loss of `model`, resumed at `from`.
    pub fn loss(&self, from: &Resume, model: &Model) -> Result<Loss> {
        let mut differences = Differences::default();
        from.finish(model, &self.outputs, &mut |at, values| {
            differences.add(&self.reference[at], &values, &self.labels[at])
        })?;
        Ok(differences.loss())
    }

    /// The same, sample by sample.
    pub fn paired(&self, from: &Resume, model: &Model) -> Result<Paired> {
        let mut paired = Paired::default();
        from.finish(model, &self.outputs, &mut |at, values| {
            paired.add(&self.reference[at], &values, &self.labels[at])
        })?;
        Ok(paired)
    }

    /// The whole `plan`, sample by sample.
    pub fn judged(&self, plan: &Plan) -> Result<Paired> {
        self.paired(&self.start.renamed("quantized"), &self.changed(plan)?)
    }

    /// How many values the outputs of one sample have.
    pub fn values(&self) -> usize {
        self.reference.first().map_or(0, |outputs| outputs.iter().map(|output| output.values.len()).sum())
    }

    /// What the whole `plan` loses.
    pub fn whole(&self, plan: &Plan) -> Result<Whole> {
        let mut differences = Differences::default();
        let mut scores = Vec::new();
        self.start.renamed("quantized").finish(&self.changed(plan)?, &self.outputs, &mut |at, values| {
            differences.add(&self.reference[at], &values, &self.labels[at])?;
            if let Some(first) = values.into_iter().next() {
                scores.push(first);
            }
            Ok(())
        })?;
        let float: Vec<&Output> = self.reference.iter().filter_map(|outputs| outputs.first()).collect();
        Ok(Whole {
            loss: differences.loss(),
            expected_drop: expected_drop(&float, &scores, &self.labels),
            expected_agreement: expected_agreement(&float, &scores, &self.labels),
            rows: differences.rows(),
            score: differences.score(),
            doubts: differences.doubts(0, false),
        })
    }

    /// What each decision of `plan` does to the outputs by itself, in the order of the decisions.
    pub fn alone(&self, plan: &Plan, progress: &dyn Progress) -> Result<Vec<Loss>> {
        match self.each_alone(plan, true, progress) {
            // Parts may be harder to run than the whole, where shapes are computed.
            Err(Error::Runtime { .. }) => self.each_alone(plan, false, progress),
            other => other,
        }
    }

    fn each_alone(&self, plan: &Plan, resumed: bool, progress: &dyn Progress) -> Result<Vec<Loss>> {
        let first = |decision: &Decision| match decision {
            Decision::Weight(weight) => weight.reads.iter().map(|read| read.at).min(),
            Decision::Activation(activation) => activation.reads.iter().map(|read| read.at).min(),
        };
        let mut order: Vec<usize> = (0..plan.decisions.len()).collect();
        order.sort_by_key(|&at| first(&plan.decisions[at]));
        let stage = Stage::begin(progress, "measure", order.len())?;
        let mut float = self.start.clone();
        let mut losses = vec![Loss::default(); order.len()];
        for at in order {
            let decision = &plan.decisions[at];
            if resumed {
                float.advance(&self.float, &frontier(self.model.graph(), first(decision).unwrap_or(0)))?;
            }
            let one = Plan { decisions: vec![decision.clone()], ..plan.clone() };
            losses[at] = self.loss(&float, &self.changed(&one)?)?;
            stage.step()?;
        }
        Ok(losses)
    }
}

/// The outputs that nodes compute as floats; all that nodes compute where none is.
fn float_outputs(model: &Model) -> Vec<String> {
    let graph = model.graph();
    let made = |name: &str| graph.node.iter().any(|node| node.output.iter().any(|output| output == name));
    let computed: Vec<_> = graph.output.iter().filter(|output| made(output.name())).collect();
    let is_float = |output: &ValueInfoProto| match &output.r#type {
        Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) => {
            tensor.elem_type() == Dtype::Float as i32
        }
        _ => false,
    };
    let floats = computed.iter().filter(|output| is_float(output));
    let names: Vec<String> = floats.map(|output| output.name().to_owned()).collect();
    match names.is_empty() {
        true => computed.iter().map(|output| output.name().to_owned()).collect(),
        false => names,
    }
}

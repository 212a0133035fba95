//! Tables of what is quantized, and of what is not.

use std::collections::BTreeMap;

use super::table::Column;
use super::{Detail, TextStyle, words};
use crate::options::Spelling;
use crate::plan::{
    ActivationDecision, Decision, Keep, Partition, Plan, Read, Skip, WeightDecision, WeightTerm,
};

/// onnxruntime's operator that holds quantized weights.
const NBITS: &str = "MatMulNBits";

/// The operators among the readers.
pub fn operators(reads: &[Read]) -> String {
    words::distinct(reads.iter().map(|read| read.operator.as_str()))
}

/// The partition, and how many scales that makes.
fn scales(term: &WeightTerm) -> String {
    let count = words::count(term.scales.len() as u64);
    match term.partition {
        Partition::Tensor => "tensor".into(),
        Partition::Channel { .. } => format!("channel, {count}"),
        Partition::Block { size, .. } => format!("block {size}, {count}"),
    }
}

/// One word a term.
fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" + ")
}

/// Tensors that stay for the same reason.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    count: usize,
    bytes: u64,
    saves: u64,
}

impl Group {
    fn add(&mut self, skip: &Skip) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(skip.bytes);
        if let Keep::Small { saves, .. } = skip.reason {
            self.saves = self.saves.saturating_add(saves);
        }
    }
}

/// The reason without what differs from tensor to tensor.
fn heading(skip: &Skip) -> String {
    match &skip.reason {
        Keep::Small { least, .. } => format!("fewer than {least} elements"),
        Keep::NoRule => format!("no rule for the weights of {}", skip.operator),
        Keep::Quantized if skip.operator.ends_with(NBITS) => format!("{} ({NBITS})", skip.reason),
        reason => reason.to_string(),
    }
}

impl TextStyle {
    /// Every decision of a plan, weights first.
    pub(super) fn decisions(&self, plan: &Plan) -> String {
        let (mut weights, mut activations) = (Vec::new(), Vec::new());
        for decision in &plan.decisions {
            match decision {
                Decision::Weight(weight) => weights.push(self.weight(weight)),
                Decision::Activation(activation) => activations.push(self.activation(activation)),
            }
        }
        let reason = self.full().then_some(Column::text("Reason"));
        let mut heads = vec![
            Column::name("Weights"),
            Column::text("Operator").spare(1),
            Column::whole("Shape"),
            Column::text("Treatment"),
            Column::figure("Bits").spare(2),
            Column::text("Scales"),
            Column::figure("SQNR dB"),
        ];
        heads.extend(reason);
        let mut text = self.table(&heads, weights);
        let mut heads = vec![
            Column::name("Activations"),
            Column::text("Read by").spare(2),
            Column::text("Treatment"),
            Column::figure("Bits").spare(3),
            Column::whole("Range"),
            Column::figure("Scale").spare(1),
            Column::figure("Zero").spare(1),
            Column::figure("SQNR dB"),
        ];
        heads.extend(reason);
        text += &self.table(&heads, activations);
        text
    }

    /// Whether everything is to be told.
    pub(super) fn full(&self) -> bool {
        self.detail == Detail::Full
    }

    fn weight(&self, weight: &WeightDecision) -> Vec<String> {
        let bias = if weight.biases.is_empty() { "" } else { " + bias" };
        let scales = weight.terms.first().map_or_else(String::new, scales);
        let mut stored = joined(weight.terms.iter().map(|term| term.code_type.to_string()));
        if weight.terms.len() > 1 && weight.spelling == Spelling::Branches {
            stored += " branches";
        }
        if weight.spelling == Spelling::MatMulNBits {
            stored += " MatMulNBits";
        }
        let mut row = vec![
            weight.tensor.clone(),
            operators(&weight.reads),
            words::shape(&weight.dims),
            format!("{stored}{bias}"),
            joined(weight.terms.iter().map(|term| term.code_type.bits().to_string())),
            scales,
            words::decibel(weight.sqnr_db),
        ];
        row.extend(self.full().then(|| weight.reason.to_string()));
        row
    }

    fn activation(&self, activation: &ActivationDecision) -> Vec<String> {
        let (low, high) = activation.range;
        let mut row = vec![
            activation.tensor.clone(),
            operators(&activation.reads),
            joined(activation.terms.iter().map(|term| term.code_type.to_string())),
            joined(activation.terms.iter().map(|term| term.code_type.bits().to_string())),
            format!("{} to {}", words::short(low.into()), words::short(high.into())),
            joined(activation.terms.iter().map(|term| words::short(term.scale.into()))),
            joined(activation.terms.iter().map(|term| term.zero_point.to_string())),
            words::decibel(activation.sqnr_db),
        ];
        row.extend(self.full().then(|| activation.reason.to_string()));
        row
    }

    /// What stays as it is: one line a reason, or one a tensor where everything is to be told.
    pub(super) fn kept(&self, skips: &[Skip]) -> String {
        if self.full() {
            let row = |skip: &Skip| {
                vec![
                    skip.name.clone(),
                    skip.operator.clone(),
                    words::shape(&skip.dims),
                    words::bytes(skip.bytes),
                    skip.reason.to_string(),
                ]
            };
            let rows = skips.iter().map(row).collect();
            let columns = [
                Column::name("Kept in float"),
                Column::text("Operator"),
                Column::whole("Shape"),
                Column::figure("Size"),
                Column::text("Reason"),
            ];
            return self.table(&columns, rows);
        }
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut all = Group::default();
        for skip in skips {
            let group = groups.entry(heading(skip)).or_default();
            [group, &mut all].into_iter().for_each(|group| group.add(skip));
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.bytes, group.count)));
        if groups.len() > 1 {
            groups.push(("together".into(), all));
        }
        let row = |(reason, group): (String, Group)| {
            let count = words::count(group.count as u64);
            vec![reason, count, words::bytes(group.bytes)]
        };
        let rows = groups.into_iter().map(row).collect();
        let mut text = self.table(
            &[
                Column::text("Kept in float, with the reason"),
                Column::figure("Count"),
                Column::figure("Size"),
            ],
            rows,
        );
        if all.saves > 0 {
            // Under the table: another way to write the setting must not move its columns.
            text += &format!("`.min_elements` 1 would save {}\n\n", words::bytes(all.saves));
        }
        text
    }
}

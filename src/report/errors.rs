//! What each treatment of the weights loses: what a finer partition or a second term buys.

use super::table::Column;
use super::{TextStyle, words};
use crate::plan::{Decision, Plan, Residuals, WeightDecision};

/// More layers than this are not listed, unless everything is to be told: those that lose most come first.
const LAYERS: usize = 8;

/// The weights whose errors are known, those that one term at the chosen partition serves worst first.
pub(super) fn ranked(plan: &Plan) -> Vec<(&WeightDecision, Residuals)> {
    let mut ranked = Vec::new();
    for decision in &plan.decisions {
        if let Decision::Weight(weight) = decision {
            ranked.extend(weight.residuals.map(|residuals| (weight, residuals)));
        }
    }
    ranked.sort_by(|(_, one), (_, other)| other.single.total_cmp(&one.single));
    ranked
}

impl TextStyle {
    /// Relative squared errors by partition and number of terms.
    pub(super) fn errors(&self, plan: &Plan) -> String {
        let ranked = ranked(plan);
        let blocks = ranked.iter().any(|(_, residuals)| residuals.block.is_some());
        let dual = ranked.iter().any(|(_, residuals)| residuals.dual.is_some());
        let shown = if self.full() { ranked.len() } else { LAYERS };
        let mut heads =
            vec![Column::name("Error, most first"), Column::figure("Tensor"), Column::figure("Kernel")];
        heads.extend(blocks.then_some(Column::figure("Block")));
        heads.extend(dual.then_some(Column::figure("2 terms")));
        let error = |error: Option<f64>| error.map_or_else(String::new, |error| format!("{error:.1e}"));
        let row = |(weight, residuals): &(&WeightDecision, Residuals)| {
            let mut row =
                vec![weight.tensor.clone(), error(Some(residuals.tensor)), error(residuals.channel)];
            row.extend(blocks.then(|| error(residuals.block)));
            row.extend(dual.then(|| error(residuals.dual)));
            row
        };
        let mut text = self.table(&heads, ranked.iter().take(shown).map(row).collect());
        if ranked.len() > shown {
            text.truncate(text.trim_end().len());
            text += &format!(
                "\n… of {}; `fourbit::Detail::Full` lists them\n\n",
                words::things(ranked.len(), "weight tensor")
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Detail, example};

    #[test]
    fn the_worst_come_first_and_no_column_is_empty() {
        let mut plan = example::outcome().plan;
        let Decision::Weight(first) = plan.decisions[0].clone() else { panic!("weights first") };
        for at in 0..10 {
            let mut other = first.clone();
            other.tensor = format!("other{at}");
            other.residuals =
                other.residuals.map(|it| Residuals { single: 0.1 * f64::from(at), dual: None, ..it });
            plan.decisions.push(Decision::Weight(other));
        }
        let text = TextStyle::default().errors(&plan);
        let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} in\n{text}"));
        assert!(place("other9") < place("other2") && place("2 terms") < place("2.1e-2"), "{text}");
        assert!(text.contains("of 11 weight tensors") && !text.contains("Block"), "{text}");
        let full = TextStyle { width: None, detail: Detail::Full }.errors(&plan);
        assert!(full.contains("layer1.conv.weight") && full.contains("1.2e-4"), "{full}");
    }
}

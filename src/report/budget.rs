//! How a budget was kept, in words.

use super::verdict::{doubt, error};
use super::words;
use crate::options::Budget;
use crate::plan::{Budgeted, Trial};

/// The search as labelled lines.
pub(super) fn budgeted(budget: &Budgeted) -> Vec<(String, String)> {
    let Some(trial) = budget.trials.iter().rev().find(|trial| trial.taken == budget.taken) else {
        return Vec::new();
    };
    let limits = limits(&budget.asked, trial, budget.judged().unwrap_or(trial)).join("; ");
    let samples = format!("on {}", words::things(budget.held_back, "held-back sample"));
    let first = match budget.met {
        true => ("Limit met", format!("{limits}; {samples}")),
        false if trial.kept && !budget.doubts.is_empty() => {
            ("Limit", format!("NOT shown, since the figures mean nothing: {limits}; {samples}"))
        }
        false => ("Limit NOT met", format!("{limits}; {samples}; this is the best plan found")),
    };
    let mut pairs = vec![(first.0.to_owned(), first.1)];
    pairs.extend(budget.doubts.iter().map(|it| ("Doubt".into(), doubt(it))));
    let search = format!(
        "{} of {} to more bits taken, {} tried",
        words::count(budget.taken as u64),
        words::things(budget.steps, "step"),
        words::things(budget.trials.len(), "plan")
    );
    pairs.push(("Search".into(), search));
    if !budget.in_the_way.is_empty() {
        let name =
            |(name, share): &(String, f64)| format!("{name} ({} of the noise)", words::percent(*share));
        pairs.push(("Most noise".into(), budget.in_the_way.iter().map(name).collect::<Vec<_>>().join(", ")));
    }
    pairs
}

/// The limits, with the losses of `judged` and the sizes of `trial`.
fn limits(asked: &Budget, trial: &Trial, judged: &Trial) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(most) = asked.max_drop {
        let number = |value: Option<f64>| value.map_or("unknown".into(), |value| format!("{value:.2}"));
        parts.push(format!(
            "`.max_drop` {most}: expected {}, observed {}{}, at most {} at 95 %",
            number(judged.expected_drop),
            number(judged.loss.drop_points),
            judged.loss.drop_error.map(error).unwrap_or_default(),
            number(judged.drop_bound)
        ));
    }
    if let Some(least) = asked.min_sqnr_db {
        let ratio = judged.loss.sqnr_db.map_or("no noise".into(), |ratio| format!("{ratio:.1} dB"));
        parts.push(format!("`.min_sqnr_db` {least}: observed {ratio}"));
    }
    if let Some(least) = asked.min_agreement {
        let share = |value: Option<f64>| value.map_or("unknown".into(), words::percent);
        parts.push(format!(
            "`.min_agreement` {}: expected {}, observed {}, at least {} at 95 %",
            words::percent(least),
            share(judged.expected_agreement),
            share(judged.loss.agreement),
            share(judged.loss.agreement_bound)
        ));
    }
    if let Some(most) = asked.max_bytes {
        parts.push(format!("`.max_bytes` {}: {}", words::bytes(most), words::bytes(trial.bytes)));
    }
    if let Some(most) = asked.max_bits {
        parts.push(format!("`.max_bits` {most}: {:.2} bits per parameter", trial.effective_bits));
    }
    if judged.loss.broken > 0 {
        parts.push(format!("{} values no longer finite", words::count(judged.loss.broken)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_budget_that_is_not_kept_says_what_stands_in_the_way() {
        let text: Vec<String> = budgeted(&example::budgeted()).into_iter().map(|(_, text)| text).collect();
        for part in [
            "this is the best plan found",
            "`.max_drop` 1: expected 2.25, observed 2.50, at most 4.50 at 95 %",
            "`.min_agreement` 99.00 %: expected 96.50 %, observed 97.00 %, at least 94.00 % at 95 %",
            "`.max_bytes` 260 kB: 250 kB",
            "on 170 held-back samples",
            "3 of 40 steps",
        ] {
            assert!(text.iter().any(|text| text.contains(part)), "{part} in {text:?}");
        }
        assert_eq!(text[2], "conv1.weight as int4 (40.00 % of the noise)");
    }
}

//! Whether a plan keeps the limits, and whether samples show that.

use crate::error::Error;
use crate::options::Budget;
use crate::plan::{AGREEMENT_UNSHOWN, Budgeted, DROP_UNSHOWN, Score, Trial, Validation, Verdict};
use crate::validate::{needed, needed_for_agreement};

/// What arithmetic may lose, in points.
const TINY: f64 = 1e-9;

/// Whether `trial` keeps `budget`, as far as its samples say.
pub(super) fn kept(budget: &Budget, trial: &Trial) -> bool {
    let loss = &trial.loss;
    let drop = budget.max_drop.is_none_or(|most| {
        // What is expected decides; what was seen may not contradict it by more than chance.
        let seen = loss.drop_points.unwrap_or(f64::INFINITY) - loss.drop_error.unwrap_or(0.0);
        trial.expected_drop.is_some_and(|expected| expected <= most) && seen <= most
    });
    let same = budget.min_agreement.is_none_or(|least| {
        let seen = loss.agreement.unwrap_or(0.0);
        let error = (loss.agreement_error.unwrap_or(0.0)).max(0.0);
        trial.expected_agreement.is_some_and(|expected| expected >= least) && seen + error >= least
    });
    let sqnr = budget.min_sqnr_db.is_none_or(|least| loss.sqnr_db.unwrap_or(f64::INFINITY) >= least);
    drop && same && sqnr && loss.broken == 0 && trial.fits(budget)
}

/// That there is no class to agree on.
pub(super) fn no_classes() -> Error {
    Error::options(
        "`.min_agreement` compares the classes that both models choose, and the first output has no class scores",
        "limit `.min_sqnr_db` instead",
    )
}

/// Warnings where the samples do not show that the limits on drop and agreement are kept: validation samples that were not calibrated
/// on, or those held back where there are none.
pub(in crate::pipeline) fn shown(
    limits: &Budget,
    verdict: &Verdict,
    budget: Option<&Budgeted>,
) -> Vec<String> {
    let judged = match verdict {
        Verdict::Validated(validation)
            if !validation.calibrated_on && !validation.synthetic && !validation.is_meaningless() =>
        {
            Some(validation)
        }
        _ => None,
    };
    let drop = match (limits.max_drop, judged.and_then(|validation| validation.scores.as_ref())) {
        (Some(limit), Some(score)) => told(limit, score),
        (Some(_), None) => undecided_drop(limits, budget),
        (None, _) => None,
    };
    let same = match (limits.min_agreement, judged.filter(|validation| validation.agreement.is_some())) {
        (Some(limit), Some(validation)) => told_agreement(limit, validation),
        (Some(_), None) => undecided_agreement(limits, budget),
        (None, _) => None,
    };
    drop.into_iter().chain(same).collect()
}

/// Warnings where the samples held back do not show that the limits on drop and agreement are kept.
pub(in crate::pipeline) fn undecided(limits: &Budget, budget: Option<&Budgeted>) -> Vec<String> {
    undecided_drop(limits, budget).into_iter().chain(undecided_agreement(limits, budget)).collect()
}

fn last(budget: Option<&Budgeted>) -> Option<(&Budgeted, &Trial)> {
    let budget = budget.filter(|budget| budget.met)?;
    Some((budget, budget.judged()?))
}

fn undecided_drop(limits: &Budget, budget: Option<&Budgeted>) -> Option<String> {
    let limit = limits.max_drop?;
    let (budget, trial) = last(budget)?;
    let (drop, bound) = (trial.loss.drop_points?, trial.drop_bound?);
    (bound > limit + TINY).then(|| said(limit, drop, bound, budget.held_back, "held back", budget.needed))
}

fn undecided_agreement(limits: &Budget, budget: Option<&Budgeted>) -> Option<String> {
    let limit = limits.min_agreement?;
    let (budget, trial) = last(budget)?;
    let (share, bound) = (trial.loss.agreement?, trial.loss.agreement_bound?);
    let which = format!("{} samples held back", budget.held_back);
    (bound < limit - TINY)
        .then(|| said_agreement(limit, share, &least(limit, bound, &which, budget.needed_for_agreement)))
}

fn told_agreement(limit: f64, validation: &Validation) -> Option<String> {
    let share = validation.agreement?;
    match share < limit {
        true => Some(format!(
            "{AGREEMENT_UNSHOWN} {}% was kept on the samples that plans were tried on, and is not on those that the file was \
             judged on: {:.2} %",
            percent(limit),
            100.0 * share
        )),
        false => unshown_agreement(limit, validation).map(|why| said_agreement(limit, share, &why)),
    }
}

/// Why samples do not show that an agreement which is above `limit` is so, where they do not.
pub fn unshown_agreement(limit: f64, validation: &Validation) -> Option<String> {
    let (share, bound, rows) =
        (validation.agreement?, validation.agreement_bound?, validation.agreement_rows);
    let which = format!("{rows} samples");
    (bound < limit - TINY).then(|| least(limit, bound, &which, needed_for_agreement(share, rows, limit)))
}

fn said_agreement(limit: f64, share: f64, why: &str) -> String {
    format!("{AGREEMENT_UNSHOWN} {}%: same class on {:.2} %, {why}", percent(limit), 100.0 * share)
}

fn least(limit: f64, bound: f64, which: &str, needed: Option<usize>) -> String {
    format!(
        "at least {:.2} % at 95 %: {which} cannot show that it is at least {} %; {}",
        100.0 * bound,
        percent(limit),
        more(needed)
    )
}

/// A share in percent, without what arithmetic adds.
fn percent(share: f64) -> f64 {
    (1e8 * share).round() / 1e6
}

fn more(needed: Option<usize>) -> String {
    match needed {
        Some(needed) => format!("about {needed} would"),
        None => "more of the same would not either".into(),
    }
}

fn told(limit: f64, score: &Score) -> Option<String> {
    let (drop, bound) = (score.drop_points, score.drop_bound);
    match drop > limit {
        true => Some(format!(
            "{DROP_UNSHOWN} {limit} was kept on the samples that plans were tried on, and is not on those that the file was judged \
             on: drop {drop:.2} points, at most {bound:.2} at 95 %"
        )),
        false => (bound > limit + TINY)
            .then(|| said(limit, drop, bound, score.rows, "labelled", needed(score, limit))),
    }
}

/// Why labelled samples do not show that a drop which is below `limit` is so, where they do not.
pub fn unshown(limit: f64, score: &Score) -> Option<String> {
    let bound = score.drop_bound;
    (bound > limit + TINY).then(|| bounded(limit, bound, score.rows, "labelled", needed(score, limit)))
}

fn said(limit: f64, drop: f64, bound: f64, samples: usize, which: &str, needed: Option<usize>) -> String {
    let bounded = bounded(limit, bound, samples, which, needed);
    format!("{DROP_UNSHOWN} {limit}: drop {drop:.2} points, {bounded}")
}

fn bounded(limit: f64, bound: f64, samples: usize, which: &str, needed: Option<usize>) -> String {
    format!(
        "at most {bound:.2} at 95 %: {samples} {which} samples cannot show that it is at most {limit}; {}",
        more(needed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Loss;

    #[test]
    fn few_samples_are_said_to_show_nothing() {
        let score = Score {
            rows: 200,
            float_top1: 0.9,
            quantized_top1: 0.9,
            float_top5: None,
            quantized_top5: None,
            drop_points: 0.0,
            standard_error: 0.0,
            lost: 0,
            won: 0,
            drop_bound: 1.5,
        };
        let text = told(1.0, &score).unwrap();
        assert!(
            text.contains("at most 1.50 at 95 %: 200 labelled") && text.ends_with("about 300 would"),
            "{text}"
        );
        assert_eq!(told(1.5, &score), None);
        let budget = Budget { min_agreement: Some(0.98), ..Budget::default() };
        let loss = Loss {
            agreement: Some(1.0),
            agreement_bound: Some(0.97),
            agreement_error: Some(0.0),
            ..Loss::default()
        };
        let trial = Trial {
            taken: 0,
            all_samples: true,
            bytes: 1,
            effective_bits: 4.0,
            loss,
            expected_drop: None,
            drop_bound: None,
            expected_agreement: Some(0.99),
            kept: true,
        };
        assert!(kept(&budget, &trial));
        assert!(!kept(&budget, &Trial { expected_agreement: Some(0.97), ..trial.clone() }));
        let seen = |agreement, agreement_error| Trial {
            loss: Loss { agreement: Some(agreement), agreement_error: Some(agreement_error), ..loss },
            ..trial.clone()
        };
        assert!(kept(&budget, &seen(0.97, 0.02)) && !kept(&budget, &seen(0.9, 0.02)));
        let found = Budgeted {
            asked: budget,
            met: true,
            doubts: Vec::new(),
            held_back: 100,
            steps: 1,
            taken: 0,
            trials: vec![trial],
            in_the_way: Vec::new(),
            needed: None,
            needed_for_agreement: Some(150),
        };
        let text = undecided(&budget, Some(&found));
        assert_eq!(
            text,
            [
                "`.min_agreement` 98%: same class on 100.00 %, at least 97.00 % at 95 %: 100 samples held back cannot show that it is \
                 at least 98 %; about 150 would"
            ]
        );
        let lost = Score { lost: 4, drop_points: 2.0, drop_bound: 4.3, ..score };
        assert!(told(1.0, &lost).unwrap().contains("is not on those that the file was judged on: drop 2.00"));
    }
}

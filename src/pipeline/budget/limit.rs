//! Whether samples show that a limit on the drop is kept.

use crate::plan::{Budgeted, DROP_UNSHOWN, Score, Verdict};
use crate::validate::needed;

/// What arithmetic may lose, in points.
const TINY: f64 = 1e-9;

/// A warning where the samples do not show that the drop is below `limit`: validation samples that were not calibrated on,
/// or those held back where there are none.
pub(in crate::pipeline) fn shown(
    limit: Option<f64>,
    verdict: &Verdict,
    budget: Option<&Budgeted>,
) -> Option<String> {
    let judged = match verdict {
        Verdict::Validated(validation) if !validation.calibrated_on && !validation.is_meaningless() => {
            validation.scores.as_ref()
        }
        _ => None,
    };
    match (limit, judged) {
        (Some(limit), Some(score)) => told(limit, score),
        (limit, None) => undecided(limit, budget),
        (None, _) => None,
    }
}

/// A warning where the samples held back do not show that the drop is below `limit`.
pub(in crate::pipeline) fn undecided(limit: Option<f64>, budget: Option<&Budgeted>) -> Option<String> {
    let (limit, budget) = (limit?, budget.filter(|budget| budget.met)?);
    let trial = budget.trials.iter().rev().find(|trial| trial.taken == budget.taken)?;
    let (drop, bound) = (trial.loss.drop_points?, trial.drop_bound?);
    (bound > limit + TINY).then(|| said(limit, drop, bound, budget.held_back, "held back", budget.needed))
}

fn told(limit: f64, score: &Score) -> Option<String> {
    let (drop, bound) = (score.drop_points, score.drop_bound);
    match drop > limit {
        true => Some(format!(
            "{DROP_UNSHOWN} {limit} was kept on the calibration samples held back, and is not on the validation samples: drop \
             {drop:.2} points, at most {bound:.2} at 95 %"
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
    let more = match needed {
        Some(needed) => format!("about {needed} would"),
        None => "more of the same would not either".into(),
    };
    format!(
        "at most {bound:.2} at 95 %: {samples} {which} samples cannot show that it is at most {limit}; {more}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let lost = Score { lost: 4, drop_points: 2.0, drop_bound: 4.3, ..score };
        assert!(told(1.0, &lost).unwrap().contains("is not on the validation samples: drop 2.00"));
    }
}

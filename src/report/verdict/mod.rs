//! How the quantized model compares with the float one, in words.

mod doubt;
mod gated;
pub(super) mod inside;
pub(super) mod second;

pub(super) use doubt::{doubt, doubts};
pub use gated::gated;

use super::{TextStyle, words};
use crate::plan::{OutputError, Score, Validation, Verdict};

/// More outputs than this are not listed one by one, unless everything is to be told.
const OUTPUTS: usize = 4;

/// The report of `validate`.
pub fn verdict(verdict: &Verdict, style: TextStyle) -> String {
    let judged = style.judged(verdict);
    match style.full() {
        true => format!("{judged}\n{}", style.pairs(&style.judgement(verdict))),
        false => judged,
    }
}

impl TextStyle {
    /// The judgement as labelled lines.
    pub(super) fn judgement(&self, verdict: &Verdict) -> Vec<(String, String)> {
        match verdict {
            Verdict::NotValidated { reason } => vec![("Not validated".into(), reason.clone())],
            Verdict::Validated(validation) => self.validation(validation),
        }
    }

    fn validation(&self, validation: &Validation) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        if let Some(score) = &validation.scores {
            accuracy(score, &mut pairs);
        }
        if let Some(agreement) = validation.agreement {
            let mut text = format!("both models choose the same class on {}", words::percent(agreement));
            if let Some(bound) = validation.agreement_bound.filter(|_| !validation.synthetic) {
                text += &format!(", at least {} at 95 %", words::percent(bound));
            }
            pairs.push(("Agreement".into(), text));
        }
        let shown = if self.full() { validation.outputs.len() } else { OUTPUTS };
        let alone = validation.outputs.len() == 1;
        for output in validation.outputs.iter().take(shown) {
            let label =
                if alone { "Output".into() } else { format!("Output {}", words::name(&output.name, 24)) };
            pairs.push((label, difference(output)));
        }
        if validation.outputs.len() > shown {
            let rest = &validation.outputs[shown..];
            let broken: u64 = rest.iter().map(|output| output.broken).sum();
            let note = if broken == 0 { String::new() } else { format!(", {broken} values not finite") };
            pairs.push((
                "More outputs".into(),
                format!("{}{note}; `fourbit::Detail::Full` lists them", rest.len()),
            ));
        }
        if let Some(second) = validation.second.as_ref().filter(|second| second.judge != validation.judge) {
            pairs.push(("Cross-check".into(), second::opinion(second, self.full())));
        }
        let count = words::count(validation.samples as u64);
        let mut samples = match validation.synthetic {
            true if validation.generated => {
                format!("{count} {}; no real samples were given", validation.source)
            }
            true => format!("{count}, random numbers, which say little about accuracy"),
            false => match validation.held_back {
                Some(_) => inside::of_source(validation),
                None => format!("{count} from {}", validation.source),
            },
        };
        if let Some(overlap) = validation.overlap.filter(|overlap| overlap.samples > 0) {
            let about = if overlap.exact { "" } else { "about " };
            samples += &format!(
                "; measured on samples it was calibrated on ({about}{} of {}), so that these figures are too good",
                words::count(overlap.samples as u64),
                words::count(overlap.of as u64)
            );
        }
        pairs.push(("Samples".into(), samples));
        pairs.extend(validation.inside.as_ref().map(|it| ("Calibrated on".into(), inside::beside(it))));
        if self.full() && !validation.classes.is_empty() {
            let class = |(index, name): (usize, &String)| format!("{index} = {name}");
            let classes: Vec<String> = validation.classes.iter().enumerate().map(class).collect();
            pairs.push(("Classes".into(), classes.join(", ")));
        }
        let proven = words::things(validation.weights_proven, "tensor");
        let mut judged = format!("{}; weights of {proven} proven equal to the file", validation.view);
        if let Some(unjudged) = &validation.unjudged {
            judged = format!(
                "{}, since {} could not run them, {judged}; {}: {}",
                validation.judge, unjudged.judge, unjudged.judge, unjudged.reason
            );
        }
        pairs.push(("Judged".into(), judged));
        pairs
    }
}

fn accuracy(score: &Score, pairs: &mut Vec<(String, String)>) {
    let change = |float, quantized| format!("{} -> {}", words::percent(float), words::percent(quantized));
    let top1 = format!(
        "{} (drop {:.2}{} points, at most {:.2} at 95 %; {} labelled)",
        change(score.float_top1, score.quantized_top1),
        score.drop_points,
        error(score.standard_error),
        score.drop_bound,
        words::count(score.rows as u64)
    );
    pairs.push(("Top-1".into(), top1));
    if let (Some(float), Some(quantized)) = (score.float_top5, score.quantized_top5) {
        let top5 = format!("{} (drop {:.2} points)", change(float, quantized), 100.0 * (float - quantized));
        pairs.push(("Top-5".into(), top5));
    }
}

/// A standard error behind its figure. That of 0 is none: so few samples say little, and the bound says how little.
pub(super) fn error(standard_error: f64) -> String {
    let shown = standard_error.is_finite() && standard_error > 0.0;
    if shown { format!(" ± {standard_error:.2}") } else { String::new() }
}

pub(super) fn difference(output: &OutputError) -> String {
    if let Some(share) = output.equal.filter(|&share| share < 1.0) {
        return format!("{} of its integers equal the float model's", words::percent(share));
    }
    let mut text = match output.sqnr_db {
        None if output.broken == 0 => "equal to the float model's".into(),
        None => "SQNR unknown".into(),
        Some(ratio) => format!("SQNR {ratio:.1} dB, largest error {}", words::short(output.largest)),
    };
    if output.broken > 0 {
        text += &format!("; {} values are no longer finite", words::count(output.broken));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_verdict_says_what_was_compared() {
        let full = TextStyle { width: None, detail: crate::report::Detail::Full };
        let text = verdict(&example::outcome().verdict, full);
        for part in [
            "91.25 % -> 90.75 %",
            "drop 0.50 ± 0.35 points, at most 1.34 at 95 %",
            "97.50 %, at least 95.87 % at 95 %",
            "SQNR 29.1 dB, same class on 98.44 % of 64 of its 64 calibration samples; 5.0 dB above that on others",
            "24.1 dB",
            "test.npz",
            "int8",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_missing_verdict_says_why() {
        let missing = Verdict::NotValidated { reason: "no samples".into() };
        assert!(verdict(&missing, TextStyle::default()).contains("no samples"));
    }

    #[test]
    fn broken_outputs_are_named() {
        let output = OutputError { name: "y".into(), sqnr_db: None, largest: 0.0, broken: 3, equal: None };
        assert!(difference(&output).contains("3 values are no longer finite"));
        assert!(!difference(&output).contains("equal"));
    }
}

//! What a person reads first of a conversion: the file, its size, how it was judged, and what speaks against it.

use super::table::hanging;
use super::verdict::{doubts, error, second};
use super::{Detail, TextStyle, words};
use crate::options::{Spelling, Storage};
use crate::plan::{Decision, Outcome, OutputError, Plan, Score, Validation, Verdict};

/// In front of what went as it was asked for.
const WELL: char = '✓';
/// In front of what a person should look at.
const LOOK: char = '!';
/// Columns in front of a line that belongs to the one above.
const INDENT: usize = 2;

impl TextStyle {
    /// The first lines of the report of a conversion.
    pub(super) fn headline(&self, outcome: &Outcome) -> String {
        let lost = outcome.budget.as_ref().is_some_and(|budget| !budget.met);
        let sizes = &outcome.sizes;
        let smaller = match sizes.after {
            after @ 1.. if after < sizes.before => {
                format!(" ({:.1} times smaller)", sizes.before as f64 / after as f64)
            }
            _ => String::new(),
        };
        let sizes = format!("{} -> {}{smaller}", words::bytes(sizes.before), words::bytes(sizes.after));
        let mark = if lost || !is_well(&outcome.verdict) { LOOK } else { WELL };
        let file = outcome.output.display().to_string();
        let mut text = match self.width {
            Some(width) if file.chars().count() + sizes.chars().count() + 4 > usize::from(width) => {
                format!("{mark} {file}\n{}", self.line(None, &sizes))
            }
            _ => format!("{mark} {file}  {sizes}\n"),
        };
        text += &self.judged(&outcome.verdict);
        if self.detail != Detail::Brief {
            text += &self.line(None, &coverage(&outcome.plan));
            text += &speed(&outcome.plan).map(|speed| self.line(None, &speed)).unwrap_or_default();
        }
        text
    }

    /// How a file was judged, a line a figure.
    pub(super) fn judged(&self, verdict: &Verdict) -> String {
        let doubts = self.warnings(&doubts(verdict));
        match verdict {
            Verdict::NotValidated { reason } => {
                self.line(Some(LOOK), &format!("not validated: {reason}")) + &doubts
            }
            Verdict::Validated(validation) => {
                let figures: String = figures(validation).iter().map(|line| self.line(None, line)).collect();
                // Nobody should read figures first that mean nothing.
                if validation.is_meaningless() { doubts + &figures } else { figures + &doubts }
            }
        }
    }

    /// The warnings, a line each.
    pub(super) fn warnings(&self, warnings: &[String]) -> String {
        warnings.iter().map(|warning| self.line(Some(LOOK), warning)).collect()
    }

    /// One indented line with a `mark` in front of it; where it wraps, the rest is indented by more, so that items do not run
    /// together.
    pub(super) fn line(&self, mark: Option<char>, text: &str) -> String {
        let indent = INDENT + if mark.is_some() { 2 } else { 0 };
        let room = self.width.map_or(usize::MAX, |width| usize::from(width).saturating_sub(indent).max(20));
        let first = mark.map_or_else(|| " ".repeat(indent), |mark| format!("{}{mark} ", " ".repeat(INDENT)));
        let mut lines = String::new();
        for (at, line) in hanging(text, room, room.saturating_sub(INDENT)).into_iter().enumerate() {
            let lead = if at == 0 { first.clone() } else { " ".repeat(indent + INDENT) };
            lines += &format!("{}\n", format!("{lead}{line}").trim_end());
        }
        lines
    }
}

/// Whether the figures are there, mean something, and are what one hopes for.
pub(super) fn is_well(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::NotValidated { .. } => false,
        Verdict::Validated(validation) => {
            !validation.is_meaningless() && validation.noisy().is_none() && validation.parting().is_none()
        }
    }
}

fn figures(validation: &Validation) -> Vec<String> {
    let mut lines = Vec::new();
    let same = validation.agreement.map(|share| format!("same class on {}", words::percent(share)));
    let samples = words::things(validation.samples, "sample");
    match (&validation.scores, same) {
        (Some(score), same) => lines.push(accuracy(score, same)),
        (None, Some(same)) => lines.push(format!("{same} of {samples}")),
        (None, None) => {}
    }
    lines.extend(noise(&validation.outputs));
    let made_up = if validation.synthetic { ", made up, which say little of accuracy" } else { "" };
    lines.push(format!("judged in {} on {samples} of {}{made_up}", validation.judge, validation.source));
    if let Some(second) = validation.second.as_ref().filter(|second| second.judge != validation.judge) {
        lines.push(format!("cross-check: {}", second::opinion(second, false)));
    }
    lines
}

fn accuracy(score: &Score, same: Option<String>) -> String {
    let same = same.map(|same| format!("; {same}")).unwrap_or_default();
    format!(
        "top-1 {} -> {}: drop {:.2}{} points, at most {:.2} at 95 % ({} labelled){same}",
        words::percent(score.float_top1),
        words::percent(score.quantized_top1),
        score.drop_points,
        error(score.standard_error),
        score.drop_bound,
        words::count(score.rows as u64)
    )
}

/// The output that is furthest from the float model's.
fn noise(outputs: &[OutputError]) -> Option<String> {
    let ratio = |output: &OutputError| {
        if output.broken > 0 { f64::NEG_INFINITY } else { output.sqnr_db.unwrap_or(f64::INFINITY) }
    };
    let equal = |output: &OutputError| output.equal.unwrap_or(1.0);
    let worst = outputs
        .iter()
        .min_by(|one, other| ratio(one).total_cmp(&ratio(other)).then(equal(one).total_cmp(&equal(other))))?;
    let which = match outputs.len() {
        1 => "output".to_owned(),
        count => format!("worst of {count} outputs, {}", words::name(&worst.name, 40)),
    };
    Some(format!("{which}: {}", super::verdict::difference(worst)))
}

fn coverage(plan: &Plan) -> String {
    let types = |weights: bool| {
        let of = plan.decisions.iter().filter_map(|decision| match decision {
            Decision::Weight(weight) if weights => weight.terms.first().map(|term| term.code_type.name()),
            Decision::Activation(activation) if !weights => {
                activation.terms.first().map(|term| term.code_type.name())
            }
            _ => None,
        });
        let of: Vec<&str> = of.collect();
        (of.len(), words::distinct(of.into_iter()))
    };
    let ((weights, kinds), (activations, forms)) = (types(true), types(false));
    let mut text = format!("{} in {kinds}", words::things(weights, "weight tensor"));
    if activations > 0 {
        text += &format!(", {} in {forms}", words::things(activations, "activation"));
    }
    let left = plan.skips.len();
    if left > 0 {
        text += &format!("; {} kept in float", words::things(left, "tensor"));
    }
    text + "; `fourbit::Detail::Full` lists them"
}

/// What this form of weights does to the time of a run, as measured in docs/targets.md.
fn speed(plan: &Plan) -> Option<String> {
    let packed = plan.decisions.iter().any(|decision| match decision {
        Decision::Weight(weight) => {
            weight.spelling != Spelling::MatMulNBits
                && weight.terms.iter().any(|term| term.code_type.bits() == 4)
        }
        Decision::Activation(_) => false,
    });
    (packed && plan.storage == Storage::Packed).then(|| {
        "packed 4-bit codes save space, not time: onnxruntime unpacks them in every run (1.5 to 3.2 times the float model's time), \
         OpenVINO once. `.target` ort-cpu-int8 computes in integers"
            .into()
    })
}

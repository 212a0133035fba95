//! What a person reads first of a conversion: the file, its size, how it was judged, and what speaks against it.

use super::table::hanging;
use super::verdict::{doubts, error, inside, second};
use super::{Detail, TextStyle, words};
use crate::options::{CodeType, OPSET, Spelling, Storage};
use crate::plan::{Boxes, Decision, Doubt, Laid, Outcome, OutputError, Plan, Score, Validation, Verdict};

/// In front of what went as it was asked for.
pub(super) const WELL: char = '✓';
/// In front of what a person should look at.
pub(super) const LOOK: char = '!';
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
        let mut text = match &outcome.verdict {
            Verdict::Validated(validation) if validation.is_broken() => self.broken(validation),
            _ => String::new(),
        };
        text += &self.title(mark, &outcome.output.display().to_string(), &sizes);
        text += &self.judged(&outcome.verdict);
        if let Some(generated) = &outcome.plan.generated {
            let count = words::count(generated.samples as u64);
            text += &self.line(None, &format!("calibrated on {count} {}", generated.source()));
        }
        if self.detail != Detail::Brief {
            text += &self.line(None, &coverage(&outcome.plan));
            text += &speed(&outcome.plan).map(|speed| self.line(None, &speed)).unwrap_or_default();
        }
        text
    }

    /// That a file is of no use, before its name.
    fn broken(&self, validation: &Validation) -> String {
        let made_up = if validation.synthetic { " on made-up samples" } else { "" };
        let told = format!(
            "The file below is broken{made_up}: an output has an SQNR below {:.0} dB or values that are not finite, or fewer than {:.0} % \
             of the answers are the same. More bits (`.precision` w8), a limit (`.min_sqnr_db`) or more samples may mend it",
            Validation::BROKEN_DB,
            100.0 * Validation::BROKEN_AGREEMENT
        );
        let wrapped = match self.width {
            Some(width) => hanging(
                &told,
                usize::from(width).saturating_sub(2).max(20),
                20.max(usize::from(width).saturating_sub(4)),
            ),
            None => vec![told],
        };
        let mut lines = String::new();
        for (at, line) in wrapped.into_iter().enumerate() {
            let lead = if at == 0 { format!("{LOOK} ") } else { "    ".to_owned() };
            lines += &format!("{lead}{}\n", line.trim_end());
        }
        lines
    }

    /// The line about a `file`: `more` stands in a line of its own where both do not fit.
    pub(super) fn title(&self, mark: char, file: &str, more: &str) -> String {
        match self.width {
            Some(width) if file.chars().count() + more.chars().count() + 4 > usize::from(width) => {
                format!("{mark} {file}\n{}", self.line(None, more))
            }
            _ => format!("{mark} {file}  {more}\n"),
        }
    }

    /// How a file was judged, a line a figure.
    pub(super) fn judged(&self, verdict: &Verdict) -> String {
        let doubts = self.warnings(&doubts(verdict));
        match verdict {
            Verdict::NotValidated { reason } => {
                self.line(Some(LOOK), &format!("not validated: {reason}")) + &doubts
            }
            Verdict::Validated(validation) => {
                let mut figures: String =
                    figures(validation).iter().map(|line| self.line(None, line)).collect();
                let (mark, samples) = samples(validation);
                figures += &self.line(mark, &samples);
                let wide = validation.inside.as_ref().and_then(inside::gap);
                figures += &wide.map(|gap| self.line(Some(LOOK), &gap)).unwrap_or_default();
                if let Some(second) =
                    validation.second.as_ref().filter(|second| second.judge != validation.judge)
                {
                    let told = format!("cross-check: {}", second::opinion(second, false));
                    figures += &self.line(None, &told);
                }
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
            // Right answers say more than noise does.
            let quiet = || validation.noisy().is_none() && validation.parting().is_none();
            let kept = validation.keeps_answers().unwrap_or_else(quiet);
            let is_whole = validation.outputs.iter().all(|output| output.broken == 0);
            kept && is_whole && !validation.is_meaningless()
        }
    }
}

pub(super) fn figures(validation: &Validation) -> Vec<String> {
    let mut lines = Vec::new();
    let same = validation.agreement.map(|share| format!("same class on {}", words::percent(share)));
    let samples = words::things(validation.samples, "sample");
    match (&validation.scores, same) {
        (Some(score), same) => lines.push(accuracy(score, same)),
        (None, Some(same)) => lines.push(format!("{same} of {samples}")),
        (None, None) => {}
    }
    lines.extend(validation.boxes.as_ref().map(boxes));
    lines.extend(noise(&validation.outputs));
    lines
}

/// How the boxes of both models fit together.
pub(super) fn boxes(found: &Boxes) -> String {
    let Some(f1) = found.f1 else { return "boxes: neither model finds one on these samples".into() };
    let count = |count: usize| words::count(count as u64);
    let overlap = found.mean_iou.map(|iou| format!(", mean IoU {iou:.3}")).unwrap_or_default();
    format!(
        "boxes: F1 {f1:.3} between both models: {} pairs of {} and {}{overlap}",
        count(found.matched),
        count(found.float),
        count(found.quantized)
    )
}

/// On what a file was judged, with a mark where that says little of other samples.
fn samples(validation: &Validation) -> (Option<char>, String) {
    let told = validation.doubts.iter().any(|doubt| matches!(doubt, Doubt::Calibrated(_)));
    let (mark, samples) = match validation.synthetic {
        true if validation.generated => {
            let text = format!(
                "{} {}: on real samples the figures differ",
                words::count(validation.samples as u64),
                validation.source
            );
            (Some(LOOK), text)
        }
        true => {
            let samples = words::things(validation.samples, "made-up sample");
            let say = if validation.samples == 1 { "says" } else { "say" };
            (Some(LOOK), format!("{samples}, which {say} little of accuracy"))
        }
        false if validation.calibrated_on && !told => {
            let samples = words::things(validation.samples, "sample");
            let of = &validation.source;
            (
                Some(LOOK),
                format!(
                    "the samples it was calibrated on, {samples} of {of}: on others the figures are worse"
                ),
            )
        }
        false => (None, inside::of_source(validation)),
    };
    (mark, format!("judged in {} on {samples}", validation.judge))
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
    let (mut weights, mut activations, mut widened) = (Vec::new(), Vec::new(), Vec::new());
    for decision in &plan.decisions {
        match decision {
            Decision::Weight(weight) => {
                let Some(term) = weight.terms.first() else { continue };
                let stored = match weight.spelling {
                    Spelling::MatMulNBits => term.code_type,
                    _ if term.laid(plan.storage, OPSET) == Laid::Wide => CodeType::Int8,
                    _ => term.code_type,
                };
                if stored != term.code_type {
                    widened.push(format!("{}-bit", term.code_type.bits()));
                }
                weights.push(stored.name());
            }
            Decision::Activation(activation) => {
                activations.extend(activation.terms.first().map(|term| term.code_type.name()));
            }
        }
    }
    let (count, kinds) = (weights.len(), words::distinct(weights.into_iter()));
    let mut text = words::things(count, "weight tensor");
    let widths = words::distinct(widened.iter().map(String::as_str));
    text += &match widened.len() {
        0 => format!(" in {kinds}"),
        all if all == count => format!(" with {widths} values, stored as {kinds}"),
        some => format!(" in {kinds} ({} with {widths} values)", words::count(some as u64)),
    };
    if !activations.is_empty() {
        let count = words::things(activations.len(), "activation");
        text += &format!(", {count} in {}", words::distinct(activations.into_iter()));
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
    if plan.storage.unpacks() {
        let which = match packed {
            true => "4-bit codes are unpacked once",
            false => "codes are unpacked once",
        };
        return Some(format!("{which}, while the runtime loads the file, and not in every run"));
    }
    (packed && plan.storage == Storage::Packed).then(|| {
        "packed 4-bit codes save space, not time: onnxruntime unpacks them in every run (1.3 to 2.6 times the float model's time \
         for most networks), OpenVINO once. `.storage` bytes is as small and unpacked once; `.target` ort-cpu-int8 computes in integers"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn storage_in_eight_bits_is_told() {
        let mut plan = example::outcome().plan;
        assert!(
            coverage(&plan).starts_with("1 weight tensor in int4, 1 activation in uint8; 3 tensors kept")
        );
        plan.storage = Storage::Int8;
        let text = coverage(&plan);
        assert!(
            text.starts_with("1 weight tensor with 4-bit values, stored as int8, 1 activation"),
            "{text}"
        );
    }

    #[test]
    fn other_widths_are_told_as_they_are() {
        let mut plan = example::outcome().plan;
        let Some(Decision::Weight(weight)) = plan.decisions.first_mut() else { panic!("a weight") };
        weight.terms[0].code_type = CodeType::Int3;
        assert!(coverage(&plan).starts_with("1 weight tensor in int3"), "{}", coverage(&plan));
        assert_eq!(speed(&plan), None);
        plan.storage = Storage::Int8;
        assert!(coverage(&plan).contains("with 3-bit values, stored as int8"), "{}", coverage(&plan));
    }

    #[test]
    fn a_broken_file_is_told_before_its_name() {
        let mut outcome = example::outcome();
        let style = TextStyle::default();
        assert!(!style.headline(&outcome).contains("broken"), "{}", style.headline(&outcome));
        let Verdict::Validated(validation) = &mut outcome.verdict else { panic!("validated") };
        (validation.doubts, validation.scores) = (Vec::new(), None);
        validation.outputs[0].sqnr_db = Some(9.0);
        let text = style.headline(&outcome);
        assert!(text.starts_with("! The file below is broken: ") && text.contains("below 10 dB"), "{text}");
    }

    #[test]
    fn made_up_samples_are_told_once() {
        let Verdict::Validated(mut validation) = example::outcome().verdict else { panic!("validated") };
        (validation.synthetic, validation.samples, validation.source) = (true, 4, "synthetic samples".into());
        let judged = "judged in tract on 4 made-up samples, which say little of accuracy";
        assert_eq!(samples(&validation), (Some(LOOK), judged.into()));
        (validation.generated, validation.source) = (true, "generated pictures, range 0..1".into());
        let judged =
            "judged in tract on 4 generated pictures, range 0..1: on real samples the figures differ";
        assert_eq!(samples(&validation), (Some(LOOK), judged.into()));
        (validation.synthetic, validation.calibrated_on, validation.source) = (false, true, "c.npz".into());
        let judged = "judged in tract on the samples it was calibrated on, 4 samples of c.npz: on others the figures are worse";
        assert_eq!(samples(&validation), (Some(LOOK), judged.into()));
    }
}

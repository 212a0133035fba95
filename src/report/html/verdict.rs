//! What the conversion came to, and what to try next.

use maud::{Markup, html};

use super::{Part, shown};
use crate::plan::{Advice, Boxes, Inside, Score, Validation, Verdict};
use crate::report::headline::is_well;
use crate::report::kept::{Document, Ratio, Weight};
use crate::report::verdict::{inside, second};
use crate::report::words;

/// Layers that are named at the top.
const NAMED: usize = 3;

pub(super) fn section(document: &Document) -> Option<Part> {
    let body = html! {
        (headline(document))
        (worst(document))
        dl.figures { (sizes(document)) @if let Some(validation) = document.validation() { (figures(validation)) } }
        (judged(document))
        @if !document.limits.is_empty() {
            ul.limits {
                @for limit in &document.limits {
                    li class=(if limit.met { "well" } else { "look" }) {
                        (mark(limit.met)) (if limit.met { "limit met: " } else { "limit not met: " }) (limit.text)
                        @if let Some(why) = &limit.unshown { br; (why) }
                    }
                }
            }
        }
        @if !document.warnings.is_empty() {
            h3 { "What to know before trusting this" }
            ul.warnings { @for warning in &document.warnings { li { (shown(warning)) } } }
        }
    };
    Some(Part { id: "verdict", short: "Verdict", title: "Verdict", body })
}

fn mark(well: bool) -> Markup {
    html! { span.mark aria-hidden="true" { (if well { "✓ " } else { "! " }) } }
}

fn headline(document: &Document) -> Markup {
    let (well, text) = match &document.verdict {
        None => (true, "A plan: nothing was written and nothing judged yet.".to_owned()),
        Some(Verdict::NotValidated { reason }) => (false, format!("Not validated: {reason}")),
        Some(verdict @ Verdict::Validated(validation)) => {
            let limits = document.limits.iter().all(|limit| limit.met);
            let budget = document.budget.as_ref().is_none_or(|budget| budget.met);
            let well = is_well(verdict) && limits && budget;
            (well, said(validation, well, limits && budget))
        }
    };
    html! { p.headline.(if well { "well" } else { "look" }) { (mark(well)) (text) } }
}

fn said(validation: &Validation, well: bool, limits: bool) -> String {
    if validation.is_meaningless() {
        return "The float model's own answers on these samples say nothing, so that no figure below does."
            .into();
    }
    if validation.is_broken() {
        return "The file is broken: its outputs are mostly noise, or it gives other answers.".into();
    }
    match (well, limits) {
        (true, _) => {
            "The quantized model keeps to the float model's answers, as far as these samples say.".into()
        }
        (false, false) => "A limit is not met.".into(),
        (false, true) => {
            "The quantized model loses accuracy: the layers below say where noise arises.".into()
        }
    }
}

fn tile(name: &str, value: &str, more: &str) -> Markup {
    html! { div { dt { (name) } dd { strong { (value) } @if !more.is_empty() { br; span.more { (more) } } } } }
}

fn sizes(document: &Document) -> Markup {
    let Some(sizes) = &document.sizes else { return html! {} };
    let smaller = match sizes.after {
        after @ 1.. if after < sizes.before => {
            format!("{:.1} times smaller, ", sizes.before as f64 / after as f64)
        }
        _ => String::new(),
    };
    let value = format!("{} → {}", words::bytes(sizes.before), words::bytes(sizes.after));
    tile("Size", &value, &format!("{smaller}{:.2} bits a parameter", sizes.effective_bits))
}

fn figures(validation: &Validation) -> Markup {
    html! {
        @if let Some(score) = &validation.scores { (accuracy(score)) }
        @if let Some(share) = validation.agreement {
            @let bound = validation.agreement_bound.map(|bound| format!(", at least {} at 95 % confidence", words::percent(bound)));
            (tile("Same class", &words::percent(share), &format!("of {}{}", words::things(validation.agreement_rows, "row"), bound.unwrap_or_default())))
        }
        @for output in &validation.outputs {
            @let value = match (output.equal, output.sqnr_db) {
                (Some(equal), _) => format!("{} equal", words::percent(equal)),
                (None, Some(ratio)) => format!("{ratio:.1} dB"),
                (None, None) => "exact".to_owned(),
            };
            @let broken = match output.broken { 0 => String::new(), count => format!("{} not finite", words::things(count as usize, "value")) };
            (tile(&format!("SQNR of {}", shown(&output.name)), &value, &broken))
        }
        @if let Some(boxes) = &validation.boxes {
            @let value = boxes.f1.map_or_else(|| "none found".to_owned(), |f1| format!("F1 {f1:.3}"));
            @let told = format!(
                "{} pairs of {} and {} with a score of at least {}; read from {}",
                words::count(boxes.matched as u64), words::count(boxes.float as u64), words::count(boxes.quantized as u64),
                Boxes::LEAST_SCORE, shown(&boxes.form)
            );
            (tile("Boxes", &value, &told))
        }
        @if let Some(inside) = &validation.inside { (gap(inside)) }
    }
}

fn accuracy(score: &Score) -> Markup {
    let value = format!("{} → {}", words::percent(score.float_top1), words::percent(score.quantized_top1));
    let more = format!(
        "drop {:.2} ± {:.2} points, at most {:.2} at 95 % confidence; {} lost, {} won of {}",
        score.drop_points,
        score.standard_error,
        score.drop_bound,
        words::count(score.lost as u64),
        words::count(score.won as u64),
        words::things(score.rows, "row")
    );
    tile("Top-1", &value, &more)
}

fn gap(inside: &Inside) -> Markup {
    let ratio = |ratio: Option<f64>| ratio.map_or("exact".into(), |ratio| format!("{ratio:.1} dB"));
    let value = format!("{} | {}", ratio(inside.sqnr_db), ratio(inside.outside_db));
    let gap = inside.gap_db.map(|gap| format!(": {gap:.1} dB apart")).unwrap_or_default();
    tile("SQNR inside | outside", &value, &format!("on calibration samples | on others{gap}"))
}

/// On what, and by whom.
fn judged(document: &Document) -> Markup {
    let calibrated = document.calibration.as_ref().map(|calibration| {
        format!("{} of {}", words::things(calibration.samples, "sample"), shown(&calibration.source))
    });
    html! {
        dl.facts {
            dt { "Calibrated on" } dd { (calibrated.unwrap_or_else(|| "no samples".into())) }
            @if let Some(validation) = document.validation() {
                dt { "Judged on" }
                dd {
                    (shown(&inside::of_source(validation))) " "
                    span.kind { "(" (origin(validation)) ")" }
                }
                dt { "Judged by" } dd { (validation.judge) ", which ran " (validation.view) }
                @if validation.weights_proven > 0 {
                    dt { "Verified" } dd { (words::things(validation.weights_proven, "weight tensor")) " of the written file decode to the planned values, bit for bit" }
                }
                @if let Some(told) = validation.second.as_ref().map(|other| second::opinion(other, false)) {
                    dt { "Cross-check" } dd { (shown(&told)) }
                }
                @if let Some(gap) = validation.inside.as_ref().and_then(inside::gap) { dt { "Gap" } dd { (gap) } }
            }
            @if let Some(plan) = &document.plan { dt { "Plan" } dd { (shown(plan)) } }
        }
    }
}

fn origin(validation: &Validation) -> &'static str {
    match validation {
        Validation { generated: true, .. } => "generated: on real samples the figures differ",
        Validation { synthetic: true, .. } => "random numbers, which say little of accuracy",
        Validation { held_back: Some(_), .. } => "held back from calibration",
        Validation { calibrated_on: true, .. } => "also calibrated on: on others the figures are worse",
        _ => "given",
    }
}

/// The layers that add most noise.
fn worst(document: &Document) -> Markup {
    let weights = document.weights();
    let mut ranked: Vec<(usize, usize, &Weight)> =
        weights.iter().enumerate().filter_map(|(at, weight)| Some((weight.rank()?, at, *weight))).collect();
    ranked.sort_by_key(|&(rank, at, _)| (rank, at));
    if ranked.is_empty() {
        return html! {};
    }
    html! {
        p.worst-title id="worst" { "Layers that add most noise" }
        ol.worst aria-labelledby="worst" {
            @for (_, at, weight) in ranked.into_iter().take(NAMED) {
                @let (ratio, what) = match weight.added() { Ratio::Unknown => (weight.weights(), "of the weights"), added => (added, "by that alone") };
                @let grade = ratio.grade();
                li { a href=(format!("#layer-{at}")) { bdi { (shown(weight.layer())) } } " "
                    span.tag.(grade.name) { span aria-hidden="true" { (grade.shape) " " } "SQNR " (what) " " (ratio.text()) } }
            }
        }
    }
}

pub(super) fn next(document: &Document) -> Option<Part> {
    if document.next.is_empty() {
        return None;
    }
    let body = html! { ol.next { @for advice in &document.next { li { (one(advice)) } } } };
    Some(Part { id: "next", short: "Next", title: "What to try next", body })
}

/// A setting as the library's texts name it, which the command line spells as a flag.
fn mentioned(setting: &str) -> String {
    let mark = '\u{60}';
    format!("{mark}.{setting}{mark}")
}

fn one(advice: &Advice) -> Markup {
    html! {
        p { (shown(&advice.reason)) }
        @if !advice.command.is_empty() {
            pre { code { (shown(&words::command(&advice.command))) } }
        } @else if !advice.settings.is_empty() {
            p { "Set " @for (at, (setting, value)) in advice.settings.iter().enumerate() {
                @if at > 0 { ", " } code { (mentioned(setting)) @if !value.is_empty() { " " (shown(value)) } } } }
        }
    }
}

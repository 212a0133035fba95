//! Each layer by itself.

use maud::{Markup, html};

use super::plots::{self, Marks};
use super::strip::measure;
use super::{Part, shown};
use crate::plan::WeightDetails;
use crate::report::kept::{Activation, Document, Ratio, Term, Weight, step};
use crate::report::words;

pub(super) fn section(document: &Document) -> Option<Part> {
    let (weights, activations) = (document.weights(), document.activations());
    if weights.is_empty() && activations.is_empty() {
        return None;
    }
    let (ratio, what) = measure(&weights);
    let reads = |activation: &Activation, weight: &Weight| {
        activation.nodes.iter().any(|node| weight.nodes.contains(node))
    };
    let others: Vec<&&Activation> = activations
        .iter()
        .filter(|activation| !weights.iter().any(|weight| reads(activation, weight)))
        .collect();
    let body = html! {
        div.filter hidden {
            label for="find" { "Find layers " }
            input type="search" id="find" autocomplete="off" aria-describedby="found";
            label { input type="checkbox" id="only"; " noisy ones only" }
            label for="order" { "Order " }
            select id="order" { option value="network" { "of the network" } option value="noise" { "most noise first" } }
            button type="button" id="open" { "Open all" }
            button type="button" id="close" { "Close all" }
            span id="found" role="status" {}
        }
        div id="list" {
            @for (at, weight) in weights.iter().enumerate() {
                @let inputs = activations.iter().copied().filter(|activation| reads(activation, weight)).collect::<Vec<_>>();
                (layer(at, weight, &inputs, ratio(weight), what))
            }
        }
        @if !others.is_empty() {
            details.others {
                summary { "Other quantized activations " span.more { (words::count(others.len() as u64)) } }
                @for activation in others { (input(activation)) }
            }
        }
    };
    Some(Part { id: "each", short: "Each layer", title: "Each layer", body })
}

fn layer(at: usize, weight: &Weight, inputs: &[&Activation], ratio: Ratio, what: &str) -> Markup {
    let (grade, name) = (ratio.grade(), shown(weight.layer()));
    html! {
        details.layer data-layer=(at) data-rank=(weight.rank().unwrap_or(at + 1)) data-grade=(grade.name) {
            summary {
                span.place { (at + 1) } " "
                h3 { bdi { (name) } } " "
                span.more { (shown(&weight.operator)) ", " (words::shape(&weight.dims)) ", " (weight.bits) " bits" } " "
                span.tag.(grade.name) title=(what) { span aria-hidden="true" { (grade.shape) " " } (ratio.text()) }
            }
            div.inside id=(format!("layer-{at}")) tabindex="-1" {
                dl.facts {
                    dt { "Weights" } dd { bdi { (shown(&weight.tensor)) } }
                    dt { "Stored as" } dd { (weight.terms.iter().map(stored).collect::<Vec<_>>().join(" + "))
                        @if weight.biases_corrected > 0 { "; bias corrected" } }
                    dt { "SQNR" } dd { "weights " (weight.weights().text())
                        @if weight.own() != Ratio::Unknown { "; output by own weights " (weight.own().text()) }
                        @if weight.added() != Ratio::Unknown { "; by all noise that it adds " (weight.added().text()) }
                        @if let Some(found) = &weight.statistics { (through(found)) } }
                    @if let Some(macs) = weight.macs { dt { "Multiplications" } dd { (words::count(macs)) } }
                    dt { "Why so" } dd { (shown(&weight.reason)) }
                }
                div.plots {
                    @if let Some(found) = &weight.statistics { (plotted(found)) (steps(found, weight.terms.len())) }
                    (treatments(weight))
                }
                @for activation in inputs { (input(activation)) }
                p.back { a href="#layers" { "Back to the strip" } }
            }
        }
    }
}

fn stored(term: &Term) -> String {
    let scales = words::things(term.scale_count as usize, "scale");
    match (term.granularity.as_str(), term.block) {
        (_, Some(size)) => format!("{} per-block of {size} ({scales})", term.storage),
        (granularity, None) => format!("{} per-{granularity} ({scales})", term.storage),
    }
}

fn through(found: &WeightDetails) -> Markup {
    html! {
        @if let Some(ratio) = found.input_db { "; input in the quantized network " (Ratio::Of(ratio).text()) }
        @if let Some(ratio) = found.output_db { "; output in it " (Ratio::Of(ratio).text()) }
    }
}

fn plotted(found: &WeightDetails) -> Markup {
    let (first, last) = (f64::from(found.codes.0), f64::from(found.codes.1));
    let marks = Marks { first, last, step: 1.0, text: |value| format!("{value:.1}") };
    let clipped = found.clipped.map(|share| format!("; {} beyond the codes", part(share)));
    let (least, most) = found
        .scales
        .values
        .iter()
        .fold((f32::INFINITY, 0.0f32), |(least, most), &scale| (least.min(scale), most.max(scale)));
    html! {
        @if !found.histogram.counts.is_empty() {
            figure {
                (plots::histogram(&found.histogram, &marks, &format!("Histogram of the weights over the codes {first} to {last}")))
                figcaption { "Weights in steps of their scale; lines are the codes " (found.codes.0) " to " (found.codes.1)
                    (clipped.unwrap_or_default()) ". Heights are logarithms of counts." }
            }
        }
        @if found.scales.values.len() > 1 {
            figure {
                (plots::bars(&found.scales.values, "The scales"))
                figcaption {
                    (words::count(found.scales.count as u64)) " scales, "
                    @if found.scales.quantiles { "from the least to the largest: " } @else { "in their order: " }
                    (words::short(least.into())) " to " (words::short(most.into())) "."
                }
            }
        }
    }
}

fn steps(found: &WeightDetails, terms: usize) -> Markup {
    if found.steps.is_empty() {
        return html! {};
    }
    html! {
        figure.table {
            table {
                caption { "Error of the layer's output, as a share of its energy, after each step" }
                thead { tr { th scope="col" { "Step" } th scope="col" { "Error" } } }
                tbody { @for one in &found.steps { tr { th scope="row" { (step(one.step, terms)) } td.number { (part(one.error)) } } } }
            }
        }
    }
}

/// What other treatments lose, of the weights themselves.
fn treatments(weight: &Weight) -> Markup {
    let Some(lost) = weight.residuals else { return html! {} };
    let rows = [
        ("one scale per tensor", Some(lost.tensor)),
        ("one scale per channel", lost.channel),
        ("one scale per block", lost.block),
        ("two tensors", lost.dual),
    ];
    html! {
        figure.table {
            table {
                caption { "Error of the weights, as a share of their energy, by treatment" }
                thead { tr { th scope="col" { "Treatment" } th scope="col" { "Error" } } }
                tbody { @for (name, error) in rows { @if let Some(error) = error { tr { th scope="row" { (name) } td.number { (part(error)) } } } } }
            }
        }
    }
}

/// A share, as precise as matters.
fn part(error: f64) -> String {
    match 100.0 * error {
        0.0 => "0 %".into(),
        percent if percent < 0.01 => format!("{percent:.1e} %"),
        percent if percent < 1.0 => format!("{percent:.3} %"),
        percent => format!("{percent:.2} %"),
    }
}

fn input(activation: &Activation) -> Markup {
    let end = |value: Option<f64>| value.map_or("infinite".into(), words::short);
    let ratio = activation.sqnr_db.map(|ratio| format!(", SQNR {ratio:.1} dB")).unwrap_or_default();
    let scales: Vec<String> = activation.terms.iter().map(|term| words::short(term.scale.into())).collect();
    html! {
        div.input {
            h4 { "Activation " bdi { (shown(&activation.tensor)) } }
            p.more { (activation.bits) " bits, scale " (scales.join(" + ")) (ratio) "; read by " (shown(&activation.operator))
                "; seen " (end(activation.range.0)) " to " (end(activation.range.1)) ". " (shown(&activation.reason)) }
            @if let Some(found) = &activation.statistics {
                @let (first, last) = found.chosen;
                @let marks = Marks { first, last, step: last - first, text: words::short };
                figure {
                    (plots::histogram(&found.histogram, &marks, &format!("Histogram of the activation; codes reach from {} to {}", words::short(first), words::short(last))))
                    figcaption { "Values seen in calibration; codes reach from " (words::short(first)) " to " (words::short(last)) "; "
                        (part(found.clipped)) " of the values are clipped." }
                }
            }
        }
    }
}

//! All layers side by side, in the order of the network.

use maud::html;

use super::{CLEAN_DB, NOISY_DB, Part, shown};
use crate::report::kept::{Document, Ratio, Weight};
use crate::report::words;

/// Characters of a name in a cell.
const NAME: usize = 40;

/// What the cells show: the noise of outputs where it is known of every layer.
pub(super) fn measure(weights: &[&Weight]) -> (fn(&Weight) -> Ratio, &'static str) {
    match weights.iter().all(|weight| weight.added() != Ratio::Unknown) {
        true => (Weight::added, "SQNR of its output by the noise that the layer adds"),
        false => (Weight::weights, "SQNR of its weights"),
    }
}

pub(super) fn section(document: &Document) -> Option<Part> {
    let weights = document.weights();
    if weights.is_empty() {
        return None;
    }
    let (ratio, what) = measure(&weights);
    let body = html! {
        p { "Each cell is a layer with quantized weights: " (what) ", in dB. More is better. A cell leads to its layer." }
        ul.legend {
            @for (ratio, limits) in [
                (Ratio::Of(CLEAN_DB), format!("{CLEAN_DB} dB and more")),
                (Ratio::Of(NOISY_DB), format!("{NOISY_DB} to {CLEAN_DB} dB")),
                (Ratio::Of(0.0), format!("below {NOISY_DB} dB")),
            ] {
                @let grade = ratio.grade();
                li { span.tag.(grade.name) { (grade.shape) " " (grade.words) } " " (limits) }
            }
        }
        ol.strip aria-label="Layers in the order of the network" {
            @for (at, weight) in weights.iter().enumerate() {
                @let (ratio, name) = (ratio(weight), shown(weight.layer()));
                @let grade = ratio.grade();
                li {
                    a.cell.(grade.name) href=(format!("#layer-{at}")) data-layer=(at) title=(name)
                        aria-label=(format!("{}: {}, {}, {} bits, {}", at + 1, name, shown(&weight.operator), weight.bits, label(ratio, grade.words))) {
                        span.shape aria-hidden="true" { (grade.shape) }
                        span.number aria-hidden="true" { (number(ratio)) }
                        span.bits aria-hidden="true" { (weight.bits) "b" }
                        span.name aria-hidden="true" { (words::name(&name, NAME)) }
                    }
                }
            }
        }
        details.all {
            summary { "All layers as a table" }
            div.wide tabindex="0" role="region" aria-label="All layers" {
                table {
                    caption { "Layers in the order of the network" }
                    thead { tr {
                        @for head in ["", "Layer", "Operator", "Shape", "Bits", "Weights", "Own weights on output", "Added", "Output so far"] {
                            th scope="col" { (if head.is_empty() { "Nr" } else { head }) }
                        }
                    } }
                    tbody {
                        @for (at, weight) in weights.iter().enumerate() {
                            tr {
                                td.number { (at + 1) }
                                th scope="row" { a href=(format!("#layer-{at}")) { bdi { (shown(weight.layer())) } } }
                                td { (shown(&weight.operator)) }
                                td.number { (words::shape(&weight.dims)) }
                                td.number { (weight.bits) }
                                @for ratio in [weight.weights(), weight.own(), weight.added(), weight.output()] { td.number { (ratio.text()) } }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Part { id: "layers", short: "Layers", title: "Layers in the order of the network", body })
}

fn label(ratio: Ratio, words: &str) -> String {
    match ratio {
        Ratio::Unknown => words.to_owned(),
        ratio => format!("{}, {words}", ratio.text()),
    }
}

/// Short enough for a cell.
fn number(ratio: Ratio) -> String {
    match ratio {
        Ratio::Of(ratio) => format!("{ratio:.0}"),
        Ratio::Exact => "=".into(),
        Ratio::Unknown => "–".into(),
    }
}

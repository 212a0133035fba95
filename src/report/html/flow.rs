//! Noise on its way through the network.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{Part, shown};
use crate::report::kept::{Document, Ratio, Weight};
use crate::report::words;

/// Units from one layer to the next, and those of the plot.
const STEP: f64 = 16.0;
const LEAST: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 38.0;
const FOOT: f64 = 34.0;
/// The axis goes by this many dB, and at most so far.
const TICK: f64 = 10.0;
const MOST: f64 = 60.0;

pub(super) fn section(document: &Document) -> Option<Part> {
    let weights = document.weights();
    let known = |ratio: fn(&Weight) -> Ratio| weights.iter().any(|weight| ratio(weight) != Ratio::Unknown);
    let (own, output) = (known(Weight::own), known(Weight::output));
    if !own && !output {
        return None;
    }
    let body = html! {
        p {
            "SQNR in dB from the first layer on the left to the last: the lower, the more noise. "
            @if own { "A " strong { "bar" } " ends at the SQNR that a layer's output would have if only its own weights were quantized: short bars are noisy layers. " }
            @if output {
                "The " strong { "line" } " is the SQNR of the layer's output in the quantized network, with the noise of all layers before it"
                @if let Some(samples) = document.noise_samples { ", measured on " (words::things(samples, "sample")) } ". "
                "Where it falls, noise is added; where it rises, the layer averages noise away."
            } @else { "The noise of outputs with all layers before them was not measured." }
        }
        div.wide tabindex="0" role="region" aria-label="Noise by layer" { (plot(&weights)) }
    };
    Some(Part { id: "noise", short: "Noise", title: "How noise flows through the network", body })
}

fn plot(weights: &[&Weight]) -> Markup {
    let all = weights.iter().flat_map(|weight| [weight.own(), weight.output()]);
    let highest = all.filter_map(|ratio| if let Ratio::Of(ratio) = ratio { Some(ratio) } else { None });
    let top = (TICK * (highest.fold(TICK, f64::max) / TICK).ceil()).min(MOST);
    let step = STEP.max((LEAST - LEFT) / weights.len().max(1) as f64);
    let width = LEFT + step * weights.len() as f64;
    let down = |ratio: f64| HEIGHT * (1.0 - (ratio / top).clamp(0.0, 1.0)) + 6.0;
    let middle = |at: usize| LEFT + (at as f64 + 0.5) * step;
    let value = |ratio: Ratio| match ratio {
        Ratio::Of(ratio) => Some(ratio),
        Ratio::Exact => Some(top),
        Ratio::Unknown => None,
    };
    let (mut line, mut before) = (String::new(), false);
    for (at, weight) in weights.iter().enumerate() {
        match value(weight.output()) {
            Some(ratio) => {
                let _ =
                    write!(line, "{}{:.1} {:.1}", if before { "L" } else { "M" }, middle(at), down(ratio));
                before = true;
            }
            None => before = false,
        }
    }
    let ticks: Vec<f64> = (0..=(top / TICK) as usize).map(|tick| tick as f64 * TICK).collect();
    html! {
        svg.flow role="img" aria-label="SQNR of each layer's output, from the first layer to the last; the table of all layers has the numbers"
            viewBox=(format!("0 0 {width:.0} {}", HEIGHT + FOOT)) style=(format!("min-width:{:.0}px", width.min(40.0 + STEP * weights.len() as f64))) {
            @for tick in ticks {
                path.rule d=(format!("M{LEFT} {:.1}H{width:.0}", down(tick))) {}
                text.end x=(LEFT - 5.0) y=(format!("{:.1}", down(tick) + 4.0)) { (format!("{tick:.0}")) }
            }
            @for (at, weight) in weights.iter().enumerate() {
                @if let Some(ratio) = value(weight.own()) {
                    rect.own.(weight.own().grade().name) x=(format!("{:.1}", middle(at) - 0.3 * step)) y=(format!("{:.1}", down(ratio)))
                        width=(format!("{:.1}", 0.6 * step)) height=(format!("{:.1}", (down(0.0) - down(ratio)).max(1.0))) {
                        title { (at + 1) " " (shown(weight.layer())) ": " (ratio_text("own", weight.own())) ", " (ratio_text("so far", weight.output())) }
                    }
                }
            }
            path.line d=(line) {}
            @for (at, weight) in weights.iter().enumerate() {
                @if let Some(ratio) = value(weight.output()) {
                    circle.point cx=(format!("{:.1}", middle(at))) cy=(format!("{:.1}", down(ratio))) r="3" {
                        title { (at + 1) " " (shown(weight.layer())) ": " (ratio_text("so far", weight.output())) }
                    }
                }
            }
            @for at in (0..weights.len()).filter(|at| at % labels(weights.len(), step) == 0) {
                text.middle x=(format!("{:.1}", middle(at))) y=(HEIGHT + 20.0) { (at + 1) }
            }
            text.middle x=(format!("{:.0}", LEFT + (width - LEFT) / 2.0)) y=(HEIGHT + FOOT - 1.0) { "layer" }
        }
    }
}

fn ratio_text(what: &str, ratio: Ratio) -> String {
    format!("{what} {}", ratio.text())
}

/// Every so many layers have their number below them.
fn labels(count: usize, step: f64) -> usize {
    let digits = count.max(1).to_string().len() as f64;
    ((digits * 8.0 + 4.0) / step).ceil().max(1.0) as usize
}

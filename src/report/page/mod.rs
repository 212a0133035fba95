//! The reports of many conversions as pages of HTML that need nothing else: they read without JavaScript, on paper and on a phone.
//!
//! The summary is the same whenever and wherever the batch ran, so times have a page of their own.

mod table;
#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::html::{POLICY, shown};
use super::{summary, words};
use crate::plan::{POOR_AGREEMENT, POOR_DB, Row, Status, Summary, Time, Written};
use table::{Cell, Line, table, tag};

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a batch, to lie at the top of its output folder.
pub fn page(found: &Summary) -> String {
    let totals = found.totals();
    let written = totals.converted - totals.remarked - totals.poor;
    let counts = [
        (Status::Failed, totals.failed, "failed"),
        (Status::Poor, totals.poor, "poor"),
        (Status::Unquantized, totals.unquantized, "with nothing to quantize"),
        (Status::Remarked, totals.remarked, "with a remark"),
        (Status::Converted, written, "without a remark"),
    ];
    let size = summary::share(Some(totals.bytes_before), totals.bytes_after);
    let heads = ["Result", "Before", "After", "Bits", "Top-1", "Same class", "SQNR"];
    let lines = found.worst_first().into_iter().enumerate().map(|(place, row)| line(place, row)).collect();
    let body = html! {
        ul.counts {
            @for (status, count, what) in counts.iter().filter(|(_, count, _)| *count > 0) {
                li { (tag(*status, &format!("{} {what}", words::count(*count as u64)))) }
            }
        }
        @if let Some(size) = size {
            p { (words::bytes(totals.bytes_before)) " became " strong { (words::bytes(totals.bytes_after)) } " (" (size) ")." }
        }
        @if totals.poor > 0 {
            p.more {
                "Poor files: an output has an SQNR under " (POOR_DB) " dB, both models choose the same class on less than "
                (100.0 * POOR_AGREEMENT) " % of the samples, or the remark says what else is wrong."
            }
        }
        (table("Models, the worst first", &heads, lines))
        p.more {
            "How long the conversions took: " a href="./timings.html" { "timings.html" }
            ". Times differ from run to run and this page does not. The same rows for programs: "
            a href="./summary.csv" { "summary.csv" } ", " a href="./summary.json" { "summary.json" } "."
        }
    };
    let title = format!(
        "{} of {} converted",
        words::count(totals.converted as u64),
        words::things(totals.models, "model")
    );
    document(found, &title, &body)
}

/// The page of the times of a batch, to lie beside its page.
pub fn timings(found: &Summary) -> String {
    let lines =
        found.slowest_first().into_iter().enumerate().map(|(place, (row, time))| timed(place, row, time));
    let total = found.seconds().map(words::duration);
    let body = html! {
        p {
            @match &total {
                Some(total) => {
                    "Together the conversions took " strong { (total) }
                    ". Those that ran side by side count in full, so the batch itself may have taken less."
                }
                None => "No times are known of this batch.",
            }
        }
        (table("Models, the slowest first", &["Result", "Time", "Peak memory"], lines.collect()))
        p.more {
            "A model that was done before has the time of its last conversion. All figures: "
            a href="./summary.html" { "summary.html" } "."
        }
    };
    document(found, &format!("Times of {}", words::things(found.rows.len(), "model")), &body)
}

fn document(found: &Summary, title: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(found.tool);
                title { (title) " · fourbit" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    div.tools hidden { button type="button" id="theme" { "Dark" } }
                }
                main { (body) }
                footer { (found.tool) " " @for option in &found.options { code { (shown(option)) } " " } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string() + "\n"
}

/// The name of a model, with its reports where these were written.
fn name(row: &Row) -> Markup {
    let name = shown(&row.model);
    if !row.status.is_written() {
        return html! { bdi { (name) } };
    }
    let other = |ending, label: &str| {
        html! { a href=(report(&row.model, ending)) aria-label=(format!("{label} report of {name}")) { (label) } }
    };
    html! {
        a href=(report(&row.model, "html")) { bdi { (name) } }
        " " span.links { (other("txt", "Text")) " " (other("json", "JSON")) }
    }
}

fn line(place: usize, row: &Row) -> Line<'_> {
    let written = row.written.as_ref();
    let cells = vec![
        Some(Cell::text(place as f64, tag(row.status, row.status.name()))),
        row.bytes_before
            .map(|bytes| Cell::figure(bytes as f64, html! { span.whole { (words::bytes(bytes)) } })),
        written.map(|written| size(row, written)),
        written
            .and_then(|written| written.effective_bits)
            .map(|bits| Cell::figure(bits, html! { (format!("{bits:.2}")) })),
        written.and_then(right),
        written.and_then(alike),
        written.map(|written| noise(row, written)),
    ];
    Line { status: row.status, name: name(row), cells, remark: row.reason.as_deref() }
}

fn timed<'r>(place: usize, row: &'r Row, time: Option<&Time>) -> Line<'r> {
    let memory = time.and_then(|time| time.peak_memory);
    let cells = vec![
        Some(Cell::text(place as f64, tag(row.status, row.status.name()))),
        time.map(|time| Cell::figure(time.seconds, html! { (words::duration(time.seconds)) })),
        memory.map(|bytes| Cell::figure(bytes as f64, html! { (words::bytes(bytes)) })),
    ];
    Line { status: row.status, name: name(row), cells, remark: None }
}

fn size(row: &Row, written: &Written) -> Cell {
    let bytes = written.bytes_after;
    let share = row.bytes_before.filter(|&before| before > 0).map(|before| bytes as f64 / before as f64);
    Cell::figure(
        bytes as f64,
        html! {
            span.whole { (words::bytes(bytes)) }
            @if let Some(share) = summary::share(row.bytes_before, bytes) { " " span.more.whole { (share) } }
            @if let Some(share) = share {
                span.bar aria-hidden="true" { i style=(format!("width:{:.1}%", 100.0 * share.clamp(0.0, 1.0))) {} }
            }
        },
    )
}

/// The share of right answers, before and after.
fn right(written: &Written) -> Option<Cell> {
    let (float, quantized) = written.float_top1.zip(written.quantized_top1)?;
    Some(Cell::figure(
        quantized,
        html! {
            span.whole { (format!("{:.2} →", 100.0 * float)) } " " span.whole { (words::percent(quantized)) }
            @if let Some(drop) = written.drop_points { " " span.more.whole { "drop " (format!("{drop:.2}")) } }
        },
    ))
}

fn alike(written: &Written) -> Option<Cell> {
    let text = summary::agreement(written)?;
    let share = written.agreement.unwrap_or_default();
    Some(Cell::judged(share, written.has_poor_agreement(), html! { (text) }))
}

/// The SQNR, and that on calibration samples beside it.
fn noise(row: &Row, written: &Written) -> Cell {
    let more = html! {
        @if let Some(inside) = written.inside_sqnr_db {
            " " span.more { "calibration " span.whole { (format!("{inside:.1} dB")) } }
        }
        @if written.synthetic { " " span.more { "random inputs" } }
    };
    match written.sqnr_db {
        Some(ratio) => {
            Cell::judged(ratio, written.has_poor_sqnr(), html! { (format!("{ratio:.1} dB")) }).with(&more)
        }
        None if written.samples == 0 => Cell::none("not run"),
        None if row.status == Status::Poor => Cell::none("–"),
        None => Cell::best("exact").with(&more),
    }
}

/// The address of a model's report, which lies beside it.
fn report(model: &str, ending: &str) -> String {
    let stem = model.get(..model.len().saturating_sub(".onnx".len())).unwrap_or(model);
    format!("./{}.report.{ending}", utf8_percent_encode(stem, PLAIN))
}

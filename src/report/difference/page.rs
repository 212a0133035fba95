//! Conversions side by side, as a page.

use maud::{Markup, html};
use serde::Deserialize as _;
use serde_json::Value;

use super::{against, form, kind, letter};
use crate::error::{Error, Result};
use crate::plan::{Difference, DifferenceRow, Side, Treated, Verdict};
use crate::report::headline::figures;
use crate::report::html::{Frame, Part, framed, shown};
use crate::report::kept::Ratio;
use crate::report::words;

/// The page of the JSON in `value`.
///
/// # Errors
/// [`Error::Invalid`] where it does not hold what a comparison does.
pub fn page(value: &Value) -> Result<String> {
    let found = Difference::deserialize(value).map_err(|error| {
        Error::invalid("report", format!("this is no comparison of conversions: {error}"))
    })?;
    let name = |side: &Side| shown(side.file.rsplit(['/', '\\']).next().unwrap_or(&side.file));
    let names: Vec<String> = found.sides.iter().map(name).collect();
    let parts = [
        Some(Part { id: "sides", short: "Side by side", title: "Side by side", body: sides(&found) }),
        (!found.between.is_empty()).then(|| Part {
            id: "answers",
            short: "Answers",
            title: "Answers of the models, compared",
            body: answers(&found),
        }),
        Some(Part { id: "differs", short: "What differs", title: "What differs", body: differing(&found) }),
        Some(Part { id: "all", short: "All tensors", title: "All tensors", body: all(&found) }),
    ];
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let by = html! { (words::things(found.sides.len(), "conversion")) " side by side" };
    let frame = Frame { name: &names.join(" | "), kind: "comparison", tool: "fourbit", by };
    Ok(framed(&frame, &parts, value))
}

/// A table that scrolls by itself where it is too wide.
fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.wide tabindex="0" role="region" aria-label=(label) { table { (table) } } }
}

/// A column a conversion, so that few of them fit on narrow screens.
fn sides(found: &Difference) -> Markup {
    type Say = fn(&Side) -> String;
    let figures: [(&str, Say); 8] = [
        ("Known from", |side| kind(side).to_owned()),
        ("Form", |side| shown(&form(side))),
        ("Size", |side| side.bytes.map(words::bytes).unwrap_or_default()),
        ("Bits per parameter", |side| side.bits.map(|bits| format!("{bits:.2}")).unwrap_or_default()),
        ("Quantized weights", |side| words::count(side.counts[0] as u64)),
        ("Quantized activations", |side| words::count(side.counts[1] as u64)),
        ("Weights left float", |side| words::count(side.counts[2] as u64)),
        ("Against the float model", |side| {
            side.verdict.as_ref().map_or_else(|| "not known".to_owned(), against)
        }),
    ];
    html! {
        (scrolling("Conversions", html! {
            thead { tr {
                th scope="col" { "Conversion" }
                @for (at, side) in found.sides.iter().enumerate() {
                    th.file scope="col" { (letter(at)) " " bdi { (shown(&side.file)) } }
                }
            } }
            tbody {
                @for (name, say) in figures {
                    tr { th.figure scope="row" { (name) } @for side in &found.sides { td { (say(side)) } } }
                }
            }
        }))
        @if !found.notes.is_empty() { ul.warnings { @for note in &found.notes { li { (shown(note)) } } } }
    }
}

fn answers(found: &Difference) -> Markup {
    html! {
        p { "The first model beside each of the others, on the same samples. Where figures speak of a float model, the first one is meant." }
        dl.facts {
            @for between in &found.between {
                @let [one, other] = between.sides.map(letter);
                dt { (other) " beside " (one) }
                dd {
                    @match &between.verdict {
                        Verdict::NotValidated { reason } => { "not compared: " (shown(reason)) }
                        Verdict::Validated(validation) => {
                            (figures(validation).join("; ")) " "
                            span.kind { "(" (words::things(validation.samples, "sample")) " of " (shown(&validation.source)) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn differing(found: &Difference) -> Markup {
    let rows: Vec<&DifferenceRow> = super::differing(found).collect();
    let none: Vec<&str> = super::without_activations(found).map(letter).collect();
    let apart: Vec<&DifferenceRow> = super::apart(found).collect();
    html! {
        @if !none.is_empty() && none.len() < found.sides.len() { p { "No activations are quantized by " (none.join(", ")) "." } }
        @if rows.is_empty() { p { "All weights have the same form in all conversions." } }
        @else { (tensors(found, &rows, "Tensors whose form differs")) }
        @if !apart.is_empty() {
            h3 { "The same form, but other noise" }
            (tensors(found, &apart, "Tensors whose noise differs"))
        }
    }
}

fn all(found: &Difference) -> Markup {
    let rows: Vec<&DifferenceRow> = found.rows.iter().collect();
    html! {
        details {
            summary { (words::things(rows.len(), "tensor")) ", in the order of the network" }
            div.inside { (tensors(found, &rows, "All tensors")) }
        }
    }
}

fn tensors(found: &Difference, rows: &[&DifferenceRow], label: &str) -> Markup {
    scrolling(
        label,
        html! {
            thead { tr {
                th scope="col" { "Tensor" }
                th.reader scope="col" { "Layer" }
                @for (at, _) in found.sides.iter().enumerate() { th scope="col" { (letter(at)) } }
                th scope="col" { "Apart" }
            } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { bdi { (shown(&row.tensor)) } @if row.is_activation { " " span.kind { "activation" } } }
                        td.reader { bdi { (shown(&row.layer)) } @if !row.operator.is_empty() { " " span.kind { (shown(&row.operator)) } } }
                        @for cell in &row.cells { td { (treated(cell.as_ref())) } }
                        td.number { @if let Some(distance) = Difference::distance(row) { (format!("{distance:.1} dB")) } }
                    }
                }
            }
        },
    )
}

fn treated(cell: Option<&Treated>) -> Markup {
    let Some(cell) = cell else { return html! { "–" } };
    let (ratio, what) = match (cell.added_db, cell.sqnr_db) {
        (Some(ratio), _) => (Some(ratio), "by the layer's noise"),
        (None, ratio) => (ratio, "of the tensor"),
    };
    html! {
        (shown(&cell.form))
        @if let Some(ratio) = ratio {
            @let grade = Ratio::Of(ratio).grade();
            br;
            span.tag.(grade.name) title=(format!("SQNR {what}")) { span aria-hidden="true" { (grade.shape) " " } (Ratio::Of(ratio).text()) }
        }
        @if let Some(reason) = &cell.reason { details.why { summary { "reason" } p { (shown(reason)) } } }
    }
}

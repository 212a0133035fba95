//! The report of many conversions as one page of HTML that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{summary, words};
use crate::plan::{Row, Summary, Written};

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// An SQNR that fills its bar, in dB.
const FULL_DB: f64 = 40.0;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #2e8b57; --fair: #c98a00; --bad: #c0392b; --size: #3b78c4; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; }
p { margin: .2rem 0 1rem; opacity: .8; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { cursor: pointer; user-select: none; white-space: nowrap; position: sticky; top: 0; background: Canvas; }
th[aria-sort=ascending]::after { content: ' \\2191'; }
th[aria-sort=descending]::after { content: ' \\2193'; }
tbody tr:hover { background: var(--soft); }
td.name { overflow-wrap: anywhere; min-width: 12rem; }
td.why { overflow-wrap: anywhere; max-width: 24rem; font-size: .9em; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.bar { height: .4rem; margin-top: .25rem; background: var(--soft); border-radius: .2rem; min-width: 6rem; }
.bar i { display: block; height: 100%; border-radius: .2rem; background: var(--size); }
.converted { color: var(--good); } .remarked { color: var(--fair); } .unquantized { color: var(--fair); } .poor, .failed { color: var(--bad); }
footer { margin-top: 1rem; font-size: .85em; opacity: .7; overflow-wrap: anywhere; }
";

const SCRIPT: &str = "
const table = document.querySelector('table'), body = table.tBodies[0];
table.tHead.addEventListener('click', event => {
  const head = event.target.closest('th');
  if (!head) return;
  const down = head.getAttribute('aria-sort') === 'ascending';
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const key = row => row.cells[head.cellIndex].dataset.key ?? row.cells[head.cellIndex].textContent;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === '' || y === '') return (x === '') - (y === '');
    const way = x - y || (isNaN(x - y) ? x.localeCompare(y) : 0);
    return down ? -way : way;
  };
  body.append(...[...body.rows].sort(order));
});
";

/// The page of a batch, to lie at the top of its output folder.
pub fn page(found: &Summary) -> String {
    let totals = found.totals();
    let size = summary::share(Some(totals.bytes_before), totals.bytes_after).unwrap_or_default();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "fourbit: " (words::things(totals.models, "model")) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (words::count(totals.converted as u64)) " of " (words::things(totals.models, "model")) " converted" }
                p {
                    (words::bytes(totals.bytes_before)) " became " (words::bytes(totals.bytes_after))
                    @if !size.is_empty() { " (" (size) ")" }
                    @if totals.remarked > 0 { "; " (words::count(totals.remarked as u64)) " with a remark" }
                    @if totals.poor > 0 { "; " (words::count(totals.poor as u64)) " poor" }
                    @if totals.unquantized > 0 { "; " (words::count(totals.unquantized as u64)) " with nothing to quantize" }
                    @if totals.failed > 0 { "; " (words::count(totals.failed as u64)) " failed" }
                    "."
                }
                table {
                    thead { tr {
                        @for name in ["Model", "Result", "Before", "After", "Bits", "Accuracy", "Same class", "SQNR", "Remark"] { th { (name) } }
                    } }
                    tbody { @for row in found.worst_first() { (line(row)) } }
                }
                footer { (found.tool) " " (found.options.join(" ")) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string() + "\n"
}

fn line(row: &Row) -> Markup {
    let name = words::name(&row.model, usize::MAX);
    let written = row.written.as_ref();
    html! {
        tr {
            td.name {
                @if !row.status.is_written() { (name) } @else {
                    a href=(report(&row.model, "html")) { (name) } " " small { a href=(report(&row.model, "txt")) { "text" } }
                }
            }
            td class=(row.status.name()) { (row.status.name()) }
            td.number data-key=(key(row.bytes_before.map(|bytes| bytes as f64))) {
                @if let Some(bytes) = row.bytes_before { (words::bytes(bytes)) }
            }
            (size(row, written))
            td.number data-key=(key(written.and_then(|written| written.effective_bits))) {
                @if let Some(bits) = written.and_then(|written| written.effective_bits) { (format!("{bits:.2}")) }
            }
            (accuracy(written))
            td.number data-key=(key(written.and_then(|written| written.agreement))) {
                (written.and_then(summary::agreement).unwrap_or_default())
            }
            (noise(written))
            td.why { @if let Some(reason) = &row.reason { (words::name(reason, usize::MAX)) } }
        }
    }
}

fn size(row: &Row, written: Option<&Written>) -> Markup {
    let after = written.map(|written| written.bytes_after);
    let share = after.zip(row.bytes_before.filter(|&before| before > 0));
    html! {
        td.number data-key=(key(after.map(|bytes| bytes as f64))) {
            @if let Some(bytes) = after {
                (words::bytes(bytes))
                @if let Some(share) = summary::share(row.bytes_before, bytes) { " · " (share) }
            }
            @if let Some((after, before)) = share { (bar(after as f64 / before as f64, "--size")) }
        }
    }
}

fn accuracy(written: Option<&Written>) -> Markup {
    let Some(written) = written else { return html! { td.number data-key="" {} } };
    // Both kinds are put on one scale, from nothing right to everything as it was.
    let level = match written {
        Written { float_top1: Some(float), quantized_top1: Some(quantized), .. } if *float > 0.0 => {
            Some(quantized / float)
        }
        Written { sqnr_db: Some(ratio), .. } => Some(ratio / FULL_DB),
        Written { samples: 1.., .. } => Some(1.0),
        _ => None,
    };
    let colour = match level {
        Some(level) if level >= 0.97 || written.float_top1.is_none() && level >= 0.5 => "--good",
        Some(level) if level >= 0.9 || written.float_top1.is_none() && level >= 0.25 => "--fair",
        _ => "--bad",
    };
    html! {
        td.number data-key=(key(level)) {
            (summary::accuracy(written))
            @if let Some(level) = level { (bar(level, colour)) }
        }
    }
}

/// The SQNR, and that on calibration samples beside it.
fn noise(written: Option<&Written>) -> Markup {
    let ratio = written.and_then(|written| written.sqnr_db);
    let inside = written.and_then(|written| written.inside_sqnr_db);
    html! {
        td.number data-key=(key(ratio)) {
            @if let Some(ratio) = ratio { (format!("{ratio:.1} dB")) }
            @if let Some(inside) = inside {
                " " small title="on samples that it was calibrated on" { (format!("({inside:.1})")) }
            }
        }
    }
}

fn bar(share: f64, colour: &str) -> Markup {
    let width = 100.0 * share.clamp(0.0, 1.0);
    html! { div.bar { i style=(format!("width:{width:.1}%;background:var({colour})")) {} } }
}

/// What a cell is sorted by.
fn key(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// The address of a model's report, which lies beside it.
fn report(model: &str, ending: &str) -> String {
    let stem = model.get(..model.len().saturating_sub(".onnx".len())).unwrap_or(model);
    format!("./{}.report.{ending}", utf8_percent_encode(stem, PLAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_page_stands_alone_and_escapes_names() {
        let text = page(&example::summary());
        assert!(text.starts_with("<!DOCTYPE html>"));
        for part in [
            "2 of 3 models converted",
            "href=\"./a/net.report.html\"",
            "href=\"./a/net.report.txt\"",
            "b/&lt;i&gt;",
            "no ONNX model",
            "<th>Same class</th><th>SQNR</th>",
            "97.50 %",
            "24.1 dB <small title=\"on samples that it was calibrated on\">(25.1)</small>",
            "prefers",
        ] {
            assert!(text.contains(part) != (part == "prefers"), "{part} in\n{text}");
        }
        assert!(!text.contains("<i>\n") && !text.contains("http") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(report("a b/#?%\n\".onnx", "txt"), "./a%20b/%23%3F%25%0A%22.report.txt");
    }
}

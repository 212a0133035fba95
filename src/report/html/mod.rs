//! A report as one page of HTML that needs nothing else: it reads without JavaScript, on paper and on a phone.
//!
//! The page is made from the JSON report, so that a report that was kept gives the same page. Names out of models are escaped by
//! maud, and the data that the page holds is JSON in which no tag can end.

mod detail;
mod floats;
mod flow;
mod plots;
mod samples;
mod strip;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::{difference, words};
use crate::error::Result;
use crate::report::kept::{Document, Ratio};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the page may load: nothing but itself.
pub(super) const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page of the JSON report in `text`.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where that is no report, or one that there is no page of.
pub fn report(text: &str) -> Result<String> {
    let mut value = Document::parse(text)?;
    if value["schema"] == difference::SCHEMA {
        return difference::page(&value);
    }
    let document = Document::read(&value)?;
    // Pictures are in the page once.
    let differing = value.pointer_mut("/verdict/differing").and_then(Value::as_array_mut);
    differing.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|sample| {
        sample.remove("picture");
    });
    Ok(page(&document, &value))
}

fn page(document: &Document, value: &Value) -> String {
    let parts = [
        verdict::section(document),
        strip::section(document),
        flow::section(document),
        detail::section(document),
        floats::section(document),
        verdict::next(document),
        samples::section(document),
    ];
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let tool = document.tool.as_deref().unwrap_or("fourbit");
    let by = html! {
        @if let Some(precision) = &document.precision { "quantized to " strong { (precision) } " by " }
        (tool)
    };
    framed(&Frame { name: &title(document), kind: "report", tool, by }, &parts, value)
}

/// What stands around the parts of a page.
pub(super) struct Frame<'f> {
    pub name: &'f str,
    /// What the page is, in its title and in the link over its sections.
    pub kind: &'f str,
    /// What made it.
    pub tool: &'f str,
    /// The line below the title.
    pub by: Markup,
}

/// A page of `parts`, which holds `value` as JSON.
pub(super) fn framed(frame: &Frame, parts: &[Part], value: &Value) -> String {
    let Frame { name, kind, tool, by } = frame;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(tool);
                title { (name) " · fourbit " (kind) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the " (kind) }
                header {
                    h1 { bdi { (name) } }
                    p.by { (by) }
                    div.tools hidden {
                        button type="button" id="theme" aria-pressed="false" { "Dark" }
                        button type="button" id="save" { "Save data" }
                    }
                }
                nav aria-label="Sections" {
                    ul { @for part in parts { li { a href=(format!("#{}", part.id)) { (part.short) } } } }
                }
                main id="main" tabindex="-1" {
                    @for part in parts {
                        section id=(part.id) aria-labelledby=(format!("{}-title", part.id)) {
                            h2 id=(format!("{}-title", part.id)) { (part.title) }
                            (part.body)
                        }
                    }
                }
                script type="application/json" id="data" { (PreEscaped(inert(value))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string() + "\n"
}

/// A part of the page.
pub(super) struct Part {
    pub id: &'static str,
    /// In the list of parts.
    pub short: &'static str,
    pub title: &'static str,
    pub body: Markup,
}

fn title(document: &Document) -> String {
    let written = document.output.as_ref().or(document.quantized.as_ref());
    let file = written.map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path));
    let name = file.or(document.subject.as_ref().map(|subject| subject.file.as_str())).unwrap_or("model");
    shown(name)
}

/// A name out of a file: what steers terminals and the direction of text is no part of it.
pub(super) fn shown(name: &str) -> String {
    words::name(name, usize::MAX).chars().filter(|&symbol| !turns(symbol)).collect()
}

/// Whether `symbol` changes the direction of text.
fn turns(symbol: char) -> bool {
    matches!(symbol, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON that means the same and holds nothing that ends a script.
fn inert(value: &Value) -> String {
    let mut text = String::new();
    for symbol in value.to_string().chars() {
        match symbol {
            '<' | '>' | '&' | '\'' | '`' | '\u{2028}' | '\u{2029}' => {
                text += &format!("\\u{:04x}", symbol as u32)
            }
            turning if turns(turning) => text += &format!("\\u{:04x}", turning as u32),
            other => text.push(other),
        }
    }
    text
}

/// How good a ratio is: a word that is a class of the style sheet too, and a shape, so that colour is not alone.
pub(super) struct Grade {
    pub name: &'static str,
    pub shape: &'static str,
    pub words: &'static str,
}

/// From this ratio on in dB a layer is clean, and below the other one noisy.
const CLEAN_DB: f64 = 20.0;
const NOISY_DB: f64 = 15.0;

impl Ratio {
    pub(super) fn grade(self) -> Grade {
        match self {
            Self::Exact => Grade { name: "clean", shape: "●", words: "clean" },
            Self::Of(ratio) if ratio >= CLEAN_DB => Grade { name: "clean", shape: "●", words: "clean" },
            Self::Of(ratio) if ratio >= NOISY_DB => Grade { name: "fair", shape: "▲", words: "some noise" },
            Self::Of(_) => Grade { name: "noisy", shape: "■", words: "noisy" },
            Self::Unknown => Grade { name: "unknown", shape: "○", words: "not measured" },
        }
    }

    /// With its unit.
    pub(super) fn text(self) -> String {
        match self {
            Self::Of(ratio) => format!("{ratio:.1} dB"),
            Self::Exact => "exact".into(),
            Self::Unknown => "–".into(),
        }
    }
}

#[cfg(test)]
mod tests;

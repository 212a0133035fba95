//! A table of models that becomes a list of cards on narrow screens, with what a script needs to sort and filter it.

use maud::{Markup, html};

use crate::plan::Status;
use crate::report::html::shown;
use crate::report::words;

/// One model.
pub(super) struct Line<'r> {
    pub(super) status: Status,
    pub(super) name: Markup,
    /// One for each column after the name; `None` where there is nothing to tell.
    pub(super) cells: Vec<Option<Cell>>,
    /// What stands below, over the full width.
    pub(super) remark: Option<&'r str>,
}

/// What a column says of a model.
pub(super) struct Cell {
    /// What it is sorted by, a number; nothing comes last.
    key: String,
    is_figure: bool,
    text: Markup,
}

impl Cell {
    /// Words.
    pub(super) fn text(key: f64, text: Markup) -> Self {
        Self { key: key.to_string(), is_figure: false, text }
    }

    /// A number.
    pub(super) fn figure(key: f64, text: Markup) -> Self {
        Self { key: key.to_string(), is_figure: true, text }
    }

    /// A number that is marked where it is poor: by a shape and a word, as colour alone says nothing to some.
    pub(super) fn judged(key: f64, is_poor: bool, text: Markup) -> Self {
        let marked = html! { strong.poor { span.whole { (shape(Status::Poor)) " " (text) } " poor" } };
        Self::figure(key, if is_poor { marked } else { text })
    }

    /// What is better than every number.
    pub(super) fn best(text: &str) -> Self {
        Self { key: "Infinity".into(), is_figure: true, text: html! { (text) } }
    }

    /// A word in the place of a number.
    pub(super) fn none(text: &str) -> Self {
        Self { key: String::new(), is_figure: true, text: html! { (text) } }
    }

    /// The same with more behind it.
    pub(super) fn with(self, more: &Markup) -> Self {
        Self { text: html! { (self.text) (more) }, ..self }
    }
}

/// A shape for each status.
fn shape(status: Status) -> &'static str {
    match status {
        Status::Failed => "×",
        Status::Poor => "■",
        Status::Unquantized => "○",
        Status::Remarked => "▲",
        Status::Converted => "●",
    }
}

/// Words in the colour of a status, behind its shape.
pub(super) fn tag(status: Status, words: &str) -> Markup {
    html! { span class=(format!("tag {}", status.name())) { span aria-hidden="true" { (shape(status)) " " } (words) } }
}

/// The table of `lines` under `heads`, in front of which the model stands. Columns that say nothing of any model are left out.
pub(super) fn table(caption: &str, heads: &[&str], lines: Vec<Line>) -> Markup {
    let told: Vec<bool> = (0..heads.len())
        .map(|at| lines.iter().any(|line| matches!(line.cells.get(at), Some(Some(_)))))
        .collect();
    let columns: Vec<(usize, &str)> =
        heads.iter().copied().enumerate().filter(|&(at, _)| told.get(at) == Some(&true)).collect();
    html! {
        (filter(&lines))
        p #shown role="status" { (words::things(lines.len(), "model")) }
        // Cards are no table to a browser any more, which the roles say otherwise.
        table #models role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    th role="columnheader" scope="col" { "Model" }
                    @for (_, head) in &columns { th role="columnheader" scope="col" { (head) } }
                }
            }
            @for line in &lines { (group(line, &columns)) }
        }
    }
}

fn group(line: &Line, columns: &[(usize, &str)]) -> Markup {
    html! {
        tbody role="rowgroup" class=(line.status.name()) data-status=(line.status.name()) {
            tr role="row" {
                th.name role="rowheader" scope="row" { (line.name) }
                @for (at, head) in columns {
                    @match line.cells.get(*at).and_then(Option::as_ref) {
                        Some(cell) => {
                            td.number[cell.is_figure] role="cell" data-label=(head) data-key=(cell.key) { (cell.text) }
                        }
                        None => { td.empty role="cell" data-label=(head) data-key="" {} }
                    }
                }
            }
            @if let Some(remark) = line.remark {
                tr.remark role="row" {
                    td role="cell" colspan=(columns.len() + 1) { (shown(remark)) }
                }
            }
        }
    }
}

/// What finds models; hidden where no script is there to do it.
fn filter(lines: &[Line]) -> Markup {
    let count = |status| lines.iter().filter(|line| line.status == status).count();
    html! {
        div.filter role="search" aria-label="Models" hidden {
            span { label for="find" { "Name" } " " input #find type="search" autocomplete="off" spellcheck="false"; }
            span {
                label for="status" { "Result" } " "
                select #status {
                    option value="" { "all (" (words::count(lines.len() as u64)) ")" }
                    @for status in Status::WORST_FIRST {
                        @if count(status) > 0 {
                            option value=(status.name()) { (status.name()) " (" (words::count(count(status) as u64)) ")" }
                        }
                    }
                }
            }
        }
    }
}

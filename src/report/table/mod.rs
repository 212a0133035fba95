//! Tables and lists that fit the terminal.

mod layout;
#[cfg(test)]
mod tests;

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

use super::{TextStyle, words};
use layout::{Extent, fit};

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());

/// Columns in front of a line of a list that belongs to the row above.
const INDENT: usize = 3;
/// A value of a list has at least so many columns, however narrow the terminal.
const LEAST_ROOM: usize = 20;

/// The columns of the terminal that standard output goes to, if it goes to one.
#[cfg(feature = "cli")]
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// How the cells of a column are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stands on one line, cut in the middle where it has to be, and never so short that two names look the same.
    Name,
    /// Wraps at spaces.
    Text,
    /// Stands whole on one line.
    Whole,
    /// Stands whole on one line, aligned to the right.
    Figure,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    head: &'static str,
    kind: Kind,
    spare: u8,
}

impl Column {
    const fn new(head: &'static str, kind: Kind) -> Self {
        Self { head, kind, spare: 0 }
    }

    pub(super) const fn name(head: &'static str) -> Self {
        Self::new(head, Kind::Name)
    }

    pub(super) const fn text(head: &'static str) -> Self {
        Self::new(head, Kind::Text)
    }

    pub(super) const fn whole(head: &'static str) -> Self {
        Self::new(head, Kind::Whole)
    }

    pub(super) const fn figure(head: &'static str) -> Self {
        Self::new(head, Kind::Figure)
    }

    /// Left out of a narrow table unless everything is to be told; the highest `order` goes first.
    pub(super) const fn spare(self, order: u8) -> Self {
        Self { spare: order, ..self }
    }
}

impl TextStyle {
    /// A table of `rows`, a cell a column; where it does not fit the terminal, without columns to spare or as
    /// a list; nothing at all without rows.
    pub(super) fn table(&self, columns: &[Column], mut rows: Vec<Vec<String>>) -> String {
        if rows.is_empty() {
            return String::new();
        }
        for cell in rows.iter_mut().flatten() {
            *cell = words::name(cell, usize::MAX);
        }
        let room = self.width.map_or(usize::MAX, usize::from);
        let mut shown: Vec<usize> = (0..columns.len()).collect();
        loop {
            let extent = |&at: &usize| {
                Extent::of(&columns[at], rows.iter().filter_map(|row| row.get(at)).map(String::as_str))
            };
            let extents: Vec<Extent> = shown.iter().map(extent).collect();
            if let Some(widths) = fit(&extents, room) {
                return drawn(columns, &shown, &widths, &rows);
            }
            let spare = |&(_, &at): &(usize, &usize)| !self.full() && columns[at].spare > 0;
            let least = shown.iter().enumerate().filter(spare).max_by_key(|&(_, &at)| columns[at].spare);
            match least.map(|(place, _)| place) {
                Some(place) => shown.remove(place),
                None => return self.listed(columns, &rows),
            };
        }
    }

    /// Rows one below the other: the name, and below it a line for each of the other columns.
    fn listed(&self, columns: &[Column], rows: &[Vec<String>]) -> String {
        let room = self.width.map_or(usize::MAX, usize::from);
        let Some((title, columns)) = columns.split_first() else { return String::new() };
        let labels = columns.iter().map(|column| column.head.chars().count()).max().unwrap_or(0) + 2;
        let beside = room.saturating_sub(INDENT + labels).max(LEAST_ROOM);
        let mut text = format!(" {}\n{}\n", title.head, "─".repeat(title.head.chars().count() + 2));
        for row in rows {
            let Some((name, cells)) = row.split_first() else { continue };
            // Another row of the name above.
            let lines = if name.is_empty() { Vec::new() } else { laid_out(name, title.kind, room - 1) };
            text.extend(lines.iter().map(|line| format!(" {line}\n")));
            for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                let mut label = column.head;
                for line in laid_out(cell, column.kind, beside) {
                    text += &format!("{:INDENT$}{label:labels$}{line}\n", "");
                    label = "";
                }
            }
        }
        text.push('\n');
        text
    }

    /// `label  value` lines, the values in one column and wrapped there.
    pub(super) fn pairs(&self, pairs: &[(String, String)]) -> String {
        let indent = 2 + pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let room = self
            .width
            .map_or(usize::MAX, |width| usize::from(width).saturating_sub(indent + 2).max(LEAST_ROOM));
        let mut text = String::new();
        for (label, value) in pairs {
            let mut label = label.as_str();
            for line in wrapped(value, room) {
                text.push_str(format!(" {label:indent$}{line}").trim_end());
                text.push('\n');
                label = "";
            }
        }
        text
    }

    /// Sentences, wrapped; words wider than the terminal are cut.
    pub(super) fn paragraph(&self, text: &str) -> String {
        let room = self.width.map_or(usize::MAX, usize::from);
        laid_out(text, Kind::Text, room).iter().map(|line| format!("{line}\n")).collect()
    }
}

fn drawn(columns: &[Column], shown: &[usize], widths: &[usize], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    // Widths are known already, and codes for colours have no place in a report.
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    #[cfg(feature = "cli")]
    table.force_no_tty();
    let heads = shown.iter().zip(widths).map(|(&at, &width)| wrapped(columns[at].head, width).join("\n"));
    table.set_header(heads.collect::<Vec<_>>());
    for row in rows {
        let cell = |(&at, &width): (&usize, &usize)| {
            let cell = row.get(at).map_or("", String::as_str);
            laid_out(cell, columns[at].kind, width).join("\n")
        };
        table.add_row(shown.iter().zip(widths).map(cell).collect::<Vec<_>>());
    }
    for (place, &at) in shown.iter().enumerate() {
        if columns[at].kind == Kind::Figure
            && let Some(column) = table.column_mut(place)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n\n", table.trim_fmt())
}

/// The lines of a cell in a column of `width`.
fn laid_out(cell: &str, kind: Kind, width: usize) -> Vec<String> {
    match kind {
        Kind::Name => vec![words::name(cell, width)],
        Kind::Text if cell.chars().count() > width => {
            let words: Vec<String> = cell.split_whitespace().map(|word| words::name(word, width)).collect();
            wrapped(&words.join(" "), width)
        }
        Kind::Text | Kind::Whole | Kind::Figure => vec![cell.to_owned()],
    }
}

/// `text` in lines of at most `room` characters where words allow; at least one line.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    hanging(text, room, room)
}

/// `text` in lines, the first of at most `first` characters and the others of `rest`, where words allow; at least
/// one line.
pub(super) fn hanging(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut length, mut room) = (0, first);
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if length > 0 && length + 1 + long > room {
            lines.push(String::new());
            (length, room) = (0, rest);
        }
        if let Some(line) = lines.last_mut() {
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(&words::name(word, usize::MAX));
            length += long;
        }
    }
    lines
}

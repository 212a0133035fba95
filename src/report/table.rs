//! Tables and lists that fit the terminal.

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

use super::{TextStyle, words};

/// Names are never longer than this, however wide the terminal.
const LONGEST_NAME: usize = 56;
/// Names are never cut shorter than this, however narrow the terminal.
const SHORTEST_NAME: usize = 16;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());

/// The columns of the terminal that standard output goes to, if it goes to one.
#[cfg(feature = "cli")]
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

impl TextStyle {
    /// How long a name may be in the widest column of a table.
    pub(super) fn name_limit(&self) -> usize {
        let room = |width: u16| (usize::from(width) * 2 / 5).clamp(SHORTEST_NAME, LONGEST_NAME);
        self.width.map_or(LONGEST_NAME, room)
    }

    /// A table of `rows` under `header`, the columns named in `right` aligned to the right; nothing at
    /// all without rows.
    pub(super) fn table(&self, header: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
        // The width is known already, and codes for colours have no place in a report.
        #[cfg(feature = "cli")]
        table.force_no_tty();
        if let Some(width) = self.width {
            table.set_width(width);
        }
        table.set_header(header.to_vec()).add_rows(rows);
        for &at in right {
            if let Some(column) = table.column_mut(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}\n\n", table.trim_fmt())
    }

    /// `label  value` lines, the values in one column and wrapped there.
    pub(super) fn pairs(&self, pairs: &[(String, String)]) -> String {
        let indent = 2 + pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let room =
            self.width.map_or(usize::MAX, |width| usize::from(width).saturating_sub(indent + 2).max(20));
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
}

/// `text` in lines of at most `room` characters where words allow; at least one line.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if length > 0 && length + 1 + long > room {
            lines.push(String::new());
            length = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Detail;

    #[test]
    fn tables_fit_the_terminal() {
        let style = TextStyle { width: Some(40), detail: Detail::Normal };
        let row =
            vec![words::name(&"n".repeat(200), style.name_limit()), "a few words here".into(), "12".into()];
        let text = style.table(&["Name", "Words", "Count"], &[2], vec![row]);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains('…') && text.contains("12"), "{text}");
        assert_eq!(style.table(&["Name"], &[], Vec::new()), "");
    }

    #[test]
    fn values_wrap_in_their_column() {
        let style = TextStyle { width: Some(30), detail: Detail::Normal };
        let text =
            style.pairs(&[("A".into(), "one two three four five six".into()), ("Long".into(), "x".into())]);
        assert_eq!(text, " A     one two three four\n       five six\n Long  x\n");
    }
}

//! What may reach a terminal.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// The marks that reports put in front of lines, and their colours.
const MARKS: [(&str, Style); 2] =
    [("✓ ", AnsiColor::Green.on_default().bold()), ("! ", AnsiColor::Yellow.on_default().bold())];

/// `text` with its marks in colour.
pub fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let words = line.trim_start_matches(' ');
        match MARKS.iter().find_map(|(mark, style)| Some((mark, style, words.strip_prefix(mark)?))) {
            Some((mark, style, rest)) => {
                format!("{}{style}{}{style:#} {rest}", &line[..line.len() - words.len()], mark.trim_end())
            }
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// `text` with every sign that would steer a terminal, or change the order in which a line is read, as its number: names in a file
/// may hold anything.
pub fn visible(text: &str) -> Cow<'_, str> {
    let steers = |sign: char| {
        sign.is_control() && sign != '\n' && sign != '\t'
            || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = |sign: char| match steers(sign) {
        // As JSON has it too.
        true => format!("\\u{:04x}", u32::from(sign)),
        false => sign.to_string(),
    };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_coloured_and_nothing_else() {
        let green = AnsiColor::Green.on_default().bold();
        let text = coloured("✓ m.onnx\n  a ! b\n");
        assert_eq!(text, format!("{green}✓{green:#} m.onnx\n  a ! b\n"));
        assert!(coloured("  ! look").contains('\u{1b}'));
    }

    #[test]
    fn signs_that_steer_terminals_are_shown_as_numbers() {
        assert_eq!(visible("a\tb\nü 重"), "a\tb\nü 重");
        assert_eq!(visible("\u{1b}[2J\u{9b}1m\u{7f}\u{202e}\r"), r"\u001b[2J\u009b1m\u007f\u202e\u000d");
    }
}

//! Numbers and names as people read them.

/// A count with commas between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 sample`, `2 samples`.
pub fn things(number: usize, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(number as u64))
}

/// A size in bytes, in steps of a thousand, to three digits.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1000 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1000.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // Below a thousand only if it still is after rounding.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A signal-to-noise ratio, where `None` means no noise at all.
pub fn decibel(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "exact".into(), |ratio| format!("{ratio:.1}"))
}

/// Dimensions, as in `16x3x3x3`.
pub fn shape(dims: &[i64]) -> String {
    if dims.is_empty() {
        return "scalar".into();
    }
    dims.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}

/// A number to four significant digits, short whatever its size.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

/// Seconds, as precise as matters.
pub fn seconds(value: f64) -> String {
    let decimals = if value < 9.95 { 2 } else { 1 };
    format!("{value:.decimals$} s")
}

/// A time in seconds as people say it, in at most two units.
#[cfg(feature = "batch")]
pub fn duration(value: f64) -> String {
    if value < 59.95 {
        return seconds(value);
    }
    let whole = value.round() as u64;
    let (first, second, names) = match whole {
        ..3600 => (whole / 60, whole % 60, ["min", "s"]),
        _ => (whole / 3600, whole % 3600 / 60, ["h", "min"]),
    };
    match second {
        0 => format!("{first} {}", names[0]),
        second => format!("{first} {} {second} {}", names[0], names[1]),
    }
}

/// Seconds a stage as a labelled line; nothing without stages.
pub fn time(stages: &[(String, f64)]) -> Option<(String, String)> {
    let total: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
    let list: Vec<String> = stages.iter().map(|(stage, seconds)| format!("{stage} {seconds:.2}")).collect();
    (!stages.is_empty()).then(|| ("Time".into(), format!("{}: {}", seconds(total), list.join(", "))))
}

/// A name that fits into `limit` characters: the middle goes, since names in models differ at their ends.
/// Control characters, which could move a terminal's cursor, become a replacement mark.
pub fn name(name: &str, limit: usize) -> String {
    let safe = |symbol: char| {
        if symbol.is_control() { char::REPLACEMENT_CHARACTER } else { symbol }
    };
    let symbols: Vec<char> = name.chars().map(safe).collect();
    if symbols.len() <= limit {
        return symbols.into_iter().collect();
    }
    let kept = limit.saturating_sub(1);
    let (head, tail) = (kept / 2, kept - kept / 2);
    let end = symbols.len() - tail;
    symbols[..head].iter().chain(&['…']).chain(&symbols[end..]).collect()
}

/// A label as the beginning of a line of its own.
pub fn lower_first(label: &str) -> String {
    let mut symbols = label.chars();
    symbols.next().map_or_else(String::new, |first| first.to_lowercase().chain(symbols).collect())
}

/// Different words, each once, in order of appearance.
pub fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for word in words {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen.join(", ")
}

/// A command of `fourbit` with `arguments`, as a shell takes it.
pub fn command(arguments: &[String]) -> String {
    let quoted = arguments.iter().map(|argument| quoted(argument));
    std::iter::once("fourbit".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "_-./:,=+@%".contains(symbol);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_900, "1.00 MB"),
            (178_000_000, "178 MB"),
        ];
        for (size, text) in cases {
            assert_eq!(bytes(size), text);
        }
        assert!(bytes(u64::MAX).ends_with("PB"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (count(7), count(1000), count(1_234_567)),
            ("7".into(), "1,000".into(), "1,234,567".into())
        );
        assert_eq!((short(0.0), short(1.5), short(-1234.0)), ("0".into(), "1.500".into(), "-1234".into()));
        assert_eq!((short(1.25e-7), short(0.0123)), ("1.25e-7".into(), "0.01230".into()));
        assert_eq!(things(1, "sample"), "1 sample");
        assert_eq!(things(0, "sample"), "0 samples");
        assert!(short(f64::NAN).contains("NaN"));
    }

    #[cfg(feature = "batch")]
    #[test]
    fn times_have_two_units() {
        let cases = [
            (0.0, "0.00 s"),
            (59.9, "59.9 s"),
            (59.96, "1 min"),
            (72.4, "1 min 12 s"),
            (3599.6, "1 h"),
            (3660.0, "1 h 1 min"),
            (200_000.0, "55 h 33 min"),
        ];
        for (value, text) in cases {
            assert_eq!(duration(value), text);
        }
    }

    #[test]
    fn commands_are_words_of_a_shell() {
        let nasty = ["quantize", "a b", "it's", "$HOME", "x[*]", "", "--exclude=-a", "~", "a\\b", "!a"];
        let text = command(&nasty.map(str::to_owned));
        let expected = r"fourbit quantize 'a b' 'it'\''s' '$HOME' 'x[*]' '' --exclude=-a '~' 'a\b' '!a'";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(name("short", 8), "short");
        assert_eq!(name("abcdefghij", 7), "abc…hij");
        assert_eq!(name("äöüäöüäöü", 3), "ä…ü");
        assert_eq!(name("a\u{1b}[2J", 9), "a\u{fffd}[2J");
        assert_eq!(name("abc", 0), "…");
    }
}

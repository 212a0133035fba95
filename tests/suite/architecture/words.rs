//! Texts of the library say nothing of command lines: people call it from Rust, too. `cli` spells settings as flags.

use super::scanner::strings;
use super::{none, read, sources};

/// Where a command line is what it is about: arguments of child processes. And what tests tell of.
const OTHERWISE: &[&str] = &["src/zoo/child.rs", "src/onnxruntime/find.rs", "src/report/example.rs"];

const SUBCOMMANDS: &[&str] =
    &["apply", "batch", "check", "inspect", "plan", "quantize", "sensitivity", "targets", "validate"];

/// What of `text` only a command line knows.
fn spoken(text: &str) -> Option<String> {
    // What a string goes on with in its next line.
    let text = text.replace("\\n", " ");
    let words: Vec<&str> =
        text.split(|sign: char| sign.is_whitespace() || "(){}[]'\"`,;:/".contains(sign)).collect();
    let is_flag = |word: &&&str| {
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-').filter(|name| name.len() == 1));
        name.is_some_and(|name| name.starts_with(|sign: char| sign.is_ascii_lowercase()))
    };
    let command = words.windows(2).find(|pair| pair[0] == "fourbit" && SUBCOMMANDS.contains(&pair[1]));
    let flag = words.iter().find(is_flag).map(|word| (*word).to_owned());
    flag.or_else(|| command.map(|pair| pair.join(" ")))
}

#[test]
fn the_library_does_not_speak_of_command_lines() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.part(), Some("cli" | "main"))) {
        let path = source.path.display().to_string().replace('\\', "/");
        if OTHERWISE.contains(&path.as_str()) {
            continue;
        }
        let found = strings(&read(&source.path)).into_iter();
        problems.extend(found.filter_map(|text| Some(format!("{path}: {} in {text:?}", spoken(&text)?))));
    }
    none(problems, "name the setting as the API does, as in `.calibration`: see ARCHITECTURE.md");
}

#[test]
fn flags_and_commands_are_recognised() {
    for text in [
        "pass --calibration FILE",
        "(--opset keep",
        "`--a-b`=1",
        "--x={}",
        "-v lists",
        "with (-o)",
        "see fourbit plan",
    ] {
        assert!(spoken(text).is_some(), "{text}");
    }
    for text in [
        "`.calibration`",
        "a - b",
        "x -> y",
        "-1 or --",
        "4-bit --- not",
        "another batch",
        "INT4-packed",
        "-inf",
    ] {
        assert_eq!(spoken(text), None, "{text}");
    }
    let source = "// \"--a\"\nconst A: &str = \"say --b\"; #[cfg(test)] mod tests { const C: &str = \"--c\"; }\nf(r#\"d \"--d\" \"#, 'x')";
    assert_eq!(strings(source), ["say --b", "d \"--d\" "]);
}

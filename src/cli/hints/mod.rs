//! Answers to arguments that fourbit does not take: one line that says what to write.

mod table;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use table::{OPTIONS, PICTURES, SUBCOMMANDS, VALUES};

/// What to write in the place of what `error` refuses in `line`, in one line; `None` where clap's own words are as good.
pub fn answer(error: &Error, line: &[OsString]) -> Option<String> {
    match error.kind() {
        ErrorKind::UnknownArgument => option(text(error, ContextKind::InvalidArg)?, line),
        ErrorKind::InvalidSubcommand => subcommand(text(error, ContextKind::InvalidSubcommand)?),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            value(text(error, ContextKind::InvalidArg)?, text(error, ContextKind::InvalidValue)?, line)
        }
        _ => None,
    }
}

/// `error` without the advice to take an option for a value, which nobody means.
pub fn plain(mut error: Error) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && text(&error, ContextKind::InvalidArg).is_some_and(|name| name.starts_with('-'))
    {
        error.remove(ContextKind::Suggested);
    }
    error
}

/// What `error` says before it comes to usage, in one line.
pub fn one_line(error: &Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn option(name: &str, line: &[OsString]) -> Option<String> {
    let command = crate::cli::definition();
    let whole = subcommand_of(line, &command);
    let lower = name.to_ascii_lowercase().replace('_', "-");
    let own = whole.map(|whole| format!("{whole} {lower}")).unwrap_or_default();
    let rows = || OPTIONS.iter().chain(PICTURES);
    let find = |wanted: &str| rows().find(|(names, _)| names.contains(&wanted)).map(|(_, words)| *words);
    let elsewhere: Vec<&str> = command
        .get_subcommands()
        .filter(|part| {
            part.get_arguments()
                .any(|known| known.get_long().is_some_and(|long| lower == format!("--{long}")))
        })
        .map(clap::Command::get_name)
        .collect();
    let words = find(&own).or_else(|| find(&lower));
    match (words, whole) {
        (Some(words), Some(whole)) if !elsewhere.is_empty() => {
            Some(format!("fourbit {whole} has no {name}: {words}"))
        }
        (Some(words), _) => Some(format!("fourbit has no {name}: {words}")),
        // Another spelling of an option of this subcommand.
        (None, Some(whole)) if lower != name && elsewhere.contains(&whole) => {
            Some(format!("fourbit has no {name}: write {lower}"))
        }
        (None, Some(whole)) if !elsewhere.is_empty() => {
            Some(format!("fourbit {whole} has no {name}; these have it: {}", elsewhere.join(", ")))
        }
        _ => None,
    }
}

/// The subcommand that `line` names.
fn subcommand_of<'c>(line: &[OsString], command: &'c clap::Command) -> Option<&'c str> {
    let named = |word: &OsString| command.get_subcommands().find(|part| OsStr::new(part.get_name()) == word);
    line.iter().skip(1).find_map(named).map(clap::Command::get_name)
}

fn subcommand(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let found = SUBCOMMANDS.iter().find(|(names, _)| names.contains(&lower.as_str()));
    let is_model = Path::new(&lower).extension().is_some_and(|ending| ending == "onnx");
    match found {
        Some((_, words)) if words.starts_with("fourbit") => Some((*words).to_owned()),
        Some((_, words)) => Some(format!("fourbit has no subcommand {name}: {words}")),
        None if is_model => Some(format!("a subcommand is missing: write fourbit quantize {name}")),
        None => None,
    }
}

fn value(option: &str, value: &str, line: &[OsString]) -> Option<String> {
    let name = option.split([' ', '=', '[']).next().unwrap_or(option);
    let lower = value.to_ascii_lowercase();
    let found = VALUES.iter().find(|(known, values, _)| *known == name && values.contains(&lower.as_str()));
    let is_path = value.contains(['/', '.']);
    match found {
        Some((_, _, words)) => Some(format!("{name} {value}: {words}")),
        None if name == "--max-samples" && is_path => {
            let written = line.iter().any(|word| word.as_encoded_bytes().starts_with(b"--samples"));
            let name = if written { "--samples" } else { name };
            Some(format!("{name} takes a number; write --calibration {value} for samples"))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::cli::{definition, parsed};

    fn told(line: &str) -> String {
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let error = parsed(&line).expect_err("a wrong line");
        answer(&error, &line).unwrap_or_else(|| plain(error).to_string())
    }

    /// All options of all subcommands, with their dashes.
    fn options() -> HashSet<String> {
        let mut command = definition();
        command.build();
        let longs = command.get_subcommands().flat_map(clap::Command::get_arguments);
        longs.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
    }

    #[test]
    fn every_option_of_the_table_is_answered_in_one_line() {
        let mut seen = HashSet::new();
        for (names, words) in OPTIONS.iter().chain(PICTURES) {
            for name in *names {
                assert!(seen.insert(*name), "{name} is there twice");
                let (part, name) = name.split_once(' ').unwrap_or(("quantize", name));
                let models = if part == "validate" { "m.onnx q.onnx" } else { "m.onnx" };
                let said = told(&format!("fourbit {part} {models} {name} 4"));
                assert!(
                    said.starts_with("fourbit ") && said.contains(&format!("has no {name}: ")),
                    "{name}: {said}"
                );
                assert!(said.ends_with(words) && !said.contains('\n'), "{said}");
            }
        }
    }

    #[test]
    fn what_the_table_tells_to_write_exists() {
        let options = options();
        let words = OPTIONS.iter().chain(PICTURES).chain(SUBCOMMANDS).map(|(_, words)| *words);
        for words in words.chain(VALUES.iter().map(|(_, _, words)| *words)) {
            for word in words.split([' ', ',', ';', ':', '(', ')', '.']).filter(|word| word.starts_with("--"))
            {
                assert!(options.contains(word) || word == "--version", "{word} in {words:?}");
            }
        }
    }

    #[test]
    fn every_value_of_the_table_is_answered_in_one_line() {
        for (option, values, words) in VALUES {
            for value in *values {
                let said = told(&format!("fourbit quantize m.onnx {option} {value}"));
                assert!(said.starts_with(&format!("{option} {value}: {words}")), "{said}");
            }
        }
    }

    #[test]
    fn every_subcommand_of_the_table_is_answered_in_one_line() {
        for (names, words) in SUBCOMMANDS {
            for name in *names {
                let said = told(&format!("fourbit {name} a b"));
                assert!(said.ends_with(words) && !said.contains('\n'), "{said}");
            }
        }
    }

    #[test]
    fn options_of_other_subcommands_and_spellings_are_found() {
        assert!(told("fourbit inspect m.onnx --precision w4").contains("these have it: quantize, plan"));
        assert_eq!(
            told("fourbit plan m.onnx --op_types Conv"),
            "fourbit has no --op_types: write --op-types"
        );
        assert_eq!(told("fourbit net.onnx"), "a subcommand is missing: write fourbit quantize net.onnx");
        let said = told("fourbit quantize m.onnx --samples calib/");
        assert_eq!(said, "--samples takes a number; write --calibration calib/ for samples");
        let said = told("fourbit quantize m.onnx --precisoin w4");
        assert!(said.contains("--precision") && !said.contains("as a value"), "{said}");
    }

    /// What people who did not know fourbit wrote: each works, or one line says what to write.
    #[test]
    fn first_guesses_work_or_are_answered() {
        for (line, words) in [
            ("quantize m.onnx --calib c.npz", "--calibration PATH"),
            ("quantize m.onnx --calibration-data c.npz", "--calibration PATH"),
            ("quantize m.onnx --input-size 224", "--resize 224"),
            ("quantize m.onnx --bits 4", "--precision w4"),
            ("quantize m.onnx --block-size 32", "--granularity block:32"),
            ("quantize m.onnx --dry-run", "fourbit plan"),
            ("quantize m.onnx --per-channel", "--granularity channel"),
            ("quantize m.onnx --threads 4", "--jobs N"),
            ("quantize m.onnx --target arm", "ort-cpu-int8"),
            ("quantize m.onnx --target onnxruntime", "ort-cpu"),
            ("quantize m.onnx --target tflite-micro", "TensorFlow Lite reads no ONNX"),
            ("quantize m.onnx --target transformers.js", "webgpu"),
            ("difference a.onnx b.onnx", "fourbit diff"),
        ] {
            let said = told(&format!("fourbit {line}"));
            assert!(said.contains(words) && !said.contains('\n'), "{line}: {said}");
        }
        for line in [
            "quantize m.onnx --json",
            "quantize m.onnx out.onnx",
            "quantize m.onnx --precision int4",
            "quantize m.onnx --precision W4A8",
            "validate m.onnx q.onnx --validation v.npz",
            "validate m.onnx q.onnx --max-drop 1",
            // Refused where the model is known, or the report is opened.
            "quantize m.onnx --exclude conv_999*",
            "quantize m.onnx --report r.pdf",
        ] {
            let line: Vec<OsString> =
                format!("fourbit {line}").split_whitespace().map(OsString::from).collect();
            assert!(parsed(&line).is_ok(), "{line:?}");
        }
    }
}

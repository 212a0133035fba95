//! Commands to paste, with the options that were given.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _};

use crate::cli::Cli;

/// Options that say where a result goes or how it is told, not what it is.
const OF_OUTPUT: [&str; 8] =
    ["output", "out", "overwrite", "report", "plan", "external_data", "reproducible", "supervised"];
const OF_PRINTING: [&str; 4] = ["format", "json", "quiet", "verbose"];

/// The arguments of `fourbit SUBCOMMAND` with the model and those options of `matches`, given to another subcommand, that it
/// takes too; `None` where one of them cannot be printed.
pub fn again(subcommand: &str, matches: &ArgMatches) -> Option<Vec<String>> {
    let mut whole = Cli::command();
    whole.build();
    let command: &Command = whole.find_subcommand(subcommand)?;
    let mut arguments = vec![subcommand.to_owned()];
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let given = matches.try_contains_id(id).is_ok()
            && matches.value_source(id) == Some(ValueSource::CommandLine)
            && !OF_OUTPUT.contains(&id)
            && !OF_PRINTING.contains(&id);
        if given {
            arguments.extend(words(argument, matches)?);
        }
    }
    Some(arguments)
}

/// `argument` as it was given.
fn words(argument: &Arg, matches: &ArgMatches) -> Option<Vec<String>> {
    let Some(long) = argument.get_long() else {
        let value = matches.get_raw(argument.get_id().as_str())?.next()?;
        let value = printable(value)?;
        // What looks like an option is none behind a folder.
        return Some(vec![if value.starts_with('-') { format!("./{value}") } else { value }]);
    };
    let name = format!("--{long}");
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return Some(vec![name]);
    }
    let mut words = Vec::new();
    for value in matches.get_raw(argument.get_id().as_str())? {
        let value = printable(value)?;
        match argument.is_require_equals_set() {
            true => words.push(format!("{name}={value}")),
            false => words.extend(option(&name, &value)),
        }
    }
    Some(words)
}

/// An option and its value, in one word where the value looks like an option itself.
pub fn option(name: &str, value: &str) -> Vec<String> {
    match value.starts_with('-') && name.starts_with("--") {
        true => vec![format!("{name}={value}")],
        false => vec![name.to_owned(), value.to_owned()],
    }
}

fn printable(value: &std::ffi::OsStr) -> Option<String> {
    value.to_str().filter(|text| !text.contains(char::is_control)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again_of(words: &[&str], from: &str, to: &str) -> Option<Vec<String>> {
        let line = [&["fourbit", from], words].concat();
        let matches = Cli::command().try_get_matches_from(line).unwrap();
        again(to, matches.subcommand_matches(from).unwrap())
    }

    #[test]
    fn options_come_back_and_mean_the_same() {
        let words = [
            "my net.onnx",
            "--precision=w4",
            "--symmetric-weights",
            "--exclude=-a",
            "--exclude",
            "b*",
            "--op-types",
            "Conv,Gemm",
            "--calibration",
            "c d.npz",
            "--max-samples",
            "20",
            "--seed",
            "0",
            "--shape",
            "x:1x2",
            "--dual-budget",
            "5%",
            "--measure",
            "9",
            "--layers",
            "3",
            "--report",
            "r.json",
            "--overwrite",
            "--jobs",
            "2",
            "-v",
        ];
        let found = again_of(&words, "sensitivity", "quantize").unwrap();
        let has = |part: &[&str]| found.windows(part.len()).any(|window| window == part);
        assert_eq!(found[..2], ["quantize", "my net.onnx"]);
        for part in [
            &["--exclude=-a", "--exclude", "b*"][..],
            &["--op-types", "Conv", "--op-types", "Gemm"],
            &["--calibration", "c d.npz"],
            &["--symmetric-weights=true"],
            &["--seed", "0"],
            &["--jobs", "2"],
            &["--precision", "w4"],
        ] {
            assert!(has(part), "{part:?} in {found:?}");
        }
        for absent in ["--measure", "--layers", "--report", "--overwrite", "--verbose", "--granularity"] {
            assert!(!found.iter().any(|word| word.starts_with(absent)), "{absent} in {found:?}");
        }
        let options = |from: &str, words: &[String]| {
            let line = ["fourbit".to_owned()].into_iter().chain(words.iter().cloned());
            let cli = <Cli as clap::Parser>::try_parse_from(line).unwrap();
            match cli.command {
                crate::cli::Command::Quantize(args) => args.conversion.choices.options().unwrap(),
                crate::cli::Command::Sensitivity(args) => args.choices.options().unwrap(),
                _ => panic!("{from}"),
            }
        };
        let asked: Vec<String> = std::iter::once("sensitivity").chain(words).map(str::to_owned).collect();
        assert_eq!(options("quantize", &found), options("sensitivity", &asked));
        // And back.
        let line: Vec<&str> = found[1..].iter().map(String::as_str).collect();
        let back = again_of(
            &[&line[..], &["x.onnx", "--json", "--max-drop", "1"]].concat(),
            "quantize",
            "sensitivity",
        );
        assert_eq!(options("sensitivity", &back.unwrap()), options("quantize", &found));
    }

    #[test]
    fn what_cannot_be_printed_gives_no_command() {
        assert_eq!(again_of(&["a\u{1b}[2J.onnx"], "sensitivity", "quantize"), None);
        let found = again_of(&["--", "-a.onnx"], "sensitivity", "quantize").unwrap();
        assert_eq!(found, ["quantize", "./-a.onnx"]);
    }
}

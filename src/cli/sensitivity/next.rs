//! Commands for what a report advises, with the options of the conversion.

use std::path::Path;

use clap::ArgMatches;

use super::command::{again, option};
use crate::api::results::Advice;
use crate::cli::spelling::Spelling;

/// Options that may be given several times.
const REPEATED: [&str; 1] = ["--exclude"];
/// The value that takes a switch away.
const OFF: &str = "off";

/// Gives each piece of `advice` its command: the conversion of `matches`, which wrote `output`, with other settings and to a file of
/// its own.
pub fn advise(advice: &mut [Advice], matches: &ArgMatches, output: &Path) {
    let spelling = Spelling::of(Some("quantize"));
    for one in advice {
        let subcommand = if one.ranks { "sensitivity" } else { "quantize" };
        let Some(mut command) = again(subcommand, matches) else { continue };
        let mut flags = Vec::new();
        for (setting, value) in &one.settings {
            let Some(flag) = spelling.flag(setting) else { continue };
            change(&mut command, &flag, value);
            flags.push(flag);
        }
        if let (false, Some(flag)) = (one.ranks, flags.first()) {
            match beside(output, flag) {
                Some(output) => command.extend(option("-o", &output)),
                None => continue,
            }
        }
        one.command = command;
    }
}

/// Puts `flag` with `value` into `command`, in the place of what was given before.
fn change(command: &mut Vec<String>, flag: &str, value: &str) {
    if !REPEATED.contains(&flag) {
        let joined = format!("{flag}=");
        if let Some(at) = command.iter().position(|word| word == flag || word.starts_with(&joined)) {
            let word = command.remove(at);
            let has_value =
                word == flag && value != OFF && command.get(at).is_some_and(|next| !next.starts_with("--"));
            if has_value {
                command.remove(at);
            }
        }
    }
    if value != OFF {
        command.extend(option(flag, value));
    }
}

/// A name beside `output` that says what is different; `None` where it could not be printed.
fn beside(output: &Path, flag: &str) -> Option<String> {
    let stem = output.file_stem()?.to_str()?;
    let path = output.with_file_name(format!("{stem}.{}.onnx", flag.trim_start_matches('-')));
    path.to_str().filter(|path| !path.contains(char::is_control)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn commands(line: &str, settings: &[(&str, &str)], ranks: bool) -> Vec<String> {
        let matches = Cli::command().try_get_matches_from(line.split(' ')).unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut advice = [Advice { reason: String::new(), settings, ranks, command: Vec::new() }];
        advise(&mut advice, matches.subcommand_matches("quantize").unwrap(), Path::new("out/net.w4.onnx"));
        advice[0].command.clone()
    }

    #[test]
    fn commands_change_what_was_given() {
        let line = "fourbit quantize net.onnx --precision w4 --strict-bits --exclude a --max-samples=64 --report r.html";
        let told = |settings: &[(&str, &str)]| commands(line, settings, false).join(" ");
        let found = told(&[("precision", "w8")]);
        assert!(found.contains("--precision w8") && !found.contains("w4 "), "{found}");
        assert!(found.ends_with("-o out/net.w4.precision.onnx") && !found.contains("--report"), "{found}");
        let found = told(&[("strict_bits", "off")]);
        assert!(!found.contains("--strict-bits ") && found.contains("--precision w4"), "{found}");
        let found = told(&[("exclude", "b*")]);
        assert!(found.contains("--exclude a") && found.contains("--exclude b*"), "{found}");
        let found = told(&[("max_samples", "300")]);
        assert!(found.contains("--max-samples 300") && !found.contains("64"), "{found}");
        assert!(told(&[("min_sqnr_db", "20")]).contains("--min-sqnr 20"));
        let found = commands(line, &[], true);
        assert!(found[0] == "sensitivity" && !found.contains(&"-o".to_owned()), "{found:?}");
        // What is proposed can be typed.
        for settings in [&[("activations", "float")][..], &[("max_drop", "1")], &[("calibration", "SAMPLES")]]
        {
            let line = [vec!["fourbit".to_owned()], commands(line, settings, false)].concat();
            assert!(Cli::command().try_get_matches_from(&line).is_ok(), "{line:?}");
        }
    }
}

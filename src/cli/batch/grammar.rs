//! The options of conversions, as clap knows them, for the lists and command lines of batches.

use std::ffi::OsString;

use clap::builder::PossibleValue;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args as _, Command, ValueHint};

use super::Defaults;
use crate::api::batch::{Grammar, Known, Settings};
use crate::api::{Error, Preset, Result, SampleSet};
use crate::cli::{hints, parsed};

/// The options of [`Defaults`].
pub struct Words {
    /// Each with the name under which clap has its value.
    known: Vec<(String, Known)>,
    plain: Vec<Known>,
}

impl Words {
    /// Reads them off the command line's definition.
    pub fn new() -> Self {
        let mut command = Defaults::augment_args(Command::new("batch").disable_help_flag(true));
        command.build();
        let known = command.get_arguments().filter_map(|argument| {
            let known = Known {
                name: argument.get_long()?.to_owned(),
                former: argument
                    .get_all_aliases()
                    .unwrap_or_default()
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                is_flag: matches!(argument.get_action(), ArgAction::SetTrue),
                is_choice: argument
                    .get_possible_values()
                    .iter()
                    .filter(|value| !value.is_hide_set())
                    .map(PossibleValue::get_name)
                    .eq(["true", "false"])
                    && argument.get_action().takes_values(),
                is_list: matches!(argument.get_action(), ArgAction::Append),
                is_path: argument.get_value_hint() == ValueHint::AnyPath,
                words: match argument.get_long() {
                    Some("calibration") => SampleSet::WORDS.map(str::to_owned).to_vec(),
                    Some("preprocess") => Preset::ALL.map(|preset| preset.name().to_owned()).to_vec(),
                    _ => Vec::new(),
                },
            };
            Some((argument.get_id().to_string(), known))
        });
        let known: Vec<(String, Known)> = known.collect();
        let plain = known.iter().map(|(_, known)| known.clone()).collect();
        Self { known, plain }
    }

    /// Those that were given on the command line.
    ///
    /// # Errors
    /// [`Error::Options`] for a value that is no text.
    pub fn given(&self, matches: Option<&ArgMatches>) -> Result<Settings> {
        let mut settings = Settings::default();
        let Some(matches) = matches else { return Ok(settings) };
        for (id, known) in &self.known {
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let raw = matches.get_raw(id).into_iter().flatten();
            let text = |value: &std::ffi::OsStr| {
                value.to_str().map(str::to_owned).ok_or_else(|| {
                    Error::options(format!("--{} {} is not UTF-8", known.name, value.display()), "rename it")
                })
            };
            let values = match known.is_flag {
                true => Vec::new(),
                false => raw.map(text).collect::<Result<_>>()?,
            };
            settings.set(known, values);
        }
        Ok(settings)
    }
}

impl Grammar for Words {
    fn known(&self) -> &[Known] {
        &self.plain
    }

    fn check(&self, arguments: &[String]) -> std::result::Result<(), String> {
        let line = ["fourbit", "quantize", "model.onnx"].into_iter().map(OsString::from);
        let line: Vec<OsString> = line.chain(arguments.iter().map(OsString::from)).collect();
        match parsed(&line) {
            Ok(_) => Ok(()),
            Err(error) => Err(hints::answer(&error, &line).unwrap_or_else(|| hints::one_line(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn options_of_a_command_line_come_back() {
        let words = Words::new();
        let kind = |name: &str| {
            let known = words.plain.iter().find(|known| known.name == name).unwrap();
            (known.is_flag, known.is_list, known.is_path)
        };
        assert_eq!(kind("precision"), (false, false, false));
        assert_eq!(kind("calibration"), (false, false, true));
        assert_eq!(kind("config"), (false, false, true));
        assert_eq!(kind("exclude"), (false, true, false));
        assert_eq!(kind("external-data"), (true, false, false));
        let is_choice = |name: &str| words.plain.iter().any(|known| known.name == name && known.is_choice);
        assert!(is_choice("matmul-nbits") && !is_choice("external-data") && !is_choice("precision"));
        let line = "fourbit batch zoo -o out --precision w4 --exclude -a --exclude b* --op-types Conv,Gemm \
                    --external-data --max-drop 1 --jobs 3 --timeout 1m --shape x:1x2 --seed 0";
        let matches = Cli::command()
            .try_get_matches_from(line.replace("--exclude -a", "--exclude=-a").split_whitespace());
        let matches = matches.unwrap();
        let given = words.given(matches.subcommand_matches("batch")).unwrap().arguments();
        assert_eq!(
            given,
            [
                "--exclude=-a",
                "--exclude=b*",
                "--external-data",
                "--max-drop=1",
                "--op-types=Conv",
                "--op-types=Gemm",
                "--precision=w4",
                "--seed=0",
                "--shape=x:1x2"
            ]
        );
        assert_eq!(words.check(&given), Ok(()));
        let error = words.check(&["--precision=w9".into()]).unwrap_err();
        assert!(error.contains("w9") && error.contains("w4a8") && !error.contains('\n'), "{error}");
    }
}

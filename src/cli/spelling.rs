//! The library's words for what a person sets, as the command line has them.
//!
//! The library names a setting as its users write it, in backticks and behind a dot: `` `.max_samples` `` is a method of a builder or a
//! field of the options. Names out of files are never written so. Functions of the library stand in backticks with their path.

use std::borrow::Cow;

use clap::{Command, CommandFactory as _};

use super::Cli;
use crate::api::{Report, Result, TextStyle};

/// Settings whose flag has another name, with the subcommand where that is so.
const SETTINGS: [(&str, &str, &str); 7] = [
    ("validate", "samples", "--validation"),
    ("validate", "cross_check", "--runtime onnxruntime"),
    ("sensitivity", "samples", "--measure"),
    ("batch", "out", "--output"),
    ("", "min_sqnr_db", "--min-sqnr"),
    ("", "max_bytes", "--max-size"),
    ("", "bias_correction", "--no-bias-correction"),
];

/// What else of the library has a name of its own here.
const OTHERS: [(&str, &str); 7] = [
    ("fourbit::inspect", "fourbit inspect"),
    ("fourbit::Quantize", "fourbit quantize"),
    ("fourbit::Quantize::plan", "fourbit plan"),
    ("fourbit::RankLayers", "fourbit sensitivity"),
    ("fourbit::TARGETS", "fourbit targets"),
    ("fourbit::Detail::Full", "-v"),
    ("fourbit::Gate::max_drop", "fourbit validate FLOAT QUANTIZED --max-drop"),
];

/// How the subcommand that runs spells settings.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    subcommand: String,
}

impl Spelling {
    /// That of `subcommand`, or where there is none, of all of them.
    pub fn of(subcommand: Option<&str>) -> Self {
        Self { subcommand: subcommand.unwrap_or_default().to_owned() }
    }

    /// `text` of the library with flags for settings; all else stays as it is.
    pub fn spelled<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(first) = text.find('`') else { return Cow::Borrowed(text) };
        let command = Cli::command();
        let mut told = text[..first].to_owned();
        let mut rest = &text[first..];
        while let Some(inside) = rest.strip_prefix('`') {
            let word = inside.find('`').map_or("", |end| &inside[..end]);
            match self.word(word, &command) {
                Some(own) => {
                    told += &own;
                    rest = &inside[word.len() + 1..];
                }
                None => {
                    told.push('`');
                    rest = inside;
                }
            }
            let next = rest.find('`').unwrap_or(rest.len());
            told += &rest[..next];
            rest = &rest[next..];
        }
        Cow::Owned(told)
    }

    /// The flag for a setting of the library, `None` where there is none.
    pub fn flag(&self, setting: &str) -> Option<String> {
        self.word(&format!(".{setting}"), &Cli::command())
    }

    /// `told` as the command line tells it.
    pub fn report<'r, R>(&'r self, told: &'r R) -> Spelled<'r, R> {
        Spelled { told, spelling: self }
    }

    /// What stands for the `word` that was found in backticks.
    fn word(&self, word: &str, command: &Command) -> Option<String> {
        let Some(setting) = word.strip_prefix('.') else {
            let found = OTHERS.iter().find(|(name, _)| *name == word);
            return found.map(|(_, own)| (*own).to_owned());
        };
        let renamed = |subcommand: &str| {
            let found = SETTINGS.iter().find(|(of, name, _)| *of == subcommand && *name == setting);
            found.map(|(_, _, flag)| (*flag).to_owned())
        };
        let long = setting.replace(['_', '.'], "-");
        let has = |command: &Command| {
            command.get_arguments().any(|argument| argument.get_long() == Some(long.as_str()))
        };
        let own = command.find_subcommand(&self.subcommand).is_some_and(has);
        let any = || has(command) || command.get_subcommands().any(has);
        let flag = || Some(format!("--{long}"));
        renamed(&self.subcommand)
            .or_else(|| flag().filter(|_| own))
            .or_else(|| renamed(""))
            .or_else(|| flag().filter(|_| any()))
    }
}

/// A result whose text has flags for settings. Programs get the library's own words.
pub struct Spelled<'r, R> {
    told: &'r R,
    spelling: &'r Spelling,
}

impl<R: Report> Report for Spelled<'_, R> {
    fn to_text(&self, layout: TextStyle) -> String {
        self.spelling.spelled(&self.told.to_text(layout)).into_owned()
    }

    fn to_json(&self) -> String {
        self.told.to_json()
    }

    fn to_html(&self) -> Result<String> {
        Ok(self.spelling.spelled(&self.told.to_html()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn settings_become_flags_of_the_subcommand_and_nothing_else_changes() {
        for (subcommand, text, expected) in [
            ("quantize", "set `.overwrite` to replace it", "set --overwrite to replace it"),
            ("quantize", "`.max_samples`, `.op_types`", "--max-samples, --op-types"),
            ("validate", "`.max_samples` of `.samples`", "--max-samples of --validation"),
            ("sensitivity", "`.samples` and `.layers`", "--measure and --layers"),
            ("batch", "`.out`, `.storage` int8", "--output, --storage int8"),
            ("plan", "`.dual.layers`", "--dual-layers"),
            ("inspect", "`.opset` keep", "--opset keep"),
            ("", "`.opset` keep", "--opset keep"),
            (
                "quantize",
                "`fourbit::inspect` lists all; `fourbit::Detail::Full` more",
                "fourbit inspect lists all; -v more",
            ),
            (
                "quantize",
                "check it: `fourbit::Gate::max_drop` 1",
                "check it: fourbit validate FLOAT QUANTIZED --max-drop 1",
            ),
            // A tensor, a key of a file, an operator, and what only looks like a setting.
            (
                "quantize",
                "node `calibration`: `weights` `.` `.none`",
                "node `calibration`: `weights` `.` `.none`",
            ),
            ("quantize", "a ` b `.seed` c ` d", "a ` b --seed c ` d"),
            ("quantize", "``.seed`` `", "`--seed` `"),
            ("quantize", "as it is, ü", "as it is, ü"),
        ] {
            assert_eq!(Spelling::of(Some(subcommand)).spelled(text), expected);
        }
    }

    /// Every text between backticks that begins as a setting or a path does, in files below `folder`.
    fn named(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let words = line.split('`').skip(1).step_by(2);
                let marked = words.filter(|word| word.starts_with('.') || word.starts_with("fourbit::"));
                found.extend(marked.map(|word| (path.display().to_string(), word.to_owned())));
            }
        }
    }

    #[test]
    fn every_setting_that_the_library_names_has_a_flag() {
        // Some are those of a batch.
        if !cfg!(feature = "batch") {
            return;
        }
        let mut found = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for room in fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
            if room.is_dir() && !room.ends_with("cli") {
                named(&room, &mut found);
            }
        }
        assert!(found.len() > 50, "{found:?}");
        let command = Cli::command();
        for (path, word) in found {
            let mut names = command.get_subcommands().map(Command::get_name);
            let is_known = names.any(|name| Spelling::of(Some(name)).word(&word, &command).is_some());
            assert!(is_known, "{path}: `{word}`");
        }
    }

    #[test]
    fn what_flags_are_said_to_be_called_is_what_they_are_called() {
        let mut command = Cli::command();
        command.build();
        let there = |(subcommand, ..): &(&str, &str, &str)| *subcommand != "batch" || cfg!(feature = "batch");
        for (subcommand, name, flag) in SETTINGS.into_iter().filter(there) {
            let one = if subcommand.is_empty() { "quantize" } else { subcommand };
            let long = flag.trim_start_matches("--").split(' ').next();
            let part = command.find_subcommand(one).unwrap();
            assert!(part.get_arguments().any(|argument| argument.get_long() == long), "{name}: {flag}");
        }
        for (_, own) in OTHERS.iter().filter(|(_, own)| own.starts_with("fourbit ")) {
            let mut words = own.split(' ').skip(1);
            let part = words.next().and_then(|name| command.find_subcommand(name));
            let part = part.unwrap_or_else(|| panic!("{own}"));
            for flag in words.filter_map(|word| word.strip_prefix("--")) {
                assert!(part.get_arguments().any(|argument| argument.get_long() == Some(flag)), "{own}");
            }
        }
    }
}

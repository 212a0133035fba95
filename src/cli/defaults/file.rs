//! What a `fourbit.toml` says, held against the options that there are.

use std::path::Path;

use clap::{Arg, ArgAction, Command, ValueHint};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::api::{Preset, SampleSet};

/// One option that the file gives.
#[derive(Debug)]
pub struct Entry {
    /// Its long name.
    pub option: String,
    /// The subcommand that it is for; `None` for all that have it.
    pub subcommand: Option<String>,
    /// The same as arguments.
    pub arguments: Vec<String>,
    line: usize,
}

impl Entry {
    /// A problem with it, in one line.
    pub fn told(&self, path: &Path, problem: &str) -> String {
        told(path, self.line, &format!("{}: {problem}", self.option))
    }
}

fn told(path: &Path, line: usize, problem: &str) -> String {
    format!("{}: line {line}: {}", path.display(), problem.replace('\n', " "))
}

/// Reads the file at `path`, whose paths are relative to `place`.
///
/// # Errors
/// What is wrong with it, in one line that names the line of the file.
pub fn read(path: &Path, place: &Path, whole: &Command) -> Result<Vec<Entry>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = |start: usize| 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
    let wrong = |start: usize, problem: &str| told(path, line(start), problem);
    let table = DeTable::parse(&text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut entries = Vec::new();
    for (key, value) in in_order(table.get_ref()) {
        let start = key.span().start;
        match value.get_ref() {
            DeValue::Table(own) => {
                let Some(part) = parts(whole).find(|part| part.get_name() == key.get_ref()) else {
                    let names: Vec<&str> = parts(whole).map(Command::get_name).collect();
                    let problem = format!(
                        "[{}]: there is no subcommand of this name; there are {}",
                        key.get_ref(),
                        names.join(", ")
                    );
                    return Err(wrong(start, &problem));
                };
                for (key, value) in in_order(own) {
                    let start = key.span().start;
                    let name = key.get_ref().replace('_', "-");
                    let argument =
                        options(part).find(|one| one.get_long() == Some(&name)).ok_or_else(|| {
                            let problem =
                                format!("{name}: fourbit {} has no option of this name", part.get_name());
                            wrong(start, &problem)
                        })?;
                    let entry = entry(argument, &name, value.get_ref(), place)
                        .map_err(|problem| wrong(start, &format!("{name}: {problem}")))?;
                    let subcommand = Some(part.get_name().to_owned());
                    entries.push(Entry { subcommand, line: line(start), ..entry });
                }
            }
            value => {
                let name = key.get_ref().replace('_', "-");
                let argument = parts(whole).flat_map(options).find(|one| one.get_long() == Some(&name));
                let argument = argument.ok_or_else(|| {
                    let problem =
                        "there is no option of this name; keys are long names of options, without dashes";
                    wrong(start, &format!("{name}: {problem}"))
                })?;
                let entry = entry(argument, &name, value, place)
                    .map_err(|problem| wrong(start, &format!("{name}: {problem}")))?;
                entries.push(Entry { line: line(start), ..entry });
            }
        }
    }
    Ok(entries)
}

type Key<'t> = (&'t Spanned<std::borrow::Cow<'t, str>>, &'t Spanned<DeValue<'t>>);

/// The entries of a table in the order of the text, so that the first problem is told.
fn in_order<'t>(table: &'t DeTable<'t>) -> Vec<Key<'t>> {
    let mut keys: Vec<Key> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    keys
}

fn parts(whole: &Command) -> impl Iterator<Item = &Command> {
    whole.get_subcommands().filter(|part| part.get_name() != "help")
}

/// The options that may be given so.
fn options(part: &Command) -> impl Iterator<Item = &Arg> {
    let may = |one: &&Arg| {
        one.get_long().is_some() && !one.is_hide_set() && !matches!(one.get_id().as_str(), "help" | "version")
    };
    part.get_arguments().filter(may)
}

fn entry(argument: &Arg, name: &str, value: &DeValue, place: &Path) -> Result<Entry, String> {
    let is_flag = matches!(argument.get_action(), ArgAction::SetTrue);
    let is_list = matches!(argument.get_action(), ArgAction::Append);
    let is_path = |text: &str| {
        let is_word = match name {
            "preprocess" => Preset::named(text).is_some(),
            "calibration" => SampleSet::WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)),
            _ => false,
        };
        argument.get_value_hint() == ValueHint::AnyPath && !is_word && !text.contains("://")
    };
    let argument = |value: &DeValue| {
        let text = match value {
            DeValue::String(text) if is_path(text) => {
                place.join(text.as_ref()).to_string_lossy().into_owned()
            }
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(choice) => choice.to_string(),
            // As it is written: what reads the option knows what numbers it takes.
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            other => return Err(format!("a value of the type {} is none of this option", other.type_str())),
        };
        Ok(format!("--{name}={text}"))
    };
    let arguments = match value {
        DeValue::Boolean(true) if is_flag => vec![format!("--{name}")],
        DeValue::Boolean(false) if is_flag => Vec::new(),
        _ if is_flag => return Err("must be true or false".into()),
        DeValue::Array(values) if is_list => {
            values.iter().map(|value| argument(value.get_ref())).collect::<Result<_, _>>()?
        }
        value => vec![argument(value)?],
    };
    Ok(Entry { option: name.to_owned(), subcommand: None, arguments, line: 0 })
}

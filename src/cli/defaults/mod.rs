//! `fourbit.toml`: options that are not given on the command line.

mod file;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::{definition, hints};
use file::Entry;

/// The file's name.
const NAME: &str = "fourbit.toml";

/// A command line and the file that gave a part of it.
#[derive(Debug, PartialEq)]
pub struct Completed {
    /// The program's name and all arguments.
    pub line: Vec<OsString>,
    /// The file, if anything of it was used.
    pub from: Option<PathBuf>,
}

/// `line` with what the nearest `fourbit.toml`, in `folder` or above it, says of options that are not given and contradict none
/// that is.
///
/// # Errors
/// What is wrong with the file, in one line.
pub fn completed(line: Vec<OsString>, folder: &Path) -> Result<Completed, String> {
    let Some(path) = folder.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file()) else {
        return Ok(Completed { line, from: None });
    };
    // Help, and what is wrong with the line itself, comes before what is wrong with the file.
    let Some((name, matches)) = given(&line) else { return Ok(Completed { line, from: None }) };
    let mut whole = definition();
    whole.build();
    // Paths stay as they are written where that is enough.
    let place = path.parent().filter(|place| *place != folder).unwrap_or(Path::new(""));
    let entries = file::read(&path, place, &whole)?;
    if matches.try_get_one::<bool>("supervised").ok().flatten() == Some(&true) {
        // A batch has told its conversions everything.
        return Ok(Completed { line, from: None });
    }
    let Some(part) = whole.find_subcommand(&name) else { return Ok(Completed { line, from: None }) };
    let added = added(part, &matches, &entries, &path)?;
    let Some(at) = line.iter().position(|word| *word == *name).filter(|_| !added.is_empty()) else {
        return Ok(Completed { line, from: None });
    };
    let (before, after) = line.split_at(at + 1);
    Ok(Completed { line: [before, &added, after].concat(), from: Some(path) })
}

/// The subcommand of `line` and what is given to it; `None` where clap has an answer of its own.
fn given(line: &[OsString]) -> Option<(String, ArgMatches)> {
    let matches = match definition().try_get_matches_from(line) {
        Ok(matches) => matches,
        // What is missing may be in the file.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            definition().ignore_errors(true).try_get_matches_from(line).ok()?
        }
        Err(_) => return None,
    };
    let (name, part) = matches.subcommand()?;
    Some((name.to_owned(), part.clone()))
}

/// The arguments that `entries` add to those in `matches`.
fn added(
    part: &Command,
    matches: &ArgMatches,
    entries: &[Entry],
    path: &Path,
) -> Result<Vec<OsString>, String> {
    let is_given = |argument: &Arg| {
        let id = argument.get_id().as_str();
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let conflicts = |argument: &Arg| -> HashSet<String> {
        part.get_arg_conflicts_with(argument).iter().map(|other| other.get_id().to_string()).collect()
    };
    let given: Vec<&Arg> = part.get_arguments().filter(|argument| is_given(argument)).collect();
    let mut added = Vec::new();
    for argument in part.get_arguments() {
        let Some(long) = argument.get_long() else { continue };
        // What is said for one subcommand goes before what is said for all.
        let own =
            |entry: &&Entry| entry.option == long && entry.subcommand.as_deref() == Some(part.get_name());
        let all = |entry: &&Entry| entry.option == long && entry.subcommand.is_none();
        let Some(entry) = entries.iter().find(own).or_else(|| entries.iter().find(all)) else { continue };
        let (id, against) = (argument.get_id().as_str(), conflicts(argument));
        let contradicts = |other: &&Arg| {
            let other_id = other.get_id().as_str();
            other_id == id || against.contains(other_id) || conflicts(other).contains(id)
        };
        if given.iter().any(contradicts) {
            continue;
        }
        check(part.get_name(), entry).map_err(|problem| entry.told(path, &problem))?;
        added.extend(entry.arguments.iter().map(OsString::from));
    }
    Ok(added)
}

/// Refuses a value that the option does not take, by itself, so that the message tells where it stands.
fn check(part: &str, entry: &Entry) -> Result<(), String> {
    let line: Vec<OsString> = ["fourbit", part]
        .into_iter()
        .map(OsString::from)
        .chain(entry.arguments.iter().map(OsString::from))
        .collect();
    match definition().try_get_matches_from(&line) {
        Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
            Err(hints::answer(&error, &line).unwrap_or_else(|| hints::one_line(&error)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `line` beside a file with `text`.
    fn with(text: &str, line: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), text).unwrap();
        let line = format!("fourbit {line}").split_whitespace().map(OsString::from).collect();
        completed(line, folder.path()).map(|found| {
            let words: Vec<_> = found.line.iter().skip(1).map(|word| word.to_str().unwrap()).collect();
            words.join(" ")
        })
    }

    #[test]
    fn what_is_not_given_comes_from_the_file() {
        let text = "precision = 'w4'\njobs = 2\n[quantize]\nexclude = ['a*', 'b']\nmax_drop = 0.5\noverwrite = true\n\
                    [plan]\nprecision = 'W8'\noverwrite = false\n";
        assert_eq!(
            with(text, "quantize m.onnx").unwrap(),
            "quantize --overwrite --precision=w4 --exclude=a* --exclude=b --max-drop=0.5 --jobs=2 m.onnx"
        );
        assert_eq!(with(text, "plan m.onnx").unwrap(), "plan --precision=W8 --jobs=2 m.onnx");
        assert_eq!(with(text, "inspect m.onnx").unwrap(), "inspect --jobs=2 m.onnx");
        assert_eq!(with("", "inspect m.onnx").unwrap(), "inspect m.onnx");
    }

    #[test]
    fn what_is_given_goes_before_the_file() {
        let text = "precision = 'w4'\nexclude = ['a']\nmatmul-nbits = true\nverbose = true\n";
        let line = "quantize m.onnx --precision w8 --exclude b --matmul-nbits=false";
        assert_eq!(with(text, line).unwrap(), line.replace("quantize", "quantize --verbose"));
        // Nor does it contradict what is given.
        assert_eq!(with("quiet = true", "plan m.onnx -v").unwrap(), "plan m.onnx -v");
        assert_eq!(with("output = 'q.onnx'", "quantize m.onnx o.onnx").unwrap(), "quantize m.onnx o.onnx");
        assert_eq!(with("format = 'json'", "--json inspect m.onnx").unwrap(), "--json inspect m.onnx");
        // Those that a batch starts have been told.
        assert_eq!(with("seed = 1", "quantize m.onnx --supervised").unwrap(), "quantize m.onnx --supervised");
    }

    #[cfg(feature = "batch")]
    #[test]
    fn what_is_missing_may_be_in_the_file() {
        assert_eq!(
            with("[batch]\nwait = '5s'\noutput = 'small'", "batch zoo").unwrap(),
            "batch --output=small --wait=5s zoo"
        );
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.path().join(NAME), "calibration = 'c.npz'\npreprocess = 'imagenet'\n").unwrap();
        let line = || ["fourbit", "plan", "m.onnx"].map(OsString::from).to_vec();
        let found = completed(line(), &inner).unwrap();
        assert_eq!(found.from, Some(folder.path().join(NAME)));
        let calibration = format!("--calibration={}", folder.path().join("c.npz").display());
        assert!(found.line.contains(&OsString::from(calibration)), "{found:?}");
        assert!(found.line.contains(&OsString::from("--preprocess=imagenet")), "{found:?}");
        let found = completed(line(), folder.path()).unwrap();
        assert!(found.line.contains(&OsString::from("--calibration=c.npz")), "{found:?}");
        // The nearest alone counts.
        std::fs::write(inner.join(NAME), "seed = 3\n").unwrap();
        assert_eq!(completed(line(), &inner).unwrap().line.len(), 4);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line() {
        for (text, words) in [
            ("precsion = 'w4'", &["line 1", "precsion", "no option"][..]),
            ("[quantise]\nprecision = 'w4'", &["line 1", "quantise", "no subcommand"]),
            ("[inspect]\nprecision = 'w4'", &["line 2", "precision", "inspect"]),
            ("seed = 1\nprecision = 'w9'", &["line 2", "precision", "w9", "w4a8"]),
            ("target = 'arm'", &["line 1", "ort-cpu-int8"]),
            ("overwrite = 'yes'", &["line 1", "true or false"]),
            ("exclude = [['a']]", &["line 1", "exclude"]),
            ("precision = ['w4', 'w8']", &["line 1", "precision"]),
            ("help = true", &["line 1", "help"]),
            ("supervised = true", &["line 1", "supervised"]),
            ("seed = ", &["line 1"]),
        ] {
            let error = with(text, "quantize m.onnx").unwrap_err();
            assert!(error.contains(NAME) && !error.contains('\n'), "{error}");
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }
}

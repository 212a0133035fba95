//! The Python package is a program as any other: it knows the face of the crate, and the crate does not know it.

use std::collections::BTreeSet;
use std::path::Path;

use super::scanner::{is_path_separator, tokens};
use super::{FILES, LINES, none, read, root, rust_files, sources};

/// What it may name of the crate beside the names that `api/mod.rs` re-exports.
const BESIDE: &[&str] = &["options", "cli"];
/// What of `cli`.
const OF_CLI: &str = "started";

/// The public names of `api/mod.rs`: what its `pub use` and `pub mod` end in.
fn face() -> BTreeSet<String> {
    let words = tokens(&read(Path::new("src/api/mod.rs")));
    let (mut names, mut index, mut inside) = (BTreeSet::new(), 0, 0);
    while index < words.len() {
        match words[index].as_str() {
            // What a module of the face holds is found by its name alone.
            "mod" if index > 0 && words[index - 1] == "pub" => {
                names.insert(words[index + 1].clone());
                while words[index] != "{" {
                    index += 1;
                }
                inside += 1;
            }
            "{" if inside > 0 => inside += 1,
            "}" if inside > 0 => inside -= 1,
            "use" if inside == 0 && words[index - 1] == "pub" => {
                while words[index] != ";" {
                    let ends = matches!(words[index + 1].as_str(), "," | ";" | "}");
                    if ends && words[index].starts_with(|sign: char| sign.is_alphabetic()) {
                        names.insert(words[index].clone());
                    }
                    index += 1;
                }
            }
            _ => {}
        }
        index += 1;
    }
    names
}

/// What stands behind `fourbit::` in `words`, groups taken apart.
fn named(words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..words.len() {
        if words[at] != "fourbit" || !is_path_separator(words, at + 1) {
            continue;
        }
        match words[at + 3].as_str() {
            "{" => {
                let end = (at..words.len()).find(|&end| words[end] == "}").unwrap_or(words.len());
                let names = &words[at + 4..end];
                found.extend(names.split(|word| word == ",").filter_map(|part| part.first().cloned()));
            }
            "cli" => found.push(format!("cli::{}", words[at + 6])),
            name => found.push(name.to_owned()),
        }
    }
    found
}

#[test]
fn the_python_package_knows_the_face_alone() {
    let face = face();
    assert!(
        ["Quantize", "results", "InputSize", "check"].iter().all(|name| face.contains(*name)),
        "{face:?}"
    );
    let mut problems = Vec::new();
    let files = rust_files("python/src");
    assert!(!files.is_empty(), "no source of the package");
    for path in &files {
        for name in named(&tokens(&read(path))) {
            let allowed = match name.split_once("::") {
                Some((_, of_cli)) => of_cli == OF_CLI,
                None => face.contains(&name) || BESIDE.contains(&name.as_str()),
            };
            if !allowed {
                problems.push(format!("{}: `fourbit::{name}` is beneath the face", path.display()));
            }
        }
        let lines = read(path).lines().count();
        if lines > LINES {
            problems.push(format!("{}: {lines} lines, at most {LINES}", path.display()));
        }
    }
    if files.len() > FILES {
        problems.push(format!("python/src: {} files, at most {FILES}", files.len()));
    }
    none(problems, "what a Python program needs, every program may need: put it into `api`");
}

#[test]
fn the_crate_does_not_know_the_python_package() {
    let mut problems = Vec::new();
    for source in sources() {
        if let Some(word) = source.tokens.iter().find(|word| word.starts_with("pyo3")) {
            problems.push(format!("{}: names `{word}`", source.path.display()));
        }
    }
    none(problems, "only python/src names pyo3");
}

#[test]
fn both_have_one_version() {
    let version = |path: &str| {
        let text = read(&root().join(path));
        text.lines().find(|line| line.starts_with("version = ")).map(str::to_owned)
    };
    assert_eq!(version("Cargo.toml"), version("python/Cargo.toml"));
}

#[test]
fn groups_are_taken_apart() {
    let of = |text: &str| named(&tokens(text)).join(" ");
    assert_eq!(
        of("use fourbit::{A, b::C as D}; fourbit::cli::started(x); fourbit::E::new()"),
        "A b cli::started E"
    );
    assert_eq!(of("use super::fourbit; other::fourbit"), "");
}

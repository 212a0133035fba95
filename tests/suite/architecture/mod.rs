//! The rules of ARCHITECTURE.md, read off the source: who may import whom, who may name which
//! outside crate, who may print, how large a file and a folder may grow. Code under `#[cfg(test)]`
//! is free.

mod circles;
mod python;
mod scanner;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use scanner::{imports, is_path_separator, tokens};

/// Each part of the crate and its layer. Imports go strictly downward, so parts of one layer never
/// import one another. To change this table is to change the architecture: on purpose, together
/// with ARCHITECTURE.md.
const LAYERS: &[(&str, usize)] = &[
    ("error", 0),
    ("mmse", 0),
    ("panics", 0),
    ("reconstruct", 0),
    ("files", 1),
    ("place", 1),
    ("progress", 1),
    ("onnx", 2),
    ("options", 2),
    ("remote", 2),
    ("onnxruntime", 3),
    ("plan", 3),
    ("runtime", 3),
    ("samples", 3),
    ("analyse", 4),
    ("calibrate", 4),
    ("check", 4),
    ("prepare", 4),
    ("rewrite", 4),
    ("solve", 4),
    ("validate", 4),
    ("pipeline", 5),
    ("report", 5),
    ("zoo", 5),
    ("api", 6),
    ("fuzzing", 6),
    ("cli", 7),
    ("main", 8),
];

/// Pure numbers: they import nothing of ours.
const PURE: &[&str] = &["mmse", "reconstruct"];

/// What the command line may import of the crate, beside itself.
const FACE: &[&str] = &["api", "cli", "options"];

/// Outside crates that only some parts may name. A crate `name` covers `name_anything` too.
const OWNED: &[(&str, &[&str])] = &[
    ("prost", &["onnx"]),
    ("ort", &["onnxruntime"]),
    ("tract", &["runtime"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("anstream", &["cli"]),
    ("anstyle", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("image", &["samples"]),
    ("object_store", &["remote"]),
    ("reqwest", &["remote"]),
    ("rustls", &["remote"]),
    ("tokio", &["remote"]),
];

/// Macros that print, and the parts that may.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
const MAY_PRINT: &[&str] = &["cli", "report"];

/// Lines in a file; more means that it holds more than one idea.
const LINES: usize = 400;
/// Rust files in a folder under `src`; more than fit in a glance.
const FILES: usize = 15;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files under `folder`, as paths relative to the repository.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The module path of a file under `src`: `src/plan/mod.rs` is `["plan"]`, `src/lib.rs` is empty.
fn module(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Vec<_> =
        inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

/// One file's code that is compiled into the program.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    tokens: Vec<String>,
}

impl Source {
    /// The part of the crate it belongs to; `None` for `lib.rs`.
    fn part(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }
}

fn sources() -> Vec<Source> {
    let is_test = |path: &PathBuf| {
        path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
    };
    let found: Vec<_> = rust_files("src")
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| Source { module: module(&path), tokens: tokens(&read(&path)), path })
        .collect();
    assert!(!found.is_empty(), "no source found under {}", root().display());
    found
}

/// Fails with all `problems`, one a line.
fn none(problems: Vec<String>, remedy: &str) {
    assert!(problems.is_empty(), "\n  {}\n{remedy}\n", problems.join("\n  "));
}

#[test]
fn imports_go_downward() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut problems = Vec::new();
    for source in sources() {
        let Some(part) = source.part() else { continue };
        let path = source.path.display();
        let Some(&layer) = layers.get(part) else {
            problems.push(format!("{path}: part `{part}` has no layer"));
            continue;
        };
        for name in imports(&source.module, &source.tokens).iter().filter(|name| *name != part) {
            match layers.get(name.as_str()) {
                None => problems.push(format!("{path}: `{name}` is no part of the crate")),
                Some(_) if PURE.contains(&part) => {
                    problems.push(format!("{path}: `{part}` is pure numbers, but imports `{name}`"));
                }
                Some(&other) if other >= layer => {
                    problems
                        .push(format!("{path}: `{part}` (layer {layer}) imports `{name}` (layer {other})"));
                }
                Some(_) => {}
            }
        }
    }
    none(problems, "imports go from a higher layer to a lower one: see ARCHITECTURE.md");
}

#[test]
fn the_command_line_uses_the_public_face_alone() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.part() == Some("cli")) {
        for name in imports(&source.module, &source.tokens) {
            if !FACE.contains(&name.as_str()) {
                problems.push(format!("{}: `{name}` is beneath the face", source.path.display()));
            }
        }
    }
    none(problems, "what a program with a terminal needs, every program may need: put it into `api`");
}

#[test]
fn outside_crates_have_one_owner() {
    let mut problems = Vec::new();
    for source in sources() {
        for (index, token) in source.tokens.iter().enumerate() {
            let is_path = is_path_separator(&source.tokens, index + 1)
                || index > 0 && matches!(source.tokens[index - 1].as_str(), "use" | "crate");
            let family = token.split('_').next().unwrap_or_default();
            let Some((_, owners)) = OWNED.iter().find(|(owned, _)| *owned == family || *owned == token)
            else {
                continue;
            };
            if is_path && !source.part().is_some_and(|part| owners.contains(&part)) {
                let owners = owners.join(" and ");
                problems.push(format!("{}: names `{token}`, which only {owners} may", source.path.display()));
            }
        }
    }
    none(problems, "hide the crate behind its owner: see ARCHITECTURE.md");
}

#[test]
fn only_the_front_prints() {
    let mut problems = Vec::new();
    for source in
        sources().iter().filter(|source| !source.part().is_some_and(|part| MAY_PRINT.contains(&part)))
    {
        for pair in source.tokens.windows(2).filter(|pair| pair[1] == "!") {
            if PRINTING.contains(&pair[0].as_str()) {
                problems.push(format!("{}: {}!", source.path.display(), pair[0]));
            }
        }
    }
    none(problems, "say it through `progress`, a reason, or an error");
}

#[test]
fn files_and_folders_stay_small() {
    let mut problems = Vec::new();
    let mut folders = BTreeMap::<PathBuf, usize>::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let lines = read(&path).lines().count();
        if lines > LINES {
            problems.push(format!("{}: {lines} lines, at most {LINES}", path.display()));
        }
        if path.starts_with("src") {
            *folders.entry(path.parent().unwrap().to_owned()).or_default() += 1;
        }
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| *files > FILES) {
        problems.push(format!("{}: {files} files, at most {FILES}", folder.display()));
    }
    none(problems, "split along the ideas in it");
}

#[test]
fn the_scanner_sees_what_it_should() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    let seen = |place: &str, source: &str| imports(&module(place), &tokens(source)).join(" ");
    assert_eq!(
        seen("plan::file", "use crate::onnx::Model; // crate::cli\nfn f() { crate::error::g() }"),
        "onnx error"
    );
    assert_eq!(
        seen("plan::file", "use crate::{error::{Error, Result}, onnx, options::*};"),
        "error onnx options"
    );
    assert_eq!(seen("plan::file", "use super::site; use super::super::cli; pub(crate) fn f() {}"), "cli");
    assert_eq!(seen("options", "use super::error::Error; fn f<'a>(x: &'a str) -> char { '\"' }"), "error");
    assert_eq!(seen("plan", "const A: &str = \"crate::cli\"; const B: &str = r#\"a\" crate::cli \"#;"), "");
    assert_eq!(
        seen("plan", "#[cfg(test)] mod tests { use crate::cli; } #[cfg(test)] mod more; use crate::onnx;"),
        "onnx"
    );
    assert_eq!(tokens("/* /* println!() */ */ a('\\'', 'b', b'\"')"), ["a", "(", ",", ",", "b", ")"]);
}

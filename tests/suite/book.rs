//! The README and the book in `docs`: their commands run, their options exist, their links lead somewhere.

mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use markdown::{Page, words};

/// Bytes of the README.
const README: u64 = 8192;
/// Pages that are read at once: their commands use threads themselves.
const READERS: usize = 2;
/// Programs whose options are their own.
const OTHERS: &[&str] = &["cargo", "jq", "pip", "python"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and all pages of the book, by their path in the repository.
fn pages() -> BTreeMap<PathBuf, Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("the book") {
            let path = folder.join(entry.expect("an entry").file_name());
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("md") => paths.push(path),
                None => folders.push(path),
                Some(_) => {}
            }
        }
    }
    let page = |path: &PathBuf| Page::read(&fs::read_to_string(root().join(path)).expect("a page"));
    paths.into_iter().map(|path| (path.clone(), page(&path))).collect()
}

fn fourbit(folder: &Path, arguments: &[String]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    program.args(arguments).current_dir(folder).stdin(Stdio::null());
    // What a person's environment says of shards and buckets is not meant here.
    for (name, _) in std::env::vars() {
        if ["AWS_", "SLURM_", "FOURBIT_", "JOB_COMPLETION"].iter().any(|start| name.starts_with(start)) {
            program.env_remove(name);
        }
    }
    program.output().expect("the program starts")
}

/// The options of each subcommand, as its help names them.
fn options() -> BTreeMap<String, BTreeSet<String>> {
    let help = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        String::from_utf8_lossy(&fourbit(root(), &arguments).stdout).into_owned()
    };
    let main = help(&["--help"]);
    let commands = main.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let names: BTreeSet<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.contains("quantize") && names.len() > 5, "{main}");
    let all = |name: &str| (name.to_owned(), flags(&help(&[name, "--help"])).collect());
    names.into_iter().map(all).collect()
}

/// Every `--flag` in a text.
fn flags(text: &str) -> impl Iterator<Item = String> {
    let name = |rest: &str| rest.find(|symbol: char| !symbol.is_ascii_alphanumeric() && symbol != '-');
    let found = text.match_indices("--").filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back().is_none_or(|symbol| " [(`'\"\n|=,".contains(symbol));
        let rest = &text[at + 2..];
        let flag = &rest[..name(rest).unwrap_or(rest.len())];
        (before && flag.starts_with(|symbol: char| symbol.is_ascii_lowercase())).then(|| flag.to_owned())
    });
    found.collect::<Vec<_>>().into_iter()
}

/// A copy of the models that the commands of one page may write into.
fn models() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("the models").map(|entry| entry.expect("an entry")) {
            let to = to.join(entry.file_name());
            match entry.file_type().expect("its type").is_dir() {
                true if entry.file_name() == "train" => {}
                true => copy(&entry.path(), &to),
                false => fs::copy(entry.path(), to).map(drop).expect("a copy"),
            }
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&root().join("models"), &folder.path().join("models"));
    folder
}

/// Runs what one page shows, in its order.
fn run(path: &Path, page: &Page) -> Vec<String> {
    let folder = models();
    let mut wrong = Vec::new();
    for block in &page.blocks {
        let place = format!("{}:{}", path.display(), block.at);
        let first = block.lines.first().and_then(|line| line.strip_prefix("# "));
        if let ("toml", Some(name)) = (block.language.as_str(), first.filter(|name| name.ends_with(".toml")))
        {
            fs::write(folder.path().join(name), block.lines.join("\n") + "\n").expect("it can be written");
        }
        if block.language != "console" {
            continue;
        }
        for line in &block.lines {
            let Some(command) = line.strip_prefix("$ ") else {
                wrong.push(format!("{place}: {line}: every line of a console block is a command"));
                continue;
            };
            let (words, code) = words(command);
            if words.first().is_none_or(|program| program != "fourbit") {
                wrong.push(format!("{place}: {command}: not run, since it is no fourbit"));
                continue;
            }
            let done = fourbit(folder.path(), &words[1..]);
            if done.status.code() != Some(code) {
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                wrong.push(format!("{place}: {command}: {}, expected {code}: {said}", done.status));
            }
        }
    }
    wrong
}

#[test]
fn what_the_book_shows_runs() {
    let pages = pages();
    let has = |page: &Page| page.blocks.iter().any(|block| block.language == "console");
    let pages: Vec<(&PathBuf, &Page)> = pages.iter().filter(|(_, page)| has(page)).collect();
    assert!(pages.iter().any(|(path, _)| path.ends_with("README.md")) && pages.len() > 5);
    let next = AtomicUsize::new(0);
    let read = || {
        let mut wrong = Vec::new();
        while let Some((path, page)) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(run(path, page));
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("a reader")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_cannot_run_is_at_least_right_usage() {
    let options = options();
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = Vec::new();
    let mut seen = 0;
    // The reference is made from the program's own definition.
    for (path, page) in pages().into_iter().filter(|(path, _)| path != Path::new("docs/cli.md")) {
        for block in page.blocks.iter().filter(|block| block.language != "console") {
            for line in &block.lines {
                let Some((_, rest)) = line.split_once("fourbit ") else { continue };
                let (words, _) = words(rest.split(['|', '>']).next().unwrap_or(rest));
                let Some(known) = words.first().and_then(|name| options.get(name)) else {
                    if block.language == "bash" {
                        wrong.push(format!("{}:{}: {line}: no such command", path.display(), block.at));
                    }
                    continue;
                };
                seen += 1;
                let missing = flags(&words.join(" ")).find(|flag| !known.contains(flag));
                // Nothing is there to work on, so that what is parsed ends soon; beyond a network something might be.
                let refused = missing.is_none() && !line.contains("://") && {
                    let done = fourbit(nothing.path(), &words);
                    done.status.code() == Some(2)
                };
                if refused || missing.is_some() {
                    wrong.push(format!("{}:{}: {line}: {missing:?}", path.display(), block.at));
                }
            }
        }
    }
    assert!(wrong.is_empty() && seen > 10, "{}", wrong.join("\n"));
}

#[test]
fn options_in_the_text_exist() {
    let known: BTreeSet<String> = options().into_values().flatten().collect();
    let mut wrong = Vec::new();
    for (path, page) in pages() {
        for code in page.code() {
            if code.split_whitespace().any(|word| OTHERS.contains(&word)) {
                continue;
            }
            let missing = flags(&code).filter(|flag| !known.contains(flag));
            wrong.extend(missing.map(|flag| format!("{}: --{flag}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, at)| (file, Some(at)));
            let target = if file.is_empty() { path.clone() } else { joined(path, file) };
            let exists = root().join(&target).exists();
            let heads = anchor.is_none_or(|anchor| {
                pages.get(&target).is_some_and(|page| page.anchors().iter().any(|found| found == anchor))
            });
            // The book is built of docs alone.
            let inside = !path.starts_with("docs") || target.starts_with("docs");
            if !(exists && heads && inside) {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where `link` leads from `page`.
fn joined(page: &Path, link: &str) -> PathBuf {
    let mut found = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            other => found.push(other),
        }
    }
    found
}

#[test]
fn every_page_has_its_place() {
    let pages = pages();
    let contents = Path::new("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> =
        pages[contents].links().iter().map(|link| joined(contents, link)).collect();
    let there: BTreeSet<PathBuf> =
        pages.keys().filter(|path| path.starts_with("docs") && *path != contents).cloned().collect();
    assert_eq!(listed, there);
    let size = fs::metadata(root().join("README.md")).expect("the README").len();
    assert!(size <= README, "README.md has {size} bytes, of {README}");
}

#[test]
fn fields_of_the_json_forms_exist() {
    let folder = models();
    let model = "models/waves_recurrent/model.onnx";
    let run = |line: String| {
        let (words, _) = words(&line);
        let done = fourbit(folder.path(), &words);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let report = run(format!("quantize {model} -o out.onnx --max-samples 16 --plan plan.json --json"));
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let plan = fs::read(folder.path().join("plan.json")).expect("the plan");
    let plan: Value = serde_json::from_slice(&plan).expect("JSON");
    let page = &pages()[Path::new("docs/reference/json.md")];
    let mut form = None;
    let mut seen = 0;
    for line in &page.prose {
        match line.as_str() {
            "## The report" => form = Some(&report),
            "## The plan" => form = Some(&plan),
            line if line.starts_with("## ") => form = None,
            _ => {}
        }
        let (Some(form), Some(cell)) =
            (form, line.strip_prefix("| `").and_then(|rest| rest.split(" | ").next()))
        else {
            continue;
        };
        for field in cell.split('`').filter(|field| field.chars().any(char::is_alphabetic)) {
            seen += 1;
            assert!(has(form, field), "{field}, in {line}");
        }
    }
    assert!(seen > 50, "{seen}");
}

/// Whether `form` has a field such as `sites[].tensor`, of any element where there are several.
fn has(form: &Value, field: &str) -> bool {
    let (name, rest) = field.split_once('.').map_or((field, None), |(name, rest)| (name, Some(rest)));
    let value = form.get(name.trim_end_matches("[]"));
    match (value, rest) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Value::Array(items)), Some(rest)) => items.iter().any(|item| has(item, rest)),
        (Some(value), Some(rest)) => has(value, rest),
    }
}

#[test]
fn code_of_the_book_is_code_that_is_tested() {
    let mut tested = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    // Compiled with the documentation.
    tested += &fs::read_to_string(root().join("README.md")).expect("the README");
    for (path, page) in pages() {
        for block in page.blocks.iter().filter(|block| block.language.starts_with("rust")) {
            let strange = block.lines.iter().find(|line| !tested.contains(line.trim()));
            assert!(strange.is_none(), "{}:{}: {strange:?}", path.display(), block.at);
        }
    }
}

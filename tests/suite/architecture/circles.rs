//! No file imports, over others, itself. A module and those inside it may know one another: they are one thing.

use std::collections::{BTreeMap, BTreeSet};

use super::scanner::is_path_separator;
use super::{none, sources};

/// The paths that the `use` declarations of `tokens` name, groups taken apart.
fn used(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if tokens[index] == "use" {
            index = tree(tokens, index + 1, &[], &mut found);
        }
        index += 1;
    }
    found
}

/// Reads one tree of a `use` declaration, and gives where it ends.
fn tree(tokens: &[String], mut index: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(index) {
        match token.as_str() {
            "{" => {
                index += 1;
                while tokens.get(index).is_some_and(|token| token != "}") {
                    index = tree(tokens, index, &path, found);
                    index += usize::from(tokens.get(index).is_some_and(|token| token == ","));
                }
                return index + 1;
            }
            "as" => index += 2,
            ";" | "," | "}" => break,
            _ if is_path_separator(tokens, index) => index += 2,
            name => {
                path.push(name.to_owned());
                index += 1;
            }
        }
    }
    found.push(path);
    index
}

/// Which module's file a path named in `module` leads to.
fn target<'m>(
    module: &[String],
    path: &[String],
    modules: &'m BTreeSet<Vec<String>>,
) -> Option<&'m Vec<String>> {
    let mut whole: Vec<String> = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => [module, &path[..1]].concat(),
    };
    for part in &path[1..] {
        if part != "super" && part != "self" {
            whole.push(part.clone());
        }
    }
    let ups = path.iter().filter(|part| *part == "super").count();
    if ups > 0 {
        let rest = whole.split_off(module.len());
        whole.truncate(module.len().saturating_sub(ups));
        whole.extend(rest);
    }
    (1..=whole.len()).rev().find_map(|length| modules.get(&whole[..length]))
}

/// Whether one module lies in the other.
fn are_one(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[test]
fn no_file_imports_itself_over_others() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).filter(|module| !module.is_empty()).collect();
    let mut imports: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = BTreeMap::new();
    for source in &sources {
        let Some(from) = modules.get(&source.module) else { continue };
        let targets = used(&source.tokens);
        let targets = targets.iter().filter_map(|path| target(from, path, &modules));
        imports.entry(from).or_default().extend(targets.filter(|to| !are_one(from, to)));
    }
    // What imports nothing that is left cannot lie on a circle.
    while let Some(done) = imports
        .iter()
        .find(|(_, targets)| targets.iter().all(|to| !imports.contains_key(to)))
        .map(|(module, _)| *module)
    {
        imports.remove(done);
    }
    // Neither can what is imported by nothing that is left.
    while let Some(done) =
        imports.keys().copied().find(|module| !imports.values().any(|to| to.contains(module)))
    {
        imports.remove(done);
    }
    let name = |module: &Vec<String>| module.join("::");
    let problems = imports.iter().map(|(from, targets)| {
        let targets: Vec<String> =
            targets.iter().filter(|to| imports.contains_key(*to)).map(|to| name(to)).collect();
        format!("{} imports {}", name(from), targets.join(", "))
    });
    none(problems.collect(), "move what both sides need to a file below them");
}

#[test]
fn paths_are_read_whole() {
    let words = |text: &str| super::scanner::tokens(text);
    let paths = used(&words("use a::{b, c::{self, D as E}}; pub use super::super::x; use crate::q::*;"));
    let joined: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(joined, ["a::b", "a::c::self", "a::c::D", "super::super::x", "crate::q::*"]);
    let modules = BTreeSet::from([vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]]);
    let at = |module: &[&str], path: &[&str]| {
        let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        target(&owned(module), &owned(path), &modules).map(|found| found.join("::"))
    };
    assert_eq!(at(&["a", "c"], &["super", "b", "Thing"]), Some("a::b".into()));
    assert_eq!(at(&["x", "y"], &["crate", "a", "function"]), Some("a".into()));
    assert_eq!(at(&["a"], &["b", "Thing"]), Some("a::b".into()));
    assert_eq!(at(&["x"], &["std", "fmt"]), None);
}

//! Models among the objects of a bucket, as a search of a folder would find them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::place::Object;
use crate::zoo::OWN;
use crate::zoo::source::{Entry, Source, is_model};

/// Finds every model below `root`, but not in `out`, a folder there, nor in what is hidden or of another batch.
pub fn search(root: &Path, listing: &BTreeMap<String, Object>, out: Option<&str>) -> Source {
    let mut source = Source { root: root.to_owned(), ..Source::default() };
    let inside = |name: &str, folder: &str| {
        name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') || folder.is_empty())
    };
    let own = |name: &String| {
        let (before, _) = name.split_once(&format!("/{OWN}/"))?;
        Some(before.to_owned())
    };
    let hidden = |name: &str| name.split('/').any(|part| part.starts_with('.'));
    let others: BTreeSet<String> = listing.keys().filter_map(own).filter(|name| !hidden(name)).collect();
    let others: Vec<&String> = others.iter().filter(|other| out != Some(other.as_str())).collect();
    // What lies within another is not searched for by itself.
    for other in others.iter().filter(|other| !others.iter().any(|outer| inside(other, outer))) {
        source.notes.push(format!("{other} has the results of another batch; not searched"));
    }
    for name in listing.keys().filter(|name| is_model(name) && !hidden(name)) {
        if out.is_some_and(|out| inside(name, out)) || others.iter().any(|other| inside(name, other)) {
            continue;
        }
        source.entries.push(Entry { name: name.clone(), path: root.join(name), ..Entry::default() });
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_searched_as_folders_are() {
        let names = [
            "b/m.onnx",
            "a b/ü/n.ONNX",
            ".hidden/h.onnx",
            "._m.onnx",
            "out/o.onnx",
            "outer.onnx",
            "old/o.onnx",
            "old/.fourbit/records/1.json",
            "old/in/.fourbit/records/1.json",
            ".fourbit/records/1.json",
            "x.txt",
        ];
        let object = |name: &str| Object { name: name.into(), bytes: 1, etag: None, version: None };
        let listing = names.iter().map(|name| ((*name).to_owned(), object(name))).collect();
        let found = search(Path::new("s3://zoo/a"), &listing, Some("out"));
        let names: Vec<&str> = found.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a b/ü/n.ONNX", "b/m.onnx", "outer.onnx"]);
        assert_eq!(found.entries[1].path, Path::new("s3://zoo/a/b/m.onnx"));
        assert!(found.notes.len() == 1 && found.notes[0].starts_with("old has"), "{:?}", found.notes);
    }
}

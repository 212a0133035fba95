//! Models in a folder and the folders in it.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use super::{Entry, Source, is_model, manifest};
use crate::error::{Error, Result};
use crate::zoo::OWN;
use crate::zoo::store;

/// Finds every model below `root`, but not in `out`, and not in what is hidden. Links are followed.
pub fn search(root: &Path, out: &Path) -> Result<Source> {
    let mut source = Source { root: root.to_owned(), ..Source::default() };
    let out = store::real(out);
    let wanted = |entry: &DirEntry| {
        let hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        !(hidden || entry.file_type().is_dir() && store::real(entry.path()) == out)
    };
    let walk = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    let mut walk = walk.filter_entry(wanted);
    while let Some(found) = walk.next() {
        match found {
            Ok(entry) if entry.file_type().is_dir() => {
                if entry.depth() > 0 && store::exists(&entry.path().join(OWN)) {
                    let shown = store::shown(entry.path().strip_prefix(root).unwrap_or(entry.path()));
                    source.notes.push(format!("{shown} has the results of another batch; not searched"));
                    walk.skip_current_dir();
                }
            }
            Ok(entry) => source.entries.extend(model(root, entry.path(), entry.file_type().is_file())),
            Err(error) => unreadable(root, error, &mut source)?,
        }
    }
    let path = root.join(manifest::NAME);
    // One that cannot be read says nothing, as one that is not there.
    source.describe(&path, store::get(&path).ok().flatten().unwrap_or_default());
    Ok(source)
}

/// The model at `path`, if it is called one.
fn model(root: &Path, path: &Path, is_file: bool) -> Option<Entry> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let name = store::name(below);
    let shown = name.clone().unwrap_or_else(|| store::shown(below));
    if !is_model(&shown) {
        return None;
    }
    let problem = match (name, is_file) {
        (None, _) => Some("its name is not UTF-8; rename it".into()),
        (_, false) => Some("it is no regular file".into()),
        _ => None,
    };
    Some(Entry { name: shown, path: path.to_owned(), problem, ..Entry::default() })
}

/// Notes what could not be looked at: where models are missed for it, as a model that cannot be converted.
fn unreadable(root: &Path, error: walkdir::Error, source: &mut Source) -> Result<()> {
    let path = error.path().unwrap_or(root).to_owned();
    let below = path.strip_prefix(root).unwrap_or(&path);
    if error.depth() == 0 {
        return Err(Error::read(root)(error.into()));
    }
    if error.loop_ancestor().is_some() {
        source
            .notes
            .push(format!("{}: a link back to a folder around it; not followed", store::shown(below)));
        return Ok(());
    }
    let shown = store::shown(below);
    let folder = path.is_dir();
    let problem = error
        .io_error()
        .map_or_else(|| "cannot be read".into(), |error| format!("cannot be read: {}", error.kind()));
    if folder || is_model(&shown) {
        let name = if folder { format!("{shown}/") } else { shown };
        let problem = Some(if folder { format!("a folder that {problem}") } else { problem });
        source.entries.push(Entry { name, path, problem, ..Entry::default() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn odd_trees_are_searched_to_the_end() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in ["b", "a b/ü", ".hidden", "out", "z.onnx", "old/.fourbit"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        for file in [
            "b/m.onnx",
            "a b/ü/n\nl.onnx",
            ".hidden/h.onnx",
            "out/o.onnx",
            "old/o.onnx",
            "._m.onnx",
            "z.onnx/i.ONNX",
            "x.txt",
        ] {
            std::fs::write(at(file), "").unwrap();
        }
        std::fs::write(root.path().join(OsStr::from_bytes(b"bad\xff.onnx")), "").unwrap();
        symlink("..", at("b/loop")).unwrap();
        symlink("nowhere", at("gone.onnx")).unwrap();
        symlink("nowhere", at("gone")).unwrap();
        symlink("../b/m.onnx", at("a b/link.onnx")).unwrap();
        let found = search(root.path(), &at("out")).unwrap();
        let names: Vec<_> =
            found.entries.iter().map(|entry| (entry.name.as_str(), entry.problem.is_some())).collect();
        assert_eq!(
            names,
            [
                ("a b/link.onnx", false),
                ("a b/ü/n\nl.onnx", false),
                ("b/m.onnx", false),
                ("bad\\xFF.onnx", true),
                ("gone.onnx", true),
                ("z.onnx/i.ONNX", false)
            ]
        );
        let notes = found.notes.join("\n");
        assert!(found.notes.len() == 2 && notes.contains("b/loop") && notes.contains("old"), "{notes}");
        assert!(search(&at("nowhere"), &at("out")).is_err());
    }
}

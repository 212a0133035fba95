//! The models that a batch is asked for: found in a folder, or named by a manifest or a list.

mod folder;
mod list;
pub mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::settings::{Grammar, Settings};
use super::store;
use crate::error::{Error, Result};

/// One model that is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Where its result goes in the output folder, `/` between folders.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What is said of it alone.
    pub settings: Settings,
    /// What a manifest says of it.
    pub manifest: Option<Map<String, Value>>,
    /// Why it cannot be converted, where that is known already.
    pub problem: Option<String>,
}

/// Everything that is asked for.
#[derive(Debug, Default)]
pub struct Source {
    /// What messages about files leave out.
    pub root: PathBuf,
    /// The models, in the order of their names, which are all different.
    pub entries: Vec<Entry>,
    /// Options of all of them, unless others are given.
    pub defaults: Settings,
    /// What a person should know of the search.
    pub notes: Vec<String>,
}

/// The ending of models.
pub fn is_model(name: &str) -> bool {
    stem(name).is_some()
}

/// A model's name without its ending.
pub fn stem(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(".onnx".len())?;
    let (stem, ending) = name.split_at_checked(at)?;
    let whole = !stem.is_empty() && !stem.ends_with('/');
    (whole && ending.eq_ignore_ascii_case(".onnx")).then_some(stem)
}

impl Source {
    /// Finds the models of `source`; the folder `out` is not searched.
    ///
    /// # Errors
    /// [`Error::Read`] where it cannot be read, [`Error::Options`] where it is of another kind, damaged, or names no model.
    pub fn open(source: &Path, out: &Path, grammar: &dyn Grammar) -> Result<Self> {
        let found = std::fs::metadata(source).map_err(Error::read(source))?;
        let ending = source.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let asked = match ending.as_deref() {
            _ if found.is_dir() => folder::search(source, out)?,
            Some("toml" | "json") => Self::named(source, grammar)?,
            Some("onnx") => return Err(Self::single(&source.display().to_string())),
            _ => {
                return Err(Error::options(
                    format!("{} is neither a folder nor a list", source.display()),
                    "give a folder of .onnx files, an ONNX_HUB_MANIFEST.json, or a list of models as TOML or JSON",
                ));
            }
        };
        asked.finish(&source.display().to_string(), out)
    }

    /// Says that `source` is one model and not many.
    pub fn single(source: &str) -> Error {
        Error::options(
            format!("{source} is a single model"),
            "convert it with `fourbit::Quantize`, or give the folder that it lies in",
        )
    }

    /// The same in order, with what cannot be done for the names alone; `source` is what it was found in.
    ///
    /// # Errors
    /// [`Error::Options`] where there is no model.
    pub fn finish(mut self, source: &str, out: &Path) -> Result<Self> {
        if self.entries.is_empty() {
            return Err(Error::options(
                format!("there are no models in {source}"),
                "give a folder that holds .onnx files, however deep, or a list that names some",
            ));
        }
        self.settle(out);
        Ok(self)
    }

    fn named(path: &Path, grammar: &dyn Grammar) -> Result<Self> {
        Self::parse(path, store::get(path)?.unwrap_or_default(), grammar)
    }

    /// Reads the manifest or list that lies, or would lie, at `path`.
    ///
    /// # Errors
    /// [`Error::Options`] where it is damaged.
    pub fn parse(path: &Path, text: Vec<u8>, grammar: &dyn Grammar) -> Result<Self> {
        let text = String::from_utf8(text)
            .map_err(|_| Error::options(format!("{} is no text", path.display()), "write it as UTF-8"))?;
        match manifest::is_manifest(path, &text) {
            true => manifest::read(path, &text),
            false => list::read(path, &text, grammar),
        }
    }

    /// Notes what a manifest, `path`, at the top of a folder says of the models that were found there.
    pub fn describe(&mut self, path: &Path, text: Vec<u8>) {
        let known = manifest::rows(path, text);
        for entry in &mut self.entries {
            entry.manifest = known.get(&entry.name).cloned();
        }
    }

    /// Puts the models in order, and finds those whose results would take each other's place, or a model's.
    fn settle(&mut self, out: &Path) {
        self.entries.sort_by(|one, other| (&one.name, &one.path).cmp(&(&other.name, &other.path)));
        let inputs: BTreeSet<PathBuf> = self.entries.iter().map(|entry| store::real(&entry.path)).collect();
        let mut stems: BTreeMap<String, String> = BTreeMap::new();
        for entry in &mut self.entries {
            let Some(stem) = stem(&entry.name).filter(|_| entry.problem.is_none()) else { continue };
            let target = out.join(&entry.name);
            let target = target
                .parent()
                .map(store::real)
                .unwrap_or_default()
                .join(target.file_name().unwrap_or_default());
            if inputs.contains(&target) {
                entry.problem = Some(
                    "its result would replace a model that is to be converted; choose another output folder"
                        .into(),
                );
            } else if let Some(first) = stems.get(stem) {
                entry.problem = Some(format!(
                    "its plan and report would have the names of those of {first}; rename one of the two"
                ));
            } else {
                stems.insert(stem.to_owned(), entry.name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_have_stems() {
        assert_eq!(stem("a/b.onnx"), Some("a/b"));
        assert_eq!(stem("a/b.c.ONNX"), Some("a/b.c"));
        for other in ["a/.onnx", ".onnx", "onnx", "a.onnx.data", "", "é", "aé.onn"] {
            assert_eq!(stem(other), None, "{other}");
        }
    }

    #[test]
    fn results_do_not_meet() {
        let entry = |name: &str| Entry { name: name.into(), path: name.into(), ..Entry::default() };
        let mut source =
            Source { entries: ["b.onnx", "a.onnx", "a.ONNX"].map(entry).into(), ..Source::default() };
        source.settle(Path::new("/elsewhere"));
        let problems: Vec<_> =
            source.entries.iter().map(|entry| (entry.name.as_str(), entry.problem.is_some())).collect();
        assert_eq!(problems, [("a.ONNX", false), ("a.onnx", true), ("b.onnx", false)]);
    }
}

//! What a result depends on, as one digest: the same key, the same result, whatever files are called and however old they are.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::settings::Settings;
use super::store;
use crate::error::{Error, Result};
use crate::onnx::outline;
use crate::samples::Samples;

/// Changes when the same files and options are to give something else.
const FORM: &str = "fourbit.key 1";

/// The program, which decides as much as the options do.
pub fn tool() -> String {
    format!("fourbit {}", env!("CARGO_PKG_VERSION"))
}

/// The key of a conversion of the model at `path`.
///
/// # Errors
/// [`Error::Read`] where a file cannot be read, or `stop` says that nobody waits for it any more.
pub fn key(path: &Path, settings: &Settings, stop: &AtomicBool) -> Result<String> {
    let mut parts = Parts { digest: Sha256::new(), stop };
    parts.text(FORM);
    parts.text(&tool());
    settings.without_paths().iter().for_each(|argument| parts.text(argument));
    parts.file("model", path)?;
    for side in outline(path)?.side_files {
        // A side file that is missing is told when the model is read.
        if store::exists(&side) {
            parts.text(&side.file_name().map(Path::new).map(store::shown).unwrap_or_default());
            parts.file("side file", &side)?;
        }
    }
    for (name, path) in settings.paths() {
        parts.samples(name, &path)?;
    }
    let beside = Samples::discover(path);
    for (name, found) in [
        ("calibration", beside.calibration),
        ("validation", beside.validation),
        ("preprocess", beside.preprocess),
    ] {
        if let Some(found) = found.filter(|_| settings.value(name).is_none()) {
            parts.samples(name, &found)?;
        }
    }
    Ok(store::hexadecimal(parts.digest))
}

/// What a result depends on besides what `far` has a name for: that is far away, and only its name is taken.
///
/// # Errors
/// [`Error::Read`], as for a key.
pub fn asked(
    settings: &Settings,
    far: &dyn Fn(&Path) -> Option<String>,
    stop: &AtomicBool,
) -> Result<String> {
    let mut parts = Parts { digest: Sha256::new(), stop };
    parts.text(FORM);
    parts.text(&tool());
    settings.without_paths().iter().for_each(|argument| parts.text(argument));
    for (name, path) in settings.paths() {
        match far(&path) {
            Some(place) => [name, "far", &place].iter().for_each(|text| parts.text(text)),
            None => parts.samples(name, &path)?,
        }
    }
    Ok(store::hexadecimal(parts.digest))
}

struct Parts<'p> {
    digest: Sha256,
    stop: &'p AtomicBool,
}

impl Parts<'_> {
    /// Takes a text with its length, so that no two lists of texts are alike.
    fn text(&mut self, text: &str) {
        self.digest.update((text.len() as u64).to_le_bytes());
        self.digest.update(text);
    }

    fn file(&mut self, what: &str, path: &Path) -> Result<()> {
        let found = store::digest(path, self.stop)?;
        self.text(what);
        self.text(&found.sha256);
        Ok(())
    }

    /// Takes a file, or what a folder holds: the test data sets where there are any, as only they are read then.
    fn samples(&mut self, what: &str, path: &Path) -> Result<()> {
        if !path.is_dir() {
            return self.file(what, path);
        }
        let sets = test_sets(path);
        let folders = if sets.is_empty() { vec![path.to_owned()] } else { sets };
        for folder in folders {
            for found in WalkDir::new(&folder).follow_links(true).sort_by_file_name() {
                let Ok(found) = found else {
                    let source = std::io::Error::other("not all of it can be read");
                    return Err(Error::Read { path: folder, source });
                };
                if found.file_type().is_file() {
                    self.text(&store::shown(found.path().strip_prefix(path).unwrap_or(found.path())));
                    self.file(what, found.path())?;
                }
            }
        }
        Ok(())
    }
}

fn test_sets(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"test_data_set_"));
    let mut sets: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    sets.sort_unstable();
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::settings::Known;

    #[test]
    fn content_and_options_count_and_names_and_dates_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        let stop = AtomicBool::new(false);
        let key = |name: &str, settings: &Settings| key(&at(name), settings, &stop).unwrap();
        let none = Settings::default();
        write("m.onnx", "model");
        let first = key("m.onnx", &none);
        write("n.onnx", "model");
        assert_eq!(key("n.onnx", &none), first);
        write("m.onnx", "Model");
        assert_ne!(key("m.onnx", &none), first);
        write("m.onnx", "model");
        assert_eq!(key("m.onnx", &none), first);

        let known = |name: &str, is_path| Known { name: name.into(), is_path, ..Known::default() };
        let mut settings = Settings::default();
        settings.set(&known("precision", false), vec!["w4".into()]);
        assert_ne!(key("m.onnx", &settings), first);

        std::fs::create_dir(at("test_data_set_0")).unwrap();
        write("test_data_set_0/input_0.pb", "input");
        let with_set = key("m.onnx", &none);
        assert_ne!(with_set, first);
        write("test_data_set_0/input_0.pb", "other");
        assert_ne!(key("m.onnx", &none), with_set);
        write("c.npz", "samples");
        let mut given = Settings::default();
        given.set(&known("calibration", true), vec![at("c.npz").to_string_lossy().into_owned()]);
        let with_given = key("m.onnx", &given);
        write("test_data_set_0/input_0.pb", "input");
        assert_eq!(key("m.onnx", &given), with_given, "what was given is read instead");
        write("c.npz", "Samples");
        assert_ne!(key("m.onnx", &given), with_given);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(super::key(&at("m.onnx"), &none, &stop).is_err());
    }
}

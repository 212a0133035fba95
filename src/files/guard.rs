//! What a run reads must not be what it writes, whatever it is called there.

use std::path::{Path, PathBuf};

use super::folder;
use crate::error::{Error, Result};

/// Endings of the files that folders of samples consist of. Others in such a folder are not read as samples.
const SAMPLES: [&str; 16] = [
    "pb", "npz", "npy", "csv", "toml", "jpg", "jpeg", "png", "bmp", "webp", "gif", "pnm", "ppm", "pgm",
    "tif", "tiff",
];

/// The files that a run reads and those that it will write.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    read: Vec<Known>,
    folders: Vec<PathBuf>,
    written: Vec<Known>,
}

/// A file by all that tells it from others.
#[derive(Clone, Debug)]
struct Known {
    path: PathBuf,
    real: PathBuf,
    /// Device and number of the file: what hard links share.
    identity: Option<(u64, u64)>,
}

impl Guard {
    /// Nothing is read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a file that is read, or a folder whose samples are.
    pub fn reads(&mut self, path: &Path) {
        match path.is_dir() {
            true => self.folders.extend(path.canonicalize()),
            false => self.read.push(Known::new(path)),
        }
    }

    /// Whether `path` may be written: it is nothing that is read.
    ///
    /// # Errors
    /// [`Error::OverwritesInput`]
    pub fn check(&self, path: &Path) -> Result<()> {
        let known = Known::new(path);
        let sample = known.identity.is_some()
            && path
                .extension()
                .is_some_and(|ending| SAMPLES.iter().any(|one| ending.eq_ignore_ascii_case(one)))
            && self.folders.iter().any(|folder| known.real.starts_with(folder));
        if sample || self.read.iter().any(|read| read.is(&known)) {
            return Err(Error::OverwritesInput { path: path.to_owned() });
        }
        Ok(())
    }

    /// Notes a file that will be written, beside those noted before.
    ///
    /// # Errors
    /// As [`Guard::check`], and [`Error::Options`] where two outputs have one name.
    pub fn writes(&mut self, path: &Path) -> Result<()> {
        self.check(path)?;
        let known = Known::new(path);
        // What is written into, such as a terminal, may take several outputs.
        let stream = path.metadata().is_ok_and(|found| !found.is_file());
        if !stream && let Some(other) = self.written.iter().find(|other| other.is(&known)) {
            return Err(Error::options(
                format!("two outputs would go to one file, {} and {}", other.path.display(), path.display()),
                "give each a name of its own",
            ));
        }
        self.written.push(known);
        Ok(())
    }
}

impl Known {
    fn new(path: &Path) -> Self {
        let in_folder = || {
            let folder = folder(path).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        };
        let real = path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned());
        Self { path: path.to_owned(), identity: identity(path), real }
    }

    fn is(&self, other: &Self) -> bool {
        self.real == other.real || self.identity.is_some() && self.identity == other.identity
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// Without numbers of files, a hard link is not told from a copy.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_read_is_known_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("m.onnx"), "model").unwrap();
        fs::write(at("other"), "model").unwrap();
        let mut guard = Guard::new();
        guard.reads(&at("m.onnx"));
        guard.reads(&at("gone"));
        let refused = |path: &Path| matches!(guard.check(path), Err(Error::OverwritesInput { .. }));
        assert!(refused(&at("m.onnx")) && refused(&at("sub/../m.onnx")) && refused(&at("gone")));
        assert!(!refused(&at("other")) && !refused(&at("new")) && !refused(&at("none/new")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("m.onnx"), at("link")).unwrap();
            fs::hard_link(at("m.onnx"), at("hard")).unwrap();
            std::os::unix::fs::symlink(folder.path(), at("sub/loop")).unwrap();
            assert!(refused(&at("link")) && refused(&at("hard")) && refused(&at("sub/loop/m.onnx")));
            assert!(refused(&at("sub/loop/gone")));
        }
    }

    #[test]
    fn samples_in_a_folder_stay_and_outputs_have_a_name_each() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("1.PNG"), "").unwrap();
        fs::write(at("old.json"), "").unwrap();
        let mut guard = Guard::new();
        guard.reads(folder.path());
        assert!(guard.check(&at("1.PNG")).is_err());
        assert!(guard.check(&at("old.json")).is_ok() && guard.check(&at("2.png")).is_ok());
        guard.writes(&at("old.json")).unwrap();
        let error = guard.writes(&at("./old.json")).unwrap_err().to_string();
        assert!(error.contains("two outputs"), "{error}");
        guard.writes(&at("new.json")).unwrap();
    }
}

//! An output before it is complete, and the moment in which it gets its name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::guard::Guard;
use super::input::other_kind;
use super::staging::{Alone, Staging};
use super::{folder, interrupt};
use crate::error::{Error, Result};

/// An output of one file, or of one with side files, that lies in a folder of its own until [`Draft::commit`].
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    overwrite: bool,
    guard: Guard,
    staging: Staging,
    /// What the output is written into, where it is no file that could be replaced.
    stream: Option<File>,
    /// Files that were made, without the main one.
    side: Vec<OsString>,
}

impl Draft {
    /// Prepares for writing `path`, which must not be what `guard` knows as read. A regular file is replaced as a whole in
    /// the end; a pipe or a device is written into.
    ///
    /// # Errors
    /// [`Error::OverwritesInput`]; [`Error::Exists`] where `path` is there and `overwrite` is not given; [`Error::Write`]
    /// where the folder is missing or cannot be written to, where `path` is a folder, a socket, a disk, or a pipe that
    /// nobody reads.
    pub fn create(path: &Path, overwrite: bool, guard: &Guard) -> Result<Self> {
        guard.check(path)?;
        let refuse =
            |problem: String| Error::Write { path: path.to_owned(), source: io::Error::other(problem) };
        let kind = path.metadata().ok().as_ref().and_then(other_kind);
        let stream = match kind {
            Some("folder") => {
                return Err(Error::Write {
                    path: path.to_owned(),
                    source: io::ErrorKind::IsADirectory.into(),
                });
            }
            Some("pipe" | "device") => Some(stream(path)?),
            Some(kind) => return Err(refuse(format!("it is a {kind}"))),
            None if is_descriptor(path) => Some(stream(path)?),
            None => None,
        };
        if stream.is_none() && !overwrite && path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: path.to_owned() });
        }
        let folder = folder(path);
        if !folder.is_dir() {
            let problem = format!("there is no folder {}; make it first", folder.display());
            let source = io::Error::new(io::ErrorKind::NotFound, problem);
            return Err(Error::Write { path: path.to_owned(), source });
        }
        let elsewhere = std::env::temp_dir();
        let place = if stream.is_some() { &elsewhere } else { folder };
        let staging = Staging::new(place).map_err(|error| {
            // Its own words name a temporary file, which means nothing to anybody.
            let problem = format!("no file can be made in {}: {}", place.display(), error.kind());
            Error::Write { path: path.to_owned(), source: io::Error::new(error.kind(), problem) }
        })?;
        Ok(Self { path: path.to_owned(), overwrite, guard: guard.clone(), staging, stream, side: Vec::new() })
    }

    /// The path that it gets in the end.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the main file lies until then.
    pub fn place(&self) -> PathBuf {
        self.staging.path(self.name())
    }

    fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(OsStr::new("output"))
    }

    /// Makes the main file.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn main(&self) -> Result<BufWriter<File>> {
        File::create(self.place()).map(BufWriter::new).map_err(Error::write(&self.path))
    }

    /// Whether a side file called `name` may be made beside the main file.
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub fn check_side(&self, name: &OsStr) -> Result<PathBuf> {
        let path = self.path.with_file_name(name);
        self.guard.check(&path)?;
        if self.stream.is_some() {
            let problem =
                "data in a file of its own needs a folder to lie in, and this is a pipe or a device";
            return Err(Error::Write { path: self.path.clone(), source: io::Error::other(problem) });
        }
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                Err(Error::Write { path, source: io::ErrorKind::IsADirectory.into() })
            }
            Ok(_) if !self.overwrite => Err(Error::Exists { path }),
            Ok(found) if !found.is_file() && !found.is_symlink() => {
                Err(Error::Write { path, source: io::Error::other("it is no regular file") })
            }
            _ => Ok(path),
        }
    }

    /// Makes a side file called `name`.
    ///
    /// # Errors
    /// As [`Draft::check_side`].
    pub fn side(&mut self, name: &OsStr) -> Result<BufWriter<File>> {
        let path = self.check_side(name)?;
        let file = File::create(self.staging.path(name)).map_err(Error::write(&path))?;
        self.side.push(name.to_owned());
        Ok(BufWriter::new(file))
    }

    /// Gives complete files their names, the main one last; two runs that do so do it one after the other.
    ///
    /// # Errors
    /// [`Error::Write`], and [`Error::Exists`] where `path` has come up meanwhile; nothing is left behind then.
    pub fn commit(mut self) -> Result<()> {
        let place = self.place();
        if let Some(stream) = &mut self.stream {
            let copied = File::open(place)
                .and_then(|mut file| io::copy(&mut file, stream))
                .and_then(|_| stream.flush());
            // A reader that goes away has a part of a model.
            return copied.map_err(Error::write(&self.path));
        }
        let alone = Alone::in_folder(folder(&self.path));
        interrupt::undisturbed(&self.path, || self.placed())?;
        alone.settle();
        Ok(())
    }

    fn placed(&self) -> Result<()> {
        let mut names: Vec<&OsStr> = self.side.iter().map(OsString::as_os_str).collect();
        names.push(self.name());
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path.with_file_name(name)).collect();
        for path in &paths {
            self.guard.check(path)?;
            if !self.overwrite && path.symlink_metadata().is_ok() {
                return Err(Error::Exists { path: path.clone() });
            }
        }
        if !self.side.is_empty() && self.path.symlink_metadata().is_ok() {
            // A model must not be seen beside the side file of another one.
            fs::remove_file(&self.path).map_err(Error::write(&self.path))?;
        }
        let mut placed: Vec<&PathBuf> = Vec::new();
        for (name, path) in names.iter().zip(&paths) {
            if let Err(error) = fs::rename(self.staging.path(name), path) {
                placed.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(Error::write(path)(error));
            }
            placed.push(path);
        }
        Ok(())
    }
}

/// Opens what is written into. A pipe that nobody reads is told at once instead of waited for.
fn stream(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    let probe = {
        use std::os::unix::fs::OpenOptionsExt as _;
        let probe = options.clone().custom_flags(libc::O_NONBLOCK).open(path);
        probe.map_err(|error| {
            let is_pipe = path.metadata().is_ok_and(|found| other_kind(&found) == Some("pipe"));
            let nobody = || io::Error::other("it is a pipe that nobody reads; start its reader first");
            Error::write(path)(if is_pipe && error.raw_os_error() == Some(libc::ENXIO) {
                nobody()
            } else {
                error
            })
        })?
    };
    let file = options.open(path).map_err(Error::write(path));
    #[cfg(unix)]
    drop(probe);
    file
}

/// Whether `path` names what the process has open, such as `/dev/stdout`, and not a file in a folder.
fn is_descriptor(path: &Path) -> bool {
    let folder = folder(path).canonicalize().unwrap_or_default();
    let link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
    link && (folder == Path::new("/dev") || folder.starts_with("/proc"))
}

/// An output of one file that is written from its first byte to its last.
#[derive(Debug)]
pub struct Sink {
    draft: Draft,
    file: BufWriter<File>,
}

impl Sink {
    /// As [`Draft::create`].
    ///
    /// # Errors
    /// As [`Draft::create`].
    pub fn create(path: &Path, overwrite: bool, guard: &Guard) -> Result<Self> {
        let draft = Draft::create(path, overwrite, guard)?;
        let file = draft.main()?;
        Ok(Self { draft, file })
    }

    /// The path that it gets in the end.
    pub fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Syncs the content and gives it its name.
    ///
    /// # Errors
    /// As [`Draft::commit`].
    pub fn commit(self) -> Result<()> {
        let Self { draft, file } = self;
        complete(file).map_err(Error::write(draft.path()))?;
        draft.commit()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Brings all that was written to the disk.
///
/// # Errors
/// Those of writing.
pub fn complete(file: BufWriter<File>) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

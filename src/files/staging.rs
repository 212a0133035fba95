//! A folder of a run's own beside its output, where files lie until they are complete. It holds a lock for as long as the run
//! lives: what a killed run left behind is known by its free lock, and goes with the next run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::interrupt;

/// How names of such folders begin.
const PREFIX: &str = ".fourbit-";
/// The file in it that is locked.
const LOCK: &str = "lock";
/// Where files lie in it; away from the lock, they may have any name.
const FILES: &str = "files";
/// How often, and how far apart, a folder's lock is asked for: it is held for moments.
const ATTEMPTS: usize = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// The folder.
#[derive(Debug)]
pub(super) struct Staging {
    own: Option<TempDir>,
    /// Open, and so locked.
    _lock: File,
}

impl Staging {
    /// Makes one in `folder`, and takes away those that nobody works in any more.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let alone = Alone::in_folder(folder);
        if alone.is_locked() {
            sweep(folder);
        }
        interrupt::begin(|| {
            let own = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder)?;
            let lock = File::create_new(own.path().join(LOCK))?;
            // Without locks nobody sweeps either.
            drop(lock.try_lock());
            fs::create_dir(own.path().join(FILES))?;
            Ok((own.path().to_owned(), Self { own: Some(own), _lock: lock }))
        })
    }

    /// Where a file called `name` lies until it is complete.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.own.as_ref().map_or_else(PathBuf::new, |own| own.path().join(FILES)).join(name)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            let path = own.path().to_owned();
            drop(own);
            interrupt::end(&path);
        }
    }
}

/// The time in which no other run moves files in a folder.
pub(super) struct Alone(Option<File>);

impl Alone {
    /// Waits for it. A system without such locks has none, and the work goes on.
    pub(super) fn in_folder(folder: &Path) -> Self {
        let Ok(file) = File::open(folder) else { return Self(None) };
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Self(Some(file)),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(fs::TryLockError::Error(_)) => break,
            }
        }
        Self(None)
    }

    fn is_locked(&self) -> bool {
        self.0.is_some()
    }

    /// Has names outlast a loss of power, where the system knows how.
    pub(super) fn settle(&self) {
        if let Some(folder) = &self.0 {
            // The content is safe already; a system that cannot do this has no better way.
            drop(folder.sync_all());
        }
    }
}

/// Takes away what runs left behind that were killed.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !ours {
            continue;
        }
        let lock = entry.path().join(LOCK);
        let is_file = lock.symlink_metadata().is_ok_and(|found| found.is_file());
        let free = || File::options().write(true).open(&lock).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_file && free() {
            // Somebody else's, or gone already: then it stays, or is gone.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_runs_left_goes_and_what_is_worked_in_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, files) in
            [(".fourbit-dead", &["lock", "m.onnx"][..]), (".fourbit-other", &["x"]), ("a", &["lock"])]
        {
            fs::create_dir(at(name)).unwrap();
            files.iter().for_each(|file| fs::write(at(name).join(file), "").unwrap());
        }
        let one = Staging::new(folder.path()).unwrap();
        let other = Staging::new(folder.path()).unwrap();
        assert!(!at(".fourbit-dead").exists() && at(".fourbit-other/x").exists() && at("a/lock").exists());
        fs::write(one.path(OsStr::new("lock")), "a file may have any name").unwrap();
        drop(other);
        assert!(one.path(OsStr::new("lock")).exists());
        drop(one);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

//! Files of a batch on this machine: whole or not there, and known by what they hold.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::files;

/// Bytes that are digested at a time.
const PIECE: usize = 1 << 20;

/// What a file holds, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Reads all of a file for its digest, unless `stop` says that nobody waits for it any more.
///
/// # Errors
/// [`Error::Read`], also where it was stopped.
pub fn digest(path: &Path, stop: &AtomicBool) -> Result<Digest> {
    let mut file = files::open(path)?;
    let (mut digest, mut bytes, mut piece) = (Sha256::new(), 0u64, vec![0; PIECE]);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::read(path)(io::ErrorKind::Interrupted.into()));
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(Digest { sha256: hexadecimal(digest), bytes }),
            Ok(count) => {
                digest.update(&piece[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(path)(error)),
        }
    }
}

/// The end of a digest, as it is written.
pub fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of a file, where there is one.
///
/// # Errors
/// [`Error::Read`] where it is there but cannot be read.
pub fn get(path: &Path) -> Result<Option<Vec<u8>>> {
    match files::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file as a whole, in the place of one that is there; what is not yet whole lies in the folder `staging`, so that a
/// process that is killed leaves nothing elsewhere.
///
/// # Errors
/// [`Error::Write`]
pub fn put(path: &Path, content: &[u8], staging: &Path) -> Result<()> {
    fs::create_dir_all(staging).map_err(Error::write(staging))?;
    // Several threads may put files at the same time.
    let own = tempfile::tempdir_in(staging).map_err(Error::write(staging))?;
    let part = own.path().join("part");
    let written =
        File::create(&part).and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(Error::write(path))?;
    place(&part, path)
}

/// Makes a folder with nothing in it.
///
/// # Errors
/// [`Error::Write`]
pub fn empty(folder: &Path) -> Result<()> {
    clear(folder)?;
    fs::create_dir_all(folder).map_err(Error::write(folder))
}

/// Takes a folder away with all that is in it.
///
/// # Errors
/// [`Error::Write`]
pub fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(folder)(error)),
        _ => Ok(()),
    }
}

/// Gives a complete file its place.
///
/// # Errors
/// [`Error::Write`]
pub fn place(from: &Path, to: &Path) -> Result<()> {
    folder(to)?;
    fs::rename(from, to).map_err(Error::write(to))?;
    settle(to);
    Ok(())
}

/// Takes a file away, if it is there.
///
/// # Errors
/// [`Error::Write`] where it stays.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(path)(error)),
        _ => Ok(()),
    }
}

/// Whether anything has this name.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes the folder that `path` is to lie in.
fn folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::write(folder))
}

/// Has the name of a file outlast a loss of power, where the system knows how.
fn settle(path: &Path) {
    if let Some(folder) = path.parent() {
        // The content is safe already; a system that cannot do this has no better way.
        drop(File::open(folder).and_then(|folder| folder.sync_all()));
    }
}

/// A path below a folder as it is written in lists: `/` between its parts, whatever the system has there. `None` where it
/// leaves the folder or is no text.
pub fn name(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A path as text that tells every path from every other: bytes that are no text as in `\xFF`.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02X}"));
    }
    text
}

/// The same folder or file, whatever it is called.
pub fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_put_at_once_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        let path = |thread: usize, at: usize| folder.path().join(format!("{thread}/{at}"));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let staging = &staging;
                scope.spawn(move || {
                    (0..50).for_each(|at| put(&path(thread, at), &[thread as u8; 9], staging).unwrap());
                });
            }
        });
        for (thread, at) in (0..4).flat_map(|thread| (0..50).map(move |at| (thread, at))) {
            assert_eq!(fs::read(path(thread, at)).unwrap(), [thread as u8; 9]);
        }
        assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
    }

    #[test]
    fn names_stay_inside() {
        assert_eq!(name(Path::new("./a/b c.onnx")).as_deref(), Some("a/b c.onnx"));
        for outside in ["../a", "/a", "a/../../b", "", "."] {
            assert_eq!(name(Path::new(outside)), None, "{outside}");
        }
    }

    #[test]
    fn files_are_whole_and_digested() {
        let folder = tempfile::tempdir().unwrap();
        let (path, stop) = (folder.path().join("a/b"), AtomicBool::new(false));
        assert_eq!(get(&path).unwrap(), None);
        let staging = folder.path().join("staging");
        put(&path, b"ab", &staging).unwrap();
        put(&path, b"abc", &staging).unwrap();
        clear(&staging).unwrap();
        let found = digest(&path, &stop).unwrap();
        assert_eq!(found.bytes, 3);
        assert_eq!(found.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        stop.store(true, Ordering::Relaxed);
        assert!(digest(&path, &stop).is_err());
        place(&path, &folder.path().join("c/d")).unwrap();
        assert!(!exists(&path) && exists(&folder.path().join("c/d")));
        remove(&path).unwrap();
        assert!(
            digest(folder.path(), &AtomicBool::new(false)).unwrap_err().to_string().contains("cannot read")
        );
    }
}

//! Files as memory: mapped, so that nothing is copied, and let go of page by page, so that what was read once does not
//! count against the process for ever. What is made anew and is large goes to a file, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::files;

/// Bytes below which letting go is not worth the call.
const LEAST: usize = 64 << 10;
/// Bytes that a system may bring along with one that is read, and aligned so in the file: they go with it.
const AROUND: usize = 2 << 20;
/// New bytes that are kept in memory; more are worth a file, as a model may have thousands of such tensors.
const IN_MEMORY: usize = 128 << 10;

/// Every map that is alive, by its address.
static MAPS: Mutex<BTreeMap<usize, Weak<Mmap>>> = Mutex::new(BTreeMap::new());

struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        MAPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.0.as_ptr() as usize));
    }
}

/// Maps a file. The map must not outlive changes to the file by others; fourbit itself only ever
/// replaces files by renaming.
pub(crate) fn map(path: &Path) -> Result<Bytes> {
    map_file(&files::open(path)?, path)
}

/// Maps an open file, as [`map`] does; `path` is what messages call it.
pub(crate) fn map_file(file: &File, path: &Path) -> Result<Bytes> {
    let metadata = file.metadata().map_err(Error::read(path))?;
    if metadata.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and private to this process; a file that another process
    // truncates meanwhile is outside what a reader can guard against.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file) }.map_err(Error::read(path))?;
    // Looking at the headers of tensors must not bring huge pages of their data along. Advice that is not taken costs
    // memory, nothing else.
    #[cfg(target_os = "linux")]
    drop(map.advise(memmap2::Advice::NoHugePage));
    let map = Arc::new(map);
    let mut maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
    maps.insert(map.as_ptr() as usize, Arc::downgrade(&map));
    Ok(Bytes::from_owner(Mapped(map)))
}

/// Gives back the memory of `bytes` where they are part of a mapped file; read again, they come from the file again.
/// Anything else is left alone.
pub fn let_go(bytes: &[u8]) {
    if bytes.len() < LEAST {
        return;
    }
    let address = bytes.as_ptr() as usize;
    let found = {
        let maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        maps.range(..=address).next_back().and_then(|(start, map)| Some((*start, map.upgrade()?)))
    };
    let Some((start, map)) = found else { return };
    let (offset, end) = (address - start, address - start + bytes.len());
    if end <= map.len() {
        let from = offset - offset % AROUND;
        drop_pages(&map, from, end.next_multiple_of(AROUND).min(map.len()) - from);
    }
}

#[cfg(unix)]
fn drop_pages(map: &Mmap, offset: usize, length: usize) {
    // SAFETY: the range lies in a shared map of a file that nobody writes to through it: pages that are dropped come
    // back from the file with the same bytes.
    #[allow(unsafe_code)]
    let dropped = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, length) };
    // Advice that the system does not take costs memory, nothing else.
    drop(dropped);
}

#[cfg(not(unix))]
fn drop_pages(_: &Mmap, _: usize, _: usize) {}

/// Bytes that are made now and read later: in memory while they are few, in a temporary file without a name otherwise.
#[derive(Debug, Default)]
pub struct Scratch {
    memory: Vec<u8>,
    file: Option<File>,
}

impl Scratch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder for temporary files takes no more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY { self.write() } else { Ok(()) }
    }

    /// Everything that was pushed, mapped where it went to a file.
    ///
    /// # Errors
    /// As [`Scratch::push`].
    pub fn finish(mut self) -> Result<Bytes> {
        if self.file.is_none() {
            return Ok(self.memory.into());
        }
        self.write()?;
        match &self.file {
            Some(file) => map_file(file, &std::env::temp_dir()),
            None => Ok(Bytes::new()),
        }
    }

    fn write(&mut self) -> Result<()> {
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.memory),
            None => tempfile::tempfile().and_then(|mut file| {
                file.write_all(&self.memory)?;
                self.file = Some(file);
                Ok(())
            }),
        };
        self.memory.clear();
        written.map_err(Error::write(&std::env::temp_dir()))
    }
}

/// `bytes` where they are: in a temporary file if they are many.
///
/// # Errors
/// As [`Scratch::push`].
pub fn spooled(bytes: Vec<u8>) -> Result<Bytes> {
    if bytes.len() <= IN_MEMORY {
        return Ok(bytes.into());
    }
    let mut scratch = Scratch { memory: bytes, file: None };
    scratch.write()?;
    scratch.memory = Vec::new();
    let bytes = scratch.finish()?;
    let_go(&bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_go_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let content: Vec<u8> = (0..1_000_003u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let (one, other) = (map(&path).unwrap(), map(&path).unwrap());
        assert_eq!(one, content);
        for range in [0..1_000_003, 5000..900_001, 999_000..1_000_003] {
            let_go(&one.slice(range));
            assert!(one == content && other == content);
        }
        let address = other.as_ptr() as usize;
        drop(other);
        assert!(!MAPS.lock().unwrap().contains_key(&address), "no map is remembered that is gone");
        let_go(&content);
        assert_eq!(one, content, "memory of other kinds stays as it is");
    }

    #[test]
    fn few_and_many_bytes_return() {
        for count in [0, 1000, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 7] {
            let bytes: Vec<u8> = (0..count).map(|at| (at % 253) as u8).collect();
            assert!(spooled(bytes.clone()).unwrap() == bytes);
            let mut scratch = Scratch::new();
            bytes.chunks(300_001).for_each(|piece| scratch.push(piece).unwrap());
            assert!(scratch.finish().unwrap() == bytes);
        }
    }
}

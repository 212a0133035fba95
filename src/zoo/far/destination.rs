//! An output folder beyond a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::Seen;
use crate::error::{Error, Result};
use crate::place::{Address, Halt, Object};
use crate::remote::Remote;
use crate::zoo::outbox::Output;
use crate::zoo::store::{self, Digest};

/// What lay there, by name.
type Listing = Arc<BTreeMap<String, Object>>;

/// The folder.
#[derive(Debug)]
pub struct Destination {
    remote: Remote,
    /// As it was when it was first asked for. What this process writes afterwards it knows.
    listing: Mutex<Option<Listing>>,
}

impl Destination {
    /// The folder at `address`, of which nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Options`] where nothing can be written there, [`Error::Remote`].
    pub fn open(address: &Address, halt: Halt) -> Result<Self> {
        if !address.is_listable() {
            return Err(Error::options(
                format!("{address}: a web server only gives files"),
                "choose a folder of this machine with `.out`, or a bucket as in s3://bucket/prefix",
            ));
        }
        Ok(Self { remote: Remote::open(address, halt)?, listing: Mutex::new(None) })
    }

    /// What messages call a file in it.
    pub fn shown(&self, name: &str) -> PathBuf {
        PathBuf::from(self.remote.address().join(name).to_string())
    }

    fn listing(&self) -> Result<Listing> {
        let mut kept = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(listing) => Ok(Arc::clone(listing)),
            None => Ok(Arc::clone(kept.insert(Arc::new(self.remote.list()?)))),
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        self.remote.put(name, content.to_vec()).map(drop)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.remote.get(name)
    }

    /// Whether there was something of this name.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn has(&self, name: &str) -> Result<bool> {
        Ok(self.listing()?.contains_key(name))
    }

    /// Takes a file away, if it is there.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn remove(&self, name: &str) -> Result<()> {
        self.remote.remove(name)
    }

    /// The names of what lay in `folder`, and not in folders in it.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn below(&self, folder: &str) -> Result<Vec<String>> {
        let listing = self.listing()?;
        let inside = |name: &&String| name.rsplit_once('/').is_some_and(|(parent, _)| parent == folder);
        Ok(listing.keys().filter(inside).cloned().collect())
    }

    /// What all of these look like, if they lay there: as they looked when they were written, or else as they are when they are
    /// read.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn whole(&self, outputs: &[Output], seen: Option<&Seen>) -> Result<Option<Vec<Object>>> {
        let listing = self.listing()?;
        let mut found = Vec::new();
        for output in outputs {
            let there = listing.get(&output.file).filter(|there| there.bytes == output.digest.bytes);
            let Some(there) = there else { return Ok(None) };
            let known = seen.and_then(|seen| seen.outputs.iter().find(|seen| same(seen, there)));
            if known.is_none() && self.digest(&output.file)?.as_ref() != Some(&output.digest) {
                return Ok(None);
            }
            found.push(known.unwrap_or(there).clone());
        }
        Ok(Some(found))
    }

    fn digest(&self, name: &str) -> Result<Option<Digest>> {
        let (mut digest, mut bytes) = (Sha256::new(), 0u64);
        let found = self.remote.each(name, &mut |piece| {
            digest.update(piece);
            bytes += piece.len() as u64;
            Ok(())
        })?;
        Ok(found.map(|_| Digest { sha256: store::hexadecimal(digest), bytes }))
    }

    /// Sends a finished file to its place, and says what it looks like there.
    ///
    /// # Errors
    /// [`Error::Remote`] or [`Error::Read`]
    pub fn send(&self, from: &Path, output: &Output) -> Result<Object> {
        self.remote.send(from, &output.file)
    }
}

/// Whether what was sent is what was listed. Listings say nothing of versions.
fn same(sent: &Object, listed: &Object) -> bool {
    listed.is_certain() && (&sent.name, sent.bytes, &sent.etag) == (&listed.name, listed.bytes, &listed.etag)
}

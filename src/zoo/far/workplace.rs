//! The folder for what lies on this machine only as long as it is worked on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::place::{Halt, Place};
use crate::plan::Listener;
use crate::zoo::outbox::lock::{Site, lock};
use crate::zoo::outbox::{Outbox, own};
use crate::zoo::{Batch, finish, store};

/// The output folder and what goes with it, while other batches are kept off.
#[derive(Debug)]
pub struct Ready {
    /// The output folder.
    pub out: Outbox,
    /// The folder for what lies here only for a while, where one is needed.
    pub workplace: Option<Workplace>,
    _locks: Vec<File>,
}

/// The folder.
#[derive(Debug)]
pub struct Workplace {
    /// Where it is.
    pub path: PathBuf,
    keep: bool,
    _temporary: Option<TempDir>,
}

impl Workplace {
    /// Makes the output folder and, where one is needed, the working folder: in the one that was asked for, else in an output folder
    /// on this machine, else a temporary one. Keeps other batches off both for as long as what is returned is there. Gives nothing
    /// where `stop` came first.
    ///
    /// # Errors
    /// [`Error::Write`] where one cannot be made, [`Error::Options`] where another batch is at work there, [`Error::Remote`].
    pub fn prepare(batch: &Batch, listener: &dyn Listener, stop: &Arc<AtomicBool>) -> Result<Option<Ready>> {
        let label = finish::label(batch.shard);
        let is_far = |place: &Place| matches!(place, Place::Far(_));
        let work = batch.work.as_ref().filter(|_| is_far(&batch.source) || is_far(&batch.out));
        let near = match &batch.out {
            Place::Near(root) => Some(root),
            Place::Far(_) => None,
        };
        let mut locks = Vec::new();
        for (file, folder, option) in [
            near.map(|root| (root.join(own(&format!("shards/{label}.lock"))), root, "`.out`")),
            work.map(|work| (work.join(format!("fourbit-{label}.lock")), work, "`.work`")),
        ]
        .into_iter()
        .flatten()
        {
            let site = Site { file: &file, folder, option };
            let Some(locked) = lock(site, batch, listener, stop)? else { return Ok(None) };
            locks.push(locked);
        }
        let workplace = match (work, near) {
            (Some(work), _) => Some(Self::new(work.join(format!("fourbit-{label}")), batch.keep_work, None)?),
            (None, Some(_)) if !is_far(&batch.source) => None,
            (None, Some(root)) => {
                Some(Self::new(root.join(own("work")).join(&label), batch.keep_work, None)?)
            }
            (None, None) => Some(Self::temporary(batch.keep_work)?),
        };
        let work = workplace.as_ref().map_or(Path::new(""), |workplace| &workplace.path);
        let out = Outbox::new(&batch.out, &label, work, Halt::new([stop]))?;
        store::empty(&out.staging)?;
        Ok(Some(Ready { out, workplace, _locks: locks }))
    }

    fn new(path: PathBuf, keep: bool, temporary: Option<TempDir>) -> Result<Self> {
        store::empty(&path)?;
        Ok(Self { path, keep, _temporary: temporary })
    }

    fn temporary(keep: bool) -> Result<Self> {
        let parent = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("fourbit-").tempdir_in(&parent);
        let made = made.map_err(Error::write(&parent))?;
        match keep {
            true => Self::new(made.keep(), keep, None),
            false => Self::new(made.path().to_owned(), keep, Some(made)),
        }
    }

    /// Clears it.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn end(&self) -> Result<()> {
        match self.keep {
            true => Ok(()),
            false => store::clear(&self.path),
        }
    }
}

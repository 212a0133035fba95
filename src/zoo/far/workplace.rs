//! The folder for what lies on this machine only as long as it is worked on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::plan::Listener;
use crate::remote::Place;
use crate::zoo::out::lock::{Site, lock};
use crate::zoo::out::{Out, own};
use crate::zoo::{Batch, finish, store};

/// The output folder and what goes with it, while other batches are kept off.
#[derive(Debug)]
pub struct Ready {
    /// The output folder.
    pub out: Out,
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
    /// Makes the output folder and, where one is needed, the working folder, and keeps other batches off both for as long as
    /// what is returned is there. Gives nothing where `stop` came first.
    ///
    /// # Errors
    /// [`Error::Write`] where one cannot be made, [`Error::Options`] where another batch is at work there, [`Error::Remote`].
    pub fn prepare(batch: &Batch, listener: &dyn Listener, stop: &AtomicBool) -> Result<Option<Ready>> {
        let label = finish::label(batch.shard);
        let mut locks = Vec::new();
        let near = match &batch.out {
            Place::Near(root) => Some((root.join(own(&format!("shards/{label}.lock"))), root, "-o")),
            Place::Far(_) => None,
        };
        let working = match (&batch.work, &batch.source, &batch.out) {
            (_, Place::Near(_), Place::Near(_)) | (None, ..) => None,
            (Some(work), ..) => Some((work.join(format!("fourbit-{label}.lock")), work, "--work")),
        };
        for (file, folder, option) in near.iter().chain(&working) {
            let Some(locked) = lock(Site { file, folder, option }, batch, listener, stop)? else {
                return Ok(None);
            };
            locks.push(locked);
        }
        let workplace = Self::new(batch, &label)?;
        let work = workplace.as_ref().map_or(Path::new(""), |workplace| &workplace.path);
        let out = Out::new(&batch.out, &label, work)?;
        store::empty(&out.staging)?;
        Ok(Some(Ready { out, workplace, _locks: locks }))
    }

    /// The folder of what works under `label`: in the one that was asked for, else in an output folder on this machine, else
    /// a temporary one. `None` where nothing is far.
    fn new(batch: &Batch, label: &str) -> Result<Option<Self>> {
        let (path, temporary) = match (&batch.work, &batch.source, &batch.out) {
            (_, Place::Near(_), Place::Near(_)) => return Ok(None),
            (Some(work), ..) => (work.join(format!("fourbit-{label}")), None),
            (None, _, Place::Near(root)) => (root.join(own("work")).join(label), None),
            (None, ..) => {
                let parent = std::env::temp_dir();
                let made = tempfile::Builder::new().prefix("fourbit-").tempdir_in(&parent);
                let made = made.map_err(Error::write(&parent))?;
                match batch.keep_work {
                    true => (made.keep(), None),
                    false => (made.path().to_owned(), Some(made)),
                }
            }
        };
        store::empty(&path)?;
        Ok(Some(Self { path, keep: batch.keep_work, _temporary: temporary }))
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

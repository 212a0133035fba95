//! One model of a batch, before it is converted.

use std::fs;
use std::sync::atomic::AtomicBool;

use super::queue::estimate;
use super::record::{Out, Record, State, outputs};
use super::settings::Settings;
use super::source::Entry;
use super::{Batch, key, store};
use crate::error::Result;
use crate::onnx::outline;

/// One model of this shard.
#[derive(Debug)]
pub struct Work {
    /// What is asked for.
    pub entry: Entry,
    /// With these options.
    pub settings: Settings,
    /// Bytes of the model; `None` where it cannot be looked at.
    pub bytes: Option<u64>,
    /// About how much memory it takes.
    pub memory: u64,
}

/// What was found of a model before anything is converted.
pub enum Checked {
    /// It is done, or has failed and is left so.
    Done(Box<Record>),
    /// It is to be converted, under this key.
    Due(String),
    /// It cannot be.
    Unable(String),
}

impl Work {
    /// The conversion of `entry`: what is said of it alone comes before what is asked of all, and that before `defaults`.
    pub fn new(entry: &Entry, asked: &Settings, defaults: &Settings) -> Self {
        let settings = entry.settings.over(&asked.over(defaults));
        let is_file = fs::metadata(&entry.path).is_ok_and(|found| found.is_file());
        let readable = is_file && entry.problem.is_none();
        let outline = readable.then(|| outline(&entry.path).ok()).flatten();
        let memory = outline.as_ref().map_or(0, |outline| estimate(&entry.path, outline, &settings));
        Self { entry: entry.clone(), settings, bytes: outline.map(|outline| outline.bytes), memory }
    }

    /// Finds out what is to be done.
    ///
    /// # Errors
    /// [`crate::error::Error::Read`] where a file that counts cannot be read, or `stop` says that nobody waits.
    pub fn check(&self, batch: &Batch, out: &Out, stop: &AtomicBool) -> Result<Checked> {
        let entry = &self.entry;
        if let Some(problem) = &entry.problem {
            return Ok(Checked::Unable(problem.clone()));
        }
        let record = out.read(&entry.name)?;
        // A conversion that failed leaves no files, so those that are there are not its own.
        let has_files = record.as_ref().is_some_and(|record| !matches!(record.state, State::Failed { .. }));
        let taken = outputs(&entry.name).into_iter().find(|name| store::exists(&out.root.join(name)));
        if let Some(name) = taken.filter(|_| !has_files && !batch.overwrite) {
            let problem =
                format!("{name} in the output folder is not of a batch; move it away, or pass --overwrite");
            return Ok(Checked::Unable(problem));
        }
        let key = key::key(&entry.path, &self.settings, stop)?;
        let done = record.filter(|record| {
            record.key == key
                && match &record.state {
                    State::Placing => false,
                    State::Failed { .. } => batch.keep_failures,
                    State::Written { .. } => out.is_whole(record, stop),
                }
        });
        Ok(done.map_or(Checked::Due(key), |record| Checked::Done(Box::new(record))))
    }
}

//! One model of a batch, before it is converted.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::far::{Fetched, Inputs, Origin, Seen};
use super::outbox::{Outbox, Record, State, outputs};
use super::queue::estimate;
use super::settings::Settings;
use super::source::Entry;
use super::{Batch, key};
use crate::error::Result;
use crate::onnx::outline;
use crate::place::Object;

/// One model of this shard.
#[derive(Debug)]
pub struct Work {
    /// What is asked for.
    pub entry: Entry,
    /// With these options.
    pub settings: Settings,
    /// As far as it is known before it is looked at.
    first: Size,
    /// What lies here of a model that is far.
    here: OnceLock<Fetched>,
    /// What was found of it then.
    size: OnceLock<Size>,
}

/// How large a model is.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: Option<u64>,
    memory: u64,
}

/// What was found of a model before anything is converted.
pub enum Checked {
    /// It is done, or has failed and is left so.
    Done(Box<Record>),
    /// It is to be converted, under this key.
    Due(String),
    /// It cannot be, or could not be looked at this time.
    Unable(String),
}

impl Work {
    /// The conversion of `entry`: what is said of it alone comes before what is asked of all, and that before `defaults`.
    pub fn new(entry: &Entry, batch: &Batch, defaults: &Settings, origin: Option<&Origin>) -> Self {
        let settings = entry.settings.over(&batch.settings.over(defaults));
        let first = match origin {
            Some(origin) => {
                let bytes = origin.bytes(entry).filter(|_| entry.problem.is_none());
                // The order in which models are fetched; how much memory they take is found out when they lie here.
                Size { bytes, memory: bytes.unwrap_or(0) }
            }
            None if entry.problem.is_none() => Size::of(&entry.path, &settings, batch),
            None => Size::default(),
        };
        let (here, size) = (OnceLock::new(), OnceLock::new());
        Self { entry: entry.clone(), settings, first, here, size }
    }

    fn size(&self) -> Size {
        self.size.get().copied().unwrap_or(self.first)
    }

    /// Bytes of the model; `None` where it cannot be looked at.
    pub fn bytes(&self) -> Option<u64> {
        self.size().bytes
    }

    /// About how much memory it takes.
    pub fn memory(&self) -> u64 {
        self.size().memory
    }

    /// What lies here of a model that is far.
    pub fn here(&self) -> Option<&Fetched> {
        self.here.get()
    }

    /// The model's file on this machine.
    pub fn path(&self) -> &Path {
        self.here().map_or(&self.entry.path, |here| &here.path)
    }

    /// The options with which it is converted.
    pub fn arguments(&self) -> Vec<String> {
        self.here().map_or(&self.settings, |here| &here.settings).arguments()
    }

    /// What it is made of, where that is far.
    pub fn inputs(&self) -> Option<&Inputs> {
        self.here().map(|here| &here.inputs)
    }

    /// Takes away what lies here only for it.
    pub fn release(&self) {
        if let Some(here) = self.here() {
            here.release();
        }
    }

    /// Finds out what is to be done.
    ///
    /// # Errors
    /// [`crate::error::Error::Read`] where a file that counts cannot be read, or nobody waits,
    /// [`crate::error::Error::Remote`] where it cannot be fetched.
    pub fn check(
        &self,
        batch: &Batch,
        out: &Outbox,
        origin: Option<&Origin>,
        stop: &AtomicBool,
    ) -> Result<Checked> {
        let entry = &self.entry;
        if let Some(problem) = &entry.problem {
            return Ok(Checked::Unable(problem.clone()));
        }
        let record = out.read(&entry.name)?;
        // A record of a failure speaks of no files, so those that are there are not ours.
        let has_files = record.as_ref().is_some_and(|record| !matches!(record.state, State::Failed { .. }));
        if !has_files && !batch.overwrite {
            for name in outputs(&entry.name) {
                if out.has(&name)? {
                    let problem = format!(
                        "{name} in the output folder is not of a batch; move it away, or set `.overwrite`"
                    );
                    return Ok(Checked::Unable(problem));
                }
            }
        }
        let may_be_seen = record.is_some() && (origin.is_some() || out.here().is_none());
        let seen = if may_be_seen { out.seen(&entry.name)? } else { None };
        if let (Some(origin), Some(record)) = (origin, &record)
            && let Some(inputs) = self.as_seen(record, seen.as_ref(), origin, stop)?
            && let Some(outputs) = self.done(record, seen.as_ref(), batch, out, stop)?
        {
            let record = self.keep(record, seen, Some(inputs), outputs, out)?;
            return Ok(Checked::Done(Box::new(record)));
        }
        let key = match origin {
            Some(origin) => self.fetch(origin, batch, stop)?,
            None => key::key(&entry.path, &self.settings, stop)?,
        };
        let Some(record) = record else { return Ok(Checked::Due(key)) };
        if record.key == key
            && let Some(outputs) = self.done(&record, seen.as_ref(), batch, out, stop)?
        {
            let record = self.keep(&record, seen, self.inputs().cloned(), outputs, out)?;
            return Ok(Checked::Done(Box::new(record)));
        }
        let has_failed = record.failed.as_ref().is_some_and(|failed| failed.key == key);
        Ok(match has_failed && batch.keep_failures {
            true => Checked::Done(Box::new(record)),
            false => Checked::Due(key),
        })
    }

    /// What the files of `record` look like from afar, if nothing is left to do under its key.
    fn done(
        &self,
        record: &Record,
        seen: Option<&Seen>,
        batch: &Batch,
        out: &Outbox,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Object>>> {
        match &record.state {
            State::Placing { .. } => Ok(None),
            State::Failed { .. } => Ok(batch.keep_failures.then(Vec::new)),
            State::Written { .. } => out.whole(record, seen, stop),
        }
    }

    /// Keeps what all looks like now, so that it need not be fetched the next time, and that what failed later does not count any
    /// more. Gives the record.
    fn keep(
        &self,
        record: &Record,
        seen: Option<Seen>,
        inputs: Option<Inputs>,
        outputs: Vec<Object>,
        out: &Outbox,
    ) -> Result<Record> {
        let mut now = Seen::new(&record.key, inputs);
        now.outputs = outputs;
        if seen.as_ref() != Some(&now) {
            out.see(&self.entry.name, &now)?;
        }
        let mut record = record.clone();
        if record.failed.take().is_some() {
            out.write(&record)?;
        }
        Ok(record)
    }

    /// What `record` was made of, if all of it looks as it did then.
    fn as_seen(
        &self,
        record: &Record,
        seen: Option<&Seen>,
        origin: &Origin,
        stop: &AtomicBool,
    ) -> Result<Option<Inputs>> {
        let seen = seen.filter(|seen| seen.key == record.key);
        let Some(inputs) = seen.and_then(|seen| seen.inputs.as_ref()).filter(|inputs| inputs.is_certain())
        else {
            return Ok(None);
        };
        let same = inputs.asked == origin.asked(&self.settings, stop)?
            && inputs.objects == origin.objects(&self.entry, &self.settings, &inputs.sides)?;
        Ok(same.then(|| inputs.clone()))
    }

    /// Fetches the model. Gives its key.
    fn fetch(&self, origin: &Origin, batch: &Batch, stop: &AtomicBool) -> Result<String> {
        let fetched = origin.fetch(&self.entry, &self.settings, stop)?;
        let here = self.here.get_or_init(|| fetched);
        self.size.get_or_init(|| Size::of(&here.path, &here.settings, batch));
        key::key(&here.path, &here.settings, stop)
    }
}

impl Size {
    fn of(path: &Path, settings: &Settings, batch: &Batch) -> Self {
        let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
        let outline = is_file.then(|| outline(path).ok()).flatten();
        let memory =
            outline.as_ref().map_or(0, |outline| estimate(path, outline, settings, batch.share(batch.jobs)));
        Self { bytes: outline.map(|outline| outline.bytes), memory }
    }
}

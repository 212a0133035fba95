//! The output folder, here or beyond a network: what lies in it, and in what order.

pub mod lock;
mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};

use super::OWN;
use super::far::{Destination, Inputs, Seen};
use super::source::manifest::Facts;
use super::store;
use crate::error::{Error, Result};
use crate::place::{Halt, Object, Place};
use crate::plan::Row;
use record::Failure;
pub use record::{Output, Record, State, outputs, staged};

/// The output folder.
#[derive(Debug)]
pub struct Outbox {
    home: Home,
    /// The folder for what is not yet complete.
    pub staging: PathBuf,
}

#[derive(Debug)]
enum Home {
    Near(PathBuf),
    Far(Box<Destination>),
}

impl Outbox {
    /// The folder `place`. What is not complete lies in a folder `label` in it, or, where `place` is far, in `work`: what works at
    /// the same time has another one. What is far is asked for as long as `halt` is not set.
    ///
    /// # Errors
    /// [`Error::Remote`] where it makes no sense; nothing is asked of it yet.
    pub fn new(place: &Place, label: &str, work: &Path, halt: Halt) -> Result<Self> {
        Ok(match place {
            Place::Near(root) => Self::near(root, label),
            Place::Far(address) => Self {
                home: Home::Far(Box::new(Destination::open(address, halt)?)),
                staging: work.join("staging"),
            },
        })
    }

    /// The folder `root` of this machine.
    pub fn near(root: &Path, label: &str) -> Self {
        Self { home: Home::Near(root.to_owned()), staging: root.join(OWN).join("staging").join(label) }
    }

    /// Its path, where it is on this machine.
    pub fn here(&self) -> Option<&Path> {
        match &self.home {
            Home::Near(root) => Some(root),
            Home::Far(_) => None,
        }
    }

    /// What messages call a file in it.
    pub fn shown(&self, name: &str) -> PathBuf {
        match &self.home {
            Home::Near(root) => root.join(name),
            Home::Far(destination) => destination.shown(name),
        }
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        match &self.home {
            Home::Near(root) => store::put(&root.join(name), content, &self.staging),
            Home::Far(destination) => destination.put(name, content),
        }
    }

    /// The content of a file, where there is one.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Remote`]
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match &self.home {
            Home::Near(root) => store::get(&root.join(name)),
            Home::Far(destination) => destination.get(name),
        }
    }

    /// Whether anything had this name when the batch began.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn has(&self, name: &str) -> Result<bool> {
        match &self.home {
            Home::Near(root) => Ok(store::exists(&root.join(name))),
            Home::Far(destination) => destination.has(name),
        }
    }

    /// Takes a file away, if it is there.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn remove(&self, name: &str) -> Result<()> {
        match &self.home {
            Home::Near(root) => store::remove(&root.join(name)),
            Home::Far(destination) => destination.remove(name),
        }
    }

    /// The names of files of our own that lie in `folder`.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Remote`]
    pub fn own(&self, folder: &str) -> Result<Vec<String>> {
        let folder = own(folder);
        let mut names: Vec<String> = match &self.home {
            Home::Far(destination) => destination.below(&folder)?,
            Home::Near(root) => match std::fs::read_dir(root.join(&folder)) {
                Ok(entries) => {
                    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
                    names.map(|name| format!("{folder}/{name}")).collect()
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(Error::read(&root.join(&folder))(error)),
            },
        };
        names.sort();
        Ok(names)
    }

    /// The record of a model. A damaged one says only that its files are ours.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Remote`]
    pub fn read(&self, model: &str) -> Result<Option<Record>> {
        let text = self.get(&of("records", model))?;
        Ok(text.map(|text| Record::parse(&text, model)))
    }

    /// Keeps a record.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn write(&self, record: &Record) -> Result<()> {
        self.json(&of("records", &record.model), record)
    }

    /// Writes `content` as JSON that people can read.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn json(&self, name: &str, content: &impl serde::Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(content)
            .map_err(|error| Error::write(&self.shown(name))(error.into()))?;
        text.push(b'\n');
        self.put(name, &text)
    }

    /// What was seen beyond the network when the record of `model` was made.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Remote`]
    pub fn seen(&self, model: &str) -> Result<Option<Seen>> {
        Ok(self.get(&of("seen", model))?.and_then(|text| Seen::parse(&text)))
    }

    /// Keeps what was seen, where anything was.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn see(&self, model: &str, seen: &Seen) -> Result<()> {
        match seen.is_empty() {
            true => Ok(()),
            false => self.json(&of("seen", model), seen),
        }
    }

    /// Whether the files of a record are there, as they were written: if so, what they look like from afar. `seen` is what was
    /// known of that.
    ///
    /// # Errors
    /// [`Error::Remote`] where that cannot be found out; of a file on this machine that is a no.
    pub fn whole(
        &self,
        record: &Record,
        seen: Option<&Seen>,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Object>>> {
        if !matches!(record.state, State::Written { .. }) {
            return Ok(None);
        }
        match &self.home {
            Home::Near(root) => {
                let same = |output: &Output| {
                    let path = root.join(&output.file);
                    std::fs::metadata(&path).is_ok_and(|found| found.len() == output.digest.bytes)
                        && store::digest(&path, stop).is_ok_and(|found| found == output.digest)
                };
                Ok(record.outputs.iter().all(same).then(Vec::new))
            }
            Home::Far(destination) => {
                destination.whole(&record.outputs, seen.filter(|seen| seen.key == record.key))
            }
        }
    }

    /// Puts finished files from `staging` into their places, and then the record of it.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Read`] or [`Error::Remote`]: the model is not done then.
    pub fn place(
        &self,
        staging: &Path,
        key: &str,
        row: Row,
        facts: Facts,
        inputs: Option<&Inputs>,
    ) -> Result<()> {
        let model = row.model.clone();
        let never = AtomicBool::new(false);
        let mut files = Vec::new();
        for (staged, name) in staged(&model).iter().zip(outputs(&model)) {
            let staged = staging.join(staged);
            if store::exists(&staged) {
                let digest = store::digest(&staged, &never)?;
                files.push((staged, Output { file: name, digest }));
            }
        }
        let outputs: Vec<Output> = files.iter().map(|(_, output)| output.clone()).collect();
        // What an earlier conversion gave and this one does not.
        let before = self.read(&model)?;
        let mut gone = before.iter().flat_map(|record| record.outputs.clone()).collect::<Vec<_>>();
        gone.retain(|old| !outputs.iter().any(|output| output.file == old.file));
        let earlier = before.is_some_and(|record| record.earlier().is_some());
        let all = outputs.iter().chain(&gone).cloned().collect();
        self.write(&Record::new(&model, "", all, State::Placing { earlier }))?;
        let mut seen = Seen::new(key, inputs.cloned());
        for (staged, output) in &files {
            match &self.home {
                Home::Near(root) => store::place(staged, &root.join(&output.file))?,
                Home::Far(destination) => seen.outputs.push(destination.send(staged, output)?),
            }
        }
        gone.iter().try_for_each(|old| self.take_away(&model, old))?;
        self.see(&model, &seen)?;
        self.write(&Record::new(&model, key, outputs, State::Written { row, facts }))
    }

    /// Notes that a model was not converted; its `key` is empty where it could not be looked at. What an earlier conversion gave
    /// stays, and what is known of it. Gives the row, which then says so.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn fail(&self, key: &str, mut row: Row, inputs: Option<&Inputs>) -> Result<Row> {
        debug_assert!(!row.status.is_written());
        let model = row.model.clone();
        let before = self.read(&model)?;
        if let Some(mut record) = before.clone()
            && let Some(earlier) = record.earlier()
            && self.has_any(&model)?
        {
            row.reason =
                Some(row.reason.map_or_else(|| earlier.into(), |reason| format!("{reason}; {earlier}")));
            record.failed = Some(Failure { key: key.into(), row: row.clone() });
            self.write(&record)?;
            return Ok(row);
        }
        // A part of a first result.
        for old in before.iter().flat_map(|record| &record.outputs) {
            // What cannot be taken away may be why it failed.
            drop(self.take_away(&model, old));
        }
        self.see(&model, &Seen::new(key, inputs.cloned()))?;
        self.write(&Record::new(&model, key, Vec::new(), State::Failed { row: row.clone() }))?;
        Ok(row)
    }

    /// Whether anything of what a conversion of `model` writes was there when the batch began.
    fn has_any(&self, model: &str) -> Result<bool> {
        for name in outputs(model) {
            if self.has(&name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes away an output of `model`, whatever a record may have been made to say.
    fn take_away(&self, model: &str, output: &Output) -> Result<()> {
        match outputs(model).contains(&output.file) {
            true => self.remove(&output.file),
            false => Ok(()),
        }
    }
}

/// A file of our own.
pub fn own(name: &str) -> String {
    format!("{OWN}/{name}")
}

/// A file about one model in a folder of our own.
fn of(folder: &str, model: &str) -> String {
    // Names may be as long as a system allows, and longer with an ending; their digests are not.
    let name = store::hexadecimal(Sha256::new_with_prefix(model));
    own(&format!("{folder}/{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Status;

    fn row(status: Status) -> Row {
        Row { model: "a/m.onnx".into(), status, reason: None, bytes_before: Some(9), written: None }
    }

    #[test]
    fn only_what_is_whole_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("out");
        let out = Outbox::near(&root, "test");
        let stage = |model: &str, side: bool| {
            let staging = tempfile::tempdir_in(folder.path()).unwrap();
            let names = staged("a/m.onnx");
            for name in names.iter().filter(|name| side || !name.ends_with(".data")) {
                std::fs::write(staging.path().join(name), format!("{model} {name}")).unwrap();
            }
            staging
        };
        let never = AtomicBool::new(false);
        let whole = |record: &Record| out.whole(record, None, &never).unwrap().is_some();
        let place = |model: &str, side| {
            let staging = stage(model, side);
            out.place(staging.path(), "key", row(Status::Converted), Facts::default(), None).unwrap();
            out.read("a/m.onnx").unwrap().unwrap()
        };
        let first = place("one", true);
        assert!(whole(&first) && first.outputs.len() == 6);
        let second = place("two", false);
        assert!(whole(&second) && !whole(&first));
        assert!(!root.join("a/m.onnx.data").exists(), "the first one's side file goes");
        std::fs::write(root.join("a/m.plan.json"), "one m.plan.json").unwrap();
        assert!(!whole(&second), "changed");

        // A failure leaves what was there, and what is known of it.
        let third = place("three", true);
        let told = out.fail("other", row(Status::Failed), None).unwrap();
        assert!(told.reason.as_ref().unwrap().contains("still there"), "{told:?}");
        let failed = out.read("a/m.onnx").unwrap().unwrap();
        assert!(whole(&failed) && failed.key == third.key && failed.has_failed());
        assert_eq!(failed.row(), Some(&told));
        assert_eq!(place("four", true).row(), Some(&row(Status::Converted)));

        // So does one while files are being put into their places, which are no whole result then.
        let placing = |earlier| {
            let record = out.read("a/m.onnx").unwrap().unwrap();
            out.write(&Record::new("a/m.onnx", "", record.outputs, State::Placing { earlier })).unwrap();
        };
        placing(true);
        let told = out.fail("key", row(Status::Failed), None).unwrap();
        let mixed = out.read("a/m.onnx").unwrap().unwrap();
        assert!(root.join("a/m.onnx").exists() && !whole(&mixed) && mixed.row() == Some(&told));
        // A side file that is no longer wanted is known of until it is gone.
        assert!(whole(&place("five", false)) && !root.join("a/m.onnx.data").exists());

        // Parts of a first result go.
        placing(false);
        assert_eq!(out.fail("key", row(Status::Failed), None).unwrap(), row(Status::Failed));
        assert!(!root.join("a/m.onnx").exists() && !root.join("a/m.report.txt").exists());
        let failed = out.read("a/m.onnx").unwrap().unwrap();
        assert!(!whole(&failed) && failed.row().is_some() && failed.earlier().is_none());

        std::fs::write(root.join(of("records", "a/m.onnx")), "{").unwrap();
        assert_eq!(out.read("a/m.onnx").unwrap().unwrap().state, State::Placing { earlier: true });
        assert_eq!(out.read("a/n.onnx").unwrap(), None);
    }
}

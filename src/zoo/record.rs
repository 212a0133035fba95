//! What is known of models that were dealt with: one small file each, written when all else is in its place.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::Facts;
use super::source::stem;
use super::store::{self, Digest};
use crate::error::{Error, Result};
use crate::plan::{Row, Status};

const SCHEMA: &str = "fourbit.record";
const VERSION: u32 = 1;
/// The folder of the output folder that is ours; searches leave out what is hidden.
pub const OWN: &str = ".fourbit";

/// One file that a conversion gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name, below the output folder.
    pub file: String,
    /// What it holds.
    #[serde(flatten)]
    pub digest: Digest,
}

/// How far a model has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its files are being put into their places: those that are there may be replaced.
    Placing,
    /// They are there.
    Written {
        /// What came of it.
        row: Row,
        /// What its entry in a manifest says.
        facts: Facts,
    },
    /// It was not converted.
    Failed {
        /// Why.
        row: Row,
    },
}

/// The record of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    schema: String,
    version: u32,
    /// The model.
    pub model: String,
    /// What the result depends on; empty where that could not be read.
    pub key: String,
    /// The files.
    pub outputs: Vec<Output>,
    /// How far it has come.
    #[serde(flatten)]
    pub state: State,
}

impl Record {
    /// A record of `model`.
    pub fn new(model: &str, key: &str, outputs: Vec<Output>, state: State) -> Self {
        let (model, key) = (model.to_owned(), key.to_owned());
        Self { schema: SCHEMA.into(), version: VERSION, model, key, outputs, state }
    }

    /// The row in the summary.
    pub fn row(&self) -> Option<&Row> {
        match &self.state {
            State::Placing => None,
            State::Written { row, .. } | State::Failed { row } => Some(row),
        }
    }
}

/// The names of what a conversion writes, below the output folder: the model last.
pub fn outputs(model: &str) -> [String; 5] {
    let stem = stem(model).unwrap_or(model);
    [
        format!("{model}.data"),
        format!("{stem}.plan.json"),
        format!("{stem}.report.json"),
        format!("{stem}.report.txt"),
        model.to_owned(),
    ]
}

/// The output folder.
#[derive(Clone, Debug)]
pub struct Out {
    /// Where it is.
    pub root: PathBuf,
    /// The folder in it for what is not yet complete.
    pub staging: PathBuf,
}

impl Out {
    /// The folder `root`, where what is not complete lies in a folder `label`: what works at the same time has another one.
    pub fn new(root: &Path, label: &str) -> Self {
        Self { root: root.to_owned(), staging: root.join(OWN).join("staging").join(label) }
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn put(&self, path: &Path, content: &[u8]) -> Result<()> {
        store::put(path, content, &self.staging)
    }

    /// A file of our own in it.
    pub fn own(&self, name: &str) -> PathBuf {
        self.root.join(OWN).join(name)
    }

    fn record(&self, model: &str) -> PathBuf {
        // Names may be as long as a system allows, and longer with an ending; their digests are not.
        let name = store::hexadecimal(Sha256::new_with_prefix(model));
        self.own("records").join(format!("{name}.json"))
    }

    /// The record of a model. A damaged one says only that its files are ours.
    ///
    /// # Errors
    /// [`Error::Read`]
    pub fn read(&self, model: &str) -> Result<Option<Record>> {
        let Some(text) = store::get(&self.record(model))? else { return Ok(None) };
        let found = serde_json::from_slice(&text).ok();
        let sound =
            |record: &Record| record.schema == SCHEMA && record.version == VERSION && record.model == model;
        Ok(Some(found.filter(sound).unwrap_or_else(|| Record::new(model, "", Vec::new(), State::Placing))))
    }

    /// Keeps a record.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn write(&self, record: &Record) -> Result<()> {
        let path = self.record(&record.model);
        let mut text =
            serde_json::to_vec_pretty(record).map_err(|error| Error::write(&path)(error.into()))?;
        text.push(b'\n');
        self.put(&path, &text)
    }

    /// Whether the files of a record are there, as they were written.
    pub fn is_whole(&self, record: &Record, stop: &AtomicBool) -> bool {
        let same = |output: &Output| {
            let path = self.root.join(&output.file);
            std::fs::metadata(&path).is_ok_and(|found| found.len() == output.digest.bytes)
                && store::digest(&path, stop).is_ok_and(|found| found == output.digest)
        };
        matches!(record.state, State::Written { .. }) && record.outputs.iter().all(same)
    }

    /// Puts finished files from `staging` into their places, and then the record of it.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Read`]: the model is not done then.
    pub fn place(&self, staging: &Path, key: &str, row: Row, facts: Facts) -> Result<()> {
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
        let before = self.read(&model)?;
        self.write(&Record::new(&model, "", outputs.clone(), State::Placing))?;
        for (staged, output) in &files {
            store::place(staged, &self.root.join(&output.file))?;
        }
        // What an earlier conversion gave and this one does not.
        for old in before.iter().flat_map(|record| &record.outputs) {
            if !outputs.iter().any(|output| output.file == old.file) {
                self.remove(&model, old)?;
            }
        }
        self.write(&Record::new(&model, key, outputs, State::Written { row, facts }))
    }

    /// Notes that a model was not converted, and takes away what an earlier version of it gave.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn fail(&self, key: &str, row: Row) -> Result<()> {
        debug_assert!(row.status == Status::Failed);
        let model = row.model.clone();
        for old in self.read(&model)?.iter().flat_map(|record| &record.outputs) {
            // What cannot be taken away may be why it failed.
            drop(self.remove(&model, old));
        }
        self.write(&Record::new(&model, key, Vec::new(), State::Failed { row }))
    }

    /// Takes away an output of `model`, whatever a record may have been made to say.
    fn remove(&self, model: &str, output: &Output) -> Result<()> {
        match outputs(model).contains(&output.file) {
            true => store::remove(&self.root.join(&output.file)),
            false => Ok(()),
        }
    }
}

/// The names of the same files where a conversion writes them.
pub fn staged(model: &str) -> [String; 5] {
    outputs(model.rsplit('/').next().unwrap_or(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: Status) -> Row {
        Row { model: "a/m.onnx".into(), status, reason: None, bytes_before: Some(9), written: None }
    }

    #[test]
    fn only_what_is_whole_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let out = Out::new(&folder.path().join("out"), "test");
        let stage = |model: &str, side: bool| {
            let staging = tempfile::tempdir_in(folder.path()).unwrap();
            let names = staged("a/m.onnx");
            for name in names.iter().filter(|name| side || !name.ends_with(".data")) {
                std::fs::write(staging.path().join(name), format!("{model} {name}")).unwrap();
            }
            staging
        };
        let never = AtomicBool::new(false);
        let place = |model: &str, side| {
            let staging = stage(model, side);
            out.place(staging.path(), "key", row(Status::Converted), Facts::default()).unwrap();
            out.read("a/m.onnx").unwrap().unwrap()
        };
        let first = place("one", true);
        assert!(out.is_whole(&first, &never) && first.outputs.len() == 5);
        let second = place("two", false);
        assert!(out.is_whole(&second, &never) && !out.is_whole(&first, &never));
        assert!(!out.root.join("a/m.onnx.data").exists(), "the first one's side file goes");
        std::fs::write(out.root.join("a/m.plan.json"), "one m.plan.json").unwrap();
        assert!(!out.is_whole(&second, &never), "changed");

        out.fail("key", row(Status::Failed)).unwrap();
        assert!(!out.root.join("a/m.onnx").exists() && !out.root.join("a/m.report.txt").exists());
        let failed = out.read("a/m.onnx").unwrap().unwrap();
        assert!(!out.is_whole(&failed, &never) && failed.row().is_some());

        std::fs::write(out.record("a/m.onnx"), "{").unwrap();
        assert_eq!(out.read("a/m.onnx").unwrap().unwrap().state, State::Placing);
        assert_eq!(out.read("a/n.onnx").unwrap(), None);
    }
}

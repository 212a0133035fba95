//! What is known of models that were dealt with: one small file each, written when all else is in its place.

use serde::{Deserialize, Serialize};

use crate::plan::Row;
use crate::zoo::source::manifest::Facts;
use crate::zoo::source::stem;
use crate::zoo::store::Digest;

const SCHEMA: &str = "fourbit.record";
const VERSION: u32 = 1;
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
    Placing {
        /// Whether an earlier conversion has files there.
        #[serde(default)]
        earlier: bool,
    },
    /// They are there.
    Written {
        /// What came of it.
        row: Row,
        /// What its entry in a manifest says.
        facts: Facts,
    },
    /// It was not converted, and has no files.
    Failed {
        /// Why.
        row: Row,
    },
}

/// A later try that gave no files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What its result would have depended on; empty where that could not be read.
    pub key: String,
    /// Why it gave none.
    pub row: Row,
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
    /// What came of the last try instead, where that left the files as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

impl Record {
    /// A record of `model`.
    pub fn new(model: &str, key: &str, outputs: Vec<Output>, state: State) -> Self {
        let (model, key) = (model.to_owned(), key.to_owned());
        Self { schema: SCHEMA.into(), version: VERSION, model, key, outputs, state, failed: None }
    }

    /// Reads the record of `model`. A damaged one says only that its files are ours.
    pub fn parse(text: &[u8], model: &str) -> Self {
        let found = serde_json::from_slice(text).ok();
        let sound =
            |record: &Self| record.schema == SCHEMA && record.version == VERSION && record.model == model;
        found
            .filter(sound)
            .unwrap_or_else(|| Self::new(model, "", Vec::new(), State::Placing { earlier: true }))
    }

    /// The row in the summary.
    pub fn row(&self) -> Option<&Row> {
        match (&self.failed, &self.state) {
            (Some(failed), _) => Some(&failed.row),
            (None, State::Placing { .. }) => None,
            (None, State::Written { row, .. } | State::Failed { row }) => Some(row),
        }
    }

    /// Whether the row says that the last try gave no files.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some() || matches!(self.state, State::Failed { .. })
    }

    /// What a person should know of files of an earlier conversion, which stay where a later one fails.
    pub fn earlier(&self) -> Option<&'static str> {
        match self.state {
            State::Written { .. } => Some("the files of an earlier conversion are still there"),
            State::Placing { earlier: true } => {
                Some("files of an earlier conversion are still there, and some of them may be replaced")
            }
            State::Placing { earlier: false } | State::Failed { .. } => None,
        }
    }
}

/// The names of what a conversion writes, below the output folder: the model last.
pub fn outputs(model: &str) -> [String; 6] {
    let stem = stem(model).unwrap_or(model);
    [
        format!("{model}.data"),
        format!("{stem}.plan.json"),
        format!("{stem}.report.json"),
        format!("{stem}.report.html"),
        format!("{stem}.report.txt"),
        model.to_owned(),
    ]
}

/// The names of the same files where a conversion writes them.
pub fn staged(model: &str) -> [String; 6] {
    outputs(model.rsplit('/').next().unwrap_or(model))
}

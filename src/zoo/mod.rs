//! Whole collections of models: which there are, what is done already, and the conversion of the rest, each in a process of
//! its own.
//!
//! A model is done when its record says so, which is written last, and its files are what the record says. What a record
//! holds does not depend on when, how fast, beside what or after how many attempts a model was converted, and neither does
//! any other file but those with the times.

mod child;
mod convert;
mod drive;
mod far;
mod finish;
mod guarded;
mod key;
mod memory;
mod outbox;
mod outcome;
mod queue;
mod settings;
mod shard;
mod source;
mod store;
mod work;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Result;
use crate::place::Place;

pub use drive::run;
pub use finish::{merge, reports};
pub use settings::{Grammar, Known, Settings};
pub use shard::Shard;

/// The folder of the output folder that is ours; searches leave out what is hidden.
const OWN: &str = ".fourbit";

/// How many models the list or manifest `text` names, which lies, or would lie, at `path`.
///
/// # Errors
/// [`crate::error::Error::Options`] where it is damaged.
pub fn listed(path: &Path, text: Vec<u8>, grammar: &dyn Grammar) -> Result<usize> {
    Ok(source::Source::parse(path, text, grammar)?.entries.len())
}

/// A batch, as asked for.
#[derive(Clone, Debug)]
pub struct Batch {
    /// A folder, a manifest or a list.
    pub source: Place,
    /// The folder for the results.
    pub out: Place,
    /// The folder for what has to lie on this machine for a while, where the source or the results do not.
    pub work: Option<PathBuf>,
    /// Whether that stays there in the end.
    pub keep_work: bool,
    /// Options of all conversions.
    pub settings: Settings,
    /// Whether files that no batch has written may be replaced.
    pub overwrite: bool,
    /// Whether models that failed before are left as they are.
    pub keep_failures: bool,
    /// Which part of the work is done here.
    pub shard: Shard,
    /// How long another batch that is at work on the same is waited for.
    pub wait: Duration,
    /// How many conversions run at once, at most.
    pub jobs: usize,
    /// How many threads there are for all of them together.
    pub threads: usize,
    /// How long a conversion may take.
    pub timeout: Option<Duration>,
    /// How much memory all conversions may take together.
    pub memory_limit: Option<u64>,
    /// The program that converts.
    pub program: PathBuf,
    /// What stands between it and the arguments of a conversion, where it is started through another one.
    pub program_arguments: Vec<OsString>,
}

impl Batch {
    /// Threads of each conversion while so many are `left`.
    fn share(&self, left: usize) -> usize {
        (self.threads / self.jobs.min(left).max(1)).max(1)
    }
}

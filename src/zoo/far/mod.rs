//! Models and results beyond a network: what is fetched when, where it lies meanwhile, and what need not be fetched again.
//!
//! Everything that decides on a result is computed from bytes that were fetched. What is seen of objects from afar, their lengths and
//! tags, only says that they are still those: it is kept beside the records and not in them, which are the same wherever a batch runs.

mod destination;
mod origin;
mod search;
mod slots;
mod workplace;

use serde::{Deserialize, Serialize};

use crate::place::Object;

pub use destination::Destination;
pub use origin::{Fetched, Origin};
pub use workplace::Workplace;

const SCHEMA: &str = "fourbit.seen";
const VERSION: u32 = 1;

/// What a conversion was made of, as it looked from afar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The program, the options, and samples of this machine, in short.
    pub asked: String,
    /// Names of the model's side files.
    pub sides: Vec<String>,
    /// All that was fetched.
    pub objects: Vec<Object>,
}

impl Inputs {
    /// Whether the same objects have the same content without a doubt.
    pub fn is_certain(&self) -> bool {
        self.objects.iter().all(Object::is_certain)
    }
}

/// What objects looked like when a record was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    schema: String,
    version: u32,
    /// The key of that record.
    pub key: String,
    /// What it was made of, where that is far.
    pub inputs: Option<Inputs>,
    /// The results, where these are.
    pub outputs: Vec<Object>,
}

impl Seen {
    /// What is known beside a record with `key`, yet without results.
    pub fn new(key: &str, inputs: Option<Inputs>) -> Self {
        Self { schema: SCHEMA.into(), version: VERSION, key: key.to_owned(), inputs, outputs: Vec::new() }
    }

    /// Reads it; a damaged one says nothing.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let found: Self = serde_json::from_slice(text).ok()?;
        (found.schema == SCHEMA && found.version == VERSION).then_some(found)
    }

    /// Whether there is nothing in it to be known later.
    pub fn is_empty(&self) -> bool {
        self.key.is_empty() || self.inputs.is_none() && self.outputs.is_empty()
    }
}

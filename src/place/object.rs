//! What is known of a file at a place, and how a request ends early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// Says when nobody waits any more for what was asked for.
#[derive(Clone, Debug, Default)]
pub struct Halt(Vec<Arc<AtomicBool>>);

impl Halt {
    /// As soon as one of `flags` is set.
    pub fn new<const N: usize>(flags: [&Arc<AtomicBool>; N]) -> Self {
        Self(flags.into_iter().cloned().collect())
    }

    /// Whether nobody waits any more.
    pub fn is_set(&self) -> bool {
        self.0.iter().any(|flag| flag.load(Ordering::Relaxed))
    }
}

/// One object as a listing or a server's answer has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name below the place, `/` between folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What changes with its content, where the server says so.
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps several.
    pub version: Option<String>,
}

impl Object {
    /// Whether an object that looks like this one has the content of this one.
    pub fn is_certain(&self) -> bool {
        // A weak tag stands for what means the same, not for the same bytes.
        self.etag.as_ref().is_some_and(|etag| !etag.starts_with("W/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flag_is_enough_to_halt() {
        let flags = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let halt = Halt::new([&flags[0], &flags[1]]);
        assert!(!halt.is_set() && !Halt::default().is_set());
        flags[1].store(true, Ordering::Relaxed);
        assert!(halt.is_set());
    }
}

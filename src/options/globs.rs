//! Patterns of names, as on a command line.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

/// Globs over tensor and node names: `*` for any text, slashes included, `?` for one character.
#[derive(Clone, Debug)]
pub struct Globs {
    set: GlobSet,
}

impl Globs {
    /// Reads `patterns`.
    ///
    /// # Errors
    /// [`Error::Options`] naming the one that is no glob.
    pub fn new(patterns: &[String]) -> Result<Self> {
        let wrong = |pattern: &str, error: globset::Error| {
            Error::options(
                format!("{pattern:?} is no glob: {}", error.kind()),
                "write * for any text, ? for one character",
            )
        };
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(false).build();
            set.add(glob.map_err(|error| wrong(pattern, error))?);
        }
        Ok(Self { set: set.build().map_err(|error| wrong("the globs", error))? })
    }

    /// The pattern that fits `name` and nothing else.
    pub fn literal(name: &str) -> String {
        globset::escape(name)
    }

    /// Whether any pattern fits `name`.
    pub fn is_match(&self, name: &str) -> bool {
        self.set.is_match(name)
    }

    /// Which patterns fit `name`.
    pub fn matches(&self, name: &str) -> Vec<usize> {
        self.set.matches(name)
    }
}

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
        globset::escape(name).replace('\\', "[\\]")
    }

    /// A pattern that fits `name` and can be typed: what is no visible character may be any.
    pub fn typed(name: &str) -> String {
        Self::literal(name).replace(char::is_control, "?")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names_fit_these_and_no_others() {
        for name in
            ["a", "a*b", "a?b", "[a]", "{a,b}", "a\\b", "!a", "a/b:0", "-a", "a'b \"c", "a]b[c", "^a-b"]
        {
            for pattern in [Globs::literal(name), Globs::typed(name)] {
                let globs = Globs::new(std::slice::from_ref(&pattern)).unwrap();
                assert!(globs.is_match(name), "{name}: {pattern}");
                for other in ["axb", "b", "ab", "a/b", "x"] {
                    assert!(!globs.is_match(other), "{name}: {pattern} fits {other}");
                }
            }
        }
        let name = "a\n\u{1b}b";
        assert_eq!(Globs::typed(name), "a??b");
        assert!(Globs::new(&[Globs::typed(name)]).unwrap().is_match(name));
    }
}

//! Samples that are named by a word.

use std::path::Path;

use super::{Own, SampleSet};

const GENERATED: &str = "generated";
const NONE: &str = "none";

impl SampleSet {
    /// Samples that fourbit generates to calibrate on: pictures drawn by chance, in the range that the network answers best, where an input
    /// looks like a picture; sequences of a language model's own; otherwise random numbers.
    pub fn generated() -> Self {
        Self { path: GENERATED.into(), own: Some(Own::Generated) }
    }

    /// No samples: none that lie beside the model, and none that are generated.
    pub fn none() -> Self {
        Self { path: NONE.into(), own: Some(Own::Nothing) }
    }

    /// The words that [`SampleSet::named`] knows.
    pub const WORDS: [&str; 2] = [GENERATED, NONE];

    /// What a command line means by `word`: [`SampleSet::generated`], [`SampleSet::none`], or else a path. A file of such a name is
    /// reached by `./generated`.
    pub fn named(word: &Path) -> Self {
        let is = |other: &str| word.to_str().is_some_and(|word| word.eq_ignore_ascii_case(other));
        match () {
            () if is(GENERATED) => Self::generated(),
            () if is(NONE) => Self::none(),
            () => word.into(),
        }
    }

    /// Whether they are [`SampleSet::generated`].
    pub fn is_generated(&self) -> bool {
        matches!(self.own, Some(Own::Generated))
    }

    /// Whether they are [`SampleSet::none`].
    pub fn is_none(&self) -> bool {
        matches!(self.own, Some(Own::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_files() {
        let named = |word: &str| SampleSet::named(Path::new(word));
        assert!(named("generated").is_generated() && named("None").is_none());
        let file = named("./generated");
        assert!(!file.is_generated() && file.file() == Some(Path::new("./generated")));
        assert_eq!(SampleSet::generated().file(), None);
    }
}

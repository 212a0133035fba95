//! Samples that nobody gave.

use serde::{Deserialize, Serialize};

/// Samples that were generated to calibrate on, for want of real ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    /// What they are.
    pub what: Generation,
    /// How many.
    pub samples: usize,
    /// Start of their random choices.
    pub seed: u64,
    /// The range that pixels have at the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// What this range was chosen by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<String>,
}

/// A kind of generated samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Pictures drawn by chance.
    Pictures,
    /// Sequences that the model itself continues.
    Sequences,
    /// Random numbers.
    Numbers,
}

impl Generation {
    /// What a person calls such samples.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pictures => "generated pictures",
            Self::Sequences => "sequences that the model generated",
            Self::Numbers => "random numbers",
        }
    }
}

impl Generated {
    /// What they are, their number left out.
    pub fn source(&self) -> String {
        let mut text = self.what.name().to_owned();
        if let Some(range) = &self.range {
            text += &format!(", range {range}");
        }
        if let Some(how) = &self.chosen_by {
            text += &format!(", chosen by {how}");
        }
        text
    }
}

//! The opset of what is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{OPSET, Storage};
use crate::error::{Error, Result};

/// The newest opset to which the way of every standard operator is known. onnxruntime 1.32 loads models of opset 28, but
/// has no QuantizeLinear or DequantizeLinear of it.
pub const NEWEST_OPSET: i64 = 27;

/// The oldest opset to raise a model to: DequantizeLinear takes one scale a channel from here on.
pub const LEAST_OPSET: i64 = 13;

/// The opset in which QuantizeLinear and DequantizeLinear take FLOAT16 and BFLOAT16.
pub const OPSET_HALF: i64 = 19;

const KEEP_WORDS: &str = "`.opset` keep leaves the model at its own";

/// To which opset a model is brought before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Opset {
    /// At least this one; a model that is higher stays where it is.
    AtLeast(i64),
    /// The model's own.
    Keep,
}

impl Opset {
    /// What [`Opset::from_str`] takes beside numbers.
    pub const KEEP: &'static str = "keep";

    /// The opset to raise a model to where nothing is asked for: the oldest that knows the types.
    pub fn usual(storage: Storage, blocks: bool) -> Self {
        Self::AtLeast(match storage {
            Storage::Bytes => LEAST_OPSET,
            Storage::Int8 if !blocks => LEAST_OPSET,
            _ => OPSET,
        })
    }

    /// Refuses an opset that has no 4-bit types where these are to be written.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn check(self, storage: Storage) -> Result<()> {
        match self {
            Self::AtLeast(opset) if opset < OPSET && matches!(storage, Storage::Packed | Storage::Cast) => {
                Err(Error::options(
                    format!("opset {opset} has no 4-bit types, which came with opset {OPSET}"),
                    format!("choose {OPSET} to {NEWEST_OPSET}, or `.storage` bytes or int8; {KEEP_WORDS}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The opset wanted for a model of half precision: scales of its types came with opset 19.
    #[must_use]
    pub fn for_half(self) -> Self {
        match self {
            Self::AtLeast(opset) => Self::AtLeast(opset.max(OPSET_HALF)),
            Self::Keep => self,
        }
    }

    /// The opset to raise a model to.
    pub fn least(self) -> i64 {
        match self {
            Self::AtLeast(opset) => opset,
            Self::Keep => 1,
        }
    }
}

impl Default for Opset {
    fn default() -> Self {
        Self::AtLeast(OPSET)
    }
}

impl FromStr for Opset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name.eq_ignore_ascii_case(Self::KEEP) {
            return Ok(Self::Keep);
        }
        match name.parse::<i64>() {
            Ok(opset) if (LEAST_OPSET..=NEWEST_OPSET).contains(&opset) => Ok(Self::AtLeast(opset)),
            _ => Err(Error::options(
                format!("unknown opset {name:?}"),
                format!(
                    "choose {OPSET} to {NEWEST_OPSET}, or from {LEAST_OPSET} with `.storage` bytes or int8; {KEEP_WORDS}"
                ),
            )),
        }
    }
}

impl fmt::Display for Opset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(opset) => formatter.pad(&opset.to_string()),
            Self::Keep => formatter.pad(Self::KEEP),
        }
    }
}

impl TryFrom<String> for Opset {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Opset> for String {
    fn from(opset: Opset) -> Self {
        opset.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_return_and_what_is_too_low_names_the_way_out() {
        for name in ["21", "24", "27", "keep"] {
            assert_eq!(name.parse::<Opset>().unwrap().to_string(), name);
        }
        assert_eq!("KEEP".parse::<Opset>().unwrap(), Opset::Keep);
        for name in ["12", "28", "-1", "kept", ""] {
            let error = name.parse::<Opset>().unwrap_err().to_string();
            assert!(error.contains("`.opset` keep"), "{error}");
        }
        let old = "20".parse::<Opset>().unwrap();
        assert!(old.check(Storage::Packed).unwrap_err().to_string().contains("4-bit"));
        assert!(old.check(Storage::Int8).is_ok());
    }
}

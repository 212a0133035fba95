//! Types of codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The range of 8-bit weights of which no two products with 8-bit activations, added up, leave 16 bits: 255 * (64 + 64) is 32640.
/// Kernels made of x86's `vpmaddubsw` add products in pairs and saturate there. For signed activations they use codes shifted to
/// 0..=255, so that the range is the same.
pub const HELD: (i32, i32) = (-64, 64);

/// The integer type of a tensor's codes: it decides their range. How many bits each takes in the file is [`Storage`].
///
/// [`Storage`]: super::Storage
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeType {
    /// Signed, -8..=7, two to a byte.
    Int4,
    /// Unsigned, 0..=15, two to a byte.
    Uint4,
    /// Signed, -128..=127.
    Int8,
    /// Unsigned, 0..=255.
    Uint8,
    /// Signed, -32768..=32767; for activations.
    Int16,
}

impl CodeType {
    /// Bits a code.
    pub fn bits(self) -> u32 {
        match self {
            Self::Int4 | Self::Uint4 => 4,
            Self::Int8 | Self::Uint8 => 8,
            Self::Int16 => 16,
        }
    }

    /// The type of the same sign with 4 or 8 bits, or the one with 16.
    pub fn with_bits(self, bits: u32) -> Self {
        match (self.is_signed(), bits) {
            (_, 16) => Self::Int16,
            (true, 4) => Self::Int4,
            (false, 4) => Self::Uint4,
            (true, _) => Self::Int8,
            (false, _) => Self::Uint8,
        }
    }

    /// Whether codes below zero exist.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Int4 | Self::Int8 | Self::Int16)
    }

    /// The smallest and the largest code.
    pub fn range(self) -> (i32, i32) {
        let half = 1 << (self.bits() - 1);
        if self.is_signed() { (-half, half - 1) } else { (0, 2 * half - 1) }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int4 => "int4",
            Self::Uint4 => "uint4",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
        }
    }
}

impl FromStr for CodeType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::Int4, Self::Uint4, Self::Int8, Self::Uint8, Self::Int16];
        let found = all.into_iter().find(|code_type| code_type.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::options(format!("unknown type {name:?}"), "choose int4, uint4, int8, uint8 or int16")
        })
    }
}

impl fmt::Display for CodeType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pair_of_products_with_held_codes_leaves_16_bits_and_a_wider_range_would() {
        let (lowest, highest) = HELD;
        let sum = |code: i32| 255 * (code.abs() + code.abs());
        assert!(sum(lowest).max(sum(highest)) <= i32::from(i16::MAX));
        assert!(255 * (highest + highest + 1) > i32::from(i16::MAX));
        assert!(sum(15) < i32::from(i16::MAX), "4-bit codes less any zero point");
    }
}

//! Types of codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The range of 8-bit weights of which no two products with 8-bit activations, added up, leave 16 bits: 255 * (64 + 64) is 32640.
/// Kernels made of x86's `vpmaddubsw` add products in pairs and saturate there. For signed activations they use codes shifted to
/// 0..=255, so that the range is the same.
pub const HELD: (i32, i32) = (-64, 64);

/// How a tensor's codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
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

impl Storage {
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

/// How many bits a 4-bit code takes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// Four: two codes to a byte.
    #[default]
    Packed,
    /// Eight: the same codes less their zero points, one to a byte, for runtimes that know no 4-bit types or have kernels
    /// for eight bits only. 4-bit activations are held to sixteen values by a Clip.
    Int8,
}

impl Container {
    /// The type in which codes of weights of type `storage` stand in the file.
    pub fn of_weights(self, storage: Storage) -> Storage {
        if self == Self::Int8 && storage.bits() == 4 { Storage::Int8 } else { storage }
    }

    /// The same of an activation.
    pub fn of_activation(self, storage: Storage) -> Storage {
        if self == Self::Int8 { storage.with_bits(storage.bits().max(8)) } else { storage }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Int8 => "int8",
        }
    }
}

impl FromStr for Storage {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::Int4, Self::Uint4, Self::Int8, Self::Uint8, Self::Int16];
        let found = all.into_iter().find(|storage| storage.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::options(format!("unknown type {name:?}"), "choose int4, uint4, int8, uint8 or int16")
        })
    }
}

impl fmt::Display for Storage {
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

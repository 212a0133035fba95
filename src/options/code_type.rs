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
    /// Signed, -2..=1; for weights.
    Int2,
    /// Unsigned, 0..=3; for weights.
    Uint2,
    /// Signed, -4..=3; for weights.
    Int3,
    /// Unsigned, 0..=7; for weights.
    Uint3,
    /// Signed, -8..=7.
    Int4,
    /// Unsigned, 0..=15.
    Uint4,
    /// Signed, -16..=15; for weights.
    Int5,
    /// Unsigned, 0..=31; for weights.
    Uint5,
    /// Signed, -32..=31; for weights.
    Int6,
    /// Unsigned, 0..=63; for weights.
    Uint6,
    /// Signed, -128..=127.
    Int8,
    /// Unsigned, 0..=255.
    Uint8,
    /// Signed, -32768..=32767; for activations.
    Int16,
}

impl CodeType {
    const ALL: [Self; 13] = [
        Self::Int2,
        Self::Uint2,
        Self::Int3,
        Self::Uint3,
        Self::Int4,
        Self::Uint4,
        Self::Int5,
        Self::Uint5,
        Self::Int6,
        Self::Uint6,
        Self::Int8,
        Self::Uint8,
        Self::Int16,
    ];

    /// The types that activations can have.
    pub const ACTIVATIONS: [Self; 5] = [Self::Uint8, Self::Int8, Self::Uint4, Self::Int4, Self::Int16];

    /// Bits a code.
    pub fn bits(self) -> u32 {
        match self {
            Self::Int2 | Self::Uint2 => 2,
            Self::Int3 | Self::Uint3 => 3,
            Self::Int4 | Self::Uint4 => 4,
            Self::Int5 | Self::Uint5 => 5,
            Self::Int6 | Self::Uint6 => 6,
            Self::Int8 | Self::Uint8 => 8,
            Self::Int16 => 16,
        }
    }

    /// The type of the same sign with 2, 3, 4, 5, 6 or 8 bits, or the one with 16; with 8 bits for any other number.
    pub fn with_bits(self, bits: u32) -> Self {
        match (self.is_signed(), bits) {
            (_, 16) => Self::Int16,
            (true, 2) => Self::Int2,
            (false, 2) => Self::Uint2,
            (true, 3) => Self::Int3,
            (false, 3) => Self::Uint3,
            (true, 4) => Self::Int4,
            (false, 4) => Self::Uint4,
            (true, 5) => Self::Int5,
            (false, 5) => Self::Uint5,
            (true, 6) => Self::Int6,
            (false, 6) => Self::Uint6,
            (true, _) => Self::Int8,
            (false, _) => Self::Uint8,
        }
    }

    /// Whether codes below zero exist.
    pub fn is_signed(self) -> bool {
        match self {
            Self::Int2 | Self::Int3 | Self::Int4 | Self::Int5 | Self::Int6 | Self::Int8 | Self::Int16 => true,
            Self::Uint2 | Self::Uint3 | Self::Uint4 | Self::Uint5 | Self::Uint6 | Self::Uint8 => false,
        }
    }

    /// The smallest and the largest code.
    pub fn range(self) -> (i32, i32) {
        let half = 1 << (self.bits() - 1);
        if self.is_signed() { (-half, half - 1) } else { (0, 2 * half - 1) }
    }

    /// The name used in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int2 => "int2",
            Self::Uint2 => "uint2",
            Self::Int3 => "int3",
            Self::Uint3 => "uint3",
            Self::Int4 => "int4",
            Self::Uint4 => "uint4",
            Self::Int5 => "int5",
            Self::Uint5 => "uint5",
            Self::Int6 => "int6",
            Self::Uint6 => "uint6",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
        }
    }

    /// The names of `all`, as a person is told to choose one.
    fn choice(all: &[Self]) -> String {
        let names: Vec<&str> = all.iter().map(|code_type| code_type.name()).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("choose {} or {last}", others.join(", ")),
            _ => format!("choose {}", names.concat()),
        }
    }

    /// Refuses a type that activations cannot have.
    ///
    /// # Errors
    /// [`Error::Options`] that says which they can have.
    pub fn check_activation(self) -> Result<()> {
        if Self::ACTIVATIONS.contains(&self) {
            return Ok(());
        }
        Err(Error::options(format!("{self} is a type for weights"), Self::choice(&Self::ACTIVATIONS)))
    }
}

impl FromStr for CodeType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|code_type| code_type.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::options(format!("unknown type {name:?}"), Self::choice(&Self::ALL)))
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
    fn every_type_has_its_width_sign_and_range() {
        for code_type in CodeType::ALL {
            assert_eq!(code_type.name().parse::<CodeType>().unwrap(), code_type);
            assert_eq!(code_type.with_bits(code_type.bits()), code_type);
            let (lowest, highest) = code_type.range();
            assert_eq!((highest - lowest + 1, lowest < 0), (1 << code_type.bits(), code_type.is_signed()));
            let word = if code_type.is_signed() { "int" } else { "uint" };
            assert_eq!(code_type.name(), format!("{word}{}", code_type.bits()));
        }
        assert_eq!((CodeType::Int3.range(), CodeType::Uint6.range()), ((-4, 3), (0, 63)));
        assert_eq!(CodeType::Uint3.with_bits(8), CodeType::Uint8);
        assert!("int7".parse::<CodeType>().unwrap_err().to_string().contains("int2, uint2"));
    }

    #[test]
    fn activations_have_4_8_or_16_bits() {
        assert!(CodeType::ACTIVATIONS.into_iter().all(|code_type| code_type.check_activation().is_ok()));
        let error = CodeType::Int3.check_activation().unwrap_err().to_string();
        assert!(error.contains("int3") && error.contains("uint8, int8, uint4, int4 or int16"), "{error}");
    }

    #[test]
    fn no_pair_of_products_with_held_codes_leaves_16_bits_and_a_wider_range_would() {
        let (lowest, highest) = HELD;
        let sum = |code: i32| 255 * (code.abs() + code.abs());
        assert!(sum(lowest).max(sum(highest)) <= i32::from(i16::MAX));
        assert!(255 * (highest + highest + 1) > i32::from(i16::MAX));
        assert!(sum(15) < i32::from(i16::MAX), "4-bit codes less any zero point");
    }
}

//! The width of weights and of activations, by one name.

use std::fmt;
use std::str::FromStr;

use super::CodeType;
use crate::error::{Error, Result};

/// The width of weights and activations, as in `w4a8`; `None` leaves them float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Type of the codes of weights.
    pub weights: Option<CodeType>,
    /// Type of the codes of activations.
    pub activations: Option<CodeType>,
}

impl Precision {
    /// 4-bit weights; activations stay float, so that no samples are needed.
    pub const W4: Self = Self { weights: Some(CodeType::Int4), activations: None };
    /// 4-bit weights, 8-bit activations.
    pub const W4A8: Self = Self { weights: Some(CodeType::Int4), activations: Some(CodeType::Uint8) };
    /// 4-bit weights and activations.
    pub const W4A4: Self = Self { weights: Some(CodeType::Int4), activations: Some(CodeType::Uint4) };
    /// 8-bit weights; activations stay float.
    pub const W8: Self = Self { weights: Some(CodeType::Int8), activations: None };
    /// 8-bit weights and activations.
    pub const W8A8: Self = Self { weights: Some(CodeType::Int8), activations: Some(CodeType::Uint8) };

    /// The names of precisions; [`Precision::from_str`] takes them in any case, and `int4` and `int8` for `w4` and `w8a8`.
    pub const NAMES: [&'static str; 17] = [
        "w4", "w4a8", "w4a4", "w8", "w8a8", "w2", "w2a8", "w2a4", "w3", "w3a8", "w3a4", "w5", "w5a8", "w5a4",
        "w6", "w6a8", "w6a4",
    ];
}

impl Default for Precision {
    fn default() -> Self {
        Self::W4A8
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let lower = name.to_ascii_lowercase();
        let known = match lower.as_str() {
            "int4" => "w4",
            "int8" => "w8a8",
            plain => plain,
        };
        let Some(known) = Self::NAMES.into_iter().find(|name| *name == known) else {
            let remedy = format!("choose one of {}", Self::NAMES.join(", "));
            return Err(Error::options(format!("unknown precision {name:?}"), remedy));
        };
        let bits = |letter: char| known.split_once(letter).and_then(|(_, rest)| rest.get(..1)?.parse().ok());
        Ok(Self {
            weights: bits('w').map(|bits| CodeType::Int8.with_bits(bits)),
            activations: bits('a').map(|bits| CodeType::Uint8.with_bits(bits)),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |letter, code_type: Option<CodeType>| {
            code_type.map(|code_type| format!("{letter}{}", code_type.bits()))
        };
        let name: String =
            [part('w', self.weights), part('a', self.activations)].into_iter().flatten().collect();
        formatter.pad(if name.is_empty() { "float" } else { &name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_return() {
        for name in Precision::NAMES {
            assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
        }
        for (name, precision) in [
            ("W4A8", Precision::W4A8),
            ("int4", Precision::W4),
            ("INT8", Precision::W8A8),
            ("W8", Precision::W8),
            ("w8a8", Precision::W8A8),
            ("w4a4", Precision::W4A4),
            ("w3", Precision { weights: Some(CodeType::Int3), activations: None }),
            ("w6a8", Precision { weights: Some(CodeType::Int6), activations: Some(CodeType::Uint8) }),
            ("W2A4", Precision { weights: Some(CodeType::Int2), activations: Some(CodeType::Uint4) }),
        ] {
            assert_eq!(name.parse::<Precision>().unwrap(), precision);
        }
        assert!("w7".parse::<Precision>().unwrap_err().to_string().contains("w4a8"));
    }
}

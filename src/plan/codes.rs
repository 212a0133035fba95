//! Integer codes of a tensor, written in a plan as hexadecimal digits: one a four-bit code, two
//! an eight-bit code, in two's complement. A plan stays text that can be compared line by line.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stored codes (zero point not subtracted) in the tensor's element order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Codes {
    /// 4 or 8.
    pub bits: u32,
    /// The codes; within the range of their storage type.
    pub values: Vec<i16>,
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.bits / 4;
        let digit = |code: i16, place: u32| char::from(DIGITS[(code >> (4 * place)) as usize & 0xf]);
        let text: String = self
            .values
            .iter()
            .flat_map(|&code| (0..digits).rev().map(move |place| digit(code, place)))
            .collect();
        format!("{}:{text}", self.bits).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |what: &str| serde::de::Error::custom(format!("codes: {what}"));
        let (bits, digits) = text.split_once(':').ok_or_else(|| wrong("expected BITS:HEXDIGITS"))?;
        let bits =
            bits.parse().ok().filter(|bits| matches!(bits, 4 | 8)).ok_or_else(|| wrong("4 or 8 bits"))?;
        let nibbles = digits.chars().map(|digit| digit.to_digit(16).map(|value| value as i16));
        let nibbles =
            nibbles.collect::<Option<Vec<i16>>>().ok_or_else(|| wrong("a character that is no digit"))?;
        let width = (bits / 4) as usize;
        if !nibbles.len().is_multiple_of(width) {
            return Err(wrong("an odd number of digits"));
        }
        let values = nibbles.chunks(width).map(|code| code.iter().fold(0, |code, nibble| code << 4 | nibble));
        Ok(Self { bits, values: values.collect() })
    }
}

impl Codes {
    /// With the codes of a signed storage type brought back from two's complement.
    pub fn sign_extended(mut self) -> Self {
        let (half, full) = (1i16 << (self.bits - 1), 1i16 << self.bits);
        for code in self.values.iter_mut().filter(|code| **code >= half) {
            *code -= full;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_return_from_text() {
        let four = Codes { bits: 4, values: vec![-8, -1, 0, 7] };
        let text = serde_json::to_string(&four).unwrap();
        assert_eq!(text, "\"4:8f07\"");
        assert_eq!(serde_json::from_str::<Codes>(&text).unwrap().sign_extended(), four);
        let eight = Codes { bits: 8, values: vec![0, 127, 255] };
        assert_eq!(serde_json::from_str::<Codes>(&serde_json::to_string(&eight).unwrap()).unwrap(), eight);
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in ["\"4\"", "\"5:00\"", "\"4:0g\"", "\"8:123\"", "\"x:1\"", "7"] {
            assert!(serde_json::from_str::<Codes>(text).is_err(), "{text}");
        }
    }
}

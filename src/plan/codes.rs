//! Integer codes of a tensor, held as they are written to a model: four-bit codes two to a byte. In a plan they are
//! hexadecimal digits: one a four-bit code, two an eight-bit code, in two's complement. A plan stays text that can be
//! compared line by line.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::onnx::{let_go, spooled};
use crate::options::CodeType;

/// Stored codes (zero point not subtracted) in the tensor's element order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Codes {
    bits: u32,
    signed: bool,
    count: usize,
    bytes: Bytes,
}

impl Codes {
    /// `values`, each within the range of `code_type`.
    pub fn new(code_type: CodeType, values: &[i16]) -> Self {
        let mut codes = CodesMut::zeros(code_type, values.len());
        values.iter().enumerate().for_each(|(at, &value)| codes.set(at, value));
        codes.in_memory()
    }

    /// Bits a code: 4, 8 or 16.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether codes below zero exist.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// How many codes there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The code at `at`, below [`Codes::len`].
    pub fn get(&self, at: usize) -> i16 {
        match (self.bits, self.signed) {
            (4, _) => {
                let nibble = i16::from(self.bytes[at / 2] >> (at % 2 * 4) & 0xf);
                nibble - if self.signed && nibble > 7 { 16 } else { 0 }
            }
            (8, true) => i16::from(self.bytes[at] as i8),
            (8, false) => i16::from(self.bytes[at]),
            _ => i16::from_le_bytes([self.bytes[2 * at], self.bytes[2 * at + 1]]),
        }
    }

    /// All codes in order.
    pub fn iter(&self) -> impl Iterator<Item = i16> + '_ {
        (0..self.count).map(|at| self.get(at))
    }

    /// The codes as they lie in a model: the first of two four-bit ones in the low half of its byte, the last byte of an
    /// odd number filled with zero bits; wider ones in little-endian order.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Lets go of the memory of the codes in `range`, where they are in a file.
    pub fn let_go(&self, range: std::ops::Range<usize>) {
        let byte = |at: usize| at * self.bits as usize / 8;
        let_go(&self.bytes[byte(range.start)..byte(range.end)]);
    }

    /// With the codes of a signed type brought back from two's complement.
    pub fn sign_extended(self) -> Self {
        Self { signed: true, ..self }
    }
}

/// Codes while they are found, in any order.
#[derive(Clone, Debug)]
pub struct CodesMut {
    bits: u32,
    signed: bool,
    count: usize,
    bytes: Vec<u8>,
}

impl CodesMut {
    /// `count` codes for `code_type`, all zero.
    pub fn zeros(code_type: CodeType, count: usize) -> Self {
        let bits = code_type.bits();
        let bytes = vec![0; (count * bits as usize).div_ceil(8)];
        Self { bits, signed: code_type.is_signed(), count, bytes }
    }

    /// Replaces the code at `at`, which exists, by `code`, which is within the range of the code type.
    pub fn set(&mut self, at: usize, code: i16) {
        match self.bits {
            4 => {
                let (byte, shift) = (&mut self.bytes[at / 2], at % 2 * 4);
                *byte = *byte & !(0xf << shift) | ((code & 0xf) as u8) << shift;
            }
            8 => self.bytes[at] = code as u8,
            _ => self.bytes[2 * at..][..2].copy_from_slice(&code.to_le_bytes()),
        }
    }

    /// The finished codes, in a temporary file where they are many.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`] where the folder for temporary files takes no more.
    pub fn finish(self) -> crate::error::Result<Codes> {
        let Self { bits, signed, count, bytes } = self;
        Ok(Codes { bits, signed, count, bytes: spooled(bytes)? })
    }

    /// The finished codes, in memory however many they are.
    pub fn in_memory(self) -> Codes {
        let Self { bits, signed, count, bytes } = self;
        Codes { bits, signed, count, bytes: bytes.into() }
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        write!(formatter, "{}:", self.bits)?;
        for code in self.iter() {
            for place in (0..self.bits / 4).rev() {
                formatter.write_char(char::from(DIGITS[(code >> (4 * place)) as usize & 0xf]))?;
            }
        }
        self.let_go(0..self.count);
        Ok(())
    }
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |what: &str| serde::de::Error::custom(format!("codes: {what}"));
        let (bits, digits) = text.split_once(':').ok_or_else(|| wrong("expected BITS:HEXDIGITS"))?;
        let code_type = match bits {
            "4" => CodeType::Uint4,
            "8" => CodeType::Uint8,
            _ => return Err(wrong("4 or 8 bits")),
        };
        let width = code_type.bits() as usize / 4;
        if !digits.len().is_multiple_of(width) {
            return Err(wrong("an odd number of digits"));
        }
        let mut codes = CodesMut::zeros(code_type, digits.len() / width);
        for (at, digits) in digits.as_bytes().chunks(width).enumerate() {
            let digit = |digit: &u8| char::from(*digit).to_digit(16);
            let code = digits.iter().try_fold(0, |code, next| Some(code << 4 | digit(next)?));
            codes.set(at, code.ok_or_else(|| wrong("a character that is no digit"))? as i16);
        }
        codes.finish().map_err(|error| wrong(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_return_from_text() {
        let four = Codes::new(CodeType::Int4, &[-8, -1, 0, 7, -3]);
        let text = serde_json::to_string(&four).unwrap();
        assert_eq!(text, "\"4:8f07d\"");
        assert_eq!(serde_json::from_str::<Codes>(&text).unwrap().sign_extended(), four);
        let eight = Codes::new(CodeType::Uint8, &[0, 127, 255]);
        assert_eq!(serde_json::from_str::<Codes>(&serde_json::to_string(&eight).unwrap()).unwrap(), eight);
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in ["\"4\"", "\"5:00\"", "\"4:0g\"", "\"8:123\"", "\"x:1\"", "7", "\"4:\u{e4}\""] {
            assert!(serde_json::from_str::<Codes>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn codes_lie_as_a_model_has_them() {
        let values: Vec<i16> = vec![1, -2, 7];
        for (code_type, bytes) in [
            (CodeType::Int4, vec![0xe1, 0x07]),
            (CodeType::Int8, vec![1, 0xfe, 7]),
            (CodeType::Int16, vec![1, 0, 0xfe, 0xff, 7, 0]),
        ] {
            let codes = Codes::new(code_type, &values);
            assert_eq!(codes.bytes()[..], bytes[..]);
            assert_eq!(codes.iter().collect::<Vec<_>>(), values);
        }
        let mut codes = CodesMut::zeros(CodeType::Uint4, 2);
        [(1, 15), (0, 9), (1, 3)].into_iter().for_each(|(at, code)| codes.set(at, code));
        assert_eq!(codes.finish().unwrap(), Codes::new(CodeType::Uint4, &[9, 3]));
    }
}

//! Integer codes of a tensor: codes of 4 bits two to a byte, of 16 bits two bytes each, all others one to a byte. In a plan
//! they are hexadecimal digits: one for a code of up to 4 bits, two for a wider one, in two's complement of as many bits as
//! the code has. A plan stays text that can be compared line by line.

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

    /// Bits a code: its width, whatever it takes in memory.
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
            (16, _) => i16::from_le_bytes([self.bytes[2 * at], self.bytes[2 * at + 1]]),
            (_, true) => i16::from(self.bytes[at] as i8),
            (_, false) => i16::from(self.bytes[at]),
        }
    }

    /// All codes in order.
    pub fn iter(&self) -> impl Iterator<Item = i16> + '_ {
        (0..self.count).map(|at| self.get(at))
    }

    /// The codes as they are held. Of 4 bits: two to a byte, the first in the low half, the last byte of an odd number filled
    /// with zero bits. Of 16 bits: in little-endian order. Of any other width: one to a byte, an `i8` of a signed type, a
    /// `u8` of an unsigned one.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Lets go of the memory of the codes in `range`, where they are in a file.
    pub fn let_go(&self, range: std::ops::Range<usize>) {
        let byte = |at: usize| at * held(self.bits) / 8;
        let_go(&self.bytes[byte(range.start)..byte(range.end)]);
    }

    /// The codes of a signed type that were read as those of the unsigned type of the same width.
    ///
    /// # Errors
    /// [`crate::error::Error::Write`] where the folder for temporary files takes no more.
    pub fn sign_extended(self) -> crate::error::Result<Self> {
        let unused = held(self.bits) as u32 - self.bits;
        let bytes = match unused {
            0 => self.bytes,
            _ => {
                let extended = |&byte: &u8| (((byte << unused) as i8) >> unused) as u8;
                spooled(self.bytes.iter().map(extended).collect())?
            }
        };
        Ok(Self { signed: true, bytes, ..self })
    }
}

/// Bits that a code of `bits` bits takes in memory.
fn held(bits: u32) -> usize {
    match bits {
        4 | 16 => bits as usize,
        _ => 8,
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
        let bytes = vec![0; (count * held(bits)).div_ceil(8)];
        Self { bits, signed: code_type.is_signed(), count, bytes }
    }

    /// Replaces the code at `at`, which exists, by `code`, which is within the range of the code type.
    pub fn set(&mut self, at: usize, code: i16) {
        match self.bits {
            4 => {
                let (byte, shift) = (&mut self.bytes[at / 2], at % 2 * 4);
                *byte = *byte & !(0xf << shift) | ((code & 0xf) as u8) << shift;
            }
            16 => self.bytes[2 * at..][..2].copy_from_slice(&code.to_le_bytes()),
            _ => self.bytes[at] = code as u8,
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
        let mask = ((1u32 << self.bits) - 1) as i16;
        for code in self.iter().map(|code| code & mask) {
            for place in (0..self.bits.div_ceil(4)).rev() {
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
        let widths = ["2", "3", "4", "5", "6", "8"];
        let known = widths.contains(&bits).then(|| bits.parse().ok()).flatten();
        let bits: u32 = known.ok_or_else(|| wrong("2, 3, 4, 5, 6 or 8 bits"))?;
        let code_type = CodeType::Uint8.with_bits(bits);
        let width = bits.div_ceil(4) as usize;
        if !digits.len().is_multiple_of(width) {
            return Err(wrong("an odd number of digits"));
        }
        let mut codes = CodesMut::zeros(code_type, digits.len() / width);
        for (at, digits) in digits.as_bytes().chunks(width).enumerate() {
            let digit = |digit: &u8| char::from(*digit).to_digit(16);
            let code = digits.iter().try_fold(0, |code, next| Some(code << 4 | digit(next)?));
            let code = code.ok_or_else(|| wrong("a character that is no digit"))?;
            if code >> bits != 0 {
                return Err(wrong(&format!("{code:x}, which is no code of {bits} bits")));
            }
            codes.set(at, code as i16);
        }
        codes.finish().map_err(|error| wrong(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: [CodeType; 12] = [
        CodeType::Int2,
        CodeType::Uint2,
        CodeType::Int3,
        CodeType::Uint3,
        CodeType::Int4,
        CodeType::Uint4,
        CodeType::Int5,
        CodeType::Uint5,
        CodeType::Int6,
        CodeType::Uint6,
        CodeType::Int8,
        CodeType::Uint8,
    ];

    #[test]
    fn codes_of_every_width_return_from_text() {
        for code_type in WEIGHTS {
            let (lowest, highest) = code_type.range();
            let values: Vec<i16> =
                (lowest..=highest).chain([lowest, 0, highest]).map(|code| code as i16).collect();
            let codes = Codes::new(code_type, &values);
            assert_eq!(codes.iter().collect::<Vec<_>>(), values, "{code_type}");
            assert_eq!((codes.bits(), codes.is_signed()), (code_type.bits(), code_type.is_signed()));
            let text = serde_json::to_string(&codes).unwrap();
            let digits = if code_type.bits() > 4 { 2 } else { 1 };
            assert_eq!(text.len(), values.len() * digits + 4, "{text}");
            let read = serde_json::from_str::<Codes>(&text).unwrap();
            let read = if code_type.is_signed() { read.sign_extended().unwrap() } else { read };
            assert_eq!(read, codes, "{code_type}");
            codes.let_go(1..values.len());
        }
    }

    #[test]
    fn text_is_in_twos_complement_of_the_width() {
        for (code_type, values, text) in [
            (CodeType::Int4, vec![-8, -1, 0, 7, -3], "\"4:8f07d\""),
            (CodeType::Int3, vec![-4, -1, 0, 3], "\"3:4703\""),
            (CodeType::Int2, vec![-2, -1, 0, 1], "\"2:2301\""),
            (CodeType::Int5, vec![-16, -1, 15], "\"5:101f0f\""),
            (CodeType::Uint6, vec![63, 0, 32], "\"6:3f0020\""),
            (CodeType::Int8, vec![-128, -1, 127], "\"8:80ff7f\""),
        ] {
            assert_eq!(serde_json::to_string(&Codes::new(code_type, &values)).unwrap(), text);
        }
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in [
            "\"4\"",
            "\"7:00\"",
            "\"16:0000\"",
            "\"+4:0\"",
            "\"4:0g\"",
            "\"8:123\"",
            "\"x:1\"",
            "7",
            "\"4:\u{e4}\"",
            "\"2:4\"",
            "\"3:8\"",
            "\"5:20\"",
            "\"6:40\"",
        ] {
            assert!(serde_json::from_str::<Codes>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn codes_are_held_as_documented() {
        let values: Vec<i16> = vec![1, -2, 7];
        for (code_type, bytes) in [
            (CodeType::Int4, vec![0xe1, 0x07]),
            (CodeType::Int5, vec![1, 0xfe, 7]),
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

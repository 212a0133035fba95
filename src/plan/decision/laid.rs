//! In which form the codes of one term stand in a file, and what that takes.

use super::WeightTerm;
use crate::options::{OPSET, Storage};

/// What the operators that unpack codes and the constants of one layer take in a file, in bytes, as fourbit writes them: short
/// names, and constants that layers share.
const UNPACKING: usize = 260;
/// The same where each bit has a byte of its own.
const UNPACKING_BITS: usize = 360;
/// The same of zero points, but for the zero points themselves.
const ZERO_POINTS: usize = 90;
/// Zero points beyond which a Cast is shorter than FLOAT constants.
const FEW: usize = 16;

/// How the codes of one term stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Laid {
    /// In their own type.
    Typed,
    /// Less their zero points, as INT8.
    Wide,
    /// Less the lowest code of their type, several to a byte of UINT8.
    Digits,
}

impl WeightTerm {
    /// How its codes stand in a file of this storage and opset.
    pub fn laid(&self, storage: Storage, opset: i64) -> Laid {
        let bits = self.code_type.bits();
        match storage {
            _ if bits >= 8 => Laid::Typed,
            Storage::Packed => Laid::Typed,
            Storage::Int8 => Laid::Wide,
            Storage::Cast | Storage::Bytes => {
                let laid = self.unpacked(storage, opset);
                if self.unpacked_bytes(laid) < self.codes.len() { laid } else { Laid::Wide }
            }
        }
    }

    /// Whether its codes are stored as INT8 though the storage would pack them: unpacking would take more bytes than it saves.
    pub fn is_too_small(&self, storage: Storage, opset: i64) -> bool {
        storage.unpacks() && self.laid(storage, opset) == Laid::Wide
    }

    /// The form for codes that are unpacked.
    fn unpacked(&self, storage: Storage, opset: i64) -> Laid {
        match storage == Storage::Cast && self.code_type.bits() == 4 && opset >= OPSET {
            true => Laid::Typed,
            false => Laid::Digits,
        }
    }

    /// What codes, zero points, and the operators over them take in a file, in bytes, more than the scales alone.
    fn unpacked_bytes(&self, laid: Laid) -> usize {
        let codes = (self.codes.len() * self.code_type.bits() as usize).div_ceil(8);
        let operators = match (laid, self.code_type.bits()) {
            (Laid::Digits, 2 | 4) => UNPACKING,
            (Laid::Digits, _) => UNPACKING_BITS,
            _ => 0,
        };
        codes + operators + self.zero_point_bytes(laid)
    }

    /// What zero points and the operators over them take in a file, in bytes.
    fn zero_point_bytes(&self, laid: Laid) -> usize {
        let zero = self.zero_points.first().copied().unwrap_or(0);
        let all = self.zero_points.iter().all(|&other| other == zero);
        match (laid, all) {
            (Laid::Typed, true) if zero == 0 => 0,
            // The constant is shared.
            (_, true) => ZERO_POINTS / 3,
            (Laid::Typed, false) if self.code_type.bits() == 4 => ZERO_POINTS + self.zero_points.len() / 2,
            (_, false) => ZERO_POINTS + self.zero_points.len(),
        }
    }

    /// Bits that its codes and zero points take in a file.
    pub fn stored_bits(&self, storage: Storage, opset: i64) -> u64 {
        let (count, zeros) = (self.codes.len() as u64, self.zero_points.len() as u64);
        let bits = u64::from(self.code_type.bits());
        let written = if self.zero_points.iter().any(|&zero| zero != 0) { zeros } else { 0 };
        match self.laid(storage, opset) {
            Laid::Wide => 8 * count,
            Laid::Typed => bits * (count + written),
            Laid::Digits => bits * count + 8 * written,
        }
    }
}

/// Whether so many zero points, which differ, are shorter as FLOAT constants.
pub fn are_few(zero_points: usize) -> bool {
    zero_points <= FEW
}

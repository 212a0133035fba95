//! Four-bit codes, two to a byte: element 2k in the low nibble, 2k+1 in the high one, an odd
//! count padded with zero bits (ONNX IR version 10, INT4 and UINT4).

/// Packs the low four bits of each code.
pub fn pack(codes: &[i16]) -> Vec<u8> {
    let nibble = |code: i16| (code & 0x0f) as u8;
    codes.chunks(2).map(|pair| nibble(pair[0]) | pair.get(1).map_or(0, |&high| nibble(high) << 4)).collect()
}

/// Unpacks `count` codes, sign-extended if `signed`; `None` unless `bytes` has exactly the
/// length that `count` needs.
pub fn unpack(bytes: &[u8], count: usize, signed: bool) -> Option<Vec<i16>> {
    if bytes.len() != count.div_ceil(2) {
        return None;
    }
    let nibbles = bytes.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
    let code = |nibble: u8| match signed && nibble > 7 {
        true => i16::from(nibble) - 16,
        false => i16::from(nibble),
    };
    Some(nibbles.take(count).map(code).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn low_nibble_first_and_zero_padding() {
        assert_eq!(pack(&[1, -2, 7]), [0xe1, 0x07]);
        assert_eq!(pack(&[15, 0, 8]), [0x0f, 0x08]);
        assert_eq!(pack(&[]), [0u8; 0]);
    }

    #[test]
    fn a_wrong_length_is_refused() {
        assert_eq!(unpack(&[0, 0], 2, true), None);
        assert_eq!(unpack(&[], 1, true), None);
    }

    proptest! {
        #[test]
        fn signed_codes_return(codes in prop::collection::vec(-8i16..=7, 0..50)) {
            prop_assert_eq!(unpack(&pack(&codes), codes.len(), true), Some(codes));
        }

        #[test]
        fn unsigned_codes_return(codes in prop::collection::vec(0i16..=15, 0..50)) {
            prop_assert_eq!(unpack(&pack(&codes), codes.len(), false), Some(codes));
        }
    }
}

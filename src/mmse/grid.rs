//! The integer codes a value may take.

/// Effective integer codes `lo..=hi`: stored code minus zero point, so that code 0 always means the value 0.
///
/// Holds `lo <= 0 <= hi`, `lo < hi`, and neither end beyond 65535 in magnitude (an unsigned 16-bit code with its zero
/// point at one end).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    lo: i32,
    hi: i32,
}

/// Largest magnitude of an effective code.
const LARGEST: i32 = 65_535;
/// Widest stored code.
const MOST_BITS: u32 = 16;

impl Grid {
    /// The codes `lo..=hi`, or `None` unless `-65535 <= lo <= 0 <= hi <= 65535` and `lo < hi`.
    pub const fn new(lo: i32, hi: i32) -> Option<Self> {
        if lo < -LARGEST || lo > 0 || hi < 0 || hi > LARGEST || lo == hi {
            return None;
        }
        Some(Self { lo, hi })
    }

    /// Two's complement codes `-2^(bits-1) ..= 2^(bits-1)-1`, such as -8..=7. `bits` is held to 1..=16.
    pub const fn signed(bits: u32) -> Self {
        let half = (steps(bits) + 1) / 2;
        Self { lo: -half, hi: half - 1 }
    }

    /// [`Grid::signed`] with the odd code on the positive side: `-(2^(bits-1)-1) ..= 2^(bits-1)`, such as -7..=8.
    /// `bits` is held to 1..=16.
    pub const fn flipped(bits: u32) -> Self {
        let half = (steps(bits) + 1) / 2;
        Self { lo: 1 - half, hi: half }
    }

    /// Unsigned codes around a zero point: `-zero_point ..= 2^bits-1-zero_point`. `bits` is held to 1..=16 and
    /// `zero_point` to a stored code, `0..=2^bits-1`.
    pub const fn offset(bits: u32, zero_point: i32) -> Self {
        let top = steps(bits);
        let zero = if zero_point < 0 {
            0
        } else if zero_point > top {
            top
        } else {
            zero_point
        };
        Self { lo: -zero, hi: top - zero }
    }

    /// Smallest code, at most 0.
    pub const fn lo(self) -> i32 {
        self.lo
    }

    /// Largest code, at least 0.
    pub const fn hi(self) -> i32 {
        self.hi
    }

    /// How many codes there are, at least 2.
    pub const fn levels(self) -> u32 {
        self.hi.abs_diff(self.lo) + 1
    }
}

/// `2^bits - 1`, with `bits` held to 1..=16.
const fn steps(bits: u32) -> i32 {
    let bits = if bits < 1 {
        1
    } else if bits > MOST_BITS {
        MOST_BITS
    } else {
        bits
    };
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(grid: Grid) -> (i32, i32, u32) {
        (grid.lo(), grid.hi(), grid.levels())
    }

    #[test]
    fn named_grids_have_the_codes_of_their_storage() {
        assert_eq!(ends(Grid::signed(4)), (-8, 7, 16));
        assert_eq!(ends(Grid::flipped(4)), (-7, 8, 16));
        assert_eq!(ends(Grid::signed(1)), (-1, 0, 2));
        assert_eq!(ends(Grid::flipped(1)), (0, 1, 2));
        assert_eq!(ends(Grid::signed(16)), (-32768, 32767, 65536));
        assert_eq!(ends(Grid::offset(4, 0)), (0, 15, 16));
        assert_eq!(ends(Grid::offset(4, 8)), ends(Grid::signed(4)));
        assert_eq!(ends(Grid::offset(4, 7)), ends(Grid::flipped(4)));
        assert_eq!(ends(Grid::offset(16, 65535)), (-65535, 0, 65536));
    }

    #[test]
    fn what_is_out_of_range_is_held_or_refused() {
        assert_eq!(Grid::signed(0), Grid::signed(1));
        assert_eq!(Grid::signed(99), Grid::signed(16));
        assert_eq!(Grid::offset(4, -1), Grid::offset(4, 0));
        assert_eq!(Grid::offset(4, 99), Grid::offset(4, 15));
        for (lo, hi) in [(0, 0), (1, 2), (-2, -1), (3, -3), (i32::MIN, 0), (0, i32::MAX), (-65536, 0)] {
            assert_eq!(Grid::new(lo, hi), None, "{lo}..={hi}");
        }
        assert_eq!(Grid::new(-8, 7), Some(Grid::signed(4)));
    }
}

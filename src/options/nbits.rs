//! What `matmul_nbits` can go together with.

use std::ops::RangeInclusive;

use super::{Granularity, Options, Storage};
use crate::error::{Error, Result};

/// Block sizes for which onnxruntime has kernels: powers of two in this range.
pub const NBITS_BLOCKS: RangeInclusive<usize> = 16..=256;

/// Whether MatMulNBits can have blocks of `size`.
pub fn fits_nbits(size: usize) -> bool {
    size.is_power_of_two() && NBITS_BLOCKS.contains(&size)
}

/// Whether MatMulNBits has a form for weights of `granularity` in `storage`.
pub(super) fn has_nbits(granularity: Granularity, storage: Storage) -> bool {
    let blocks = match granularity {
        Granularity::Block(size) => fits_nbits(size),
        Granularity::Channel | Granularity::Tensor => true,
    };
    blocks && storage.has_nbits()
}

impl Options {
    /// Refuses what MatMulNBits has no form for where it is asked for.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn check_nbits(&self) -> Result<()> {
        if !self.matmul_nbits || has_nbits(self.granularity, self.storage) {
            return Ok(());
        }
        if !self.storage.has_nbits() {
            return Err(Error::options(
                format!(
                    "`.matmul_nbits` packs two codes to a byte itself, and `.storage` is {}",
                    self.storage.name()
                ),
                "leave one of the two out",
            ));
        }
        Err(Error::options(
            format!("MatMulNBits has no {}", self.granularity),
            "choose block:16, block:32, block:64, block:128, block:256, channel or tensor, or leave `.matmul_nbits` out",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matmulnbits_cannot_have_is_refused_with_what_it_can() {
        let with =
            |granularity, storage| Options { matmul_nbits: true, granularity, storage, ..Options::default() };
        for size in [16, 32, 64, 128, 256] {
            assert!(with(Granularity::Block(size), Storage::Packed).check_nbits().is_ok());
        }
        assert!(with(Granularity::Tensor, Storage::Packed).check_nbits().is_ok());
        for size in [1, 8, 24, 100, 512] {
            let options = with(Granularity::Block(size), Storage::Packed);
            let error = options.check_nbits().unwrap_err().to_string();
            assert!(error.contains(&format!("block:{size}")) && error.contains("block:16"), "{error}");
            assert!(Options { matmul_nbits: false, ..options }.check_nbits().is_ok());
        }
        let error = with(Granularity::Channel, Storage::Int8).check_nbits().unwrap_err().to_string();
        assert!(error.contains("`.storage` is int8"), "{error}");
    }
}

//! What vector kernels leave behind in the registers of a processor.

/// Clears the upper halves of the vector registers, which tract's kernels for AVX leave as they are. Code compiled for any x86-64, as that of a
/// crate from a registry is, writes the lower halves alone, and waits at each instruction for the upper ones to be merged.
#[inline]
pub(super) fn clear() {
    #[cfg(all(target_arch = "x86_64", not(target_feature = "avx")))]
    if std::arch::is_x86_feature_detected!("avx") {
        #[allow(unsafe_code)]
        // SAFETY: the processor has the instruction, which changes nothing that compiled code relies on.
        unsafe {
            std::arch::x86_64::_mm256_zeroupper();
        }
    }
}

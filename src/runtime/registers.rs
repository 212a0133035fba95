//! What tract's kernels leave behind in the processor.

/// Clears the upper halves of the vector registers. tract's AVX kernels leave values there, and code that was built for every x86-64
/// processor then waits at each of its own vector instructions: without this a conversion takes 1.4 times as long. There is nothing to
/// do where all code is built for AVX.
#[inline]
pub(super) fn clear_upper() {
    #[cfg(all(target_arch = "x86_64", not(target_feature = "avx")))]
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction, and code built without AVX keeps nothing in the upper halves.
        #[allow(unsafe_code)]
        unsafe {
            std::arch::asm!("vzeroupper", options(nomem, nostack, preserves_flags));
        }
    }
}

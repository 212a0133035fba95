//! Failures of tract as errors of fourbit: its error chains and its panics alike.

use tract_onnx::prelude::TractResult;

use crate::panics::caught;

/// Calls into tract; the error is the chain of causes, or what a panic said.
pub(super) fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    let chain = |error: tract_onnx::prelude::TractError| {
        error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    caught(call)?.map_err(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_joined_and_panics_are_caught() {
        let chain = || Err::<(), _>(tract_onnx::prelude::TractError::msg("cause").context("outer"));
        assert_eq!(guarded(chain).unwrap_err(), "outer: cause");
        assert_eq!(guarded::<()>(|| panic!("bad {}", 7)).unwrap_err(), "it panicked: bad 7");
        assert_eq!(guarded(|| Ok(1)).unwrap(), 1);
    }
}

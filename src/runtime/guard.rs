//! Failures of tract as errors of fourbit: its error chains and its panics alike.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use tract_onnx::prelude::TractResult;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls into tract; the error is the chain of causes, or what a panic said.
pub(super) fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    quieten();
    let before = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(before);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")),
        Err(panic) => Err(format!("it panicked: {}", said(panic.as_ref()))),
    }
}

/// Panics that end up in an error need no message on the terminal as well. Those of other threads
/// and places go to the hook that was there.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                previous(info);
            }
        }));
    });
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
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

//! Panics of other people's code as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What `call` gives; what it said where it panics.
pub fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let before = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(before);
    result.map_err(|panic| format!("it panicked: {}", said(panic.as_ref())))
}

/// Has panics that end up in an error write nothing to standard error. Those of other threads and places go to the hook that was there. This
/// sets the hook of the whole process, so that only a program calls it, never the library by itself.
pub fn quieten() {
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
    fn panics_are_caught_with_what_they_said() {
        assert_eq!(caught::<()>(|| panic!("bad {}", 7)), Err("it panicked: bad 7".into()));
        assert_eq!(caught::<()>(|| panic!("bad")), Err("it panicked: bad".into()));
        assert_eq!(caught(|| 1), Ok(1));
    }
}

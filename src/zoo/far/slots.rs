//! How many models may lie here at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time between two looks at whether anybody still waits.
const LOOK: Duration = Duration::from_millis(100);

/// Free places.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One place, free again when this is dropped.
#[derive(Debug)]
pub struct Slot(Arc<Slots>);

impl Slots {
    /// So many places.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(count), freed: Condvar::new() })
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place; `None` where nobody waits any more.
    pub fn take(self: &Arc<Self>, gone: &dyn Fn() -> bool) -> Option<Slot> {
        let mut free = self.free();
        while *free == 0 {
            if gone() {
                return None;
            }
            (free, _) = self.freed.wait_timeout(free, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Some(Slot(Arc::clone(self)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_free_again() {
        let slots = Slots::new(1);
        let first = slots.take(&|| false).unwrap();
        assert!(slots.take(&|| true).is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| slots.take(&|| false).is_some());
            drop(first);
            assert!(second.join().unwrap());
        });
    }
}

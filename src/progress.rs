//! How the stages say what they are doing, without knowing who listens, and how they are told to stop.

use crate::error::{Error, Result};

/// A listener to long-running work. Calls may come from several threads.
pub trait Progress: Sync {
    /// A stage begins; `steps` is its length where that is known.
    fn begin(&self, stage: &str, steps: Option<u64>);
    /// One more step of the current stage is done.
    fn step(&self);
    /// The current stage is over, whether it came to its end or not.
    fn end(&self);
    /// Something worth a line of its own.
    fn note(&self, message: &str);
    /// Whether the work shall stop. It is asked at each step; once it says so, the call ends with [`Error::Cancelled`], and no
    /// output is left.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// Tells nothing to a listener, and is stopped where it is.
pub struct Unheard<'p>(pub &'p dyn Progress);

impl Progress for Unheard<'_> {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// A stage that is going on; over when it is dropped.
pub struct Stage<'p>(&'p dyn Progress);

impl<'p> Stage<'p> {
    /// Begins a stage of `steps`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where the work shall stop.
    pub fn begin(progress: &'p dyn Progress, name: &str, steps: usize) -> Result<Self> {
        proceed(progress)?;
        progress.begin(name, Some(steps as u64));
        Ok(Self(progress))
    }

    /// One more step is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where the work shall stop.
    pub fn step(&self) -> Result<()> {
        self.0.step();
        proceed(self.0)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Goes on, unless the work shall stop.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn proceed(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Stops the work after so many steps.
    #[derive(Default)]
    struct Until {
        steps: AtomicUsize,
        ended: AtomicUsize,
    }

    impl Progress for Until {
        fn begin(&self, _: &str, _: Option<u64>) {}
        fn step(&self) {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
        fn end(&self) {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        fn note(&self, _: &str) {}
        fn is_cancelled(&self) -> bool {
            self.steps.load(Ordering::Relaxed) >= 2
        }
    }

    #[test]
    fn a_stage_ends_however_it_is_left() {
        let until = Until::default();
        let work = || -> Result<()> {
            let stage = Stage::begin(&until, "work", 9)?;
            (0..9).try_for_each(|_| stage.step())
        };
        assert!(matches!(work(), Err(Error::Cancelled)));
        assert_eq!((until.steps.load(Ordering::Relaxed), until.ended.load(Ordering::Relaxed)), (2, 1));
        assert!(matches!(Stage::begin(&until, "more", 1), Err(Error::Cancelled)));
        assert_eq!(until.ended.load(Ordering::Relaxed), 1);
    }
}

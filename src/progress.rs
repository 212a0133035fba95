//! How the stages say what they are doing, without knowing who listens.

/// A listener to long-running work. Calls may come from several threads.
pub trait Progress: Sync {
    /// A stage begins; `steps` is its length where that is known.
    fn begin(&self, stage: &str, steps: Option<u64>);
    /// One more step of the current stage is done.
    fn step(&self);
    /// The current stage is over.
    fn end(&self);
    /// Something worth a line of its own.
    fn note(&self, message: &str);
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

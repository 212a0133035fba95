//! What is unfinished when the process is told to end. Moving outputs into place and giving up exclude each other, so that a
//! run that is interrupted has written all of an output or nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Attempts at removing a folder into which another thread may still write.
const ATTEMPTS: usize = 20;

static STATE: Mutex<State> = Mutex::new(State { unfinished: BTreeSet::new(), written: Vec::new() });

struct State {
    /// Folders of outputs that are not complete.
    unfinished: BTreeSet<PathBuf>,
    /// Outputs that are.
    written: Vec<PathBuf>,
}

/// What an interrupted run leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Whether an output was begun and not finished.
    pub unfinished: bool,
    /// Outputs that were complete.
    pub written: Vec<PathBuf>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a folder for unfinished outputs by `make`, to be removed at an interrupt.
pub(super) fn begin<T, E>(make: impl FnOnce() -> Result<(PathBuf, T), E>) -> Result<T, E> {
    let mut state = state();
    let (folder, made) = make()?;
    state.unfinished.insert(folder);
    Ok(made)
}

/// Forgets a folder.
pub(super) fn end(folder: &Path) {
    state().unfinished.remove(folder);
}

/// Does `place`, which moves the output `path` into place, as a whole before or not at all after an interrupt.
pub(super) fn undisturbed<T, E>(path: &Path, place: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut state = state();
    let placed = place()?;
    state.written.push(path.to_owned());
    Ok(placed)
}

/// Removes all that is unfinished. No output appears after this: the process is about to end.
pub fn abandon() -> Stand {
    let state = state();
    for folder in &state.unfinished {
        let mut attempts = (0..ATTEMPTS).map(|_| fs::remove_dir_all(folder));
        // Whatever cannot be removed, the next run in that folder will.
        let _ = attempts.find(Result::is_ok);
    }
    let stand = Stand { unfinished: !state.unfinished.is_empty(), written: state.written.clone() };
    std::mem::forget(state);
    stand
}

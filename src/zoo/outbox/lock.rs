//! Keeps two batches from doing the same work at the same time.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::plan::{Event, Listener};
use crate::zoo::Batch;

/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// Who is kept off, and what is said to whoever finds that another batch was first.
#[derive(Clone, Copy, Debug)]
pub struct Site<'s> {
    /// The file of the lock.
    pub file: &'s Path,
    /// The folder where work is done.
    pub folder: &'s Path,
    /// The option that names it.
    pub option: &'s str,
}

/// Keeps others off the same work for as long as the file is open, where the file system can. Gives nothing where `stop` came
/// first.
///
/// The system lets go of a lock when its process ends, however that ends. A file server learns of the end of a machine later:
/// until then the lock of a task that ended with it stays, and the task that takes its place has to wait.
///
/// # Errors
/// [`Error::Options`] where another batch has it for longer than this one waits, and [`Error::Write`].
pub fn lock(site: Site, batch: &Batch, listener: &dyn Listener, stop: &AtomicBool) -> Result<Option<File>> {
    let parent = site.file.parent().unwrap_or(site.folder);
    fs::create_dir_all(parent).map_err(Error::write(parent))?;
    let file = File::create(site.file).map_err(Error::write(site.file))?;
    let (begun, mut told) = (Instant::now(), false);
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            // Some network file systems have no locks; then it is the user who keeps batches apart.
            _ => return Ok(Some(file)),
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let problem = format!("another batch is at work on {}", site.folder.display());
        let Some(left) = batch.wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
            return Err(Error::options(
                problem,
                format!(
                    "wait for it, have this one wait, as with `.wait` 3m, if it was ended on another machine just now, or \
                     choose another folder with {}",
                    site.option
                ),
            ));
        };
        if !told {
            let wait = humantime::format_duration(batch.wait);
            listener.hear(&Event::Note { message: &format!("{problem}; waiting for it for at most {wait}") });
            told = true;
        }
        std::thread::sleep(AGAIN.min(left));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::place::Place;
    use crate::zoo::{Settings, Shard};

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Listener for Notes {
        fn hear(&self, event: &Event) {
            if let Event::Note { message } = event {
                self.0.lock().unwrap().push((*message).to_owned());
            }
        }
    }

    fn batch(out: &Path, wait: Duration) -> Batch {
        Batch {
            source: Place::Near(out.join("zoo")),
            out: Place::Near(out.to_owned()),
            work: None,
            keep_work: false,
            settings: Settings::default(),
            overwrite: false,
            keep_failures: false,
            shard: Shard::WHOLE,
            wait,
            jobs: 1,
            threads: 1,
            timeout: None,
            memory_limit: None,
            program: out.join("fourbit"),
            program_arguments: Vec::new(),
        }
    }

    #[test]
    fn a_lock_is_waited_for_and_shards_have_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (never, notes) = (AtomicBool::new(false), Notes::default());
        let of = |index: u32, wait, stop: &AtomicBool| {
            let file = folder.path().join(format!("locks/{index}.lock"));
            let site = Site { file: &file, folder: folder.path(), option: "`.out`" };
            lock(site, &batch(folder.path(), wait), &notes, stop)
        };
        let (none, long) = (Duration::ZERO, Duration::from_secs(60));
        let held = of(0, none, &never).unwrap().unwrap();
        assert!(of(1, none, &never).unwrap().is_some(), "another shard is other work");
        let error = of(0, none, &never).unwrap_err().to_string();
        assert!(error.contains("another batch") && error.contains("`.wait`"), "{error}");
        assert!(of(0, Duration::from_millis(1), &never).is_err());
        assert!(of(0, long, &AtomicBool::new(true)).unwrap().is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| of(0, long, &never));
            while notes.0.lock().unwrap().len() < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(held);
            assert!(waiting.join().unwrap().unwrap().is_some());
        });
        assert!(notes.0.lock().unwrap().iter().all(|note| note.contains("waiting")));
    }
}

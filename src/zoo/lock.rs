//! Keeps two batches from doing the same work at the same time.

use std::fs::{self, File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::record::Out;
use super::{Batch, finish};
use crate::error::{Error, Result};
use crate::plan::{Event, Listener};

/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// Keeps others off the same work for as long as the file is open, where the file system can. Gives nothing where `stop` came
/// first.
///
/// The system lets go of a lock when its process ends, however that ends. A file server learns of the end of a machine later:
/// until then the lock of a task that ended with it stays, and the task that takes its place has to wait.
///
/// # Errors
/// [`Error::Options`] where another batch has it for longer than this one waits, and [`Error::Write`].
pub fn lock(out: &Out, batch: &Batch, listener: &dyn Listener, stop: &AtomicBool) -> Result<Option<File>> {
    let folder = out.own("shards");
    let path = folder.join(format!("{}.lock", finish::label(batch.shard)));
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    let file = File::create(&path).map_err(Error::write(&path))?;
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
        let problem = format!("another fourbit batch is at work on {}", batch.out.display());
        let Some(left) = batch.wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
            return Err(Error::options(
                problem,
                "wait for it, have this one wait with --wait 3m if it was ended on another machine just now, or choose \
                 another folder with -o",
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
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
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

    fn batch(out: &Path, shard: Shard, wait: Duration) -> Batch {
        Batch {
            source: out.join("zoo"),
            out: out.to_owned(),
            settings: Settings::default(),
            overwrite: false,
            keep_failures: false,
            shard,
            wait,
            jobs: 1,
            threads: 1,
            timeout: None,
            memory_limit: None,
            program: out.join("fourbit"),
        }
    }

    #[test]
    fn a_lock_is_waited_for_and_shards_have_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let out = Out::new(folder.path(), "test");
        let (never, notes) = (AtomicBool::new(false), Notes::default());
        let of = |index, wait| batch(folder.path(), Shard::new(index, 2).unwrap(), wait);
        let none = Duration::ZERO;
        let held = lock(&out, &of(0, none), &notes, &never).unwrap().unwrap();
        let other = lock(&out, &of(1, none), &notes, &never).unwrap();
        assert!(other.is_some(), "another shard is other work");
        let error = lock(&out, &of(0, none), &notes, &never).unwrap_err().to_string();
        assert!(error.contains("another fourbit batch") && error.contains("--wait"), "{error}");
        assert!(lock(&out, &of(0, Duration::from_millis(1)), &notes, &never).is_err());
        assert!(
            lock(&out, &of(0, Duration::from_secs(60)), &notes, &AtomicBool::new(true)).unwrap().is_none()
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&out, &of(0, Duration::from_secs(60)), &notes, &never));
            while notes.0.lock().unwrap().len() < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(held);
            assert!(waiting.join().unwrap().unwrap().is_some());
        });
        assert!(notes.0.lock().unwrap().iter().all(|note| note.contains("waiting")));
    }
}

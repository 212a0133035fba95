//! Which conversion comes next: the largest first, as many at once as there is room for.

use std::path::Path;

use super::settings::Settings;
use crate::onnx::Outline;
use crate::options::{LARGE, LARGE_WITHOUT_SAMPLES};
use crate::samples::Samples;

/// Memory that every conversion takes.
const LEAST: u64 = 64 << 20;
/// Running a model takes about so many times its float weights.
const RUNNING: u64 = 6;
/// What converting weights alone takes besides one and a third of the largest tensor.
const WEIGHTS_ALONE: u64 = 256 << 20;

/// About how much memory a conversion takes.
pub fn estimate(path: &Path, outline: &Outline, settings: &Settings) -> u64 {
    let given = settings.path("calibration").into_iter().chain(settings.path("validation"));
    let beside = Samples::discover(path);
    let found = beside.calibration.into_iter().chain(beside.validation);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let (mut most, mut samples) = (LARGE_WITHOUT_SAMPLES, 0u64);
    for path in found {
        (most, samples) = (LARGE, samples.max(size(&path)));
    }
    for path in given {
        (most, samples) = (u64::MAX, samples.max(size(&path)));
    }
    let work = if outline.float_bytes <= most {
        outline.float_bytes.saturating_mul(RUNNING).saturating_add(samples)
    } else {
        WEIGHTS_ALONE.saturating_add(outline.largest / 3).saturating_add(outline.largest)
    };
    work.saturating_add(LEAST)
}

/// Conversions that wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// In the order in which they came, the largest first.
    waiting: Vec<Waiting>,
    /// Those that took too much beside others.
    alone: Vec<Waiting>,
}

/// A conversion that waits or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub at: usize,
    /// About how much memory it takes.
    pub memory: u64,
    /// Whether nothing may run beside it.
    pub alone: bool,
}

impl Queue {
    /// Adds a conversion.
    pub fn push(&mut self, waiting: Waiting) {
        match waiting.alone {
            true => self.alone.push(waiting),
            false => self.waiting.push(waiting),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.alone.len()
    }

    /// Takes the next one, if one may begin beside those that run: at most `jobs` together, and within `memory` unless it
    /// runs by itself. `complete` says that no more will be added: only then is it time for those that run alone.
    pub fn next(&mut self, running: &[Waiting], jobs: usize, memory: u64, complete: bool) -> Option<Waiting> {
        if running.len() >= jobs || running.iter().any(|other| other.alone) {
            return None;
        }
        let taken = running.iter().fold(0u64, |sum, other| sum.saturating_add(other.memory));
        let fits = |next: &Waiting| running.is_empty() || taken.saturating_add(next.memory) <= memory;
        if let Some(at) = self.waiting.iter().position(fits) {
            return Some(self.waiting.remove(at));
        }
        let last = complete && running.is_empty() && self.waiting.is_empty() && !self.alone.is_empty();
        last.then(|| self.alone.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(at: usize, memory: u64) -> Waiting {
        Waiting { at, memory, alone: false }
    }

    #[test]
    fn there_is_room_for_what_fits() {
        let mut queue = Queue::default();
        for next in [waiting(0, 90), waiting(1, 60), waiting(2, 30), waiting(3, 5)] {
            queue.push(next);
        }
        queue.push(Waiting { alone: true, ..waiting(4, 5) });
        let mut running = vec![queue.next(&[], 3, 100, false).unwrap()];
        assert_eq!(running[0].at, 0, "the largest first");
        running.push(queue.next(&running, 3, 100, false).unwrap());
        assert_eq!(running[1].at, 3, "the first that fits");
        assert_eq!(queue.next(&running, 3, 100, false), None);
        assert_eq!(queue.next(&running, 2, 1000, false), None, "two at most");
        let running = [queue.next(&[], 3, 50, false).unwrap()];
        assert_eq!(running[0].at, 1, "too large for the bound, and by itself");
        let running = [queue.next(&[], 3, 100, true).unwrap()];
        assert_eq!(running[0].at, 2);
        assert_eq!(queue.next(&running, 3, 100, true), None);
        assert_eq!(queue.next(&[], 3, 100, false), None, "more may come");
        let alone = queue.next(&[], 3, 100, true).unwrap();
        assert!(alone.alone && queue.len() == 0);
        queue.push(waiting(5, 1));
        assert_eq!(queue.next(&[alone], 3, 100, true), None);
    }

    #[test]
    fn large_models_are_not_run_unasked() {
        let outline = |float_bytes| Outline { float_bytes, largest: 3 << 20, ..Outline::default() };
        let (path, none) = (Path::new("/nowhere/m.onnx"), Settings::default());
        assert_eq!(estimate(path, &outline(10 << 20), &none), LEAST + (60 << 20));
        assert_eq!(estimate(path, &outline(2 << 30), &none), LEAST + WEIGHTS_ALONE + (4 << 20));
        assert!(estimate(path, &outline(u64::MAX), &none) < 1 << 30);
    }
}

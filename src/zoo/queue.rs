//! Which conversion comes next: the largest first, as many at once as there is room for.

use std::cmp::Reverse;
use std::path::Path;

use super::settings::Settings;
use crate::onnx::Outline;
use crate::options::{LARGE, LARGE_WITHOUT_SAMPLES};
use crate::reconstruct::MOST_FEATURES;
use crate::samples::{SampleSet, Samples};

/// Memory that every conversion takes.
const LEAST: u64 = 64 << 20;
/// Running a model takes about so many times its float weights.
const RUNNING: u64 = 6;
/// Each thread that runs it takes about so many tensors of its input's size as well: what layers hand to one another while their
/// images are large, and what they are unfolded to.
const MAPS: u64 = 64;
/// Each thread that weighs the errors of a layer's weights against one another takes about so many matrices of f64 with a row and a
/// column for each.
const MATRICES: u64 = 4;
/// What is taken where there are samples: inputs of a layer laid out, and sums over several samples at a time.
const SAMPLED: u64 = 128 << 20;
/// What converting weights alone takes besides one and a third of the largest tensor.
const WEIGHTS_ALONE: u64 = 256 << 20;

/// About how much memory a conversion takes with so many threads.
pub fn estimate(path: &Path, outline: &Outline, settings: &Settings, threads: usize) -> u64 {
    let calibration = settings.path("calibration").map(|path| SampleSet::named(&path));
    let none = calibration.as_ref().is_some_and(SampleSet::is_none);
    // Generated samples are no file, and run the model as files do.
    let calibration = settings.path("calibration").filter(|_| !none);
    let given = calibration.into_iter().chain(settings.path("validation"));
    let beside = Samples::discover(path);
    let found = beside.calibration.filter(|_| !none).into_iter().chain(beside.validation);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len()).saturating_add(SAMPLED);
    let (mut most, mut samples) = (LARGE_WITHOUT_SAMPLES, 0u64);
    for path in found {
        (most, samples) = (LARGE, samples.max(size(&path)));
    }
    for path in given {
        (most, samples) = (u64::MAX, samples.max(size(&path)));
    }
    let work = if outline.float_bytes <= most {
        let maps = outline.input_elements.saturating_mul(4 * MAPS);
        let threads = u64::try_from(threads).unwrap_or(u64::MAX);
        // One comes after the other.
        let each = maps.max(matrices(outline.columns)).saturating_mul(threads);
        outline.float_bytes.saturating_mul(RUNNING).saturating_add(each).saturating_add(samples)
    } else {
        WEIGHTS_ALONE.saturating_add(outline.largest / 3).saturating_add(outline.largest)
    };
    work.saturating_add(LEAST)
}

/// Bytes of the matrices for weights with so many `columns`, which are cut where there are many.
fn matrices(columns: u64) -> u64 {
    let most = MOST_FEATURES as u64;
    let (parts, columns) = (columns.div_ceil(most), columns.min(most));
    parts.saturating_mul(columns * columns * 8 * MATRICES)
}

/// Conversions that wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// The largest first.
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
    /// Whether it has taken more than estimated before.
    pub again: bool,
    /// Whether nothing may run beside it.
    pub alone: bool,
}

impl Waiting {
    /// The same once it has taken too much with `resident` bytes, and who knows how much it would have taken: it comes with half
    /// as much again; by itself when that was too little too, or when nothing ran beside it.
    pub fn after(self, resident: u64, company: bool) -> Self {
        let memory = self.memory.max(resident);
        let memory = memory.saturating_add(memory / 2);
        Self { memory, again: true, alone: self.again || !company, ..self }
    }
}

impl Queue {
    /// Adds a conversion.
    pub fn push(&mut self, waiting: Waiting) {
        match waiting.alone {
            true => self.alone.push(waiting),
            false => self.waiting.push(waiting),
        }
        // Those of one size stay as they came.
        self.waiting.sort_by_key(|waiting| Reverse(waiting.memory));
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
        Waiting { at, memory, again: false, alone: false }
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
    fn what_took_too_much_comes_again_as_what_it_is() {
        let mut queue = Queue::default();
        let again = waiting(0, 10).after(60, true);
        assert_eq!((again.memory, again.alone), (90, false));
        [waiting(1, 50), again, waiting(2, 20)].into_iter().for_each(|next| queue.push(next));
        assert_eq!(
            queue.next(&[waiting(3, 40)], 3, 100, true).unwrap().at,
            1,
            "there is no room for what came again"
        );
        assert_eq!(queue.next(&[], 3, 100, true), Some(again));
        let alone = again.after(30, true);
        assert!(alone.alone && alone.memory == 135);
        assert!(waiting(0, 10).after(60, false).alone);
    }

    #[test]
    fn estimates_follow_what_is_done() {
        let outline = |float_bytes| Outline {
            float_bytes,
            largest: 3 << 20,
            input_elements: 1 << 10,
            columns: 10,
            ..Outline::default()
        };
        let (path, none) = (Path::new("/nowhere/m.onnx"), Settings::default());
        assert_eq!(estimate(path, &outline(10 << 20), &none, 2), LEAST + (60 << 20) + (2 << 18));
        assert_eq!(estimate(path, &outline(2 << 30), &none, 2), LEAST + WEIGHTS_ALONE + (4 << 20));
        assert!(estimate(path, &outline(u64::MAX), &none, 2) < 1 << 30);
        let wide = Outline { columns: 4608, input_elements: 1, ..Outline::default() };
        assert_eq!(estimate(path, &wide, &none, 1), LEAST + 2 * 2304 * 2304 * 8 * MATRICES);
        let absurd = Outline { columns: u64::MAX, input_elements: u64::MAX, ..Outline::default() };
        assert_eq!(estimate(path, &absurd, &none, 8), u64::MAX);
    }
}

//! How much time a batch still takes, from what its conversions have taken so far.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::api::batch::Event;

/// How much time is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    /// No model was converted yet, and nothing says how long one takes.
    Unknown,
    /// About this long.
    About(Duration),
    /// No model waits, and those that run have had the time that others of their size took: nobody knows how much more they need.
    Overdue,
}

/// What was done, what runs, and what waits.
#[derive(Debug, Default)]
pub struct Pace {
    /// Bytes of models that were converted, and the seconds that each took, added up.
    bytes: f64,
    seconds: f64,
    /// Bytes of models that have not begun.
    waiting: u64,
    /// Bytes of those that run, and since when.
    running: HashMap<String, (u64, Instant)>,
    /// How many ran at once when the last one began.
    lanes: usize,
}

impl Pace {
    /// Takes note of an event.
    pub fn hear(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Found { bytes, .. } => self.waiting = *bytes,
            Event::Skipped { bytes, .. } => self.waiting = self.waiting.saturating_sub(*bytes),
            Event::Started { model, bytes, .. } => {
                self.waiting = self.waiting.saturating_sub(*bytes);
                self.running.insert((*model).to_owned(), (*bytes, now));
                self.lanes = self.running.len();
            }
            Event::Postponed { model, .. } => {
                if let Some((bytes, _)) = self.running.remove(*model) {
                    self.waiting = self.waiting.saturating_add(bytes);
                }
            }
            Event::Finished { row, bytes, seconds, .. } => {
                self.running.remove(&row.model);
                self.bytes += *bytes as f64;
                self.seconds += seconds;
            }
            // How fast a model failed says nothing of how fast others are converted.
            Event::Failed { row, bytes, .. } => {
                if self.running.remove(&row.model).is_none() {
                    self.waiting = self.waiting.saturating_sub(*bytes);
                }
            }
            Event::Note { .. } | Event::Memory { .. } | Event::Summary { .. } => {}
        }
    }

    /// How much is left at `now`. Until another model begins or ends this only falls: one that runs longer than others of its size
    /// is taken as about to end.
    pub fn left(&self, now: Instant) -> Left {
        let pace = self.seconds / self.bytes;
        if !pace.is_finite() {
            return Left::Unknown;
        }
        let rest = |&(bytes, since): &(u64, Instant)| {
            let taken = now.saturating_duration_since(since).as_secs_f64();
            (pace * bytes as f64 - taken).max(0.0)
        };
        let running: Vec<f64> = self.running.values().map(rest).collect();
        let longest = running.iter().copied().fold(0.0, f64::max);
        let all = pace * self.waiting as f64 + running.iter().sum::<f64>();
        // Conversions fill the lanes evenly, and no lane is done before what runs in it.
        let left = longest.max(all / self.lanes.max(1) as f64);
        match Duration::try_from_secs_f64(left) {
            Ok(Duration::ZERO) if !running.is_empty() => Left::Overdue,
            Ok(left) => Left::About(left),
            Err(_) => Left::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Row, Status};

    fn row(model: &str) -> Row {
        let (model, status) = (model.to_owned(), Status::Converted);
        Row { model, status, reason: None, bytes_before: None, written: None }
    }

    fn start<'e>(model: &'e str, bytes: u64) -> Event<'e> {
        Event::Started { model, bytes, threads: 1 }
    }

    fn finish(pace: &mut Pace, model: &str, bytes: u64, seconds: f64, now: Instant) {
        pace.hear(&Event::Finished { row: &row(model), bytes, seconds, peak_memory: None }, now);
    }

    fn seconds(left: Left) -> f64 {
        match left {
            Left::About(left) => left.as_secs_f64(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_after_another() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs_f64(seconds);
        let mut pace = Pace::default();
        pace.hear(&Event::Found { models: 4, bytes: 400 }, begun);
        pace.hear(&Event::Skipped { model: "old", bytes: 50, status: Status::Converted }, begun);
        pace.hear(&start("a", 200), begun);
        assert_eq!(pace.left(at(5.0)), Left::Unknown);
        finish(&mut pace, "a", 200, 20.0, at(20.0));
        assert_eq!(seconds(pace.left(at(20.0))), 15.0);
        pace.hear(&start("b", 100), at(20.0));
        assert_eq!(seconds(pace.left(at(24.0))), 11.0);
        // It takes longer than it should: what waits is left, and no more.
        assert_eq!(seconds(pace.left(at(2000.0))), 5.0);
        pace.hear(&Event::Failed { row: &row("b"), bytes: 100, seconds: 1980.0 }, at(2000.0));
        assert_eq!(seconds(pace.left(at(2000.0))), 5.0);
        pace.hear(&start("c", 50), at(2000.0));
        pace.hear(&Event::Postponed { model: "c", reason: "memory" }, at(2003.0));
        assert_eq!(seconds(pace.left(at(2003.0))), 5.0);
        // Of the last one nobody knows.
        pace.hear(&start("c", 50), at(2003.0));
        assert_eq!(seconds(pace.left(at(2007.0))), 1.0);
        assert_eq!(pace.left(at(2008.0)), Left::Overdue);
        assert_eq!(pace.left(at(1e6)), Left::Overdue);
        finish(&mut pace, "c", 50, 1e6, at(1e6));
        assert_eq!(seconds(pace.left(at(1e6))), 0.0);
    }

    #[test]
    fn side_by_side_and_never_more_while_nothing_ends() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        pace.hear(&Event::Found { models: 5, bytes: 1000 }, begun);
        pace.hear(&start("a", 100), begun);
        pace.hear(&start("b", 600), begun);
        finish(&mut pace, "a", 100, 10.0, begun + Duration::from_secs(10));
        pace.hear(&start("c", 100), begun + Duration::from_secs(10));
        // The largest alone takes longer than half of all.
        assert_eq!(seconds(pace.left(begun + Duration::from_secs(10))), 50.0);
        let mut before = f64::INFINITY;
        for second in 10..100_000 {
            match pace.left(begun + Duration::from_secs(second)) {
                Left::About(left) => {
                    assert!(left.as_secs_f64() <= before, "{second}: {left:?} after {before}");
                    before = left.as_secs_f64();
                }
                other => panic!("{other:?}"),
            }
        }
        // 200 bytes wait for two lanes.
        assert_eq!(before, 10.0);
    }

    #[test]
    fn nothing_is_known_of_models_without_bytes() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.hear(&Event::Found { models: 2, bytes: 0 }, now);
        pace.hear(&start("a", 0), now);
        finish(&mut pace, "a", 0, 3.0, now);
        assert_eq!(pace.left(now), Left::Unknown);
    }
}

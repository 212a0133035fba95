//! A progress bar on standard error.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::spelling::Spelling;
use super::terminal::visible;
use crate::api::Progress;

/// A stage shorter than this gets no bar: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(800);
/// Time between two movements of a bar whose stage does not say how far it is.
const TICK: Duration = Duration::from_millis(120);

/// Shows one bar for each stage that takes long, and notes above it.
pub struct Bar {
    bars: bool,
    notes: bool,
    spelling: Spelling,
    stage: Mutex<Option<Stage>>,
}

/// The stage at hand.
struct Stage {
    bar: ProgressBar,
    /// Shows the bar once the stage has taken a while; over when `done` is dropped.
    herald: Option<JoinHandle<()>>,
    done: Option<Sender<()>>,
}

impl Bar {
    /// Draws bars where `bars`, prints notes where `notes`.
    pub fn new(bars: bool, notes: bool, spelling: Spelling) -> Self {
        Self { bars, notes, spelling, stage: Mutex::new(None) }
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    /// With a bar, or where nobody watches a line that says what goes on.
    fn begin(name: &str, steps: Option<u64>, watched: bool) -> Self {
        let bar = ProgressBar::with_draw_target(steps, ProgressDrawTarget::hidden());
        let form = match steps {
            Some(_) => " {msg:12} {wide_bar} {pos}/{len} {eta:>4}",
            None => " {msg:12} {spinner} {elapsed}",
        };
        // A form that does not parse would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        let (done, over) = mpsc::channel::<()>();
        let shown = bar.clone();
        let line = match steps {
            Some(steps) => format!("{name} ({steps} steps) ..."),
            None => format!("{name} ..."),
        };
        let wait = move || {
            if over.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if !watched {
                // Nobody is left to tell when this fails.
                let _ = writeln!(io::stderr(), "{}", visible(&line));
            } else {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        };
        // Without a thread to spare there is no bar, and the work goes on.
        let herald = thread::Builder::new().name("progress".into()).spawn(wait).ok();
        Self { bar, herald, done: Some(done) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(herald) = self.herald.take() {
            // The bar must not appear after it was cleared; a panic there has been told already.
            let _ = herald.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begin(&self, stage: &str, steps: Option<u64>) {
        if self.bars || self.notes {
            let mut current = self.stage();
            // The old stage clears its line before the new one may draw.
            drop(current.take());
            *current = Some(Stage::begin(stage, steps, self.bars));
        }
    }

    fn step(&self) {
        if let Some(stage) = self.stage().as_ref() {
            stage.bar.inc(1);
        }
    }

    fn end(&self) {
        drop(self.stage().take());
    }

    fn note(&self, message: &str) {
        if !self.notes {
            return;
        }
        // Nobody is left to tell when this fails.
        let print = || drop(writeln!(io::stderr(), "{}", visible(&self.spelling.spelled(message))));
        match self.stage().as_ref() {
            Some(stage) => stage.bar.suspend(print),
            None => print(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_come_and_go_from_any_thread() {
        let bar = Bar::new(true, false, Spelling::default());
        bar.step();
        bar.begin("one", Some(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| bar.step());
            }
        });
        assert_eq!(bar.stage().as_ref().map(|stage| stage.bar.position()), Some(4));
        bar.begin("two", None);
        bar.note("unheard");
        bar.end();
        bar.end();
        assert!(bar.stage().is_none());
    }

    #[test]
    fn no_bars_no_stage() {
        let bar = Bar::new(false, false, Spelling::default());
        bar.begin("one", Some(4));
        bar.step();
        assert!(bar.stage().is_none());
    }
}

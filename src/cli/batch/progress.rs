//! What a batch says while it runs: bars on a terminal, else lines, or JSON for programs.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::left::{Left, Pace};
use crate::api::batch::{Event, Listener, Totals};
use crate::api::program::plain;
use crate::cli::common::{Common, Format};
use crate::cli::spelling::Spelling;
use crate::cli::terminal::visible;

/// Time between two movements of a bar.
const TICK: Duration = Duration::from_millis(120);

/// Tells events as they come.
pub struct Voice {
    json: bool,
    quiet: bool,
    bars: bool,
    spelling: Spelling,
    screen: Mutex<Screen>,
}

/// One bar for the whole, and one for each conversion that runs.
#[derive(Default)]
struct Screen {
    all: MultiProgress,
    whole: Option<ProgressBar>,
    running: HashMap<String, ProgressBar>,
    done: usize,
    models: usize,
    /// The bar asks it at each movement, from another thread.
    pace: Arc<Mutex<Pace>>,
}

impl Voice {
    /// Speaks as the flags ask for.
    pub fn new(common: &Common, spelling: Spelling) -> Self {
        let json = common.format() == Format::Json;
        let bars = !json && !common.quiet && io::stderr().is_terminal();
        Self { json, quiet: common.quiet, bars, spelling, screen: Mutex::default() }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clears the bars.
    pub fn end(&self) {
        let mut screen = self.screen();
        screen.running.drain().for_each(|(_, bar)| bar.finish_and_clear());
        if let Some(whole) = screen.whole.take() {
            whole.finish_and_clear();
        }
    }

    /// Tells the figures of a batch that was put together without being run.
    pub fn summary(&self, totals: Totals) {
        self.hear(&Event::Summary { totals });
    }
}

/// The pace is only counted with: what a thread that panicked left of it still holds.
fn held(pace: &Mutex<Pace>) -> MutexGuard<'_, Pace> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much time is left, in words.
fn told(left: Left) -> String {
    match left {
        Left::Unknown => "no estimate yet".into(),
        Left::About(time) => {
            // To the minute, as far as there are minutes.
            let seconds = time.as_secs_f64().ceil();
            let rounded = if seconds > 90.0 { (seconds / 60.0).round() * 60.0 } else { seconds };
            match rounded {
                ..60.0 => format!("about {rounded:.0} s left"),
                _ => format!("about {} left", plain::duration(rounded)),
            }
        }
        Left::Overdue => "takes longer than estimated".into(),
    }
}

impl Screen {
    fn begin(&mut self, models: usize, bytes: u64) {
        self.models = models;
        let whole = self.all.add(ProgressBar::new(bytes));
        // A form that does not parse would only cost the looks.
        let form = " {msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}  {left}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            let pace = Arc::clone(&self.pace);
            let left = move |_: &ProgressState, text: &mut dyn fmt::Write| {
                let left = held(&pace).left(Instant::now());
                // What does not fit into the line is left out.
                let _ = write!(text, "{}", told(left));
            };
            whole.set_style(style.with_key("left", left));
        }
        whole.enable_steady_tick(TICK);
        self.whole = Some(whole);
        self.count(0, None);
    }

    fn count(&mut self, more: usize, bytes: Option<u64>) {
        self.done += more;
        let Some(whole) = &self.whole else { return };
        whole.set_message(format!("{} of {} models", self.done, self.models));
        if let Some(bytes) = bytes {
            whole.inc(bytes);
        }
    }

    fn start(&mut self, model: &str) {
        let bar = self.all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("   {spinner} {wide_msg} {elapsed:>4}") {
            bar.set_style(style);
        }
        bar.set_message(visible(&plain::running(model, 0)).into_owned());
        bar.enable_steady_tick(TICK);
        self.running.insert(model.to_owned(), bar);
    }

    fn stop(&mut self, model: &str) {
        if let Some(bar) = self.running.remove(model) {
            bar.finish_and_clear();
        }
    }

    fn hear(&mut self, event: &Event) {
        held(&self.pace).hear(event, Instant::now());
        match event {
            Event::Found { models, bytes } => self.begin(*models, *bytes),
            Event::Started { model, .. } => self.start(model),
            Event::Memory { model, resident } => {
                if let Some(bar) = self.running.get(*model) {
                    bar.set_message(visible(&plain::running(model, *resident)).into_owned());
                }
            }
            Event::Postponed { model, .. } => self.stop(model),
            Event::Finished { row, bytes, .. } | Event::Failed { row, bytes, .. } => {
                self.stop(&row.model);
                self.count(1, Some(*bytes));
            }
            Event::Skipped { bytes, .. } => {
                // What takes no time says nothing of the time that is left.
                if let Some(whole) = &self.whole {
                    whole.dec_length(*bytes);
                }
                self.count(1, None);
            }
            Event::Note { .. } | Event::Summary { .. } => {}
        }
    }
}

impl Listener for Voice {
    fn hear(&self, event: &Event) {
        if self.json {
            if !matches!(event, Event::Memory { .. })
                && let Ok(line) = serde_json::to_string(event)
            {
                let mut stdout = io::stdout().lock();
                // Nobody is left to tell when this fails, and the work goes on.
                drop(writeln!(stdout, "{}", visible(&line)).and_then(|()| stdout.flush()));
            }
            return;
        }
        if self.bars {
            self.screen().hear(event);
        }
        let Some(line) = plain::event(event).filter(|_| !self.quiet) else { return };
        // Nobody is left to tell when this fails.
        let print = || drop(writeln!(io::stderr(), "{}", visible(&self.spelling.spelled(&line))));
        match self.bars {
            true => self.screen().all.suspend(print),
            false => print(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_in_words() {
        let about = |seconds| told(Left::About(Duration::from_secs_f64(seconds)));
        assert_eq!(about(12.2), "about 13 s left");
        assert_eq!(about(100.0), "about 2 min left");
        assert_eq!(about(7250.0), "about 2 h 1 min left");
        assert!(told(Left::Overdue).contains("longer") && told(Left::Unknown).contains("no estimate"));
    }

    #[test]
    fn bars_come_and_go() {
        let mut screen = Screen::default();
        screen.hear(&Event::Found { models: 3, bytes: 30 });
        screen.hear(&Event::Skipped { model: "a", bytes: 10, status: crate::plan::Status::Converted });
        screen.hear(&Event::Started { model: "b", bytes: 10, threads: 1 });
        screen.hear(&Event::Memory { model: "b", resident: 5 });
        screen.hear(&Event::Memory { model: "c", resident: 5 });
        assert_eq!((screen.running.len(), screen.done), (1, 1));
        screen.hear(&Event::Postponed { model: "b", reason: "memory" });
        assert!(screen.running.is_empty());
        assert_eq!(screen.whole.as_ref().and_then(ProgressBar::length), Some(20));
    }
}

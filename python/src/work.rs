//! Long work beside Python: it runs in threads of its own, without the lock of the interpreter, and tells what it does to the thread that called,
//! which alone runs Python's code: listeners, handlers of signals.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use fourbit::{Output, Progress, Result, Seen, Witness};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::{panicked, raised};

/// How long a signal waits at most. Python's handlers run here and nowhere else.
const GLANCE: Duration = Duration::from_millis(50);
/// Bytes of the stack of each thread: as much as the main thread of a program has.
const STACK: usize = 8 << 20;

/// Who hears of the work.
pub struct Listener<'py> {
    /// Called with the stage, the steps done, and all of them.
    pub on_progress: Option<Bound<'py, PyAny>>,
    /// Called with a line of text.
    pub on_note: Bound<'py, PyAny>,
    /// Called with the place of a sample, its labels, and the outputs of both models: of each its name, dimensions and values as bytes of
    /// float32.
    pub on_outputs: Option<Bound<'py, PyAny>>,
}

enum Event {
    Begin(String, Option<u64>),
    Step,
    End,
    Note(String),
    Outputs(Box<Outputs>),
}

/// What both models gave for a sample.
struct Outputs {
    sample: usize,
    labels: Vec<i64>,
    float: Vec<Output>,
    quantized: Vec<Output>,
    /// Dropped when they were seen: who sent them waits for that, so that none pile up.
    _seen: Sender<()>,
}

/// The end of the work's side.
struct Teller<'w> {
    events: Sender<Event>,
    is_cancelled: &'w AtomicBool,
}

impl Teller<'_> {
    fn tell(&self, event: Event) {
        // Nobody hears it where the caller is gone.
        let _ = self.events.send(event);
    }
}

impl Progress for Teller<'_> {
    fn begin(&self, stage: &str, steps: Option<u64>) {
        self.tell(Event::Begin(stage.to_owned(), steps));
    }
    fn step(&self) {
        self.tell(Event::Step);
    }
    fn end(&self) {
        self.tell(Event::End);
    }
    fn note(&self, message: &str) {
        self.tell(Event::Note(message.to_owned()));
    }
    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}

/// Has Python see outputs.
pub struct Shown(Sender<Event>);

impl Witness for Shown {
    fn saw(&self, seen: &Seen) {
        let (sender, over) = channel();
        let outputs = Outputs {
            sample: seen.sample,
            labels: seen.labels.to_vec(),
            float: seen.float.to_vec(),
            quantized: seen.quantized.to_vec(),
            _seen: sender,
        };
        if self.0.send(Event::Outputs(Box::new(outputs))).is_ok() {
            // An error is what the end of the other side looks like.
            let _ = over.recv();
        }
    }
}

/// The stages that go on, the innermost last.
struct Stages<'l, 'py> {
    listener: &'l Listener<'py>,
    open: Vec<(String, u64, Option<u64>)>,
}

impl Stages<'_, '_> {
    /// Tells `events` on; steps that follow one another as one.
    fn hear(&mut self, events: impl Iterator<Item = Event>) -> PyResult<()> {
        let mut moved = false;
        for event in events {
            if !matches!(event, Event::Step) && std::mem::take(&mut moved) {
                self.tell()?;
            }
            match event {
                Event::Begin(stage, steps) => {
                    self.open.push((stage, 0, steps));
                    self.tell()?;
                }
                Event::Step => {
                    if let Some((_, done, _)) = self.open.last_mut() {
                        *done += 1;
                        moved = true;
                    }
                }
                Event::End => drop(self.open.pop()),
                Event::Note(text) => drop(self.listener.on_note.call1((text,))?),
                Event::Outputs(outputs) => self.show(&outputs)?,
            }
        }
        if moved { self.tell() } else { Ok(()) }
    }

    fn show(&self, outputs: &Outputs) -> PyResult<()> {
        let Some(listener) = &self.listener.on_outputs else { return Ok(()) };
        let py = listener.py();
        let told = |outputs: &[Output]| -> Vec<_> {
            let bytes = |output: &Output| -> Vec<u8> {
                output.values.iter().flat_map(|value| value.to_ne_bytes()).collect()
            };
            let one = |output: &Output| {
                (output.name.clone(), output.dims.clone(), PyBytes::new(py, &bytes(output)))
            };
            outputs.iter().map(one).collect()
        };
        let labels = outputs.labels.clone();
        let arguments = (outputs.sample, labels, told(&outputs.float), told(&outputs.quantized));
        listener.call1(arguments).map(drop)
    }

    fn tell(&self) -> PyResult<()> {
        let (Some(listener), Some((stage, done, all))) = (&self.listener.on_progress, self.open.last())
        else {
            return Ok(());
        };
        listener.call1((stage, *done, *all)).map(drop)
    }
}

/// What `work` gives, which runs on so many threads, or as many as there are processors. An exception of the listener, or of a handler of a
/// signal, ends it and is what is raised.
pub fn run<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    listener: &Listener<'_>,
    work: impl FnOnce(&dyn Progress, Shown) -> Result<T> + Send,
) -> PyResult<T> {
    let is_cancelled = AtomicBool::new(false);
    let (events, heard) = channel();
    let shown = Shown(events.clone());
    let teller = Teller { events, is_cancelled: &is_cancelled };
    thread::scope(|scope| {
        let on_threads = move || {
            // Threads of this call alone: those of a pool that stays do not live on in a forked process.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).stack_size(STACK);
            let pool = pool.build().map_err(|error| format!("threads cannot be started: {error}"))?;
            Ok::<_, String>(pool.install(|| work(&teller, shown)))
        };
        let worker = thread::Builder::new().name("fourbit".into()).stack_size(STACK);
        let worker =
            worker.spawn_scoped(scope, on_threads).map_err(|error| panicked(py, &error.to_string()))?;
        let told = listen(py, heard, listener);
        if told.is_err() {
            is_cancelled.store(true, Ordering::Relaxed);
        }
        let result = py.detach(|| worker.join());
        told?;
        match result {
            Ok(Ok(result)) => result.map_err(|error| raised(py, &error)),
            Ok(Err(problem)) => Err(panicked(py, &problem)),
            Err(panic) => Err(panicked(py, said(panic.as_ref()))),
        }
    })
}

/// Hears what the work tells until it is over.
fn listen(py: Python<'_>, mut heard: Receiver<Event>, listener: &Listener<'_>) -> PyResult<()> {
    let mut stages = Stages { listener, open: Vec::new() };
    loop {
        let next;
        (heard, next) = py.detach(move || {
            let next = heard.recv_timeout(GLANCE);
            (heard, next)
        });
        py.check_signals()?;
        match next {
            Ok(event) => stages.hear(std::iter::once(event).chain(heard.try_iter()))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

//! The loop of a batch: what waits, what runs, and what comes of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, Scope};
use std::time::Duration;

use super::child::{End, Order, Running};
use super::far::{Fetched, Origin};
use super::memory::Memory;
use super::outbox::{Outbox, Record, staged};
use super::queue::{Queue, Waiting};
use super::work::{Checked, Work};
use super::{Batch, outcome, store};
use crate::error::{Error, Result};
use crate::plan::{Event, Listener, Row, Status, Time};

/// Time between two looks at what runs.
const LOOK: Duration = Duration::from_millis(10);

/// A conversion that runs, and what for.
struct Active {
    waiting: Waiting,
    key: String,
    running: Running,
    threads: usize,
    resident: u64,
}

impl Active {
    /// What it takes: as estimated, or more where that is seen already.
    fn weight(&self) -> Waiting {
        Waiting { memory: self.waiting.memory.max(self.resident), ..self.waiting }
    }

    /// Whether it would take less memory if it came again with nothing beside it, and with one thread.
    fn may_take_less(&self, company: bool) -> bool {
        !self.waiting.alone && (company || self.threads > 1)
    }
}

/// What came of the models.
#[derive(Default)]
pub struct Done {
    /// Their rows, as far as it came.
    pub rows: Vec<Option<Row>>,
    /// How many of them are of models that an earlier run wrote.
    pub before: usize,
    /// How long each took.
    pub times: Vec<Time>,
}

/// The conversion of all models of a shard.
pub struct Drive<'d> {
    /// What was asked for.
    pub batch: &'d Batch,
    /// Where results go.
    pub out: &'d Outbox,
    /// Where models come from, if that is far.
    pub origin: Option<&'d Origin>,
    /// What messages leave out.
    pub root: &'d Path,
    /// The models.
    pub works: &'d [&'d Work],
    /// Who hears of it.
    pub listener: &'d dyn Listener,
    /// Set when it is to stop.
    pub stop: &'d AtomicBool,
    /// Set when no answers are waited for any more.
    pub over: &'d AtomicBool,
}

impl Drive<'_> {
    /// Converts the model.
    ///
    /// # Errors
    /// Where the output folder cannot be used any more, or processes not be looked at.
    pub fn all(&self, memory: Memory) -> Result<Done> {
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(|| self.check_all(sender));
            let done = self.convert_all(scope, &receiver, memory);
            self.over.store(true, Ordering::Relaxed);
            done
        })
    }

    /// Looks at every model, the largest first, and says what is to be done with it.
    fn check_all(&self, sender: Sender<(usize, Checked)>) {
        let mut order: Vec<usize> = (0..self.works.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(self.works[at].memory()), at));
        for at in order {
            if self.stop.load(Ordering::Relaxed) || self.over.load(Ordering::Relaxed) {
                return;
            }
            let checked = self.works[at].check(self.batch, self.out, self.origin, self.stop);
            let checked = checked.unwrap_or_else(|error| Checked::Unable(chain(&error)));
            if sender.send((at, checked)).is_err() {
                return;
            }
        }
    }

    /// Converts what is to be converted, until nothing is left or it is to stop.
    fn convert_all<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        receiver: &Receiver<(usize, Checked)>,
        mut memory: Memory,
    ) -> Result<Done> {
        let mut done = Done { rows: vec![None; self.works.len()], ..Done::default() };
        let mut keys: Vec<String> = vec![String::new(); self.works.len()];
        let (mut queue, mut active, mut complete) = (Queue::default(), Vec::<Active>::new(), false);
        let (sender, placed) = mpsc::channel();
        let mut placing = 0;
        while !self.stop.load(Ordering::Relaxed) {
            match receiver.recv_timeout(LOOK) {
                Ok((at, Checked::Due(key))) => {
                    if let Some(kept) = keys.get_mut(at) {
                        *kept = key;
                    }
                    let memory = self.works[at].memory();
                    queue.push(Waiting { at, memory, again: false, alone: false });
                }
                Ok((at, Checked::Done(record))) => self.skipped(at, &record, &mut done),
                Ok((at, Checked::Unable(reason))) => {
                    self.failed(at, "", (Status::Failed, reason), 0.0, &mut done)?
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    complete = true;
                    thread::sleep(LOOK);
                }
            }
            for one in self.look(&mut active, &mut queue, &mut done)? {
                placing += 1;
                let sender = sender.clone();
                // Sending results takes its time, where they are far.
                scope.spawn(move || drop(sender.send(self.place(one))));
            }
            for (one, row) in placed.try_iter() {
                placing -= 1;
                self.written(&one, row, &mut done)?;
            }
            self.weigh(&mut active, &mut queue, &mut memory, &mut done)?;
            let running = |active: &[Active]| active.iter().map(Active::weight).collect::<Vec<_>>();
            // Results that cannot be sent as fast as they come are not to pile up.
            let jobs = if placing > self.batch.jobs { 0 } else { self.batch.jobs };
            while let Some(next) = queue.next(&running(&active), jobs, memory.room(), complete) {
                let left = done.rows.iter().filter(|row| row.is_none()).count() - placing;
                let key = keys.get(next.at).cloned().unwrap_or_default();
                active.extend(self.start(next, key, left, &mut done)?);
            }
            if complete && queue.len() == 0 && active.is_empty() && placing == 0 {
                break;
            }
        }
        Ok(done)
    }

    fn start(&self, waiting: Waiting, key: String, left: usize, done: &mut Done) -> Result<Option<Active>> {
        let work = self.works[waiting.at];
        // Each thread takes memory of its own.
        let threads = if waiting.alone { 1 } else { self.batch.share(left) };
        let order = Order {
            program: self.batch.program.clone(),
            leading: self.batch.program_arguments.clone(),
            input: work.path().to_owned(),
            name: work.entry.name.clone(),
            arguments: work.arguments(),
            threads,
        };
        match Running::start(&order, &self.out.staging) {
            Ok(running) => {
                let (model, bytes) = (work.entry.name.as_str(), work.bytes().unwrap_or(0));
                self.listener.hear(&Event::Started { model, bytes, threads });
                Ok(Some(Active { waiting, key, running, threads, resident: 0 }))
            }
            Err(error) => {
                self.failed(waiting.at, &key, (Status::Failed, chain(&error)), 0.0, done)?;
                Ok(None)
            }
        }
    }

    /// Deals with conversions that have ended, or have had their time. Gives those that have written their files.
    fn look(&self, active: &mut Vec<Active>, queue: &mut Queue, done: &mut Done) -> Result<Vec<Active>> {
        let (mut at, mut written) = (0, Vec::new());
        while let Some(one) = active.get_mut(at) {
            let late = self.batch.timeout.filter(|&timeout| one.running.time() > timeout);
            let end = match (one.running.ended()?, late) {
                (Some(end), _) => end,
                (None, Some(timeout)) => {
                    one.running.kill();
                    End::Failed(format!(
                        "took longer than `.timeout` {}",
                        humantime::format_duration(timeout)
                    ))
                }
                (None, None) => {
                    at += 1;
                    continue;
                }
            };
            let company = active.len() > 1;
            let one = active.remove(at);
            match end {
                End::Written if self.took_too_much(&one) => self.over(one, company, queue, done)?,
                End::Written => written.push(one),
                End::Killed(reason) if one.may_take_less(company) => {
                    self.postpone(one, company, &reason, queue)
                }
                End::Killed(reason) | End::Failed(reason) => {
                    self.unable(&one, Status::Failed, reason, done)?
                }
                End::Unquantized(reason) => self.unable(&one, Status::Unquantized, reason, done)?,
            }
        }
        Ok(written)
    }

    /// Ends the conversion that was begun last where all together take too much memory.
    fn weigh(
        &self,
        active: &mut Vec<Active>,
        queue: &mut Queue,
        memory: &mut Memory,
        done: &mut Done,
    ) -> Result<()> {
        let processes: Vec<u32> = active.iter().map(|active| active.running.process()).collect();
        let Some(resident) = memory.resident(&processes) else { return Ok(()) };
        for (one, &resident) in active.iter_mut().zip(&resident) {
            one.resident = resident;
            let model = self.works[one.waiting.at].entry.name.as_str();
            self.listener.hear(&Event::Memory { model, resident });
        }
        let Some(limit) = self.batch.memory_limit else { return Ok(()) };
        while active.iter().map(|one| one.resident).fold(0, u64::saturating_add) > limit {
            let company = active.len() > 1;
            let Some(mut last) = active.pop() else { break };
            last.running.kill();
            self.over(last, company, queue, done)?;
        }
        Ok(())
    }

    /// Whether a conversion says itself that it alone took more memory than there is for all: short ones end between two looks.
    fn took_too_much(&self, one: &Active) -> bool {
        let peak = outcome::peak_memory(one.running.staging());
        self.batch.memory_limit.zip(peak).is_some_and(|(limit, peak)| peak > limit)
    }

    /// Deals with a conversion that is over, as too much memory was taken.
    fn over(&self, one: Active, company: bool, queue: &mut Queue, done: &mut Done) -> Result<()> {
        if one.may_take_less(company) {
            self.postpone(one, company, "more memory was taken than `.memory_limit`", queue);
            return Ok(());
        }
        let limit = self.batch.memory_limit.unwrap_or(u64::MAX);
        self.unable(
            &one,
            Status::Failed,
            format!("took more than the {limit} bytes of `.memory_limit`"),
            done,
        )
    }

    fn postpone(&self, one: Active, company: bool, reason: &str, queue: &mut Queue) {
        queue.push(one.waiting.after(one.resident, company));
        let work = self.works[one.waiting.at];
        // It may come when all others are done, which may wait for its place.
        work.here().into_iter().for_each(Fetched::make_way);
        self.listener.hear(&Event::Postponed { model: &work.entry.name, reason });
    }

    fn skipped(&self, at: usize, record: &Record, done: &mut Done) {
        let work = self.works[at];
        work.release();
        let Some(row) = record.row().cloned() else { return };
        let (model, bytes) = (work.entry.name.as_str(), work.bytes().unwrap_or(0));
        self.listener.hear(&Event::Skipped { model, bytes, status: row.status });
        done.before += usize::from(row.status.is_written());
        done.rows[at] = Some(row);
    }

    /// Puts what a conversion has written into its place.
    fn place(&self, one: Active) -> (Active, Result<Row>) {
        let (work, folder) = (self.works[one.waiting.at], one.running.staging());
        let name = &work.entry.name;
        let [.., file] = staged(name);
        let placed = store::digest(&folder.join(file), &AtomicBool::new(false))
            .and_then(|digest| outcome::read(folder, name, &digest))
            .and_then(|(row, facts)| {
                self.out.place(folder, &one.key, row.clone(), facts, work.inputs())?;
                Ok(row)
            });
        let peak_memory = outcome::peak_memory(folder).max((one.resident > 0).then_some(one.resident));
        (Active { resident: peak_memory.unwrap_or(0), ..one }, placed)
    }

    fn written(&self, one: &Active, placed: Result<Row>, done: &mut Done) -> Result<()> {
        let work = self.works[one.waiting.at];
        let seconds = one.running.time().as_secs_f64();
        let peak_memory = Some(one.resident).filter(|&bytes| bytes > 0);
        let row = match placed {
            Ok(row) => row,
            Err(error) => return self.unable(one, Status::Failed, chain(&error), done),
        };
        work.release();
        let bytes = work.bytes().unwrap_or(0);
        self.listener.hear(&Event::Finished { row: &row, bytes, seconds, peak_memory });
        done.times.push(Time { model: work.entry.name.clone(), seconds, peak_memory });
        done.rows[one.waiting.at] = Some(row);
        Ok(())
    }

    fn unable(&self, one: &Active, status: Status, reason: String, done: &mut Done) -> Result<()> {
        // Each conversion has another folder.
        let reason = without(&reason, one.running.staging());
        self.failed(one.waiting.at, &one.key, (status, reason), one.running.time().as_secs_f64(), done)
    }

    /// Notes a failure under `key`, which is empty where the model could not be looked at.
    fn failed(
        &self,
        at: usize,
        key: &str,
        (status, reason): (Status, String),
        seconds: f64,
        done: &mut Done,
    ) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let work = self.works[at];
        work.release();
        // Models are elsewhere on other machines, and which one it is the row says.
        let place = self.origin.map(|origin| origin.place(&work.entry));
        let reason = place.map_or(reason.clone(), |place| without(&reason, &place));
        let reason = without(&reason, self.root);
        let reason = reason.strip_prefix(&format!("{}: ", work.entry.name)).unwrap_or(&reason).to_owned();
        let mut row = Row {
            model: work.entry.name.clone(),
            status,
            reason: Some(reason),
            bytes_before: work.bytes(),
            written: None,
        };
        // What has no place in the output folder has no record there either.
        if work.entry.problem.is_none() {
            row = self.out.fail(key, row, work.inputs())?;
        }
        self.listener.hear(&Event::Failed { row: &row, bytes: work.bytes().unwrap_or(0), seconds });
        done.times.push(Time { model: row.model.clone(), seconds, peak_memory: None });
        done.rows[at] = Some(row);
        Ok(())
    }
}

/// `text` with the names of files in `folder` as they are there.
fn without(text: &str, folder: &Path) -> String {
    let folder = folder.display().to_string();
    match folder.trim_end_matches('/') {
        "" | "." => text.to_owned(),
        folder => text.replace(&format!("{folder}/"), ""),
    }
}

/// An error and what led to it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

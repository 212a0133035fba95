//! A batch from its first model to its last.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::child::{End, Order, Running};
use super::far::{Fetched, Origin, Workplace};
use super::finish::{self, Time};
use super::memory::Memory;
use super::out::{Out, Record, staged};
use super::queue::{Queue, Waiting};
use super::settings::Grammar;
use super::source::Source;
use super::work::{Checked, Waits, Work};
use super::{Batch, outcome, store};
use crate::error::{Error, Result};
use crate::plan::{Event, Listener, Row, Status, Summary};
use crate::remote::Place;

/// Time between two looks at what runs.
const LOOK: Duration = Duration::from_millis(10);

/// Does a batch. Gives the rows of what was this process's to do, or nothing where `stop` ended it early.
///
/// # Errors
/// [`Error::Options`] where there is nothing to do or another batch does it already, [`Error::Read`] and [`Error::Write`]
/// where the folders cannot be used. What is wrong with a model is in its row instead.
pub fn run(
    batch: &Batch,
    grammar: &dyn Grammar,
    listener: &dyn Listener,
    stop: &AtomicBool,
) -> Result<Option<Summary>> {
    if is_same(&batch.source, &batch.out) {
        return Err(Error::options(
            format!("{} is both the source and the output folder", batch.out),
            "choose another folder with -o",
        ));
    }
    // What is wrong with a source on this machine is told before anything is made in the output folder.
    let near = match &batch.source {
        Place::Near(path) => Some(Source::open(path, &batch.out.as_path(), grammar)?),
        Place::Far(_) => None,
    };
    let Some(ready) = Workplace::prepare(batch, listener, stop)? else { return Ok(None) };
    let (out, workplace) = (&ready.out, ready.workplace.as_ref());
    let (origin, source) = match (&batch.source, near, workplace) {
        (Place::Far(address), _, Some(workplace)) => {
            let (folder, how) = (workplace.path.join("fetched"), (batch.jobs, batch.keep_work));
            let (origin, source) = Origin::open(address, &batch.out, grammar, &folder, how, stop)?;
            (Some(origin), source)
        }
        (_, near, _) => (None, near.unwrap_or_default()),
    };
    let origin = origin.as_ref();
    if let Some(workplace) = workplace {
        let message = format!("what has to lie here for a while lies in {}", workplace.path.display());
        listener.hear(&Event::Note { message: &message });
    }
    source.notes.iter().for_each(|message| listener.hear(&Event::Note { message }));

    let settings = batch.settings.over(&source.defaults);
    let all: Vec<Work> =
        source.entries.iter().map(|entry| Work::new(entry, batch, &source.defaults, origin)).collect();
    let sizes: Vec<(&str, u64)> =
        all.iter().map(|work| (work.entry.name.as_str(), work.bytes().unwrap_or(0))).collect();
    let chosen = batch.shard.choose(&sizes);
    let record = finish::Record::new(batch.shard, &settings, &all, &chosen);
    record.begin(out)?;
    let works: Vec<&Work> = chosen.iter().filter_map(|&at| all.get(at)).collect();
    let bytes = works.iter().filter_map(|work| work.bytes()).sum();
    listener.hear(&Event::Found { models: works.len(), bytes });

    let memory = Memory::new(batch.memory_limit);
    let drive = Drive { batch, out, origin, root: &source.root, works: &works, listener, stop };
    let Done { rows, times } = drive.all(memory)?;
    finish::times(out, batch.shard, times)?;
    let clear = || store::clear(&out.staging).and_then(|()| workplace.map_or(Ok(()), Workplace::end));
    if stop.load(Ordering::Relaxed) {
        clear()?;
        return Ok(None);
    }
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let summary = record.end(out, rows)?;
    clear()?;
    Ok(Some(summary))
}

/// Whether two places are one.
fn is_same(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Near(one), Place::Near(other)) => {
            store::exists(one) && store::real(one) == store::real(other)
        }
        _ => one == other,
    }
}

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

#[derive(Default)]
struct Done {
    rows: Vec<Option<Row>>,
    times: Vec<Time>,
}

struct Drive<'d> {
    batch: &'d Batch,
    out: &'d Out,
    origin: Option<&'d Origin>,
    root: &'d Path,
    works: &'d [&'d Work],
    listener: &'d dyn Listener,
    stop: &'d AtomicBool,
}

impl Drive<'_> {
    fn all(&self, memory: Memory) -> Result<Done> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(|| self.check_all(sender, &over));
            let done = self.convert_all(&receiver, memory);
            over.store(true, Ordering::Relaxed);
            done
        })
    }

    /// Looks at every model, the largest first, and says what is to be done with it.
    fn check_all(&self, sender: Sender<(usize, Checked)>, over: &AtomicBool) {
        let mut order: Vec<usize> = (0..self.works.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(self.works[at].memory()), at));
        for at in order {
            let waits = Waits { stop: self.stop, over };
            if waits.gone() {
                return;
            }
            let checked = self.works[at]
                .check(self.batch, self.out, self.origin, waits)
                .unwrap_or_else(|error| Checked::Unable(chain(&error)));
            if sender.send((at, checked)).is_err() {
                return;
            }
        }
    }

    /// Converts what is to be converted, until nothing is left or it is to stop.
    fn convert_all(&self, receiver: &Receiver<(usize, Checked)>, mut memory: Memory) -> Result<Done> {
        let mut done = Done { rows: vec![None; self.works.len()], ..Done::default() };
        let mut keys: Vec<String> = vec![String::new(); self.works.len()];
        let (mut queue, mut active, mut complete) = (Queue::default(), Vec::<Active>::new(), false);
        while !self.stop.load(Ordering::Relaxed) {
            match receiver.recv_timeout(LOOK) {
                Ok((at, Checked::Due(key))) => {
                    if let Some(kept) = keys.get_mut(at) {
                        *kept = key;
                    }
                    queue.push(Waiting { at, memory: self.works[at].memory(), again: false, alone: false });
                }
                Ok((at, Checked::Done(record))) => self.skipped(at, &record, &mut done),
                Ok((at, Checked::Unable(reason))) => self.failed(at, "", reason, 0.0, &mut done)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    complete = true;
                    std::thread::sleep(LOOK);
                }
            }
            self.look(&mut active, &mut queue, &mut done)?;
            self.weigh(&mut active, &mut queue, &mut memory, &mut done)?;
            let running = |active: &[Active]| active.iter().map(Active::weight).collect::<Vec<_>>();
            while let Some(next) = queue.next(&running(&active), self.batch.jobs, memory.room(), complete) {
                let left = done.rows.iter().filter(|row| row.is_none()).count();
                let key = keys.get(next.at).cloned().unwrap_or_default();
                active.extend(self.start(next, key, left, &mut done)?);
            }
            if complete && queue.len() == 0 && active.is_empty() {
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
                self.failed(waiting.at, &key, chain(&error), 0.0, done)?;
                Ok(None)
            }
        }
    }

    /// Deals with conversions that have ended, or have had their time.
    fn look(&self, active: &mut Vec<Active>, queue: &mut Queue, done: &mut Done) -> Result<()> {
        let mut at = 0;
        while let Some(one) = active.get_mut(at) {
            let late = self.batch.timeout.filter(|&timeout| one.running.time() > timeout);
            let end = match (one.running.ended()?, late) {
                (Some(end), _) => end,
                (None, Some(timeout)) => {
                    one.running.kill();
                    End::Failed(format!("took longer than --timeout {}", humantime::format_duration(timeout)))
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
                End::Written => self.written(one, done)?,
                End::Killed(reason) if one.may_take_less(company) => {
                    self.postpone(one, company, &reason, queue)
                }
                End::Killed(reason) | End::Failed(reason) => self.unable(&one, reason, done)?,
            }
        }
        Ok(())
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
            self.postpone(one, company, "more memory was taken than --memory-limit", queue);
            return Ok(());
        }
        let limit = self.batch.memory_limit.unwrap_or(u64::MAX);
        self.unable(&one, format!("took more than the {limit} bytes of --memory-limit"), done)
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
        done.rows[at] = Some(row);
    }

    fn written(&self, one: Active, done: &mut Done) -> Result<()> {
        let (work, folder) = (self.works[one.waiting.at], one.running.staging());
        let seconds = one.running.time().as_secs_f64();
        let peak_memory = outcome::peak_memory(folder).max((one.resident > 0).then_some(one.resident));
        let name = &work.entry.name;
        let [.., file] = staged(name);
        let never = AtomicBool::new(false);
        let placed = store::digest(&folder.join(file), &never)
            .and_then(|digest| outcome::read(folder, name, &digest))
            .and_then(|(row, facts)| {
                self.out.place(folder, &one.key, row.clone(), facts, work.inputs())?;
                Ok(row)
            });
        let row = match placed {
            Ok(row) => row,
            Err(error) => return self.unable(&one, chain(&error), done),
        };
        work.release();
        self.listener.hear(&Event::Finished {
            row: &row,
            bytes: work.bytes().unwrap_or(0),
            seconds,
            peak_memory,
        });
        done.times.push(Time { model: name.clone(), seconds, peak_memory });
        done.rows[one.waiting.at] = Some(row);
        Ok(())
    }

    fn unable(&self, one: &Active, reason: String, done: &mut Done) -> Result<()> {
        // Each conversion has another folder.
        let reason = without(&reason, one.running.staging());
        self.failed(one.waiting.at, &one.key, reason, one.running.time().as_secs_f64(), done)
    }

    fn failed(&self, at: usize, key: &str, reason: String, seconds: f64, done: &mut Done) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let work = self.works[at];
        work.release();
        // Models are elsewhere on other machines, and which one it is the row says.
        let reason = without(&reason, work.here().map_or(self.root, |here| &here.root));
        let reason = reason.strip_prefix(&format!("{}: ", work.entry.name)).unwrap_or(&reason).to_owned();
        let row = Row {
            model: work.entry.name.clone(),
            status: Status::Failed,
            reason: Some(reason),
            bytes_before: work.bytes(),
            written: None,
        };
        self.listener.hear(&Event::Failed { row: &row, bytes: work.bytes().unwrap_or(0), seconds });
        // What has no place in the output folder has no record there either.
        if work.entry.problem.is_none() {
            self.out.fail(key, row.clone(), work.inputs())?;
        }
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

//! A batch from its first model to its last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::convert::{Done, Drive};
use super::far::{Origin, Workplace};
use super::memory::Memory;
use super::settings::Grammar;
use super::source::Source;
use super::work::Work;
use super::{Batch, finish, guarded, store};
use crate::error::{Error, Result};
use crate::place::{Halt, Place};
use crate::plan::{Event, Listener, Row, Summary};

/// Does a batch. Gives the rows of what was this process's to do, or nothing where `stop` ended it early.
///
/// # Errors
/// [`Error::Options`] where there is nothing to do or another batch does it already, [`Error::Read`] and [`Error::Write`]
/// where the folders cannot be used. What is wrong with a model is in its row instead.
pub fn run(
    batch: &Batch,
    grammar: &dyn Grammar,
    listener: &dyn Listener,
    stop: &Arc<AtomicBool>,
) -> Result<Option<Summary>> {
    let done = whole(batch, grammar, listener, stop);
    // Whatever else went wrong then is so because it was interrupted.
    if stop.load(Ordering::Relaxed) { Ok(None) } else { done }
}

fn whole(
    batch: &Batch,
    grammar: &dyn Grammar,
    listener: &dyn Listener,
    stop: &Arc<AtomicBool>,
) -> Result<Option<Summary>> {
    if is_same(&batch.source, &batch.out) {
        return Err(Error::options(
            format!("{} is both the source and the output folder", batch.out),
            "choose another folder with `.out`",
        ));
    }
    // What is wrong with a source on this machine is told before anything is made in the output folder.
    let near = match &batch.source {
        Place::Near(path) => {
            let mut source = Source::open(path, &batch.out.as_path(), grammar)?;
            if let Place::Near(out) = &batch.out {
                let settings = batch.settings.over(&source.defaults);
                guarded::protect(&mut source, path, &settings, out)?;
            }
            Some(source)
        }
        Place::Far(_) => None,
    };
    let Some(ready) = Workplace::prepare(batch, listener, stop)? else { return Ok(None) };
    let (out, workplace) = (&ready.out, ready.workplace.as_ref());
    let over = Arc::new(AtomicBool::new(false));
    let (origin, source) = match (&batch.source, near, workplace) {
        (Place::Far(address), _, Some(workplace)) => {
            let (folder, how) = (workplace.path.join("fetched"), (batch.jobs, batch.keep_work));
            let (origin, source) =
                Origin::open(address, &batch.out, grammar, &folder, how, Halt::new([stop, &over]))?;
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
    let drive = Drive { batch, out, origin, root: &source.root, works: &works, listener, stop, over: &over };
    let done = drive.all(memory);
    let clear = || store::clear(&out.staging).and_then(|()| workplace.map_or(Ok(()), Workplace::end));
    if stop.load(Ordering::Relaxed) {
        // How long it took is told where that can be told at once.
        drop(done.and_then(|done| finish::times(out, batch.shard, done.times)));
        clear()?;
        return Ok(None);
    }
    let Done { rows, before, times } = done?;
    let times = finish::times(out, batch.shard, times)?;
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let summary = record.end(out, rows)?;
    clear()?;
    Ok(Some(Summary { before, times, ..summary }))
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

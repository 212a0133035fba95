//! The end of a batch: what is known of all models together, also when several machines have had a part in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::outbox::{Outbox, State, own};
use super::settings::Settings;
use super::shard::Shard;
use super::source::manifest;
use super::work::Work;
use super::{key, store};
use crate::error::{Error, Result};
use crate::place::{Halt, Place};
use crate::plan::{Row, Status, Summary, Time};

const SCHEMA: &str = "fourbit.shard";
const VERSION: u32 = 1;
/// What works on the whole of a batch.
const SUMMARY: &str = "summary";

/// What files of a shard are called.
pub fn label(shard: Shard) -> String {
    let (index, count) = shard.place();
    format!("{}-of-{count}", index + 1)
}

/// What a shard was to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    schema: String,
    version: u32,
    shard: usize,
    of: usize,
    tool: String,
    options: Vec<String>,
    /// Tells lists of models, and options, from others.
    source: String,
    models: Vec<Listed>,
}

/// One model of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Listed {
    name: String,
    /// Why it has no record of its own.
    problem: Option<String>,
    /// What a manifest said of it.
    manifest: Option<Map<String, Value>>,
}

impl Record {
    /// The record of `shard`, whose part of `all` are the `chosen`.
    pub fn new(shard: Shard, settings: &Settings, all: &[Work], chosen: &[usize]) -> Self {
        let options = settings.arguments();
        let mut source = Sha256::new();
        let mut text = |text: &str| {
            source.update((text.len() as u64).to_le_bytes());
            source.update(text);
        };
        options.iter().for_each(|option| text(option));
        for work in all {
            text(&work.entry.name);
            work.settings.without_paths().iter().for_each(|argument| text(argument));
        }
        let listed = |work: &Work| {
            let entry = work.entry.clone();
            Listed { name: entry.name, problem: entry.problem, manifest: entry.manifest }
        };
        let models = chosen.iter().filter_map(|&at| all.get(at)).map(listed).collect();
        let (index, of) = shard.place();
        let (schema, tool, source) = (SCHEMA.into(), key::tool(), store::hexadecimal(source));
        Self { schema, version: VERSION, shard: index + 1, of, tool, options, source, models }
    }

    fn path(shard: Shard) -> String {
        own(&format!("shards/{}.json", label(shard)))
    }

    /// Takes away what says that an earlier run of this shard is complete, and records of other divisions. Goes by names: other
    /// shards of this division may be taking away and writing theirs at this moment.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn begin(&self, out: &Outbox) -> Result<()> {
        let (own, division) = (format!("{}-of-{}", self.shard, self.of), format!("-of-{}", self.of));
        for name in names(out)? {
            let stem = Path::new(&name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if stem == own || !stem.ends_with(&division) {
                out.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Writes what is to be known of all that this process did: its record, and of a whole batch the manifest too.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Remote`]
    pub fn end(&self, out: &Outbox, rows: Vec<Row>) -> Result<Summary> {
        let shard = Shard::new(self.shard.saturating_sub(1), self.of)?;
        if shard.is_whole() {
            write_manifest(out, &self.models, &rows)?;
        }
        // Of a whole batch too: a division into one part can be merged like any other.
        out.json(&Self::path(shard), self)?;
        Ok(Summary {
            tool: self.tool.clone(),
            options: self.options.clone(),
            rows,
            before: 0,
            times: Vec::new(),
        })
    }
}

/// The files that records of shards are in, in the order of their names.
fn names(out: &Outbox) -> Result<Vec<String>> {
    let mut names = out.own("shards")?;
    names.retain(|name| name.ends_with(".json"));
    Ok(names)
}

/// The records of shards, with their names; `None` for a damaged one.
fn records(out: &Outbox) -> Result<Vec<(String, Option<Record>)>> {
    let read = |name: String| {
        let text = out.get(&name)?.unwrap_or_default();
        let found: Option<Record> = serde_json::from_slice(&text).ok();
        Ok((name, found.filter(|found| found.schema == SCHEMA && found.version == VERSION)))
    };
    names(out)?.into_iter().map(read).collect()
}

fn write_manifest(out: &Outbox, models: &[Listed], rows: &[Row]) -> Result<()> {
    let known: BTreeMap<&str, &Listed> = models.iter().map(|listed| (listed.name.as_str(), listed)).collect();
    let mut entries = Vec::new();
    for row in rows.iter().filter(|row| row.status.is_written()) {
        if let Some(State::Written { facts, .. }) = out.read(&row.model)?.map(|record| record.state) {
            let original = known.get(row.model.as_str()).and_then(|listed| listed.manifest.as_ref());
            entries.push(manifest::entry(row, &facts, original));
        }
    }
    out.json(manifest::NAME, &entries)
}

/// Brings the shards of a batch together: the summary of all, and the manifest, as if one process had done everything.
///
/// # Errors
/// [`Error::Options`] where a shard is missing, or they are of different batches, [`Error::Read`], [`Error::Write`] and
/// [`Error::Remote`].
pub fn merge(place: &Place) -> Result<Summary> {
    let out = Outbox::new(place, SUMMARY, Path::new(""), Halt::default())?;
    let wrong = |problem: String, remedy: &str| Error::options(format!("{place}: {problem}"), remedy);
    let mut shards = Vec::new();
    for (path, record) in records(&out)? {
        let remedy = "run that shard again";
        shards
            .push(record.ok_or_else(|| wrong(format!("{} is damaged", out.shown(&path).display()), remedy))?);
    }
    let Some(first) = shards.first().cloned() else {
        return Err(wrong(
            "no shard has finished here".into(),
            "run the batch with `.shard` 1/N to N/N first",
        ));
    };
    if let Some(other) = shards
        .iter()
        .find(|other| (&other.source, other.of, &other.tool) != (&first.source, first.of, &first.tool))
    {
        let problem = format!(
            "shard {}/{} and shard {}/{} are of different batches: of other models, options or versions",
            first.shard, first.of, other.shard, other.of
        );
        return Err(wrong(problem, "run all shards again with the same source and options"));
    }
    let missing: Vec<String> = (1..=first.of)
        .filter(|index| shards.iter().all(|shard| shard.shard != *index))
        .map(|index| format!("{index}/{}", first.of))
        .collect();
    if !missing.is_empty() {
        let problem = format!("these shards have not finished: {}", missing.join(", "));
        return Err(wrong(problem, "run them, or wait for them"));
    }
    let mut times = Vec::new();
    for shard in &shards {
        times.extend(timed(&out, &timings(Shard::new(shard.shard.saturating_sub(1), shard.of)?))?);
    }
    let mut models: Vec<Listed> = shards.into_iter().flat_map(|shard| shard.models).collect();
    models.sort_by(|one, other| one.name.cmp(&other.name));
    let never = AtomicBool::new(false);
    let mut rows = Vec::new();
    for listed in &models {
        if let Some(problem) = &listed.problem {
            rows.push(unlisted(listed, problem));
            continue;
        }
        let row = match out.read(&listed.name)? {
            Some(record) if record.has_failed() => record.row().cloned(),
            Some(record) if out.whole(&record, out.seen(&listed.name)?.as_ref(), &never)?.is_some() => {
                record.row().cloned()
            }
            _ => None,
        };
        rows.push(row.ok_or_else(|| {
            let problem = format!("{} is not complete, or was changed since", listed.name);
            wrong(problem, "bring the outputs of all shards together, or run its shard again")
        })?);
    }
    write_manifest(&out, &models, &rows)?;
    Ok(Summary { tool: first.tool, options: first.options, rows, before: 0, times })
}

fn unlisted(listed: &Listed, problem: &str) -> Row {
    Row {
        model: listed.name.clone(),
        status: Status::Failed,
        reason: Some(problem.to_owned()),
        bytes_before: None,
        written: None,
    }
}

/// Writes reports of a whole batch to the top of its output folder, in this order.
///
/// # Errors
/// [`Error::Write`] or [`Error::Remote`]
pub fn reports(place: &Place, files: &[(&str, String)]) -> Result<()> {
    let out = Outbox::new(place, SUMMARY, Path::new(""), Halt::default())?;
    let staging = out.here().map(|_| out.staging.as_path());
    staging.map_or(Ok(()), store::empty)?;
    files.iter().try_for_each(|(name, text)| out.put(name, text.as_bytes()))?;
    staging.map_or(Ok(()), store::clear)
}

/// The file with the times of a shard.
fn timings(shard: Shard) -> String {
    if shard.is_whole() { "timings.csv".into() } else { format!("timings.{}.csv", label(shard)) }
}

/// The times in the file `name`; none where there is no such file.
fn timed(out: &Outbox, name: &str) -> Result<Vec<Time>> {
    let text = out.get(name)?.unwrap_or_default();
    Ok(csv::Reader::from_reader(text.as_slice()).deserialize::<Time>().flatten().collect())
}

/// Writes down how long conversions took, beside what is known from earlier runs. Gives all of it.
///
/// # Errors
/// [`Error::Write`] or [`Error::Remote`]
pub fn times(out: &Outbox, shard: Shard, times: Vec<Time>) -> Result<Vec<Time>> {
    let name = timings(shard);
    let path = out.shown(&name);
    let before = timed(out, &name)?.into_iter();
    let mut all: BTreeMap<String, Time> =
        before.chain(times).map(|time| (time.model.clone(), time)).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    for time in all.values_mut() {
        time.seconds = (time.seconds * 1000.0).round() / 1000.0;
        writer.serialize(&*time).map_err(|error| Error::write(&path)(error.into()))?;
    }
    let text = writer.into_inner().map_err(|error| Error::write(&path)(error.into_error()))?;
    out.put(&name, &text)?;
    Ok(all.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_begins_leaves_the_others_of_its_division_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = Outbox::near(folder.path(), "test");
        let record = |index, of| Record::new(Shard::new(index, of).unwrap(), &Settings::default(), &[], &[]);
        for (index, of) in [(0, 1), (0, 4), (1, 4), (3, 14), (13, 14)] {
            record(index, of).end(&out, Vec::new()).unwrap();
        }
        // Another shard may be at any point, as one whose file is gone or cannot be read just now.
        std::fs::write(out.shown(".fourbit/shards/3-of-4.json"), "").unwrap();
        record(0, 4).begin(&out).unwrap();
        assert_eq!(
            names(&out).unwrap(),
            ["2-of-4.json", "3-of-4.json"].map(|name| own(&format!("shards/{name}")))
        );
        assert!(
            merge(&Place::Near(folder.path().to_owned()))
                .unwrap_err()
                .to_string()
                .contains("3-of-4.json is damaged")
        );
    }

    #[test]
    fn a_division_into_one_can_be_merged() {
        let folder = tempfile::tempdir().unwrap();
        let out = Outbox::near(folder.path(), "test");
        let whole = Record::new(Shard::WHOLE, &Settings::default(), &[], &[]);
        let summary = whole.end(&out, Vec::new()).unwrap();
        assert_eq!(merge(&Place::Near(folder.path().to_owned())).unwrap(), summary);
    }
}

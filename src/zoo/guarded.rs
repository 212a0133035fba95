//! Results of a batch never take the place of what it reads.

use std::path::Path;

use super::outbox::outputs;
use super::settings::Settings;
use super::source::Source;
use super::source::manifest;
use crate::error::Result;
use crate::files::Guard;
use crate::onnx::outline;
use crate::samples::Samples;

/// Files that a batch writes to the top of its output folder, times of shards left out: no batch reads such a one.
const TOP: [&str; 6] =
    ["summary.html", "summary.csv", "summary.json", manifest::NAME, "timings.csv", "timings.html"];

/// Marks those models of `source`, read from `path`, whose results in the folder `out` would replace a model, a side file, samples
/// or another file that the batch reads; `settings` are those of all.
///
/// # Errors
/// [`crate::error::Error::OverwritesInput`] where a file of the batch itself would.
pub fn protect(source: &mut Source, path: &Path, settings: &Settings, out: &Path) -> Result<()> {
    let mut guard = Guard::new();
    if path.is_file() {
        guard.reads(path);
    }
    for entry in source.entries.iter().filter(|entry| entry.problem.is_none()) {
        guard.reads(&entry.path);
        // A model that cannot be looked through is told of in its row.
        outline(&entry.path)
            .into_iter()
            .flat_map(|found| found.side_files)
            .for_each(|side| guard.reads(&side));
        let beside = Samples::discover(&entry.path);
        let found = [beside.calibration, beside.validation, beside.preprocess];
        found.iter().flatten().for_each(|path| guard.reads(path));
        entry.settings.paths().for_each(|(_, path)| guard.reads(&path));
    }
    settings.paths().for_each(|(_, path)| guard.reads(&path));
    TOP.iter().try_for_each(|name| guard.check(&out.join(name)))?;
    for entry in source.entries.iter_mut().filter(|entry| entry.problem.is_none()) {
        if let Some(name) = outputs(&entry.name).iter().find(|name| guard.check(&out.join(name)).is_err()) {
            entry.problem = Some(format!(
                "{name} in the output folder is a file that this batch reads; choose another output folder"
            ));
        }
    }
    Ok(())
}

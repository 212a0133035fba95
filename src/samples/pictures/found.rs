//! Which pictures a folder holds, and of which classes.

use std::path::{Component, Path, PathBuf};

use super::{ENDINGS, natural};
use crate::error::{Error, Result};

/// The list of labels beside pictures.
pub(super) const LIST: &str = "labels.csv";

/// Picture files with their classes.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub files: Vec<PathBuf>,
    /// As many as files, or none.
    pub labels: Vec<i64>,
    /// Names of the class folders in the order of their indices, where there are such.
    pub classes: Vec<String>,
}

/// The pictures that the list in `folder` names, or those of its class folders, or its own.
pub(super) fn find(folder: &Path) -> Result<Found> {
    let labels = folder.join(LIST);
    if labels.is_file() {
        return listed(folder, &labels);
    }
    let (files, folders) = entries(folder)?;
    let (mut found, mut empty) = (Found::default(), Vec::new());
    for (class, folder) in (0..).zip(&folders) {
        let (files, _) = entries(folder)?;
        if files.is_empty() {
            empty.push(folder);
        }
        found.labels.extend(files.iter().map(|_| class));
        found.files.extend(files);
        let name = folder.file_name().unwrap_or_default();
        found.classes.push(name.to_string_lossy().into_owned());
    }
    // It would take an index away from the classes behind it, or none: nobody but the user knows.
    if let Some(folder) = empty.first().filter(|_| !found.files.is_empty()) {
        let expected =
            "a picture at least, as in the other class folders; a folder of something else lies elsewhere";
        return Err(Error::samples(folder, "class folder", expected, "none"));
    }
    if files.is_empty() {
        return Ok(found);
    }
    match found.files.is_empty() {
        true => Ok(Found { files, ..Found::default() }),
        false => Err(Error::samples(
            folder,
            "folder",
            "pictures either in one sub-folder a class or all in the folder itself",
            "both",
        )),
    }
}

/// Pictures and sub-folders of a folder, sorted by name, numbers in folders' names by their value; hidden ones left out.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if hidden {
            continue;
        } else if path.is_dir() {
            folders.push(path);
        } else if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            files.push(path);
        }
    }
    files.sort_unstable();
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    folders.sort_unstable_by(|one, other| natural(&name(one), &name(other)).then_with(|| one.cmp(other)));
    Ok((files, folders))
}

/// The pictures that a list with the columns `file` and `label` names, in its order.
fn listed(folder: &Path, list: &Path) -> Result<Found> {
    let unreadable =
        |error: csv::Error| Error::samples(list, "list", "comma-separated values", error.to_string());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(list).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    let column = |name: &str| header.iter().position(|there| there == name);
    let (Some(file), Some(label)) = (column("file"), column("label")) else {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(Error::samples(list, "line 1", "the header file,label", found));
    };
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        let place = row.position().map_or_else(|| "list".into(), |at| format!("line {}", at.line()));
        let (name, text) = (row.get(file).unwrap_or(""), row.get(label).unwrap_or(""));
        let refuse = |expected: &str, found: &str| Err(Error::samples(list, &place, expected, found));
        match text.parse::<i64>() {
            Ok(number) if number >= 0 => labels.push(number),
            _ => return refuse("a class index from 0", &format!("{text:?}")),
        }
        let inside =
            Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let path = folder.join(name);
        if !inside || !path.is_file() {
            return refuse("a picture in the list's folder", &format!("{name:?}"));
        }
        files.push(path);
    }
    Ok(Found { files, labels, classes: Vec::new() })
}

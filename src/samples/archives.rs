//! A folder of arrays, each file with samples of its own lengths.

use std::path::{Path, PathBuf};

use super::arrays::Arrays;
use super::input::Input;
use super::{Preprocess, Sample, Source, pictures};
use crate::error::{Error, Result};

/// Files one after the other.
#[derive(Debug)]
pub(super) struct Archives {
    files: Vec<(PathBuf, Arrays)>,
    labels: Vec<i64>,
}

/// The `.npz` and `.npy` files in `folder` by name, numbers in names by their value; none where pictures or folders lie there.
pub(super) fn find(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let ending =
            path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        match ending.as_str() {
            _ if hidden => {}
            other if path.is_dir() || pictures::ENDINGS.contains(&other) => return Vec::new(),
            "npz" | "npy" => files.push(path),
            _ => {}
        }
    }
    files.sort_unstable_by(|one, other| {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        pictures::natural(&name(one), &name(other)).then_with(|| one.cmp(other))
    });
    files
}

impl Archives {
    /// Opens the files that [`find`] found in `folder`.
    pub(super) fn open(
        folder: &Path,
        files: Vec<PathBuf>,
        inputs: &[Input],
        preprocess: Option<&Preprocess>,
    ) -> Result<Self> {
        let (mut opened, mut labels) = (Vec::new(), Vec::new());
        for path in files {
            let packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
            let arrays = match packed {
                true => Arrays::npz(&path, inputs, preprocess)?,
                false => Arrays::npy(&path, inputs, preprocess)?,
            };
            labels.extend_from_slice(arrays.labels());
            opened.push((path, arrays));
        }
        let labelled = opened.iter().filter(|(_, arrays)| arrays.labelled()).count();
        if labelled > 0 && labelled < opened.len() {
            let expected = "labels in all of its files or in none";
            return Err(Error::samples(
                folder,
                "folder",
                expected,
                format!("in {labelled} of {}", opened.len()),
            ));
        }
        Ok(Self { files: opened, labels })
    }

    /// The file that holds sample `index`, and which of its samples that is.
    fn at(&self, index: usize) -> Option<(&(PathBuf, Arrays), usize)> {
        let mut left = index;
        for file in &self.files {
            match left.checked_sub(file.1.len()) {
                Some(more) => left = more,
                None => return Some((file, left)),
            }
        }
        None
    }
}

impl Source for Archives {
    fn len(&self) -> usize {
        self.files.iter().map(|(_, arrays)| arrays.len()).sum()
    }

    fn labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    fn labels(&self) -> &[i64] {
        &self.labels
    }

    fn starts(&self) -> Vec<usize> {
        let mut starts = Vec::new();
        let (mut at, mut last) = (0, None);
        for (path, arrays) in &self.files {
            let series = series(path);
            if series.is_none() || series != last {
                starts.push(at);
            }
            at += arrays.len();
            last = series;
        }
        starts
    }

    fn name(&self, index: usize) -> String {
        match self.at(index) {
            Some(((path, arrays), 0)) if arrays.len() == 1 => path.display().to_string(),
            Some(((path, _), at)) => format!("sample {at} of {}", path.display()),
            None => String::new(),
        }
    }

    fn get(&self, index: usize) -> Result<Sample> {
        match self.at(index) {
            Some(((_, arrays), at)) => arrays.get(at),
            None => Err(Error::invalid(format!("sample {index}"), "there is none of this number")),
        }
    }
}

/// What files of one sequence have in common: `NAME` of `NAME-1.npz`.
fn series(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let (name, number) = stem.rsplit_once('-')?;
    let counted = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    counted.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_sequence_have_a_name_and_numbers() {
        let series = |name: &str| series(Path::new(name)).unwrap_or_default();
        assert_eq!([series("a/b-1.npz"), series("b-12.npy"), series("b-c-3.npz")], ["b", "b", "b-c"]);
        assert_eq!([series("b.npz"), series("b-.npz"), series("b-x.npz"), series("1.npz")], [""; 4]);
    }
}

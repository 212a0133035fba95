//! What lies beside a model.

use std::path::{Path, PathBuf};

use super::test_sets;

const CALIBRATION: [&str; 2] = ["calibration.npz", "calib.npz"];
const VALIDATION: [&str; 2] = ["validation.npz", "test.npz"];
const PREPROCESS: [&str; 1] = ["preprocess.toml"];

/// Files beside a model that look as if they were made for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// `calibration.npz` or `calib.npz`; else the model's folder where it holds test data sets.
    pub calibration: Option<PathBuf>,
    /// `validation.npz` or `test.npz`.
    pub validation: Option<PathBuf>,
    /// `preprocess.toml`, unless the samples are test data sets, which are ready for the model.
    pub preprocess: Option<PathBuf>,
}

pub(super) fn discover(model_path: &Path) -> Discovered {
    let folder =
        model_path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let calibration = file(&CALIBRATION);
    let validation = file(&VALIDATION);
    let first = folder.join("test_data_set_0");
    if calibration.is_none() && validation.is_none() && !test_sets::find(&first).is_empty() {
        return Discovered { calibration: Some(folder.to_owned()), ..Discovered::default() };
    }
    Discovered { calibration, validation, preprocess: file(&PREPROCESS) }
}

/// Whether a file that has this name below a model's folder is one that may be found.
pub(super) fn belongs(name: &str) -> bool {
    let in_set = name.split_once('/').is_some_and(|(folder, _)| folder.starts_with("test_data_set_"));
    in_set || CALIBRATION.contains(&name) || VALIDATION.contains(&name) || PREPROCESS.contains(&name)
}

//! What lies beside a model.

use std::path::{Path, PathBuf};

use super::test_sets;

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
    let calibration = file(&["calibration.npz", "calib.npz"]);
    let validation = file(&["validation.npz", "test.npz"]);
    let first = folder.join("test_data_set_0");
    if calibration.is_none() && validation.is_none() && !test_sets::find(&first).is_empty() {
        return Discovered { calibration: Some(folder.to_owned()), ..Discovered::default() };
    }
    Discovered { calibration, validation, preprocess: file(&["preprocess.toml"]) }
}

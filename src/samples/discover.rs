//! What lies beside a model.

use std::path::{Path, PathBuf};

use super::{archives, test_sets};

const CALIBRATION: [&str; 2] = ["calibration.npz", "calib.npz"];
const VALIDATION: [&str; 2] = ["validation.npz", "test.npz"];
/// Folders of arrays, as calls of a model with a state are kept in.
const FOLDERS: [&str; 2] = ["calibration", "validation"];
const PREPROCESS: [&str; 1] = ["preprocess.toml"];

/// Files beside a model that look as if they were made for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// `calibration.npz` or `calib.npz`, or a folder `calibration` of arrays; else the model's folder where it holds test data
    /// sets.
    pub calibration: Option<PathBuf>,
    /// `validation.npz` or `test.npz`, or a folder `validation` of arrays.
    pub validation: Option<PathBuf>,
    /// `preprocess.toml`, unless the samples are test data sets, which are ready for the model.
    pub preprocess: Option<PathBuf>,
}

pub(super) fn discover(model_path: &Path) -> Discovered {
    let folder =
        model_path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let inside =
        |name: &str| Some(folder.join(name)).filter(|path| path.is_dir() && !archives::find(path).is_empty());
    let calibration = file(&CALIBRATION).or_else(|| inside(FOLDERS[0]));
    let validation = file(&VALIDATION).or_else(|| inside(FOLDERS[1]));
    let first = folder.join("test_data_set_0");
    if calibration.is_none() && validation.is_none() && !test_sets::find(&first).is_empty() {
        return Discovered { calibration: Some(folder.to_owned()), ..Discovered::default() };
    }
    Discovered { calibration, validation, preprocess: file(&PREPROCESS) }
}

/// Whether a file that has this name below a model's folder is one that may be found.
pub(super) fn belongs(name: &str) -> bool {
    let in_set = name.split_once('/').is_some_and(|(folder, file)| {
        folder.starts_with("test_data_set_")
            || FOLDERS.contains(&folder) && (file.ends_with(".npz") || file.ends_with(".npy"))
    });
    in_set || CALIBRATION.contains(&name) || VALIDATION.contains(&name) || PREPROCESS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_before_folders_and_folders_before_test_data() {
        let folder = tempfile::tempdir().unwrap();
        let (model, at) = (folder.path().join("m.onnx"), |name: &str| folder.path().join(name));
        for name in ["calibration", "validation"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        assert_eq!(discover(&model), Discovered::default());
        for name in ["calibration/a-1.npz", "validation/a-1.npz"] {
            std::fs::write(at(name), "").unwrap();
            assert!(belongs(name));
        }
        let found = discover(&model);
        assert_eq!((found.calibration, found.validation), (Some(at("calibration")), Some(at("validation"))));
        std::fs::write(at("calib.npz"), "").unwrap();
        assert_eq!(discover(&model).calibration, Some(at("calib.npz")));
        assert!(!belongs("calibration/notes.txt") && !belongs("other/a-1.npz"));
    }
}

//! Options of conversions, by name, as a command line and a list of models give them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One option that conversions may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its long name, without dashes.
    pub name: String,
    /// Names that it had before, which are still understood.
    pub former: Vec<String>,
    /// Whether it stands by itself.
    pub is_flag: bool,
    /// Whether its value is true or false.
    pub is_choice: bool,
    /// Whether it may be given several times.
    pub is_list: bool,
    /// Whether its value is a file or folder.
    pub is_path: bool,
    /// Values of such an option that are words and no files, in any case.
    pub words: Vec<String>,
}

impl Known {
    /// Whether `value` names a file or folder.
    fn names_file(&self, value: &str) -> bool {
        self.is_path && !self.words.iter().any(|word| word.eq_ignore_ascii_case(value))
    }
}

/// What the command line knows of options, which a list of models is checked against.
pub trait Grammar: Sync {
    /// Every option that conversions of a batch may have.
    fn known(&self) -> &[Known];

    /// Whether these arguments make sense.
    ///
    /// # Errors
    /// What is wrong, in one line.
    fn check(&self, arguments: &[String]) -> Result<(), String>;
}

/// Options with their values, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Values>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    values: Vec<String>,
    is_flag: bool,
    is_path: bool,
}

impl Settings {
    /// Sets an option.
    pub fn set(&mut self, known: &Known, values: Vec<String>) {
        let is_path = values.iter().any(|value| known.names_file(value));
        let is_flag = known.is_flag;
        self.values.insert(known.name.clone(), Values { values, is_flag, is_path });
    }

    /// Reads the value of an option in a list; paths are relative to `folder`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, known: &Known, value: &Value, folder: &Path) -> Result<(), String> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(choice) if known.is_choice => Ok(choice.to_string()),
            _ => Err("must be a text or a number".to_owned()),
        };
        let values = match value {
            Value::Bool(true) if known.is_flag => Vec::new(),
            Value::Bool(false) if known.is_flag => {
                self.values.remove(&known.name);
                return Ok(());
            }
            _ if known.is_flag => return Err("must be true or false".into()),
            Value::Array(values) if known.is_list => values.iter().map(text).collect::<Result<_, _>>()?,
            value => vec![text(value)?],
        };
        let placed = |value: String| match known.names_file(&value) {
            true => folder.join(value).to_string_lossy().into_owned(),
            false => value,
        };
        let values = values.into_iter().map(placed).collect();
        self.set(known, values);
        Ok(())
    }

    /// These, and those of `others` that are not among them.
    pub fn over(&self, others: &Self) -> Self {
        let mut values = others.values.clone();
        values.extend(self.values.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self { values }
    }

    /// As arguments of a command line.
    pub fn arguments(&self) -> Vec<String> {
        let each = |(name, found): (&String, &Values)| match found.is_flag {
            true => vec![format!("--{name}")],
            false => found.values.iter().map(|value| format!("--{name}={value}")).collect(),
        };
        self.values.iter().flat_map(each).collect()
    }

    /// The first value of an option.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|found| found.values.first()).map(String::as_str)
    }

    /// The file or folder that an option names.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// Options that name files, with these.
    pub fn paths(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let paths = self.values.iter().filter(|(_, found)| found.is_path);
        paths.flat_map(|(name, found)| found.values.iter().map(move |path| (name.as_str(), path.into())))
    }

    /// The same with files elsewhere, where `place` gives another place for them.
    pub fn moved(&self, place: &dyn Fn(&Path) -> Option<PathBuf>) -> Self {
        let mut moved = self.clone();
        let paths = moved.values.values_mut().filter(|found| found.is_path);
        for value in paths.flat_map(|found| &mut found.values) {
            if let Some(path) = place(Path::new(value)) {
                *value = path.to_string_lossy().into_owned();
            }
        }
        moved
    }

    /// All but those that name files, as arguments.
    pub fn without_paths(&self) -> Vec<String> {
        let values = self.values.iter().filter(|(_, found)| !found.is_path);
        Self { values: values.map(|(name, found)| (name.clone(), found.clone())).collect() }.arguments()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(name: &str, is_flag: bool, is_list: bool, is_path: bool) -> Known {
        Known { name: name.into(), is_flag, is_list, is_path, ..Known::default() }
    }

    #[test]
    fn a_choice_is_true_or_false() {
        let mut settings = Settings::default();
        let choice = Known { is_choice: true, ..known("matmul-nbits", false, false, false) };
        settings.read(&choice, &json!(false), Path::new("")).unwrap();
        assert_eq!(settings.arguments(), ["--matmul-nbits=false"]);
    }

    #[test]
    fn a_word_is_no_file() {
        let preprocess = Known { words: vec!["imagenet".into()], ..known("preprocess", false, false, true) };
        let read = |value: &str| {
            let mut settings = Settings::default();
            settings.read(&preprocess, &json!(value), Path::new("zoo")).unwrap();
            (settings.arguments(), settings.paths().count())
        };
        assert_eq!(read("ImageNet"), (vec!["--preprocess=ImageNet".into()], 0));
        assert_eq!(read("p.toml"), (vec!["--preprocess=zoo/p.toml".into()], 1));
    }

    #[test]
    fn the_nearer_setting_wins() {
        let folder = Path::new("zoo");
        let (mut far, mut near) = (Settings::default(), Settings::default());
        far.read(&known("precision", false, false, false), &json!("w4"), folder).unwrap();
        far.read(&known("exclude", false, true, false), &json!(["a", "b"]), folder).unwrap();
        far.read(&known("external-data", true, false, false), &json!(true), folder).unwrap();
        near.read(&known("precision", false, false, false), &json!("w8"), folder).unwrap();
        near.read(&known("calibration", false, false, true), &json!("c.npz"), folder).unwrap();
        near.read(&known("max-drop", false, false, false), &json!(1.5), folder).unwrap();
        let both = near.over(&far);
        assert_eq!(
            both.arguments(),
            [
                "--calibration=zoo/c.npz",
                "--exclude=a",
                "--exclude=b",
                "--external-data",
                "--max-drop=1.5",
                "--precision=w8"
            ]
        );
        assert_eq!(both.paths().collect::<Vec<_>>(), [("calibration", folder.join("c.npz"))]);
        assert!(!both.without_paths().iter().any(|argument| argument.contains("npz")));
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        let mut settings = Settings::default();
        for (flag, list, value) in [
            (true, false, json!("yes")),
            (false, false, json!(["a"])),
            (false, false, json!(true)),
            (false, true, json!([["a"]])),
            (false, true, json!({"a": 1})),
        ] {
            let key = known("key", flag, list, false);
            assert!(settings.read(&key, &value, Path::new("")).is_err(), "{value}");
        }
        assert_eq!(settings, Settings::default());
    }
}

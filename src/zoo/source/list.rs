//! A list of models with options, as TOML or JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Source, is_model};
use crate::error::{Error, Result};
use crate::zoo::settings::{Grammar, Known, Settings};
use crate::zoo::store;

/// One table of the list: where it stands, and each key with where that stands.
struct Table {
    place: String,
    keys: Vec<(String, String, Value)>,
}

/// The tables of a list.
#[derive(Default)]
struct Tables {
    defaults: Option<Table>,
    models: Vec<Table>,
}

type Wrong = (String, String);

/// Reads a list: `[defaults]`, and one `[[model]]` with `path` for each model.
pub fn read(path: &Path, text: &str, grammar: &dyn Grammar) -> Result<Source> {
    let wrong = |(place, problem): Wrong| {
        Error::options(
            format!("{}: {place}: {}", path.display(), problem.replace('\n', " ")),
            "a list has [defaults] and one [[model]] for each model, with path, perhaps name, and options of quantize",
        )
    };
    let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let tables = if json { from_json(text) } else { from_toml(text) }.map_err(wrong)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let names = |known: &'_ Known| std::iter::once(known.name.clone()).chain(known.former.clone());
    let known: BTreeMap<String, &Known> =
        grammar.known().iter().flat_map(|known| names(known).map(move |name| (name, known))).collect();
    let reader = Reader { folder, known, grammar };
    let mut source = Source { root: folder.to_owned(), ..Source::default() };
    if let Some(defaults) = tables.defaults {
        source.defaults = reader.defaults(defaults).map_err(wrong)?;
    }
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for table in tables.models {
        let place = table.place.clone();
        let entry = reader.model(table).map_err(wrong)?;
        if let Some(first) = places.insert(entry.name.clone(), place.clone()) {
            let problem = format!(
                "{} would be written twice, for {first} and for this; give one of them another name",
                entry.name
            );
            return Err(wrong((place, problem)));
        }
        source.entries.push(entry);
    }
    Ok(source)
}

struct Reader<'r> {
    folder: &'r Path,
    known: BTreeMap<String, &'r Known>,
    grammar: &'r dyn Grammar,
}

impl Reader<'_> {
    fn set(
        &self,
        settings: &mut Settings,
        (key, place, value): &(String, String, Value),
    ) -> Result<(), Wrong> {
        let name = key.replace('_', "-");
        let at = |problem: String| (place.clone(), format!("{key}: {problem}"));
        let known = self.known.get(&name).ok_or_else(|| {
            let all = self.known.iter().filter(|(name, known)| **name == known.name);
            let all = all.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            at(format!("there is no such option; there are {all}"))
        })?;
        if let Value::String(text) = value
            && known.is_path
        {
            is_path(text).map_err(at)?;
        }
        settings.read(known, value, self.folder).map_err(at)?;
        // By itself, so that the message is told where the value stands.
        let mut alone = Settings::default();
        alone.read(known, value, self.folder).map_err(at)?;
        self.grammar.check(&alone.arguments()).map_err(at)
    }

    fn whole(&self, settings: &Settings, place: String) -> Result<(), Wrong> {
        self.grammar.check(&settings.arguments()).map_err(|problem| (place, problem))
    }

    fn defaults(&self, table: Table) -> Result<Settings, Wrong> {
        let mut settings = Settings::default();
        table.keys.iter().try_for_each(|key| self.set(&mut settings, key))?;
        self.whole(&settings, table.place)?;
        Ok(settings)
    }

    fn model(&self, table: Table) -> Result<Entry, Wrong> {
        let text = |key: &str| {
            let found = table.keys.iter().find(|(name, ..)| name == key);
            found.map(|(_, place, value)| match value {
                Value::String(text) => Ok((text.clone(), place.clone())),
                _ => Err((place.clone(), format!("{key}: must be a text"))),
            })
        };
        let (file, place) = text("path")
            .transpose()?
            .ok_or_else(|| (table.place.clone(), "path is missing, which names the model".to_owned()))?;
        is_path(&file).map_err(|problem| (place.clone(), format!("path: {problem}")))?;
        let name = match text("name").transpose()? {
            Some((name, place)) => {
                let inside = store::name(Path::new(&name)).filter(|name| is_model(name));
                inside.ok_or_else(|| {
                    (place, format!("name: {name:?} is no place for a model in the output folder; choose one as in a/b.onnx"))
                })?
            }
            None => {
                let path = Path::new(&file);
                let last = path.file_name().map(Path::new).unwrap_or(path);
                let found = store::name(path).or_else(|| store::name(last)).filter(|name| is_model(name));
                found.ok_or_else(|| (place, format!("path: {file:?} does not end in .onnx")))?
            }
        };
        let mut settings = Settings::default();
        let options = table.keys.iter().filter(|(key, ..)| key != "path" && key != "name");
        options.into_iter().try_for_each(|key| self.set(&mut settings, key))?;
        self.whole(&settings, table.place)?;
        Ok(Entry { name, path: self.folder.join(file), settings, ..Entry::default() })
    }
}

/// Whether `text` may be a path.
fn is_path(text: &str) -> Result<(), String> {
    match text.contains("://") {
        true => Err(format!(
            "{text:?} is a URL; paths are relative to the list: put one beside the models, and give its URL"
        )),
        false => Ok(()),
    }
}

fn from_json(text: &str) -> Result<Tables, Wrong> {
    let found: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| ("JSON".to_owned(), error.to_string()))?;
    let table = |place: String, value: Value| match value {
        Value::Object(keys) => {
            let keys = keys.into_iter().map(|(key, value)| (key, place.clone(), value)).collect();
            Ok(Table { place, keys })
        }
        _ => Err((place, "must be an object".to_owned())),
    };
    let mut tables = Tables::default();
    for (key, value) in found {
        match (key.as_str(), value) {
            ("defaults", value) => tables.defaults = Some(table(key, value)?),
            ("model" | "models", Value::Array(values)) => {
                for (at, value) in values.into_iter().enumerate() {
                    tables.models.push(table(format!("{key}[{at}]"), value)?);
                }
            }
            ("model" | "models", _) => return Err((key, "must be an array of objects".into())),
            _ => return Err((key, "unknown; there are defaults and models".into())),
        }
    }
    Ok(tables)
}

fn from_toml(text: &str) -> Result<Tables, Wrong> {
    let line = |start: usize| {
        let before = text.bytes().take(start).filter(|&byte| byte == b'\n').count();
        format!("line {}", before + 1)
    };
    let found = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or_else(|| "file".to_owned(), |span| line(span.start));
        (place, error.message().to_owned())
    })?;
    let table = |value: &Spanned<DeValue>| {
        let place = line(value.span().start);
        let keys = value.get_ref().as_table().ok_or_else(|| (place.clone(), "must be a table".to_owned()))?;
        let key = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue>)| {
            let place = line(key.span().start);
            let value = plain(value.get_ref())
                .map_err(|problem| (place.clone(), format!("{}: {problem}", key.get_ref())))?;
            Ok((key.get_ref().to_string(), place, value))
        };
        // The first that is wrong in the order of the text.
        let mut keys = keys.iter().collect::<Vec<_>>();
        keys.sort_by_key(|(key, _)| key.span().start);
        Ok::<_, Wrong>(Table { place, keys: keys.into_iter().map(key).collect::<Result<_, Wrong>>()? })
    };
    let mut tables = Tables::default();
    for (key, value) in found.get_ref() {
        let place = line(key.span().start);
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", _) => tables.defaults = Some(table(value)?),
            ("model" | "models", DeValue::Array(values)) => {
                for value in values.iter() {
                    tables.models.push(table(value)?);
                }
            }
            ("model" | "models", _) => return Err((place, "must be tables, as in [[model]]".into())),
            (other, _) => {
                return Err((place, format!("{other}: unknown; there are [defaults] and [[model]]")));
            }
        }
    }
    Ok(tables)
}

fn plain(value: &DeValue) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        // As it is written: what reads the option knows what numbers it takes.
        DeValue::Integer(number) if number.radix() == 10 => Ok(Value::String(number.as_str().to_owned())),
        DeValue::Float(number) => Ok(Value::String(number.as_str().to_owned())),
        DeValue::Array(values) => {
            values.iter().map(|value| plain(value.get_ref())).collect::<Result<_, _>>().map(Value::Array)
        }
        other => Err(format!("{} is no value of an option", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words(Vec<Known>);

    impl Grammar for Words {
        fn known(&self) -> &[Known] {
            &self.0
        }

        fn check(&self, arguments: &[String]) -> Result<(), String> {
            match arguments.iter().find(|argument| argument.contains("w5")) {
                Some(wrong) => Err(format!("invalid value in {wrong}")),
                None => Ok(()),
            }
        }
    }

    fn grammar() -> Words {
        let known = |name: &str, is_flag, is_list, is_path| Known {
            name: name.into(),
            is_flag,
            is_list,
            is_path,
            ..Known::default()
        };
        Words(vec![
            known("precision", false, false, false),
            known("calibration", false, false, true),
            known("exclude", false, true, false),
            known("external-data", true, false, false),
            Known { former: vec!["drop".into()], ..known("max-drop", false, false, false) },
        ])
    }

    #[test]
    fn both_forms_say_the_same() {
        let toml = "[defaults]\nprecision = 'w4'\n\n[[model]]\npath = 'a/m.onnx'\ncalibration = 'c.npz'\n\
             exclude = ['x', 'y']\nexternal_data = true\nmax-drop = 1.5\n\n[[model]]\npath = '/far/n.onnx'\n\n\
             [[model]]\npath = 'a/m.onnx'\nname = 'b/m.onnx'\n";
        let json = r#"{"defaults": {"precision": "w4"}, "models": [
            {"path": "a/m.onnx", "calibration": "c.npz", "exclude": ["x", "y"], "external-data": true, "drop": 1.5},
            {"path": "/far/n.onnx"}, {"path": "a/m.onnx", "name": "b/m.onnx"}]}"#;
        let from = |name: &str, text| read(Path::new(name), text, &grammar()).unwrap();
        let (one, other) = (from("lists/l.toml", toml), from("lists/l.json", json));
        assert_eq!(one.entries, other.entries);
        assert_eq!(one.defaults, other.defaults);
        let names: Vec<_> = one.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a/m.onnx", "n.onnx", "b/m.onnx"]);
        assert_eq!(one.entries[0].path, Path::new("lists/a/m.onnx"));
        assert_eq!(
            one.entries[0].settings.arguments(),
            ["--calibration=lists/c.npz", "--exclude=x", "--exclude=y", "--external-data", "--max-drop=1.5"]
        );
    }

    #[test]
    fn errors_name_the_line_or_the_key() {
        for (name, text, words) in [
            ("l.toml", "[defaults]\nprecsion = 'w4'\n", &["line 2", "precsion", "precision"][..]),
            ("l.toml", "[[model]]\npath = 'm.onnx'\nprecision = 'w5'\n", &["line 3", "precision", "w5"]),
            (
                "l.toml",
                "[[model]]\npath = 'm.onnx'\nmax-drop = 1979-05-27\n",
                &["line 3", "max-drop", "datetime"],
            ),
            ("l.toml", "[[model]]\nprecision = 'w4'\n", &["line 1", "path is missing"]),
            ("l.toml", "[[model]]\npath = 'm.txt'\n", &["line 2", "m.txt", ".onnx"]),
            ("l.toml", "[[model]]\npath = 'm.onnx'\nname = '../m.onnx'\n", &["line 3", "../m.onnx"]),
            ("l.toml", "[[model]]\npath = 's3://a/m.onnx'\n", &["line 2", "s3://a/m.onnx", "URL"]),
            (
                "l.toml",
                "[[model]]\npath = 'm.onnx'\ncalibration = 'http://a'\n",
                &["line 3", "http://a", "URL"],
            ),
            (
                "l.toml",
                "[[model]]\npath = 'm.onnx'\n[[model]]\npath = './m.onnx'\n",
                &["line 3", "twice", "line 1"],
            ),
            ("l.toml", "[[model]]\npath = \n", &["line 2"]),
            ("l.toml", "[model]\npath = 'm.onnx'\n", &["line 1", "[[model]]"]),
            ("l.toml", "[other]\n", &["line 1", "other"]),
            (
                "l.json",
                r#"{"models": [{"path": "m.onnx", "external-data": 1}]}"#,
                &["models[0]", "external-data", "true or false"],
            ),
            ("l.json", r#"{"models": {}}"#, &["models", "array"]),
            ("l.json", "{", &["JSON", "line 1"]),
        ] {
            let error = read(Path::new(name), text, &grammar()).unwrap_err().to_string();
            for word in [name].iter().chain(words) {
                assert!(error.contains(word), "{word} is not in {error}");
            }
        }
    }
}

//! `ONNX_HUB_MANIFEST.json`, which says what models a zoo holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Entry, Source, is_model};
use crate::error::{Error, Result};
use crate::onnx::proto::{ValueInfoProto, tensor_shape_proto, type_proto};
use crate::onnx::{Model, dtype_name};
use crate::plan::Row;
use crate::zoo::store;

/// What a manifest is called.
pub const NAME: &str = "ONNX_HUB_MANIFEST.json";

/// The first version of the ONNX package with opset 7; each opset since came with the next one.
const FIRST: (i64, i64) = (7, 2);

/// Whether a file is a manifest, and not a list of models of our own.
pub fn is_manifest(path: &Path, text: &str) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
        || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
            && text.trim_start().starts_with('[')
}

/// Reads a manifest: an array of objects, each with `model_path`.
pub fn read(path: &Path, text: &str) -> Result<Source> {
    let wrong = |place: &str, problem: &str| {
        Error::options(
            format!("{}: {place}: {problem}", path.display()),
            "a manifest is an array of objects, each with model_path, as in the ONNX model zoo",
        )
    };
    let rows: Vec<Value> = serde_json::from_str(text).map_err(|error| wrong("JSON", &error.to_string()))?;
    let root = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut source = Source { root: root.to_owned(), ..Source::default() };
    let mut seen = BTreeSet::new();
    for (at, row) in rows.into_iter().enumerate() {
        let place = format!("entry {}", at + 1);
        let Value::Object(row) = row else { return Err(wrong(&place, "no object")) };
        let Some(Value::String(model)) = row.get("model_path") else {
            return Err(wrong(&place, "model_path is missing, or no text"));
        };
        let below = Path::new(model);
        let name = store::name(below);
        let problem = match &name {
            None => Some("the manifest names a file outside of its folder".into()),
            Some(name) if !is_model(name) => Some("its name does not end in .onnx".into()),
            Some(_) => None,
        };
        let (name, model) = (name.unwrap_or_else(|| model.clone()), root.join(below));
        if seen.insert(name.clone()) {
            source.entries.push(Entry {
                name,
                path: model,
                manifest: Some(row),
                problem,
                ..Entry::default()
            });
        } else {
            source.notes.push(format!("{name} stands twice in the manifest; once is enough"));
        }
    }
    Ok(source)
}

/// What a manifest says of models that were found without it, by their names; nothing where it is damaged.
pub fn rows(path: &Path, text: Vec<u8>) -> BTreeMap<String, Map<String, Value>> {
    let text = String::from_utf8(text).ok();
    let found = text.and_then(|text| read(path, &text).ok()).unwrap_or_default();
    found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.manifest?))).collect()
}

/// What a manifest says of a written model and its summary does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the standard operators.
    pub opset: i64,
    /// The types of codes that its weights have.
    #[serde(rename = "storage")]
    pub code_types: BTreeSet<String>,
    /// The inputs and outputs.
    pub io_ports: Value,
}

impl Facts {
    /// What is to be said of `model`, with weights of these types of codes.
    pub fn of(model: &Model, code_types: BTreeSet<String>) -> Self {
        let graph = model.graph();
        let weights: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
        let inputs = graph.input.iter().filter(|input| !weights.contains(input.name()));
        let io_ports = json!({
            "inputs": inputs.map(port).collect::<Vec<_>>(),
            "outputs": graph.output.iter().map(port).collect::<Vec<_>>(),
        });
        Self { opset: model.opset(), code_types, io_ports }
    }
}

/// An input or output, as manifests spell it.
fn port(value: &ValueInfoProto) -> Value {
    let kind = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = kind else {
        return json!({"name": value.name(), "shape": Value::Null, "type": Value::Null});
    };
    let dim = |dim: &tensor_shape_proto::Dimension| match &dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(size)) => json!(size),
        Some(tensor_shape_proto::dimension::Value::DimParam(name)) => json!(name),
        None => Value::Null,
    };
    let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(dim).collect::<Vec<_>>());
    let kind = dtype_name(tensor.elem_type()).to_lowercase();
    json!({"name": value.name(), "shape": shape, "type": format!("tensor({kind})")})
}

/// The entry of a converted model: what `original` says, as far as it still holds.
pub fn entry(row: &Row, facts: &Facts, original: Option<&Map<String, Value>>) -> Value {
    let mut entry = original.cloned().unwrap_or_default();
    let stem = row.model.rsplit('/').next().and_then(super::stem).unwrap_or(&row.model);
    entry.entry("model").or_insert_with(|| json!(stem));
    entry.insert("model_path".into(), json!(row.model));
    entry.insert("opset_version".into(), json!(facts.opset));
    let version = (facts.opset - FIRST.0 + FIRST.1).max(FIRST.1);
    entry.insert("onnx_version".into(), json!(format!("1.{version}")));
    let mut metadata = match entry.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    // The archive with samples is another file, which is not made anew.
    metadata.retain(|key, _| !key.starts_with("model_with_data"));
    let written = row.written.clone().unwrap_or_default();
    let mut tags = match metadata.remove("tags") {
        Some(Value::Array(tags)) => tags,
        _ => Vec::new(),
    };
    let more = [written.precision.as_str()].into_iter().chain(facts.code_types.iter().map(String::as_str));
    for tag in more.chain(["fourbit"]).map(|tag| json!(tag)) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    metadata.extend([
        ("model_sha".to_owned(), json!(written.sha256)),
        ("model_bytes".to_owned(), json!(written.bytes_after)),
        ("tags".to_owned(), tags.into()),
        ("io_ports".to_owned(), facts.io_ports.clone()),
    ]);
    entry.insert("metadata".into(), metadata.into());
    entry.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::plan::{Status, Written};

    const ZOO: &str = r#"[{
        "model": "MNIST", "model_path": "vision/mnist/mnist-8.onnx", "onnx_version": "1.3", "opset_version": 8,
        "metadata": {"model_sha": "2f06", "model_bytes": 26454, "tags": ["vision", "mnist"],
            "io_ports": {"inputs": [], "outputs": []}, "model_with_data_path": "vision/mnist-8.tar.gz", "extra": 1}
    }, {"model": "far", "model_path": "../far.onnx"}, {"model": "twice", "model_path": "vision/mnist/./mnist-8.onnx"}]"#;

    #[test]
    fn a_manifest_becomes_a_manifest_again() {
        let path = Path::new("zoo/ONNX_HUB_MANIFEST.json");
        let source = read(path, ZOO).unwrap();
        let [mnist, far] = source.entries.as_slice() else { panic!("{source:?}") };
        assert_eq!((mnist.name.as_str(), mnist.problem.is_none()), ("vision/mnist/mnist-8.onnx", true));
        assert_eq!(mnist.path, Path::new("zoo/vision/mnist/mnist-8.onnx"));
        assert!(far.problem.is_some() && source.notes.len() == 1);

        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[-1, 2]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        let facts = Facts::of(&graph.model(), BTreeSet::from(["int4".to_owned()]));
        let written =
            Written { precision: "w4".into(), bytes_after: 7, sha256: "ab".into(), ..Written::default() };
        let row = Row {
            model: mnist.name.clone(),
            status: Status::Converted,
            reason: None,
            bytes_before: Some(26454),
            written: Some(written),
        };
        let made = entry(&row, &facts, mnist.manifest.as_ref());
        assert_eq!((&made["model"], &made["onnx_version"]), (&json!("MNIST"), &json!("1.16")));
        let metadata = &made["metadata"];
        assert_eq!(metadata["tags"], json!(["vision", "mnist", "w4", "int4", "fourbit"]));
        assert_eq!((&metadata["model_bytes"], &metadata["extra"]), (&json!(7), &json!(1)));
        assert!(metadata.get("model_with_data_path").is_none());
        assert_eq!(metadata["io_ports"]["inputs"][0]["type"], "tensor(float)");

        let again = read(path, &json!([made.clone()]).to_string()).unwrap();
        assert_eq!(again.entries[0].manifest.as_ref(), made.as_object());
        assert_eq!(entry(&row, &facts, again.entries[0].manifest.as_ref()), made);
        assert_eq!(entry(&row, &facts, None)["model"], "mnist-8");
    }

    #[test]
    fn damaged_manifests_name_the_place() {
        let path = Path::new(NAME);
        for (text, place) in
            [("[", "JSON"), ("{}", "JSON"), ("[1]", "entry 1"), (r#"[{"model": "a"}]"#, "model_path")]
        {
            let error = read(path, text).unwrap_err().to_string();
            assert!(error.contains(NAME) && error.contains(place), "{error}");
        }
    }
}

//! The test cases of the onnx package, prepared at their own opset, at the oldest that is written, and at the newest: each must
//! give what it gave before, or be refused.

use std::collections::BTreeMap;
use std::fs;

use fourbit::error::Error;
use fourbit::onnx::{read, write};
use fourbit::options::{NEWEST_OPSET, OPSET, Opset};
use fourbit::prepare::prepare;
use serde_json::{Value, json};

use super::oracle::run_script;

#[test]
fn the_test_cases_of_onnx_keep_their_outputs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().to_string_lossy().into_owned();
    let Some(output) = run_script("node_models.py", &["write", &place]) else { return };
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(listed.len() > 1000, "{} cases", listed.len());

    let mut manifest = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let (mut unread, mut unchanged) = (0, 0);
    for case in &listed {
        let text = |key: &str| case[key].as_str().expect("the script writes words").to_owned();
        let (name, path) = (text("name"), text("path"));
        let Ok(before) = read(path.as_ref()) else {
            unread += 1;
            continue;
        };
        for wanted in [Opset::Keep.least(), OPSET, NEWEST_OPSET] {
            // The opset of its own is one case already.
            if wanted > 1 && before.opset() >= wanted {
                continue;
            }
            match prepare(before.clone(), wanted) {
                Ok((after, _)) if after.proto == before.proto => unchanged += 1,
                Ok((after, _)) => {
                    let path = folder.path().join(format!("{name}-to-{wanted}.onnx"));
                    write(&after, &path, false).expect("the model can be written");
                    manifest.push(json!({"name": name, "after": path}));
                }
                Err(Error::NoConversion { operator, from, .. }) => {
                    *refused.entry(format!("{operator} of opset {from}")).or_default() += 1;
                }
                Err(error) => panic!("{name} to {wanted}: {error}"),
            }
        }
    }
    fs::write(folder.path().join("manifest.json"), Value::from(manifest).to_string()).expect("it is written");
    let Some(output) = run_script("node_models.py", &["compare", &place]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    println!("{} models, {unread} not read, {unchanged} unchanged", listed.len());
    println!("refused: {refused:?}");
    println!("{result}");
    assert!(result["counts"].get("wrong").is_none(), "{said}");
}

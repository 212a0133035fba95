//! Batches that are run again: what stays, what is done, and what is said of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GOOD, count, events, json, rows, run, same, tree, zoo};

#[test]
fn what_fails_later_leaves_what_was_there() {
    let folder = zoo();
    let good = ["zoo", "-o", "out", "--precision", "w4", "--format", "json"];
    let bad = ["zoo", "-o", "out", "--precision", "w8", "--timeout", "1ms", "--format", "json"];
    let out = folder.path().join("out");
    run(folder.path(), &good, 0);
    let before = tree(&out);
    let files = |of: &BTreeMap<PathBuf, Vec<u8>>| {
        let of = of.iter().filter(|(name, _)| name.parent().is_some_and(|folder| folder != Path::new("")));
        let of = of.filter(|(name, _)| !name.starts_with(".fourbit"));
        of.map(|(name, content)| (name.clone(), content.clone())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(files(&before).len(), 5 * GOOD.len());
    for arguments in [&bad[..], &[&bad[..], &["--keep-failures"]].concat()] {
        let told = events(&run(folder.path(), arguments, 1));
        let skipped = if arguments.len() > bad.len() { GOOD.len() } else { 0 };
        assert_eq!((count(&told, "failed"), count(&told, "skipped")), (GOOD.len() - skipped, skipped));
        assert!(files(&tree(&out)) == files(&before));
        for (status, reason) in rows(&out).into_values() {
            assert!(status == "failed" && reason.contains("`.timeout` 1ms"), "{reason}");
            assert!(reason.ends_with("; the files of an earlier conversion are still there"), "{reason}");
        }
    }
    // What was there is done, as it was before.
    let told = events(&run(folder.path(), &good, 0));
    assert_eq!((count(&told, "skipped"), count(&told, "started")), (GOOD.len(), 0));
    assert!(tree(&out) == before);
    // A new result takes its place; shards tell failures as one run does.
    let shard = [&bad[..], &["--shard", "1/1"]].concat();
    run(folder.path(), &shard, 3);
    run(folder.path(), &["--merge", "out"], 1);
    assert!(rows(&out).values().all(|row| row.1.contains("still there")), "{:?}", rows(&out));
    run(folder.path(), &["zoo", "-o", "out", "--precision", "w8", "-q"], 0);
    run(folder.path(), &["zoo", "-o", "fresh", "--precision", "w8", "-q"], 0);
    same(&out, &folder.path().join("fresh"));
}

#[test]
fn what_fits_none_of_one_model_is_no_failure_of_it() {
    let folder = zoo();
    let list =
        "[[model]]\npath = 'zoo/text/model.onnx'\n\n[[model]]\npath = 'zoo/audio ü/waves recurrent.onnx'\n";
    fs::write(folder.path().join("list.toml"), list).expect("it can be written");
    let asked = ["--precision", "w4", "--state", "present.*:past.*"];
    let told = run(folder.path(), &[&["list.toml", "out"], &asked[..]].concat(), 0);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("2 of 2 models converted,"), "{told}");
    let report = json(&folder.path().join("out/zoo/text/model.report.json"));
    let ignored = report["warnings"].as_array().expect("warnings").iter().filter_map(|one| one.as_str());
    let ignored: Vec<&str> = ignored.filter(|one| one.contains("present.*:past.*")).collect();
    assert!(ignored.len() == 1 && ignored[0].contains("ignored"), "{ignored:?}");
    let alone = ["quantize", "zoo/text/model.onnx", "alone.onnx"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    let alone = program.args(alone).args(asked).current_dir(folder.path()).output().expect("it starts");
    assert!(String::from_utf8_lossy(&alone.stderr).contains("no output is called present.*"), "{alone:?}");
    // Again: nothing is left to do, and that is said.
    let told = run(folder.path(), &[&["list.toml", "out"], &asked[..]].concat(), 0);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("2 of 2 models converted (2 before),"), "{told}");
}

//! Whole collections: broken models beside good ones, batches that are killed, divided, interrupted or short of something.

mod again;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The good models of [`zoo`].
const GOOD: [&str; 4] = [
    "audio ü/waves recurrent.onnx",
    "text/model.onnx",
    "vision/mobile/model.onnx",
    "vision/resnet/line\nbreak <b>&#.onnx",
];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    fs::write(path, content).expect("it can be written");
}

/// A folder `zoo` with four good models, one of them with samples, and some that are none.
fn zoo() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("zoo");
    let names = ["waves_recurrent", "digits_attention", "shapes_mobile", "shapes_resnet"];
    for (name, place) in names.iter().zip(GOOD) {
        put(&root.join(place), &fs::read(models().join(name).join("model.onnx")).expect("the model"));
    }
    let set = models().join("shapes_mobile/test_data_set_0/input_0.pb");
    put(&root.join("vision/mobile/test_data_set_0/input_0.pb"), &fs::read(set).expect("a sample"));
    folder
}

/// Files that are called models and are none, and why not.
fn break_some(root: &Path) -> Vec<(&'static str, &'static str)> {
    let whole = fs::read(models().join("shapes_mobile/model.onnx")).expect("the model");
    put(&root.join("broken/cut.onnx"), &whole[..whole.len() / 2]);
    put(&root.join("broken/empty.onnx"), b"");
    // A graph that says it has an exabyte.
    put(&root.join("broken/header.onnx"), b"\x08\x07\x3a\xff\xff\xff\xff\xff\xff\xff\x7f");
    put(
        &root.join("broken/pointer.onnx"),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    );
    put(&root.join("broken/text.onnx"), b"hello, this is a text\n");
    vec![
        ("broken/cut.onnx", "not an ONNX model"),
        ("broken/empty.onnx", "empty"),
        ("broken/header.onnx", "not an ONNX model"),
        ("broken/pointer.onnx", "Git LFS"),
        ("broken/text.onnx", "not an ONNX model"),
    ]
}

fn batch(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    command.arg("batch").args(arguments).current_dir(folder);
    for variable in
        ["SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "FOURBIT_SHARDS"]
    {
        command.env_remove(variable);
    }
    command
}

fn run(folder: &Path, arguments: &[&str], code: i32) -> Output {
    let output = batch(folder, arguments).output().expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    output
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON")
}

/// The rows of a summary: status and reason, by model.
fn rows(out: &Path) -> BTreeMap<String, (String, String)> {
    let summary = json(&out.join("summary.json"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = summary["models"].as_array().expect("rows");
    rows.iter().map(|row| (text(&row["model"]), (text(&row["status"]), text(&row["reason"])))).collect()
}

/// Everything below `root` that must not differ from run to run, from shards to one run, nor with where a batch runs.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = path.strip_prefix(root).expect("below").to_owned();
            let ours = [".fourbit/shards", ".fourbit/seen"].iter().any(|folder| name.starts_with(folder));
            if path.is_dir() {
                folders.push(path);
            } else if !ours && !name.to_string_lossy().starts_with("timings.") {
                found.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    found
}

pub fn same(one: &Path, other: &Path) {
    let (one, other) = (tree(one), tree(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, content) in &one {
        assert!(Some(content) == other.get(name), "{} differs", name.display());
    }
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

#[test]
fn good_models_are_converted_beside_broken_ones() {
    let folder = zoo();
    let root = folder.path().join("zoo");
    let broken = break_some(&root);
    fs::create_dir(root.join("notes.onnx")).expect("a folder with an odd name");
    let arguments = ["zoo", "-o", "zoo/out", "--precision", "w4", "--format", "json"];
    let told = events(&run(folder.path(), &arguments, 3));
    let all = (GOOD.len(), broken.len());
    assert_eq!((count(&told, "finished"), count(&told, "failed")), all);
    assert_eq!(told.last().expect("events")["event"], "summary");
    let out = root.join("out");
    let found = rows(&out);
    assert_eq!(found.len(), all.0 + all.1, "{found:?}");
    for name in GOOD {
        assert_eq!(found[name].0, "converted", "{found:?}");
        let stem = name.trim_end_matches(".onnx");
        let report = json(&out.join(format!("{stem}.report.json")));
        assert_eq!((&report["seconds"], &report["peak_memory"]), (&serde_json::json!([]), &Value::Null));
        assert!(
            out.join(format!("{stem}.plan.json")).is_file()
                && out.join(format!("{stem}.report.txt")).is_file()
                && out.join(format!("{stem}.report.html")).is_file()
        );
        let (before, after) = (root.join(name).metadata(), out.join(name).metadata());
        assert!(after.expect("the model").len() < before.expect("the model").len() / 2, "{name}");
    }
    for (name, reason) in broken {
        assert!(found[name].0 == "failed" && found[name].1.contains(reason), "{name}: {:?}", found[name]);
        assert!(!found[name].1.contains(&*root.to_string_lossy()) && !out.join(name).exists());
    }
    let page = fs::read_to_string(out.join("summary.html")).expect("the page");
    assert!(
        page.contains("break &lt;b&gt;&amp;#.onnx")
            && page.contains("line%0Abreak%20%3Cb%3E%26%23.report.txt")
    );
    let csv = fs::read_to_string(out.join("summary.csv")).expect("the table");
    assert!(csv.lines().next().expect("a header").starts_with("model,status,reason"), "{csv}");
    let timings = fs::read_to_string(out.join("timings.csv")).expect("the times");
    assert!(timings.contains("text/model.onnx,"), "{timings}");

    // Again: nothing but the failures is tried, and the output folder is no part of the source.
    let before = tree(&out);
    let mut old = arguments.to_vec();
    old.push("--keep-failures");
    for (arguments, tried) in [(&arguments[..], all.1), (&old, 0)] {
        let told = events(&run(folder.path(), arguments, 3));
        assert_eq!((count(&told, "finished"), count(&told, "failed")), (0, tried), "{told:?}");
        assert!(tree(&out) == before);
    }
    // Dates say nothing, content does.
    let touched = fs::File::options().append(true).open(root.join(GOOD[1])).expect("the model");
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a new date");
    let other = fs::read(models().join("shapes_resnet/model.onnx")).expect("the model");
    put(&root.join(GOOD[2]), &other);
    fs::write(out.join("text/model.plan.json"), "changed").expect("it can be written");
    fs::remove_dir_all(root.join("broken")).expect("it can be removed");
    let told = events(&run(folder.path(), &arguments, 0));
    let finished = told.iter().filter(|event| event["event"] == "finished");
    let names: Vec<&str> = finished.filter_map(|event| event["row"]["model"].as_str()).collect();
    assert!(names.len() == 2 && names.contains(&GOOD[1]) && names.contains(&GOOD[2]), "{names:?}");

    // The result is a zoo again.
    let manifest = json(&out.join("ONNX_HUB_MANIFEST.json"));
    let entry = &manifest.as_array().expect("entries")[1];
    assert_eq!((&entry["model_path"], &entry["opset_version"]), (&GOOD[1].into(), &21.into()));
    let metadata = &entry["metadata"];
    assert_eq!(metadata["model_bytes"].as_u64(), Some(fs::metadata(out.join(GOOD[1])).expect("it").len()));
    assert_eq!(metadata["tags"], serde_json::json!(["w4", "int4", "int8", "fourbit"]));
    let again = ["zoo/out/ONNX_HUB_MANIFEST.json", "-o", "again", "--precision", "w4", "-q"];
    let code = batch(folder.path(), &again).output().expect("the program starts").status.code();
    assert!(matches!(code, Some(0 | 3)), "{code:?}");
    assert_eq!(rows(&folder.path().join("again")).into_keys().collect::<Vec<_>>(), GOOD);
}

#[test]
fn killed_again_and_again_it_ends_the_same() {
    let folder = zoo();
    break_some(&folder.path().join("zoo"));
    let arguments = |out| ["zoo", "-o", out, "--precision", "w4", "--quiet"];
    let begun = Instant::now();
    run(folder.path(), &arguments("whole"), 3);
    let whole = begun.elapsed();
    // Short lives first, so that it is killed while checking, converting, placing and finishing.
    let (mut state, mut killed) = (7u64, 0);
    let code = loop {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = whole.mul_f64((0.2 + 0.1 * f64::from(killed)).min(2.0));
        let life = most.mul_f64((state >> 40) as f64 / f64::from(1 << 24));
        let mut child =
            batch(folder.path(), &arguments("killed")).stdout(Stdio::null()).spawn().expect("it starts");
        sleep(life);
        if let Some(status) = child.try_wait().expect("a status") {
            break status.code();
        }
        child.kill().expect("it can be killed");
        child.wait().expect("a status");
        killed += 1;
        assert!(killed < 60, "it gets no further");
    };
    assert_eq!(code, Some(3));
    assert!(killed > 2, "{killed}");
    same(&folder.path().join("whole"), &folder.path().join("killed"));
}

#[test]
fn shards_together_are_one_run() {
    let folder = zoo();
    break_some(&folder.path().join("zoo"));
    run(folder.path(), &["zoo", "-o", "whole", "--precision", "w4"], 3);
    let shard = |number: &str| {
        let mut command = batch(folder.path(), &["zoo", "-o", "parts", "--precision", "w4", "-q"]);
        command.args(["--shard", number]).stdout(Stdio::null()).spawn().expect("it starts")
    };
    let mut first = [shard("1/4"), shard("3/4")];
    first.iter_mut().for_each(|child| assert!(child.wait().expect("a status").code().is_some()));
    let parts = folder.path().join("parts");
    assert!(!parts.join("summary.json").exists());
    let early = run(folder.path(), &["--merge", "parts"], 1);
    assert!(String::from_utf8_lossy(&early.stderr).contains("2/4, 4/4"), "{early:?}");
    // The rest as a cluster would have it.
    for (index, of) in [
        ("JOB_COMPLETION_INDEX", "FOURBIT_SHARDS"),
        ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ] {
        let number = if of == "FOURBIT_SHARDS" { "1" } else { "3" };
        let mut command = batch(folder.path(), &["zoo", "-o", "parts", "--precision", "w4", "-q"]);
        let output = command.env(index, number).env(of, "4").output().expect("the program starts");
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
    run(folder.path(), &["--merge", "parts"], 3);
    same(&folder.path().join("whole"), &parts);
    // A shard that has only what cannot be converted has done its part; one without models too.
    let broken = ["zoo/broken", "-o", "small"];
    run(folder.path(), &[&broken[..], &["--shard", "1/6"]].concat(), 3);
    run(folder.path(), &[&broken[..], &["--shard", "6/6"]].concat(), 0);
    run(folder.path(), &[&broken[..], &["--shard", "1/1"]].concat(), 3);
    run(folder.path(), &["--merge", "small"], 1);
    run(folder.path(), &broken, 1);
    // A model that went missing is told, not passed over.
    fs::remove_file(parts.join(GOOD[1])).expect("it can be removed");
    let gone = run(folder.path(), &["--merge", "parts"], 1);
    assert!(String::from_utf8_lossy(&gone.stderr).contains(GOOD[1]), "{gone:?}");
}

#[test]
fn what_takes_too_long_or_too_much_is_a_row() {
    let folder = zoo();
    let arguments = ["zoo", "-o", "out", "--precision", "w4", "--quiet"];
    let out = folder.path().join("out");
    for (limit, reason) in
        [(["--timeout", "1ms"], "`.timeout` 1ms"), (["--memory-limit", "1MB"], "`.memory_limit`")]
    {
        run(folder.path(), &[&arguments[..], &limit].concat(), 1);
        let found = rows(&out);
        assert!(found.len() == GOOD.len() && found.values().all(|row| row.1.contains(reason)), "{found:?}");
        let page = fs::read_to_string(out.join("summary.html")).expect("the page");
        assert!(page.contains(limit[0]) && !page.contains(reason), "people read flags");
        assert_eq!(json(&out.join("ONNX_HUB_MANIFEST.json")), serde_json::json!([]));
    }
    let kept =
        events(&run(folder.path(), &[&arguments[..], &["--keep-failures", "--format", "json"]].concat(), 1));
    assert_eq!(count(&kept, "skipped"), GOOD.len());
    run(folder.path(), &arguments, 0);
    assert!(rows(&out).values().all(|row| row.0 == "converted"));
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_left_behind() {
    let folder = zoo();
    let place = folder.path().canonicalize().expect("the folder");
    // Whoever works in the folder: the batch, and what it started.
    let processes = || {
        let entries = fs::read_dir("/proc").expect("the processes").flatten();
        entries.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == place)).count()
    };
    let gone = || {
        let begun = Instant::now();
        while processes() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "somebody is left");
            sleep(Duration::from_millis(20));
        }
    };
    for signal in ["-TERM", "-KILL"] {
        let mut child = batch(folder.path(), &["zoo", "-o", "out", "--precision", "w4", "-q"])
            .spawn()
            .expect("it starts");
        let begun = Instant::now();
        while processes() < 2 {
            assert!(begun.elapsed() < Duration::from_secs(10), "nothing was started");
            sleep(Duration::from_millis(5));
        }
        if signal == "-TERM" {
            let second = run(folder.path(), &["zoo", "-o", "out", "--precision", "w4"], 1);
            assert!(String::from_utf8_lossy(&second.stderr).contains("another batch"), "{second:?}");
        }
        let sent =
            Command::new("sh").args(["-c", &format!("kill {signal} {}", child.id())]).status().expect("sh");
        assert!(sent.success());
        let code = child.wait().expect("a status").code();
        assert_eq!(code, if signal == "-TERM" { Some(130) } else { None });
        gone();
    }
    run(folder.path(), &["zoo", "-o", "out", "--precision", "w4", "-q"], 0);
}

#[test]
fn lists_say_what_is_different() {
    let folder = zoo();
    let samples = models().join("waves_recurrent/calibration.npz");
    fs::copy(&samples, folder.path().join("c.npz")).expect("a copy");
    let list = "[defaults]\nprecision = 'w4'\n\n[[model]]\npath = 'zoo/text/model.onnx'\nprecision = 'w8'\n\n\
         [[model]]\npath = 'zoo/audio ü/waves recurrent.onnx'\nname = 'waves.onnx'\ncalibration = 'c.npz'\nmax-samples = 8\n\n\
         [[model]]\npath = 'zoo/nowhere.onnx'\n";
    fs::write(folder.path().join("list.toml"), list).expect("it can be written");
    run(folder.path(), &["list.toml", "-o", "out", "-q"], 3);
    let out = folder.path().join("out");
    let found = rows(&out);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["waves.onnx", "zoo/nowhere.onnx", "zoo/text/model.onnx"]);
    assert!(found["zoo/nowhere.onnx"].1.contains("No such file"), "{found:?}");
    let report = |stem: &str| json(&out.join(format!("{stem}.report.json")));
    assert_eq!(report("zoo/text/model")["precision"], "w8");
    assert_eq!(report("waves")["calibration"], serde_json::json!({"source": "c.npz", "samples": 8}));
}

#[test]
fn what_cannot_be_done_at_all_is_told_at_once() {
    let folder = zoo();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("nothing/in here")).expect("a folder");
    fs::write(at("wrong.toml"), "[[model]]\npath = 'zoo/text/model.onnx'\nprecison = 'w4'\n")
        .expect("it can be written");
    fs::write(at("wrong.txt"), "").expect("it can be written");
    for (arguments, code, words) in [
        (&["zoo", "-o", "zoo"][..], 1, &["zoo", "-o"][..]),
        (&["nowhere", "-o", "out"], 1, &["nowhere", "No such file"]),
        (&["nothing", "-o", "out"], 1, &["no models in nothing", ".onnx"]),
        (&["zoo/text/model.onnx", "-o", "out"], 1, &["single model", "fourbit quantize"]),
        (&["wrong.toml", "-o", "out"], 1, &["wrong.toml", "line 3", "precison", "precision"]),
        (&["wrong.txt", "-o", "out"], 1, &["wrong.txt", "neither a folder nor a list"]),
        (&["zoo", "-o", "wrong.txt/out"], 1, &["wrong.txt"]),
        (&["--merge", "nothing"], 1, &["no shard", "--shard"]),
        (&["zoo"], 2, &["<OUT>", "Usage: fourbit batch [OPTIONS] <SOURCE> <OUT>"]),
        (&["zoo", "-o", "out", "--shard", "5/4"], 2, &["5", "4"]),
        (&["zoo", "-o", "out", "--timeout", "soon"], 2, &["soon"]),
        (&["zoo", "-o", "out", "--precision", "w7"], 2, &["w7"]),
    ] {
        let output = run(folder.path(), arguments, code);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(words.iter().all(|word| message.contains(word)), "{arguments:?}: {message}");
        assert!(!at("out").exists(), "{arguments:?}");
    }
    // A file that somebody else has put there is kept.
    put(&at("out/text/model.onnx"), b"precious");
    for _ in 0..2 {
        run(folder.path(), &["zoo", "-o", "out", "--precision", "w4", "-q"], 3);
        assert!(rows(&at("out"))["text/model.onnx"].1.contains("`.overwrite`"));
        assert_eq!(fs::read(at("out/text/model.onnx")).expect("the file"), b"precious");
    }
    run(folder.path(), &["zoo", "-o", "out", "--precision", "w4", "-q", "--overwrite"], 0);
}

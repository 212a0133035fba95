//! Pages of reports and of batches: well formed, of one file, the same from the JSON report, and usable in a browser, where there is one.

mod batch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::oracle::run_script;

/// Bytes of a page of a small model.
const MOST: u64 = 2_000_000;
/// Clicks through a page.
const DRIVE: &str = include_str!("pages/drive.js");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fourbit(folder: &Path, arguments: &[&str]) -> Output {
    ended(folder, arguments, 0)
}

/// Runs the program and expects this exit code.
fn ended(folder: &Path, arguments: &[&str], code: i32) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_fourbit"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    assert!(output.status.code() == Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Converts `model` in `folder` and gives the page and the JSON report.
fn converted(folder: &Path, model: &str, more: &[&str]) -> (String, Value) {
    let model = root().join("models").join(model).join("model.onnx");
    let model = model.to_str().expect("a path of text");
    let line = ["quantize", model, "net.onnx", "--max-samples", "32", "--reproducible", "--overwrite", "-q"];
    fourbit(folder, &[&line[..], more, &["--report", "net.html", "--report", "net.json"]].concat());
    let page = fs::read_to_string(folder.join("net.html")).expect("the page");
    let json = fs::read_to_string(folder.join("net.json")).expect("the report");
    (page, serde_json::from_str(&json).expect("JSON"))
}

/// Elements that have no end.
const EMPTY: &[&str] = &["meta", "link", "img", "input", "br"];

/// Whether tags of `page` are closed in order; attributes are in double quotes, as maud writes them.
pub fn check_tags(page: &str) {
    let (mut open, mut rest, mut ids) = (Vec::new(), page, Vec::new());
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut quoted = false;
        let end = rest.find(|symbol| {
            quoted ^= symbol == '"';
            symbol == '>' && !quoted
        });
        let end = end.expect("a tag that ends");
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        let name = tag.trim_start_matches('/').split_whitespace().next().expect("a name");
        rest = after;
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "</{name}> closes another one"),
            false if name == "!DOCTYPE" || EMPTY.contains(&name) => {}
            false => open.push(name),
        }
        ids.extend(tag.split(" id=\"").nth(1).and_then(|id| id.split('"').next()));
        // What is inside is no markup.
        if ["script", "style"].contains(&tag.split(' ').next().unwrap_or_default()) {
            let end = rest.find(&format!("</{name}")).expect("it ends");
            assert!(!rest[..end].contains("<!--"));
            rest = &rest[end..];
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    for address in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&address), "#{address} leads nowhere");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is there twice");
}

#[test]
fn pages_are_whole_and_the_same_from_the_json_report() {
    for (model, precision) in [("shapes_resnet", "w4a8"), ("digits_attention", "w4a8")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (page, report) = converted(folder.path(), model, &["--precision", precision]);
        check_tags(&page);
        assert!((page.len() as u64) < MOST, "{model}: {} bytes", page.len());
        println!("{model}: {} bytes", page.len());
        for section in ["verdict", "layers", "noise", "each", "float"] {
            assert!(page.contains(&format!("<section id=\"{section}\"")), "{model}: {section}");
        }
        let network = ["http:", "https:", "@import", "url("];
        assert!(network.iter().all(|word| !page.contains(word)), "{model}: it needs a network");
        let weights: Vec<&Value> = report["sites"]
            .as_array()
            .expect("sites")
            .iter()
            .filter(|site| site["kind"] == "weight")
            .collect();
        assert_eq!(page.matches("class=\"cell ").count(), weights.len());
        for weight in weights {
            let found = &weight["statistics"];
            assert_eq!(found["histogram"]["counts"].as_array().map(Vec::len), Some(64), "{found}");
            assert!(found["own_db"].as_f64().is_some_and(|ratio| ratio > 3.0), "{found}");
            assert!(found["output_db"].is_f64() && found["rank"].as_u64() > Some(0), "{found}");
            let errors = found["steps"].as_array().expect("steps").iter().map(|step| step["error"].as_f64());
            let errors: Vec<f64> = errors.map(|error| error.expect("an error")).collect();
            // Each step takes noise away, or is not taken.
            assert!(errors.windows(2).skip(1).all(|pair| pair[1] <= pair[0] * 1.000_001), "{found}");
        }
        fourbit(folder.path(), &["report", "net.json", "-o", "again.html", "-q"]);
        assert_eq!(fs::read_to_string(folder.path().join("again.html")).expect("it"), page, "{model}");
        let (same, _) = converted(folder.path(), model, &["--precision", precision, "--jobs", "1"]);
        assert_eq!(same, page, "{model}: another number of threads gives another page");
    }
}

#[test]
fn other_commands_write_pages_as_far_as_they_know() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    converted(folder.path(), "shapes_resnet", &["--precision", "w4a8"]);
    let model = root().join("models/shapes_resnet/model.onnx");
    let model = model.to_str().expect("a path of text");
    fourbit(
        folder.path(),
        &["validate", model, "net.onnx", "--max-samples", "64", "--report", "compared.html", "-q"],
    );
    let page = fs::read_to_string(folder.path().join("compared.html")).expect("the page");
    check_tags(&page);
    assert!(page.contains("id=\"verdict\"") && !page.contains("id=\"each\""));
    fourbit(
        folder.path(),
        &[
            "plan",
            model,
            "net.plan.json",
            "--precision",
            "w4",
            "--max-samples",
            "16",
            "--report",
            "plan.html",
            "-q",
        ],
    );
    let page = fs::read_to_string(folder.path().join("plan.html")).expect("the page");
    check_tags(&page);
    assert!(page.contains("id=\"each\"") && page.contains("A plan"));
    // A plan is no report, nor is a model.
    for file in ["net.plan.json", "net.onnx"] {
        let output = Command::new(env!("CARGO_BIN_EXE_fourbit"))
            .args(["report", file, "-o", "no.html"])
            .current_dir(folder.path())
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(!folder.path().join("no.html").exists());
    }
}

#[test]
fn an_outlier_channel_is_named_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = root().join("models/shapes_resnet");
    let broken = folder.path().join("broken.onnx");
    let [from, to] = [model.join("model.onnx"), broken].map(|path| path.to_str().expect("text").to_owned());
    let layer = "stage3.block1.conv2.weight";
    let Some(done) = run_script("outlier.py", &[&from, &to, layer]) else { return };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let [calibration, validation] = ["calibration.npz", "validation.npz"]
        .map(|name| model.join(name).to_str().expect("a path of text").to_owned());
    // The file is broken, which the exit code says.
    ended(
        folder.path(),
        &[
            "quantize",
            "broken.onnx",
            "net.onnx",
            "--max-samples",
            "64",
            "-q",
            "--calibration",
            &calibration,
            "--validation",
            &validation,
            "--report",
            "net.html",
            "--report",
            "net.json",
        ],
        3,
    );
    let page = fs::read_to_string(folder.path().join("net.html")).expect("the page");
    let json = fs::read_to_string(folder.path().join("net.json")).expect("the report");
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let sites = report["sites"].as_array().expect("sites");
    let worst = sites.iter().find(|site| site["statistics"]["rank"] == 1).expect("a first one");
    assert_eq!(worst["tensor"], layer);
    let named = page.split("<ol class=\"worst\"").nth(1).and_then(|rest| rest.split("</li>").next());
    let node = worst["nodes"][0].as_str().expect("a name");
    assert!(named.is_some_and(|first| first.contains(node)), "{named:?} and {node}");
    let next = report["next"].as_array().expect("advice").iter();
    let excludes = |advice: &Value| {
        advice["command"].as_array().is_some_and(|words| words.iter().any(|word| word == layer))
    };
    assert!(next.clone().any(excludes), "{:?}", report["next"]);
}

/// Chromium, or why there is none. `FOURBIT_CHROMIUM` says where it is.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("FOURBIT_CHROMIUM").map(PathBuf::from);
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    })
}

/// axe-core as text, fetched by npm, where there is one.
fn axe() -> Option<String> {
    let from = root().join("tests/runtimes/page");
    let folder = root().join("target/page");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&folder).ok()?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(from.join(name), folder.join(name)).ok()?;
        }
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        let done = Command::new(npm).args(arguments).current_dir(&folder).output().ok()?;
        done.status.success().then_some(())?;
    }
    fs::read_to_string(script).ok()
}

#[test]
fn a_browser_clicks_through() {
    let Some(chromium) = chromium() else {
        eprintln!("SKIPPED: no browser: install chromium, or name one by FOURBIT_CHROMIUM");
        return;
    };
    let axe = axe_or_told();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (page, _) = converted(folder.path(), "shapes_resnet", &["--precision", "w4a8"]);
    drive(&chromium, folder.path(), &page, DRIVE, axe.as_deref(), &["390,844", "1500,900"]);
}

/// axe-core, or a line that says that it is missing.
fn axe_or_told() -> Option<String> {
    let axe = axe();
    if axe.is_none() {
        eprintln!("SKIPPED: no look at accessibility: npm does not fetch axe-core");
    }
    axe
}

/// What is around a page that is driven: a frame, as a browser without a screen has no window as narrow as a phone is, and what the
/// page tells.
const AROUND: &str = "<!DOCTYPE html><title>frame</title><body style=\"margin:0\"><iframe src=\"driven.html\" style=\"border:0;SIZE\"></iframe>
<script>addEventListener('message', event => {
  const told = document.createElement('pre');
  told.id = 'driven';
  told.textContent = event.data;
  document.body.append(told);
});</script>";

/// Runs `script` in `page`, in windows of these `sizes`: it finds nothing, and the console stays empty.
fn drive(chromium: &Path, folder: &Path, page: &str, script: &str, axe: Option<&str>, sizes: &[&str]) {
    let scripts = format!("<script>{script}</script>");
    let expected = if axe.is_some() { "[\"axe ran\"]" } else { "[]" };
    let axe = axe.map(|text| format!("<script>{text}</script>")).unwrap_or_default();
    let driven = page.replacen("</head>", &format!("{axe}{scripts}</head>"), 1);
    fs::write(folder.join("driven.html"), driven).expect("it can be written");
    let path = folder.join("around.html");
    for size in sizes {
        let (width, height) = size.split_once(',').expect("two numbers");
        let around = AROUND.replace("SIZE", &format!("width:{width}px;height:{height}px"));
        fs::write(&path, around).expect("it can be written");
        let output = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
            .args(["--virtual-time-budget=20000", &format!("--window-size={size}")])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(format!("file://{}", path.display()))
            .output()
            .expect("the browser starts");
        let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = text.split("id=\"driven\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let told = told.unwrap_or_else(|| panic!("the page was not driven:\n{log}"));
        assert_eq!(told, expected, "{size}");
        let console: Vec<&str> = log.lines().filter(|line| line.contains(":CONSOLE")).collect();
        assert!(console.is_empty(), "{console:?}");
    }
}

//! Runtimes beside onnxruntime: how each is got, and the command that runs files in it.

use std::env::consts::EXE_SUFFIX;
use std::env::var_os;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::oracle::{made, run};

/// Asks for the runtimes that are crates: building them takes seven minutes of one core.
const ALL: &str = "FOURBIT_ALL_RUNTIMES";

const OLD: &str = include_str!("../../runtimes/onnxruntime-1.17.txt");
const PROTOC: &str = include_str!("../../runtimes/protoc.txt");
const WEB: [(&str, &str); 2] = [
    ("package.json", include_str!("../../runtimes/web/package.json")),
    ("package-lock.json", include_str!("../../runtimes/web/package-lock.json")),
];

/// For each runtime the command that runs jobs of `everywhere.py`, or why there is none.
pub fn commands(python: &Path) -> Value {
    let script = tests().join("python/everywhere_run.py");
    let in_python = |runtime: &str| json!([python, script, runtime]);
    let old = packages(python, "onnxruntime-1.17", OLD)
        .map(|folder| json!([python, script, "onnxruntime", "--packages", folder]));
    assert!(old.is_ok() || var_os("CI").is_none(), "no old onnxruntime: {old:?}");
    let here = ["onnxruntime", "openvino", "opencv"];
    let mut commands: Map<String, Value> = here.iter().map(|it| ((*it).into(), in_python(it))).collect();
    let mut add = |name: &str, command: Result<Value, String>| {
        commands.insert(name.into(), command.unwrap_or_else(|problem| first_line(&problem).into()));
    };
    add("onnxruntime-1.17", old);
    add("onnxruntime-web", web());
    let crates = crates(python);
    for runtime in ["rten", "candle"] {
        add(runtime, crates.clone().map(|program| json!([program, runtime])));
    }
    commands.into()
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A folder that holds packages of Python and no environment, so that it can stand before the one that there is.
fn packages(python: &Path, name: &str, wanted: &str) -> Result<PathBuf, String> {
    made(&format!("runtime-{name}"), wanted, |folder| {
        let list = folder.with_extension("requirements.txt");
        fs::write(&list, wanted).map_err(|error| error.to_string())?;
        run(Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(folder)
            .arg("-r")
            .arg(list))
    })
}

fn web() -> Result<Value, String> {
    run(Command::new("node").arg("--version"))?;
    let folder = made("runtime-web", WEB[1].1, |folder| {
        for (file, text) in WEB {
            fs::write(folder.join(file), text).map_err(|error| error.to_string())?;
        }
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        run(Command::new(npm).current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
    })?;
    Ok(json!(["node", tests().join("runtimes/web/run.mjs"), folder]))
}

/// The program with both crates in it.
fn crates(python: &Path) -> Result<PathBuf, String> {
    if var_os(ALL).is_none() {
        return Err(format!("built where {ALL} is set"));
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("runtime-crates");
    let cargo = var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--release", "--locked", "--features", "candle", "--manifest-path"]);
    build.arg(tests().join("runtimes/crates/Cargo.toml")).arg("--target-dir").arg(&target);
    if var_os("PROTOC").is_none() {
        build.env("PROTOC", protoc(python)?);
    }
    run(&mut build)?;
    Ok(target.join(format!("release/runtimes{EXE_SUFFIX}")))
}

/// The compiler of protocol buffers that a package of Python carries, as the program that candle's build asks for.
fn protoc(python: &Path) -> Result<PathBuf, String> {
    let folder = packages(python, "protoc", PROTOC)?;
    let program = folder.join("protoc.sh");
    let quoted = |path: &Path| path.to_string_lossy().replace('\'', r"'\''");
    let script = format!(
        "#!/bin/sh\nPYTHONPATH='{}' exec '{}' -m grpc_tools.protoc \"$@\"\n",
        quoted(&folder),
        quoted(python)
    );
    fs::write(&program, script).map_err(|error| error.to_string())?;
    executable(&program)?;
    Ok(program)
}

#[cfg(unix)]
fn executable(program: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<(), String> {
    Err("candle needs protoc: set PROTOC".into())
}

//! Where the shared library lies.
#![cfg_attr(not(feature = "onnxruntime"), allow(dead_code))]

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::OLDEST;
use crate::error::Error;

/// Names the library, whatever else is installed.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Set where a virtual environment of Python is active.
const ENVIRONMENT: &str = "VIRTUAL_ENV";

/// The first version whose Python package has the library as a file of its own.
const PACKAGE: &str = "1.19";

/// The library's plain name.
const PLAIN: &str = match () {
    () if cfg!(windows) => "onnxruntime.dll",
    () if cfg!(target_os = "macos") => "libonnxruntime.dylib",
    () => "libonnxruntime.so",
};

/// Prints the folder of the package without importing it. The folder that fourbit happens to run in is no place for packages.
const ASK: &str = "import sys; sys.path = [p for p in sys.path if p]; import importlib.util as u; \
                   s = u.find_spec('onnxruntime'); print(list(s.submodule_search_locations)[0] if s else '')";

/// Where the system's own libraries lie, besides the folders that [`FOLDERS`] lists.
const USUAL: &[&str] = match () {
    () if cfg!(windows) => &[],
    () if cfg!(target_os = "macos") => &["/usr/local/lib", "/opt/homebrew/lib"],
    () => &[
        "/usr/local/lib",
        "/usr/local/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/opt/onnxruntime/lib",
    ],
};
/// Lists folders of libraries.
const FOLDERS: &str = match () {
    () if cfg!(windows) => "PATH",
    () if cfg!(target_os = "macos") => "DYLD_LIBRARY_PATH",
    () => "LD_LIBRARY_PATH",
};

/// The library. One that is named is the only one; otherwise Python's package comes before the system's.
///
/// # Errors
/// [`Error::NoOnnxruntime`] where there is none, with all that was looked at in vain.
pub fn find() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        if !path.is_file() {
            return Err(Error::NoOnnxruntime {
                problem: format!("{VARIABLE} names {}, which is no file", path.display()),
                remedy: format!("name the shared library ({PLAIN}) there, or unset {VARIABLE}"),
            });
        }
        // The loader takes a path without folders for a name to look up.
        return Ok(std::path::absolute(&path).unwrap_or(path));
    }
    let mut missing = vec![format!("{VARIABLE} is not set")];
    for python in pythons() {
        let shown = python.display();
        match package(&python) {
            None => missing.push(format!("{shown} could not be asked")),
            Some(None) => missing.push(format!("{shown} has no package onnxruntime")),
            Some(Some(package)) => match inside(&package.join("capi")) {
                Some(library) => return Ok(library),
                None => missing.push(format!(
                    "{} has no {PLAIN}: packages before {PACKAGE} have none",
                    package.join("capi").display()
                )),
            },
        }
    }
    let listed = env::var_os(FOLDERS).unwrap_or_default();
    let folders = env::split_paths(&listed).filter(|folder| folder.is_absolute());
    match folders.chain(USUAL.iter().map(PathBuf::from)).find_map(|folder| inside(&folder)) {
        Some(library) => Ok(library),
        None => {
            missing.push(format!("no {PLAIN} in {}", [&[FOLDERS], USUAL].concat().join(", ")));
            Err(nowhere(&missing))
        }
    }
}

/// The error for a search without a result.
fn nowhere(missing: &[String]) -> Error {
    Error::NoOnnxruntime {
        problem: format!("onnxruntime was not found: {}", missing.join("; ")),
        remedy: format!(
            "pip install onnxruntime, version {PACKAGE} or newer, or name its shared library ({PLAIN}, version {OLDEST} or newer) \
             in {VARIABLE}"
        ),
    }
}

/// The interpreters of the active environment and on the path, each once.
fn pythons() -> Vec<PathBuf> {
    let mut pythons = Vec::new();
    if let Some(folder) = env::var_os(ENVIRONMENT).filter(|folder| !folder.is_empty()) {
        let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python3" };
        pythons.push(Path::new(&folder).join(inside));
    }
    let name = if cfg!(windows) { "python.exe" } else { "python3" };
    match env::var_os("PATH").as_deref().and_then(|path| on_path(name, path)) {
        Some(python) if !pythons.contains(&python) => pythons.push(python),
        Some(_) => {}
        None => pythons.push(name.into()),
    }
    pythons
}

fn on_path(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The folder of the package that an interpreter has, if it has one; `None` where it cannot be asked.
fn package(python: &Path) -> Option<Option<PathBuf>> {
    let output = Command::new(python).args(["-c", ASK]).stdin(Stdio::null()).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    output.status.success().then(|| (!folder.is_empty()).then(|| folder.into()))
}

/// The library in a folder: its plain name, or that with a version.
fn inside(folder: &Path) -> Option<PathBuf> {
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| is_library(name));
    names.sort();
    names.pop().map(|name| folder.join(name))
}

fn is_library(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PLAIN.split_once('.').map_or(PLAIN, |(stem, _)| stem)) else {
        return false;
    };
    match (cfg!(windows), cfg!(target_os = "macos")) {
        (true, _) => rest == ".dll",
        (_, true) => rest.starts_with('.') && rest.ends_with(".dylib"),
        _ => rest == ".so" || rest.starts_with(".so."),
    }
}

/// The version in the name of a library, links followed: `1.20.1` of `libonnxruntime.so.1.20.1`.
pub fn version(path: &Path) -> Option<String> {
    let whole = path.canonicalize().ok()?;
    let name = whole.file_name()?.to_str()?;
    let start = name.find(|sign: char| sign.is_ascii_digit())?;
    let digits: Vec<&str> = name[start..]
        .split('.')
        .take_while(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    (digits.len() >= 2).then(|| digits.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn libraries_are_known_by_their_names() {
        let names = [
            ("libonnxruntime.so", true),
            ("libonnxruntime.so.1.20.1", true),
            ("libonnxruntime_providers_shared.so", false),
            ("onnxruntime_pybind11_state.so", false),
        ];
        names.iter().for_each(|(name, expected)| assert_eq!(is_library(name), *expected, "{name}"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libonnxruntime.so.1.20.1");
        std::fs::write(&file, "").unwrap();
        assert_eq!(inside(folder.path()), Some(file.clone()));
        assert_eq!(version(&file).as_deref(), Some("1.20.1"));
        let link = folder.path().join("libonnxruntime.so");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(version(&link).as_deref(), Some("1.20.1"));
        std::fs::remove_file(&link).unwrap();
        std::fs::write(&link, "").unwrap();
        assert_eq!(version(&link), None);
    }

    #[test]
    fn a_search_in_vain_says_where_and_what_to_do() {
        let text =
            nowhere(&["ORT_DYLIB_PATH is not set".into(), "python3 could not be asked".into()]).to_string();
        for part in ["ORT_DYLIB_PATH is not set; python3 could not", "pip install onnxruntime", "1.17"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

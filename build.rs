//! Compiles `proto/onnx.proto` to Rust without `protoc`, and says which version this is.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit that `--version` shows. Git's own choice depends on the repository at hand.
const DIGITS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let files = protox::compile(["proto/onnx.proto"], ["proto"])?;
    prost_build::Config::new()
        // `Bytes` lets a tensor borrow from the mapped file instead of being copied out of it.
        .bytes([".onnx.TensorProto.raw_data"])
        .compile_fds(files)?;
    let version = env::var("CARGO_PKG_VERSION")?;
    let version = commit().map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=FOURBIT_VERSION={version}");
    Ok(())
}

/// The commit that is checked out, and its date; `None` where this is no checkout, as in a crate that was unpacked, or Git is missing.
fn commit() -> Option<String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    // Git itself would find the repository of whoever unpacked the crate.
    if !root.join(".git").exists() {
        return None;
    }
    // Files that exist and change with the commit: one that does not exist would have everything built again each time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let found = git(&root, &["log", "-1", "--format=%H %cs"])?;
    let (commit, date) = found.split_once(' ')?;
    Some(format!("{} {date}", commit.get(..DIGITS)?))
}

/// The first line that Git prints in `folder`.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(folder);
    // A build that a hook of Git starts is still of this repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let output = git.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

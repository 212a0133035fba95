//! One conversion in a process of its own, so that whatever happens to it happens to it alone.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::outbox::staged;
use crate::error::{Error, Result};

/// Bytes of messages that are read, from the end.
const TOLD: u64 = 1 << 16;
/// The longest reason, in characters.
const LONGEST: usize = 1000;
/// Exit codes of `quantize` with which a file was written.
const WRITTEN: [i32; 3] = [0, 3, 4];
/// The one with which nothing in the model would be quantized.
const NOTHING_QUANTIZED: i32 = 6;

/// What a conversion takes.
#[derive(Clone, Debug)]
pub struct Order {
    /// The program.
    pub program: PathBuf,
    /// Arguments in front of all others.
    pub leading: Vec<OsString>,
    /// The model's file.
    pub input: PathBuf,
    /// What it is called in the output folder.
    pub name: String,
    /// Options of `quantize`.
    pub arguments: Vec<String>,
    /// How many threads it may have.
    pub threads: usize,
}

/// A conversion that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    staging: TempDir,
    begun: Instant,
    took: Option<Duration>,
}

/// How a conversion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its files are in the staging folder.
    Written,
    /// It was killed from outside, which is what a system without memory does.
    Killed(String),
    /// Nothing in the model would be quantized.
    Unquantized(String),
    /// It failed.
    Failed(String),
}

impl Running {
    /// Starts a conversion that writes into a new folder in `staging`.
    ///
    /// # Errors
    /// [`Error::Write`] where no folder can be made, or no process started.
    pub fn start(order: &Order, staging: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(staging).map_err(Error::write(staging))?;
        let at = |name: &str| folder.path().join(name);
        let [_, plan, report, page, text, model] = staged(&order.name);
        let option = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push("=");
            option.push(value);
            option
        };
        let file = |name| File::create(at(name)).map_err(Error::write(&at(name)));
        let mut command = Command::new(&order.program);
        command
            .args(&order.leading)
            .args(["quantize", "--quiet", "--format=json", "--overwrite", "--reproducible", "--supervised"])
            .arg(format!("--jobs={}", order.threads))
            .arg(option("--output", &at(&model)))
            .arg(option("--plan", &at(&plan)))
            .arg(option("--report", &at(&report)))
            .arg(option("--report", &at(&page)))
            .arg(option("--report", &at(&text)))
            .args(&order.arguments)
            .arg("--")
            .arg(&order.input)
            .stdin(Stdio::piped())
            .stdout(file("stdout")?)
            .stderr(file("stderr")?);
        // What is typed to stop the batch is for the batch, which ends its conversions itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| {
            let problem = format!("cannot start {}: {error}", order.program.display());
            Error::write(folder.path())(io::Error::new(error.kind(), problem))
        })?;
        Ok(Self { child, staging: folder, begun: Instant::now(), took: None })
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// How long it has run.
    pub fn time(&self) -> Duration {
        self.took.unwrap_or_else(|| self.begun.elapsed())
    }

    /// The folder that it writes into.
    pub fn staging(&self) -> &Path {
        self.staging.path()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`Error::Read`] where the system does not say.
    pub fn ended(&mut self) -> Result<Option<End>> {
        let status = self.child.try_wait().map_err(Error::read(self.staging.path()))?;
        self.took = status.map(|_| self.time());
        Ok(status.map(|status| self.end(status)))
    }

    fn end(&self, status: ExitStatus) -> End {
        let told = told(&self.staging.path().join("stderr"));
        let message = |otherwise: String| if told.is_empty() { otherwise } else { told.clone() };
        match (status.code(), signal(status)) {
            (Some(code), _) if WRITTEN.contains(&code) => End::Written,
            (Some(NOTHING_QUANTIZED), _) => End::Unquantized(message("nothing was quantized".into())),
            (Some(101), _) => End::Failed(format!("crashed: {}", message("no message".into()))),
            (Some(code), _) => End::Failed(message(format!("ended with exit code {code} and no message"))),
            (None, Some(9)) => End::Killed("killed from outside, perhaps for want of memory".into()),
            (None, Some(number)) => {
                End::Failed(format!("killed by signal {number}: {}", message("no message".into())))
            }
            (None, None) => End::Failed(message("ended without saying how".into())),
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended by itself meanwhile.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The message at the end of what a process wrote on standard error.
fn told(path: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TOLD)))?;
        file.take(TOLD).read_to_end(&mut text)
    });
    // Without a message the exit code has to do.
    drop(read);
    reason(&String::from_utf8_lossy(&text))
}

/// What is worth telling of messages: an error, or what a panic says; neither numbers of threads nor traces, which differ.
fn reason(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find_map(|line| line.strip_prefix("error: "));
    let panic = lines.clone().position(|line| line.contains("panicked at"));
    let told = match (error, panic) {
        (Some(error), _) => error.to_owned(),
        (None, Some(at)) => {
            let lines: Vec<&str> = lines.skip(at).take(2).collect();
            let place =
                lines.first().and_then(|line| line.split_once("panicked at ")).map_or("", |(_, place)| place);
            [place, lines.get(1).copied().unwrap_or_default()].join(" ")
        }
        (None, None) => lines.next_back().unwrap_or_default().to_owned(),
    };
    let told = told.trim();
    match told.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &told[..end]),
        None => told.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_same_each_time() {
        assert_eq!(reason("note\nerror: m.onnx: broken\n"), "m.onnx: broken");
        assert_eq!(
            reason(
                "\nthread 'main' (4711) panicked at src/a.rs:1:2:\nindex out of bounds\nstack backtrace:\n 0: x"
            ),
            "src/a.rs:1:2: index out of bounds"
        );
        assert_eq!(reason("thread 'main' panicked at "), "");
        assert_eq!(reason("\n"), "");
        assert_eq!(reason("one\ntwo\n"), "two");
        assert_eq!(reason(&"ü".repeat(5000)).chars().count(), LONGEST + 1);
    }
}

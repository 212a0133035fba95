//! Loading the library, and a model that it runs.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as Runner, SessionInputValue};

use super::find::{VARIABLE, find, version};
use super::values::{from_onnxruntime, to_onnxruntime};
use super::{Library, Optimizations, Value};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::panics::caught;

/// Why there is no library: the problem and the remedy.
type Missing = (String, String);

/// The library, loaded at the first call.
///
/// # Errors
/// [`Error::NoOnnxruntime`] where there is none, or one that cannot be loaded.
pub fn library() -> Result<&'static Library> {
    static LOADED: OnceLock<std::result::Result<Library, Missing>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        load().map_err(|error| match error {
            Error::NoOnnxruntime { problem, remedy } => (problem, remedy),
            other => (other.to_string(), String::new()),
        })
    });
    loaded.as_ref().map_err(|(problem, remedy)| Error::NoOnnxruntime {
        problem: problem.clone(),
        remedy: remedy.clone(),
    })
}

/// Loads it. ort must not be called again where its first attempt failed: it takes what it did not load for loaded. So there is
/// one attempt, on a file that is there, and nothing here calls ort without [`library`].
fn load() -> Result<Library> {
    let path = find()?;
    let begun = guarded(|| {
        let environment = ort::init_from(&path).map_err(|error| error.to_string())?;
        environment.with_name("fourbit").with_telemetry(false).commit();
        let environment = Environment::current().map_err(|error| error.to_string())?;
        // What goes wrong comes back as an error; the terminal is not the library's.
        environment.set_log_level(LogLevel::Fatal);
        Ok(())
    });
    match begun {
        Ok(()) => Ok(Library { version: version(&path), path }),
        Err(problem) => Err(Error::NoOnnxruntime {
            problem: format!("{} cannot be loaded as onnxruntime: {}", path.display(), one_line(&problem)),
            remedy: format!("pip install -U onnxruntime, or name another library in {VARIABLE}"),
        }),
    }
}

/// A model that onnxruntime runs. May be used from several threads at once, which take turns.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    runner: Mutex<Runner>,
}

impl Session {
    /// Loads the model in a file, with what lies beside it.
    ///
    /// # Errors
    /// [`Error::NoOnnxruntime`] where there is no library, [`Error::Onnxruntime`] where it refuses the model.
    pub fn load(path: &Path, optimizations: Optimizations) -> Result<Self> {
        library()?;
        let runner = guarded(|| {
            let text = |error: ort::Error<SessionBuilder>| error.to_string();
            let builder = Runner::builder().map_err(|error| error.to_string())?;
            let builder = builder.with_log_level(LogLevel::Fatal).map_err(text)?;
            let builder = builder.with_intra_threads(rayon::current_num_threads()).map_err(text)?;
            let builder = builder.with_intra_op_spinning(false).map_err(text)?;
            let mut builder = match optimizations {
                Optimizations::Default => builder,
                Optimizations::Off => {
                    builder.with_optimization_level(GraphOptimizationLevel::Disable).map_err(text)?
                }
            };
            builder.commit_from_file(path).map_err(|error| error.to_string())
        });
        let runner = runner.map_err(|problem| failed("load", path, &problem))?;
        Ok(Self { path: path.to_owned(), runner: Mutex::new(runner) })
    }

    /// Runs the model once, with `inputs` found by their names.
    ///
    /// # Errors
    /// [`Error::Onnxruntime`] where it fails, [`Error::Invalid`] where an input is no tensor that can be fed.
    pub fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Value>> {
        let mut fed: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        for input in inputs {
            if runner.inputs().iter().any(|known| known.name() == input.name()) {
                fed.push((input.name().into(), to_onnxruntime(input)?));
            }
        }
        let outputs = guarded(|| {
            let outputs = runner.run(fed).map_err(|error| error.to_string())?;
            outputs.iter().map(|(name, value)| from_onnxruntime(name, &value)).collect()
        });
        outputs.map_err(|problem| failed("run", &self.path, &problem))
    }
}

fn failed(action: &'static str, path: &Path, problem: &str) -> Error {
    Error::Onnxruntime { action, path: path.to_owned(), problem: one_line(problem) }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Calls into ort, whose panics become errors too.
fn guarded<T>(call: impl FnOnce() -> std::result::Result<T, String>) -> std::result::Result<T, String> {
    caught(call).and_then(|result| result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_errors() {
        assert_eq!(guarded::<()>(|| panic!("bad {}", 7)), Err("it panicked: bad 7".into()));
        let error = failed("run", Path::new("m.onnx"), "one\n  two").to_string();
        assert_eq!(error, "onnxruntime cannot run m.onnx: one two");
    }
}

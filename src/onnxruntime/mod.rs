//! onnxruntime as a shared library, loaded at run time from where a person has it: the second judge, asked only on request. This is the only
//! part that names ort.

mod find;
#[cfg(feature = "onnxruntime")]
mod session;
#[cfg(feature = "onnxruntime")]
mod values;

#[cfg(not(feature = "onnxruntime"))]
mod absent;

#[cfg(not(feature = "onnxruntime"))]
pub use absent::{Session, library};
#[cfg(feature = "onnxruntime")]
pub use session::{Session, library};

use std::path::PathBuf;

/// The oldest version whose interface is used.
pub const OLDEST: &str = "1.17";

/// The shared library that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Where it lies.
    pub path: PathBuf,
    /// As in `1.20.1`, where the file's name says it.
    pub version: Option<String>,
}

impl Library {
    /// What reports call it.
    pub fn name(&self) -> String {
        match &self.version {
            Some(version) => format!("onnxruntime {version}"),
            None => "onnxruntime".into(),
        }
    }
}

/// Which of the runtime's rearrangements of the graph are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizations {
    /// Those that it uses unless told otherwise.
    Default,
    /// None: every node as the file has it.
    Off,
}

/// One output of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its values in row-major order; integers and booleans as the nearest f32.
    pub values: Vec<f32>,
}

//! The face of the library: what a program can ask for, and what it gets.

mod apply;
mod diff;
mod gate;
mod layers;
mod look;
mod model;
mod quantize;
mod record;
mod reports;
mod show;

pub use apply::Apply;
pub use diff::Diff;
pub use gate::Gate;
pub use layers::RankLayers;
pub use look::{Validate, check, inputs, inspect};
pub use model::Source;
pub use quantize::Quantize;
pub use record::Record;
pub use reports::{Report, Reports, page};
pub use show::ShowSamples;

pub use crate::error::{Error, ErrorKind, Result};
pub use crate::options::{
    Budget, CodeType, Compensation, Granularity, Opset, Options, Precision, Preprocessing, PreprocessingBase,
    Preset, Resize, Storage, TARGETS, Target, target_names,
};
pub use crate::pipeline::PlanSource;
pub use crate::plan::{
    Applied, Checked, Decision, Difference, Inspection, Outcome, Plan, Planned, Sensitivity, ShownSamples,
    Validation, Verdict,
};
pub use crate::progress::{Progress, Silent};
pub use crate::report::{Detail, TextStyle};
pub use crate::runtime::Output;
pub use crate::samples::{
    Declared as DeclaredInput, Element, Inputs, SampleSet, SampleSource, Size as InputSize, Tensor,
};
pub use crate::validate::{Seen, Witness};

/// The parts of results.
pub mod results {
    pub use crate::plan::*;
}

/// Collections of models, each converted in a process of its own.
#[cfg(feature = "batch")]
pub mod batch {
    pub use crate::place::Place;
    pub use crate::plan::{Event, Listener, Summary, Totals};
    pub use crate::report::collection::{csv, page, timings};
    pub use crate::zoo::*;
}

/// What a program with a terminal needs beside: fourbit's own does.
#[doc(hidden)]
pub mod program {
    pub use crate::api::reports::write_page;
    pub use crate::api::show::SHOWN_SAMPLES;
    pub use crate::files::abandon;
    pub use crate::onnxruntime;
    pub use crate::panics::quieten;
    pub use crate::pipeline::{FEWEST_SAMPLES, Feeding, MEASURED_SAMPLES, State, TRIED_LAYERS};
    #[cfg(feature = "cli")]
    pub use crate::report::terminal_width;
    pub use crate::report::{data, plain};
}

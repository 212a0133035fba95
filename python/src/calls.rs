//! The functions of the module, one for each use of the library.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use fourbit::program::{data, plain};
use fourbit::results::Gated;
use fourbit::{Apply, InputSize, Plan, RankLayers, Result, TextStyle, Validate};
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;

use crate::choices::Choices;
use crate::failure::raised;
use crate::models::Model;
use crate::spool::Given;
use crate::told::Told;
use crate::work::{Listener, run};

/// Widths and detail of what nobody asked more of.
const PLAIN: TextStyle = TextStyle { width: None, detail: fourbit::Detail::Normal };

fn raise<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}

/// The version of the library.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Does what a command line asks, and gives the exit code. `command` starts the program once more.
#[pyfunction]
pub fn main(py: Python<'_>, line: Vec<OsString>, command: Vec<OsString>) -> u8 {
    py.detach(|| fourbit::cli::started(line, command))
}

/// An input: its name, element type, dimensions, and the axis of the batch where that is not the first.
type Declared = (String, String, Option<Vec<Py<PyAny>>>, Option<usize>);

/// The inputs that must be fed to a model.
#[pyfunction]
pub fn inputs(py: Python<'_>, model: Model) -> PyResult<Vec<Declared>> {
    let found = raise(py, py.detach(|| fourbit::inputs(model.0)))?;
    let size = |size: InputSize| match size {
        InputSize::Fixed(size) => size.into_py_any(py),
        InputSize::Symbol(name) => name.into_py_any(py),
        InputSize::Open => Ok(py.None()),
    };
    let declared = |input: fourbit::DeclaredInput| {
        let dims = input.dims.map(|dims| dims.into_iter().map(size).collect::<PyResult<_>>()).transpose()?;
        Ok((input.name, input.element, dims, input.batch_axis))
    };
    found.into_iter().map(declared).collect()
}

/// Converts a model.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's own, by their names in the package")]
pub fn quantize<'py>(
    py: Python<'py>,
    model: Model,
    options: &str,
    samples: Option<Given>,
    validation: Option<Given>,
    in_memory: bool,
    on_progress: Option<Bound<'py, PyAny>>,
    on_note: Bound<'py, PyAny>,
) -> PyResult<Told> {
    let choices = raise(py, Choices::read(options))?;
    let given = (samples.map(|given| given.0), validation.map(|given| given.0));
    let conversion = raise(py, choices.quantize(model.0, given.0, given.1))?;
    let threads = raise(py, choices.threads())?;
    let (outcome, bytes) =
        run(py, threads, &Listener { on_progress, on_note, on_outputs: None }, move |progress, _| {
            Ok(match in_memory {
                true => conversion.run_to_bytes(progress).map(|(outcome, bytes)| (outcome, Some(bytes)))?,
                false => (conversion.run_with(progress)?, None),
            })
        })?;
    let plan = json(&outcome.plan)?;
    Ok(Told::new(outcome).with_model(py, bytes).with_plan(plan))
}

/// Decides on everything: the plan as JSON.
#[pyfunction]
pub fn plan<'py>(
    py: Python<'py>,
    model: Model,
    options: &str,
    samples: Option<Given>,
    validation: Option<Given>,
    on_progress: Option<Bound<'py, PyAny>>,
    on_note: Bound<'py, PyAny>,
) -> PyResult<String> {
    let choices = raise(py, Choices::read(options))?;
    let given = (samples.map(|given| given.0), validation.map(|given| given.0));
    let conversion = raise(py, choices.quantize(model.0, given.0, given.1))?;
    let threads = raise(py, choices.threads())?;
    let listener = Listener { on_progress, on_note, on_outputs: None };
    json(&run(py, threads, &listener, move |progress, _| conversion.plan_with(progress))?)
}

/// Finds the layers that cost most.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's own, by their names in the package")]
pub fn sensitivity<'py>(
    py: Python<'py>,
    model: Model,
    options: &str,
    samples: Option<Given>,
    validation: Option<Given>,
    measure: Option<usize>,
    layers: Option<usize>,
    on_progress: Option<Bound<'py, PyAny>>,
    on_note: Bound<'py, PyAny>,
) -> PyResult<Told> {
    let choices = raise(py, Choices::read(options))?;
    let given = (samples.map(|given| given.0), validation.map(|given| given.0));
    let conversion = raise(py, choices.quantize(model.0, given.0, given.1))?;
    let threads = raise(py, choices.threads())?;
    let mut ranking = RankLayers::of(&conversion);
    if let Some(count) = measure {
        ranking = ranking.samples(count);
    }
    if let Some(count) = layers {
        ranking = ranking.layers(count);
    }
    let listener = Listener { on_progress, on_note, on_outputs: None };
    run(py, threads, &listener, move |progress, _| ranking.run_with(progress)).map(Told::new)
}

/// Compares two models.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's own, by their names in the package")]
pub fn validate<'py>(
    py: Python<'py>,
    float: Model,
    quantized: Model,
    options: &str,
    samples: Option<Given>,
    on_progress: Option<Bound<'py, PyAny>>,
    on_note: Bound<'py, PyAny>,
    on_outputs: Option<Bound<'py, PyAny>>,
) -> PyResult<Told> {
    let choices = raise(py, Choices::read(options))?;
    let names = [&float, &quantized].map(|model| model.path().unwrap_or_else(|| "model in memory".into()));
    let comparison = || {
        let mut comparison = Validate::new(float.0, quantized.0)
            .seed(choices.seed())
            .feeding(choices.feeding())
            .cross_check(choices.cross_check()?);
        if let Some(samples) = samples {
            comparison = comparison.samples(samples.0);
        }
        if let Some(pictures) = choices.preprocessing()? {
            comparison = comparison.preprocess(pictures);
        }
        if let Some(count) = choices.max_samples()? {
            comparison = comparison.max_samples(count);
        }
        Ok((comparison, choices.gate()?, choices.threads()?))
    };
    let (comparison, gate, threads) = raise(py, comparison())?;
    let is_watched = on_outputs.is_some();
    let listener = Listener { on_progress, on_note, on_outputs };
    let verdict = run(py, threads, &listener, move |progress, shown| match is_watched {
        true => comparison.witness(Arc::new(shown)).run_with(progress),
        false => comparison.run_with(progress),
    })?;
    let is_compared = matches!(verdict, fourbit::Verdict::Validated(_));
    // A limit on what was not compared is told by the verdict.
    let limits = if is_compared { raise(py, gate.judged(&verdict))? } else { Vec::new() };
    let [float, quantized] = names;
    Ok(Told::new(Gated { float, quantized, verdict, limits }))
}

/// Carries a plan out.
#[pyfunction]
pub fn apply<'py>(
    py: Python<'py>,
    model: Model,
    plan: PathBuf,
    options: &str,
    on_progress: Option<Bound<'py, PyAny>>,
    on_note: Bound<'py, PyAny>,
) -> PyResult<Told> {
    let choices = raise(py, Choices::read(options))?;
    let (output, overwrite, external_data) = choices.output();
    let mut application = Apply::new(model.0, plan).overwrite(overwrite).external_data(external_data);
    if let Some(file) = output {
        application = application.output(file);
    }
    if let Some(count) = choices.first() {
        application = application.first(count);
    }
    let listener = Listener { on_progress, on_note, on_outputs: None };
    run(py, None, &listener, move |progress, _| application.run_with(progress)).map(Told::new)
}

/// What is in a model.
#[pyfunction]
pub fn inspect(py: Python<'_>, model: Model) -> PyResult<Told> {
    raise(py, py.detach(|| fourbit::inspect(model.0))).map(Told::new)
}

/// What a target does not take of a model, and whether it objects to anything.
#[pyfunction]
pub fn check(py: Python<'_>, model: Model, target: &str) -> PyResult<(Told, bool)> {
    let target = raise(py, fourbit::Target::named(target))?;
    let checked = raise(py, py.detach(|| fourbit::check(model.0, target)))?;
    let objects = checked.has_objections();
    Ok((Told::new(checked), objects))
}

/// What the targets take, as JSON and in words.
#[pyfunction]
pub fn targets() -> (String, String) {
    (data::targets(), plain::targets(PLAIN))
}

fn json(plan: &Plan) -> PyResult<String> {
    serde_json::to_string(plan).map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
}

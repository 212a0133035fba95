//! Results on their way back.

use fourbit::{Detail, Report, TextStyle};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A result: as JSON and in words.
#[pyclass(frozen)]
pub struct Told {
    report: Box<dyn Report + Send + Sync>,
    /// The bytes of a model that no file holds.
    model: Option<Py<PyBytes>>,
    plan: Option<String>,
}

impl Told {
    /// A result that is told, and nothing beside.
    pub fn new(report: impl Report + Send + Sync + 'static) -> Self {
        Self { report: Box::new(report), model: None, plan: None }
    }

    /// With the bytes of a model.
    pub fn with_model(self, py: Python<'_>, bytes: Option<Vec<u8>>) -> Self {
        Self { model: bytes.map(|bytes| PyBytes::new(py, &bytes).unbind()), ..self }
    }

    /// With a plan, as JSON.
    pub fn with_plan(self, plan: String) -> Self {
        Self { plan: Some(plan), ..self }
    }
}

#[pymethods]
impl Told {
    #[getter]
    fn json(&self) -> String {
        self.report.to_json()
    }

    #[getter]
    fn model(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        self.model.as_ref().map(|bytes| bytes.clone_ref(py))
    }

    #[getter]
    fn plan(&self) -> Option<String> {
        self.plan.clone()
    }

    /// Sentences, and with `full` all tables.
    fn text(&self, width: Option<u16>, full: bool) -> String {
        let detail = if full { Detail::Full } else { Detail::Normal };
        self.report.to_text(TextStyle { width, detail })
    }
}

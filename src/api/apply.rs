//! Plans carried out.

use std::path::PathBuf;

use super::model::Source;
use crate::error::{Error, Result};
use crate::pipeline::{self, Application, PlanSource};
use crate::plan::{Applied, Plan};
use crate::progress::{Progress, Silent};

/// A plan made earlier, perhaps edited, to be carried out on the model that it was made for.
///
/// ```
/// use fourbit::{Apply, Precision, Quantize};
///
/// # let folder = tempfile::tempdir()?;
/// # let out = folder.path().join("waves.w4.onnx");
/// let model = "models/waves_recurrent/model.onnx";
/// let mut plan = Quantize::new(model).precision(Precision::W4).plan()?;
/// plan.decisions.retain(|decision| !decision.tensor().starts_with("lstm"));
/// let applied = Apply::new(model, plan).output(&out).run()?;
/// # assert!(out.is_file() && applied.of > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct Apply {
    model: Source,
    plan: PlanSource,
    output: Option<PathBuf>,
    first: Option<usize>,
    overwrite: bool,
    external_data: bool,
}

impl Apply {
    /// `plan`, a [`Plan`] or the path of one, for `model`.
    pub fn new(model: impl Into<Source>, plan: impl Into<PlanSource>) -> Self {
        Self {
            model: model.into(),
            plan: plan.into(),
            output: None,
            first: None,
            overwrite: false,
            external_data: false,
        }
    }

    /// The file to write. Where nothing is said, it lies beside the model and is called after it and the precision.
    pub fn output(mut self, file: impl Into<PathBuf>) -> Self {
        self.output = Some(file.into());
        self
    }

    /// Only the first so many decisions: with this, one that costs accuracy can be found by halving.
    pub fn first(mut self, count: usize) -> Self {
        self.first = Some(count);
        self
    }

    /// Whether an existing output may be replaced.
    pub fn overwrite(mut self, allowed: bool) -> Self {
        self.overwrite = allowed;
        self
    }

    /// Whether large tensors go to a file of their own beside the model, and not only where one file would be too large.
    pub fn external_data(mut self, wanted: bool) -> Self {
        self.external_data = wanted;
        self
    }

    /// Writes the model, and proves that the file says what the plan does.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Plan`] where the plan is damaged or was made for another model; otherwise
    /// [`Error::kind`] says. No output is left behind then.
    pub fn run(&self) -> Result<Applied> {
        self.run_with(&Silent)
    }

    /// Applies the plan as [`Apply::run`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`Apply::run`].
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Applied> {
        let located = self.model.locate()?;
        if located.is_temporary() && self.output.is_none() {
            let remedy = "give the output a path";
            return Err(Error::options("a model in memory has no folder to write beside it", remedy));
        }
        let application = Application {
            input: located.path(),
            plan: &self.plan,
            output: self.output.as_deref(),
            first: self.first,
            overwrite: self.overwrite,
            external_data: self.external_data,
        };
        located.told(pipeline::apply(&application, progress))
    }
}

impl From<Plan> for PlanSource {
    fn from(plan: Plan) -> Self {
        Self::Plan(Box::new(plan))
    }
}

impl<P: Into<PathBuf>> From<P> for PlanSource {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

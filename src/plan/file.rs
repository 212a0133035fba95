//! Plans as JSON files.

use std::io::Write as _;
use std::path::Path;

use super::decision::{Decision, Plan, VERSION};
use crate::error::{Error, Result};
use crate::onnx::Sink;

/// Writes `plan`, pretty-printed.
///
/// # Errors
/// As [`Sink::create`] and [`Sink::commit`].
pub fn write(plan: &Plan, path: &Path, overwrite: bool) -> Result<()> {
    let mut sink = Sink::create(path, overwrite)?;
    serde_json::to_writer_pretty(&mut sink, plan).map_err(|error| Error::write(path)(error.into()))?;
    sink.write_all(b"\n").map_err(Error::write(path))?;
    sink.commit()
}

/// Reads a plan and checks that each decision is consistent in itself.
///
/// # Errors
/// [`Error::Read`], or [`Error::Plan`] naming the field or site that is wrong.
pub fn read(path: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
    let wrong = |place: String, problem: String| Error::Plan { path: path.to_owned(), place, problem };
    let found = serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| wrong("JSON".into(), error.to_string()))?;
    match found.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(wrong("version".into(), format!("{version}, this program reads version {VERSION}")));
        }
        None => return Err(wrong("version".into(), "missing: this is no plan".into())),
    }
    drop(found);
    let mut plan: Plan =
        serde_json::from_str(&text).map_err(|error| wrong("JSON".into(), error.to_string()))?;
    for decision in &mut plan.decisions {
        let problem = match decision {
            Decision::Weight(weight) => {
                if weight.storage.is_signed() {
                    weight.codes = std::mem::take(&mut weight.codes).sign_extended();
                }
                weight.problem()
            }
            Decision::Activation(activation) => activation.problem(),
        };
        if let Some(problem) = problem {
            return Err(wrong(format!("decision on {}", decision.tensor()), problem));
        }
    }
    Ok(plan)
}

impl super::WeightDecision {
    /// What is inconsistent in this decision, if anything.
    pub fn problem(&self) -> Option<String> {
        let (lowest, highest) = self.storage.range();
        let outside = |code: &&i16| !(lowest..=highest).contains(&i32::from(**code));
        let elements =
            self.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?));
        let scales = match self.axis {
            None => Some(1),
            Some(axis) => self.dims.get(axis).and_then(|&dim| usize::try_from(dim).ok()),
        };
        if self.codes.bits != self.storage.bits() || Some(self.codes.values.len()) != elements {
            return Some(format!(
                "{} codes of {} bits for {} {:?}",
                self.codes.values.len(),
                self.codes.bits,
                self.storage,
                self.dims
            ));
        }
        if Some(self.scales.len()) != scales || self.zero_points.len() != self.scales.len() {
            let (scales, zeros) = (self.scales.len(), self.zero_points.len());
            return Some(format!(
                "{scales} scales and {zeros} zero points for axis {:?} of {:?}",
                self.axis, self.dims
            ));
        }
        if let Some(scale) = self.scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            return Some(format!("scale {scale} is not above zero"));
        }
        let stray = self.codes.values.iter().find(outside).or_else(|| self.zero_points.iter().find(outside));
        if let Some(code) = stray {
            return Some(format!("{code} is no {} code", self.storage));
        }
        let infinite = |change: &&super::BiasChange| change.values.iter().any(|value| !value.is_finite());
        self.biases.iter().find(infinite).map(|change| format!("bias of {} is not finite", change.read.node))
    }
}

impl super::ActivationDecision {
    /// What is inconsistent in this decision, if anything.
    pub fn problem(&self) -> Option<String> {
        let (lowest, highest) = self.storage.range();
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Some(format!("scale {} is not above zero", self.scale));
        }
        let inside = (lowest..=highest).contains(&i32::from(self.zero_point));
        (!inside).then(|| format!("zero point {} is no {} code", self.zero_point, self.storage))
    }
}

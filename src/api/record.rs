//! Figures of single samples.

use std::sync::Arc;

use crate::plan::PerSample;
use crate::report::data;
use crate::validate::Recorder;

/// What both models of a comparison answer, sample by sample: give it to [`crate::Validate::record`], and read it after the run. Nothing is
/// recorded where only a part of the model can be run.
///
/// ```
/// use fourbit::{Record, Validate};
///
/// let (model, record) = ("models/waves_recurrent/model.onnx", Record::default());
/// Validate::new(model, model).max_samples(4).record(&record).run()?;
/// assert_eq!(record.worst_first().len(), 4);
/// assert!(record.to_csv().starts_with("sample,row,label,"));
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Record(pub(super) Arc<Recorder>);

impl Record {
    /// The samples, or rows of their class scores, the worst first: values that are not finite, answers that were right, other answers
    /// that differ, and then by SQNR.
    pub fn worst_first(&self) -> Vec<PerSample> {
        self.0.worst_first()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The samples of [`Record::worst_first`] as comma-separated values with a header; a cell is empty where there is no such figure.
    pub fn to_csv(&self) -> String {
        data::per_sample(&self.worst_first())
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "Record({} rows)", self.0.len())
    }
}

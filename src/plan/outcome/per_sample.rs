//! What both models answer, sample by sample.

use serde::Serialize;

/// What both models give for one sample, or for one row of its class scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerSample {
    /// Its file, or its place.
    pub sample: String,
    /// The row of its class scores; `None` where the outputs hold none.
    pub row: Option<usize>,
    /// The label of the row, where there is one.
    pub label: Option<i64>,
    /// The class that the float model chooses.
    pub float_class: Option<usize>,
    /// The class that the quantized model chooses.
    pub quantized_class: Option<usize>,
    /// How far the float model's score of its class is above its next one.
    pub float_margin: Option<f64>,
    /// The same distance in the quantized model.
    pub quantized_margin: Option<f64>,
    /// SQNR of the sample's outputs in dB, each output relative to its own energy; `None` where they are equal.
    pub sqnr_db: Option<f64>,
    /// Values that are not finite in the quantized model but are in the float one.
    pub not_finite: u64,
    /// Boxes of the float model, where the outputs are those of a detector.
    pub float_boxes: Option<usize>,
    /// Boxes of the quantized model.
    pub quantized_boxes: Option<usize>,
    /// Pairs of both.
    pub matched_boxes: Option<usize>,
}

impl PerSample {
    /// Whether the float model is right and the quantized one is not.
    pub fn is_lost(&self) -> bool {
        let label = self.label.and_then(|label| usize::try_from(label).ok());
        label.is_some() && self.float_class == label && self.quantized_class != label
    }

    /// Whether the models choose different classes.
    pub fn differs(&self) -> bool {
        self.float_class != self.quantized_class
    }
}

//! Detections of both models, matched.

use serde::{Deserialize, Serialize};

/// How the boxes that both models find fit together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boxes {
    /// The outputs that were read as boxes, and as what.
    pub form: String,
    /// Boxes of the float model over all samples.
    pub float: usize,
    /// Boxes of the quantized model.
    pub quantized: usize,
    /// Pairs of both.
    pub matched: usize,
    /// `2 matched / (float + quantized)`; `None` where neither model finds a box.
    pub f1: Option<f64>,
    /// Mean intersection over union of the pairs; `None` without pairs.
    pub mean_iou: Option<f64>,
}

impl Boxes {
    /// Boxes with a lower score are left out.
    pub const LEAST_SCORE: f64 = 0.25;
    /// Two boxes of one class with at least this intersection over union are a pair.
    pub const LEAST_IOU: f64 = 0.5;
}

//! A written file on samples that it was calibrated on.

use serde::{Deserialize, Serialize};

/// The written file on some of the samples that it was calibrated on, beside its figures on others. Codes are fitted to calibration
/// samples, so that it is nearer to the float model on these; the more of them there are, the less so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// How many calibration samples both models were run on for this.
    pub samples: usize,
    /// How many samples the file was calibrated on.
    pub calibrated: usize,
    /// SQNR of the outputs on them, the mean of the noise over the outputs, in dB; `None` without any difference.
    pub sqnr_db: Option<f64>,
    /// Share of them on which both models choose the same class.
    pub agreement: Option<f64>,
    /// SQNR of the outputs on the samples that judge the file, in dB.
    pub outside_db: Option<f64>,
    /// How much larger the SQNR on calibration samples is, in dB.
    pub gap_db: Option<f64>,
    /// How many calibration samples would make more of them worth little, where the gap is wide and not seen on a handful of samples.
    pub enough: Option<Enough>,
}

/// A number of calibration samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enough {
    /// How many, in two digits.
    pub samples: usize,
    /// Whether it may take many more: so few samples are fitted so closely that the gap says no more than this.
    pub at_least: bool,
}

impl Inside {
    /// A gap in dB from which on more calibration samples are worth looking for.
    pub const WIDE_DB: f64 = 3.0;

    /// Whether the gap is wide.
    pub fn is_wide(&self) -> bool {
        self.gap_db.is_some_and(|gap| gap > Self::WIDE_DB)
    }
}

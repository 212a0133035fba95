//! What is asked for each site, resolved from the options before anything is solved.

use crate::options::{Compensation, Granularity, Options, Spelling, Storage};
use crate::plan::{Partition, WeightSite};

/// What is known of the inputs that a weight tensor meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing that is made use of.
    None,
    /// What is usual.
    Usual,
    /// Means and variances of channels, from a BatchNormalization.
    Normalisation,
    /// Samples.
    Samples,
}

/// How one weight tensor is to be quantized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Treatment {
    pub storage: Storage,
    pub partition: Partition,
    /// How many low-bit tensors are summed.
    pub terms: usize,
    pub spelling: Spelling,
    /// Whether codes are chosen for the layer's output.
    pub compensate: bool,
    /// Whether the mean error of outputs is corrected.
    pub correct_biases: bool,
    pub reason: String,
}

impl Treatment {
    /// What `options` ask for `site`; `None` where they leave weights float.
    pub fn of(site: &WeightSite, options: &Options, evidence: Evidence) -> Option<Self> {
        let storage = options.weights?;
        let axis = site.axis.filter(|_| options.granularity == Granularity::Channel);
        let partition = axis.map_or(Partition::Tensor, |axis| Partition::Channel { axis });
        let compensate = evidence != Evidence::None && options.compensation != Compensation::None;
        let mut treatment = Self {
            storage,
            partition,
            terms: 1,
            spelling: Spelling::default(),
            compensate,
            correct_biases: options.bias_correction && evidence != Evidence::Usual,
            reason: String::new(),
        };
        treatment.reason = treatment.words(site, options, evidence);
        Some(treatment)
    }

    fn words(&self, site: &WeightSite, options: &Options, evidence: Evidence) -> String {
        let partition = match (self.partition, options.granularity) {
            (Partition::Channel { .. }, _) => "one scale a kernel",
            (_, Granularity::Channel) if site.axis.is_none() => "one scale: its readers take different axes",
            _ => "one scale a tensor",
        };
        let zero = match self.storage {
            Storage::Int4 => ", odd code on the better side",
            Storage::Uint4 => ", best of 16 zero points",
            Storage::Int8 | Storage::Uint8 => "",
        };
        let rest = match (self.compensate, options.compensation) {
            (true, _) if evidence == Evidence::Usual => {
                ", output error compensated on inputs as they usually are"
            }
            (true, _) if evidence == Evidence::Normalisation => {
                ", output error compensated on inputs as batch normalisation makes them"
            }
            (true, Compensation::Sequential) => {
                ", output error compensated on the quantized network's inputs"
            }
            (true, _) => ", output error compensated on the float network's inputs",
            (false, _) if self.correct_biases => ", rounding errors of each kernel cancelled",
            _ => "",
        };
        let method = if self.compensate { "least output error" } else { "exact MMSE" };
        format!("{method}, {partition}{zero}{rest}")
    }
}

//! Plans with one layer left float: what a conversion with `exclude` would come to. There is one definition, this one:
//! weights of later layers are solved anew, on the inputs that the network without this layer's errors gives.

use crate::analyse::analyse;
use crate::calibrate::Reach;
use crate::error::Result;
use crate::options::{Compensation, Globs, LayerRule, Options};
use crate::pipeline::Ready;
use crate::pipeline::decide::decide;
use crate::pipeline::measure::Clock;
use crate::plan::{Plan, WeightSite};
use crate::progress::{Progress, Unheard};
use crate::samples::Samples;

/// Everything that plans are made from but the samples.
pub(super) struct Again<'a> {
    pub options: &'a Options,
    pub ready: &'a Ready,
    pub progress: &'a dyn Progress,
}

impl Again<'_> {
    /// The plan that leaves what fits the pattern `exclude` float, made on `samples`.
    ///
    /// # Errors
    /// [`crate::error::Error::Options`] where the options name that layer and no other; whatever analysing, running and
    /// solving gives.
    pub fn plan(&self, exclude: Option<&str>, samples: Option<&Samples>) -> Result<Plan> {
        let mut options = self.options.clone();
        options.exclude.extend(exclude.map(str::to_owned));
        let analysis = analyse(&self.ready.opened.model, &options)?;
        // Rules of the tensors that got more bits, of which one may be left float now.
        let there = |rule: &LayerRule| {
            let of = |site: &WeightSite| Globs::literal(&site.tensor) == rule.matching;
            rule.weights_why.is_none() || analysis.weights.iter().any(of)
        };
        options.layers.retain(there);
        let reach = Reach::default();
        let mut clock = Clock::start();
        Ok(decide(&options, self.ready, &analysis, reach, samples, &mut clock, &Unheard(self.progress))?.plan)
    }

    /// Whether weights depend on what was decided for layers before them.
    pub fn depends(&self, calibrated: bool) -> bool {
        let sequential = matches!(self.options.compensation, Compensation::Scales | Compensation::Sequential);
        sequential && calibrated && self.options.quantizes_weights()
    }
}

/// The pattern of `exclude` for `tensor`.
pub(super) fn pattern(tensor: &str) -> String {
    Globs::typed(tensor)
}

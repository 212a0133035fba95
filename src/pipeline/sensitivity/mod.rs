//! Which layer to mend: what the outputs gain where one layer is left float in the final plan.
//!
//! That takes a conversion for each layer, and of those only three are made. Which three, cheaper plans say, made on fewer
//! samples; and which layers are worth such a plan, a first look at the finished plan taken apart.

mod again;
mod apart;
mod judges;
#[cfg(test)]
mod tests;

use again::{Again, pattern};
use apart::{Apart, apart};
use judges::{Judges, divide};

use super::Job;
use super::MEASURED_SAMPLES;
use super::bench::Bench;
use super::measure::{Clock, weight_bits};
use super::proportion::in_proportion;
use super::solved::{Solved, solved};
use crate::error::{Error, Result};
use crate::plan::{self, Confirmed, Doubt, Gain, Layer, LayerSensitivity, Plan, Sensitivity};
use crate::progress::{Progress, Stage};
use crate::samples::{SampleSet, Samples};

/// Layers for which a plan is made on fewer samples, where no number is asked for: on measured networks the three that gain
/// most were among the first six of the first look.
pub const TRIED_LAYERS: usize = 8;

/// Samples of the first look. It only says which layers to try, and takes two runs of each sample for each layer.
const FIRST_LOOK: usize = 8;
/// Calibration samples of plans for estimates. With 16 the order of the layers has little to do with what conversions give; with
/// 64 its rank correlation with that is 0.75, about what two conversions on different calibration samples have with each other.
const SOLVED_ON: usize = 64;
/// Conversions made.
const CONFIRMED: usize = 3;
/// Values of outputs, over all samples, that are kept in memory at a time.
const MOST_VALUES: usize = 1 << 26;

/// How much work to put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Samples that estimates are made on.
    pub samples: usize,
    /// Layers for which an estimate is made, where later weights depend on them.
    pub layers: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { samples: MEASURED_SAMPLES, layers: TRIED_LAYERS }
    }
}

/// Plans as [`super::quantize()`] does, and finds what the outputs gain where single layers are left float, on samples that
/// calibration did not use. What conversions confirmed comes first, the largest gain first.
///
/// # Errors
/// Any: see [`Error`]; [`Error::Options`] where there are too few samples, or tract cannot run the model.
pub fn sensitivity(job: &Job, effort: Effort, progress: &dyn Progress) -> Result<Sensitivity> {
    if let Some(path) = job.validation.as_ref().and_then(SampleSet::file) {
        // Told before the work; whether they fit is seen after it.
        std::fs::metadata(path).map_err(Error::read(path))?;
    }
    let beside = Samples::discover(&job.input);
    let validation = job.validation.clone().or(beside.validation.map(SampleSet::from));
    if validation.is_none() && job.calibration.is_none() && beside.calibration.is_none() {
        return Err(Error::options(
            "sensitivity needs samples to run the model on",
            "give samples by `.calibration` or `.validation`",
        ));
    }
    let mut divided = None;
    let solved = solved(
        job,
        &mut |model, all, beside| {
            let given = match (beside.opened, &validation) {
                (Some(opened), _) => Some(opened.clone()),
                (None, Some(set)) => Some(job.feeding.open(set, model, beside.preprocess)?),
                (None, None) => None,
            };
            let (fit, judges) = divide(job, &all, given)?;
            divided = Some(judges);
            Ok(fit)
        },
        progress,
    )?;
    if let Some(problem) = solved.ready.first_fault() {
        return Err(unable(&problem));
    }
    let judges = match (divided, &validation) {
        (Some(judges), _) => judges,
        (None, Some(set)) => Judges::given(
            job,
            job.feeding.open(set, &solved.ready.opened.model, solved.preprocess.as_ref())?,
        )?,
        (None, None) => {
            return Err(Error::options(
                "sensitivity needs samples, and those beside the model are not used, since it is large",
                "give samples by `.calibration` or `.validation`",
            ));
        }
    };
    match found(job, effort, solved, judges, progress) {
        Err(error @ Error::Runtime { .. }) => Err(unable(&error.to_string())),
        other => other,
    }
}

fn unable(problem: &str) -> Error {
    Error::options(
        format!("the layers cannot be measured, since this model cannot be run: {problem}"),
        "`fourbit::inspect` lists what stands in the way; export the model without it",
    )
}

fn found(
    job: &Job,
    effort: Effort,
    solved: Solved,
    mut judges: Judges,
    progress: &dyn Progress,
) -> Result<Sensitivity> {
    let Solved { ready, analysis, plan, options, calibration, samples, mut clock, .. } = solved;
    let (kept, excess) = in_proportion(&ready.opened.model, judges.samples, job.seed)?;
    judges.samples = kept;
    if let Some(Doubt::Excessive { used, of, reason }) = excess {
        judges.warnings.push(format!("{used} of {of} samples are used to judge: {reason}"));
    }
    let few = judges.samples.clone().choose(Some(effort.samples), job.seed);
    let bench = Bench::new(&ready.opened.model, &few)?;
    let most = (MOST_VALUES / bench.values().max(1)).max(few.len());
    let all = judges.samples.choose(Some(most), job.seed);
    let estimator = Estimator {
        again: Again { options: &options, ready: &ready, progress },
        calibration: samples.as_ref().filter(|_| calibration.is_some()),
        plan: &plan,
        layers: Layer::all(&analysis, &plan),
        few: &few,
        seed: job.seed,
        progress,
    };
    let mut rows: Vec<LayerSensitivity> = estimator.layers.iter().map(row).collect();
    let mut warnings = judges.warnings;
    let solved_on = estimator.estimate(&bench, effort.layers, &mut rows, (&mut clock, &mut warnings))?;
    let doubts = bench.whole(&plan)?.doubts;
    drop(bench);
    let bench = Bench::new(&ready.opened.model, &all)?;
    let whole = estimator.confirm(&bench, &mut rows)?;
    clock.lap("confirm");
    rows.sort_by(LayerSensitivity::order);
    let mut of_model = ready.opened.warnings;
    of_model.extend(warnings);
    of_model.extend(rows.iter().filter(|row| row.is_contradicted()).map(contradicted));
    Ok(Sensitivity {
        doubts,
        input: job.input.clone(),
        precision: plan.precision.clone(),
        calibration,
        judges: plan::Judges {
            source: all.path().display().to_string(),
            samples: all.len(),
            measured: few.len(),
            held_back: judges.held_back,
            left_out: judges.left_out,
        },
        solved_on,
        whole,
        layers: rows,
        warnings: of_model,
        seconds: clock.seconds,
    })
}

/// What layers are looked at with.
struct Estimator<'s> {
    again: Again<'s>,
    calibration: Option<&'s Samples>,
    plan: &'s Plan,
    layers: Vec<Layer<'s>>,
    few: &'s Samples,
    seed: u64,
    progress: &'s dyn Progress,
}

impl Estimator<'_> {
    /// Fills in first looks and estimates. Gives the number of samples that plans were made on for these; `None` where the
    /// finished plan without a layer is what a conversion without it gives.
    fn estimate(
        &self,
        bench: &Bench,
        tried: usize,
        rows: &mut [LayerSensitivity],
        (clock, warnings): (&mut Clock, &mut Vec<String>),
    ) -> Result<Option<usize>> {
        let mut slowly = |apart: &Apart| {
            let problem = apart.not_resumed.as_ref();
            warnings.extend(problem.map(|problem| format!("each layer took whole runs: {problem}")));
        };
        let Some(calibration) = self.calibration.filter(|_| self.again.depends(true)) else {
            let apart = apart(bench, self.plan, &self.layers, false, self.progress)?;
            slowly(&apart);
            for (row, one) in rows.iter_mut().zip(&apart.layers) {
                row.estimate = Some(one.without.gain(&apart.whole));
            }
            clock.lap("estimate");
            return Ok(None);
        };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if rows.len() > tried {
            let first = self.few.clone().choose(Some(FIRST_LOOK), self.seed);
            let bench = Bench::new(bench.model, &first)?;
            let apart = apart(&bench, self.plan, &self.layers, true, self.progress)?;
            slowly(&apart);
            let whole = apart.whole.loss();
            for (row, one) in rows.iter_mut().zip(&apart.layers) {
                row.first_look = Some(one.share(&whole));
            }
            // Stable: among equals the graph's order.
            order.sort_by(|&one, &other| {
                let share = |at: usize| rows[at].first_look.unwrap_or(0.0);
                share(other).total_cmp(&share(one))
            });
            order.truncate(tried);
            clock.lap("first look");
        }
        let samples = calibration.clone().choose(Some(SOLVED_ON), self.seed);
        let whole = bench.judged(&self.again.plan(None, Some(&samples))?)?;
        let stage = Stage::begin(self.progress, "estimate", order.len())?;
        for at in order {
            match self.again.plan(Some(&rows[at].exclude), Some(&samples)) {
                Ok(plan) => rows[at].estimate = Some(bench.judged(&plan)?.gain(&whole)),
                Err(error @ Error::Options { .. }) => rows[at].refused = Some(error.to_string()),
                Err(error) => return Err(error),
            }
            stage.step()?;
        }
        drop(stage);
        clock.lap("estimate");
        Ok(Some(samples.len()))
    }

    /// Converts without each of the layers that are estimated to gain most. Gives the loss with all of them.
    fn confirm(&self, bench: &Bench, rows: &mut [LayerSensitivity]) -> Result<plan::Loss> {
        let whole = bench.judged(self.plan)?;
        let estimated = |at: &usize| rows[*at].estimate.is_some() && rows[*at].refused.is_none();
        let mut order: Vec<usize> = (0..rows.len()).filter(estimated).collect();
        let gain = |at: usize| rows[at].estimate.as_ref();
        order.sort_by(|&one, &other| match (gain(one), gain(other)) {
            (Some(one), Some(other)) => Gain::order(one, other),
            _ => std::cmp::Ordering::Equal,
        });
        order.truncate(CONFIRMED);
        let stage = Stage::begin(self.progress, "confirm", order.len())?;
        for at in order {
            match self.again.plan(Some(&rows[at].exclude), self.calibration) {
                Ok(plan) => {
                    let without = bench.judged(&plan)?;
                    let gain = without.gain(&whole);
                    rows[at].confirmed = Some(Confirmed { gain, without: without.loss() });
                }
                Err(error @ Error::Options { .. }) => rows[at].refused = Some(error.to_string()),
                Err(error) => return Err(error),
            }
            stage.step()?;
        }
        Ok(whole.loss())
    }
}

fn row(layer: &Layer) -> LayerSensitivity {
    let site = layer.site;
    let weights = site.dims.iter().product::<i64>().unsigned_abs();
    LayerSensitivity {
        tensor: site.tensor.clone(),
        node: site.readers[0].read.node.clone(),
        operator: site.readers[0].read.operator.clone(),
        weights,
        bytes_float: 4 * weights,
        bytes_low: layer
            .weights
            .map_or(4 * weights, |weights| weight_bits(weights, layer.storage()).div_ceil(8)),
        first_look: None,
        estimate: None,
        confirmed: None,
        refused: None,
        exclude: pattern(&site.tensor),
        command: Vec::new(),
    }
}

fn contradicted(layer: &LayerSensitivity) -> String {
    let decibels = |gain: Option<&Gain>| gain.map_or(0.0, |gain| gain.sqnr_db.value);
    format!(
        "{}: an estimate promised {:+.2} dB, and a conversion without it gives {:+.2} dB: the conversion counts",
        layer.tensor,
        decibels(layer.estimate.as_ref()),
        decibels(layer.confirmed.as_ref().map(|confirmed| &confirmed.gain))
    )
}

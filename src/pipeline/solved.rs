//! Everything up to a plan: what conversions, plans and searches for layers begin with.

use std::collections::HashSet;
use std::path::Path;

use super::bits::{self, lifted, with};
use super::budget::{Task, keep};
use super::coverage::coverage;
use super::decide::{decide, unable};
use super::feeding::Feeding;
use super::generated::{Made, Wish, generated, numbers};
use super::measure::{Clock, is_large};
use super::patterns::unmatched;
use super::proportion::in_proportion;
use super::samples::{Beside, Choose, calibration_samples};
use super::{Job, Ready, ready, refuse_opset};
use crate::analyse::analyse;
use crate::calibrate::{Reach, count};
use crate::error::{Error, Result};
use crate::options::{Compensation, Options, Preprocessing};
use crate::plan::{Analysis, Budgeted, Decision, Fingerprint, Plan, Saturation};
use crate::progress::Progress;
use crate::samples::{Preprocess, Range, SampleSet, Samples};
use crate::solve::Noted;
use crate::validate::check_declared;

/// A plan, and everything that it came from.
pub(super) struct Solved {
    pub ready: Ready,
    pub analysis: Analysis,
    pub plan: Plan,
    /// What was asked for, with rules for the tensors that got more bits.
    pub options: Options,
    pub budget: Option<Budgeted>,
    pub calibration: Option<(String, usize)>,
    /// The samples that were calibrated on.
    pub samples: Option<Samples>,
    /// Their digests.
    pub digests: HashSet<u64>,
    pub preprocess: Option<Preprocess>,
    pub validation: Option<SampleSet>,
    /// All samples of the file with calibration samples, where they fit the model.
    pub source: Option<SampleSet>,
    /// How the model is fed.
    pub feeding: Feeding,
    /// The validation samples as opened before the work, where these were given and no state is fed back.
    pub opened: Option<Samples>,
    /// What the plan does not hold, where somebody asks for it.
    pub notes: Noted,
    pub clock: Clock,
}

/// Everything up to the plan.
pub(super) fn solved(job: &Job, choose: &mut Choose, progress: &dyn Progress) -> Result<Solved> {
    let mut clock = Clock::start();
    job.options.check_widths()?;
    job.options.check_nbits()?;
    let mut ready = ready(&job.input, job.options.opset, &job.shapes)?;
    ready.details = job.details;
    refuse_opset(&job.options, &ready.opened.model)?;
    match unmatched(&job.options, &[&ready.opened.float, &ready.opened.model])? {
        Some(error) if job.one_of_many => ready.opened.warnings.push(error.to_string()),
        Some(error) => return Err(error),
        None => {}
    }
    let fitting;
    let job = if job.one_of_many {
        let (feeding, ignored) = job.feeding.fitting(&ready.opened.float);
        ready.opened.warnings.extend(ignored);
        fitting = Job { feeding, ..job.clone() };
        &fitting
    } else {
        job
    };
    clock.lap("prepare");
    let mut analysis = analyse(&ready.opened.model, &job.options)?;
    let beside = Samples::discover(&job.input);
    let preprocess = job.preprocess.clone().or_else(|| {
        // A file that lies there by itself is meant for pictures, not for model-ready arrays.
        let given = job.calibration.as_ref().or(job.validation.as_ref());
        let given = given.and_then(SampleSet::file).is_some_and(Path::is_dir);
        beside.preprocess.clone().filter(|_| given).map(Preprocessing::from)
    });
    let preprocess = preprocess.map(|asked| Preprocess::of(&asked, &ready.opened.float)).transpose()?;
    let mut validation = job.validation.clone().or(beside.validation.map(SampleSet::from));
    let opened = match validation.as_ref().filter(|_| job.feeding.states.is_empty()) {
        Some(set) => {
            let opened = Samples::open_set(set, &ready.opened.float, preprocess.as_ref());
            // Told before the work, as far as the model says what it gives.
            let fits = opened.and_then(|opened| {
                check_declared(&opened, &ready.opened.float)?;
                Ok(opened)
            });
            match fits {
                Err(error @ Error::Samples { .. }) if job.validation.is_none() => {
                    ready.opened.warnings.push(unfit(&error));
                    validation = None;
                    None
                }
                fits => Some(fits?),
            }
        }
        None => None,
    };
    // Samples that lie there by themselves are no wish to run a model that hardly fits into memory.
    let found = beside
        .calibration
        .filter(|_| job.options.quantizes_activations() || !is_large(&ready.opened.float, true));
    let mut source = job.calibration.clone().or(found.map(SampleSet::from));
    let asked = source.as_ref().is_some_and(SampleSet::is_generated);
    let unasked = source.is_none() && is_generated_unasked(job, &ready);
    source = source.filter(|set| !set.is_generated() && !set.is_none());
    let mut made = None;
    clock.lap("analyse");
    let reach = Reach::of(&ready.opened.model, ready.faults());
    let mut unusable = false;
    let samples: Option<Samples> = match &source {
        Some(_) if !reach.is_worthwhile(&ready.opened.model, &analysis) => {
            unable(&job.options, ready.first_fault().unwrap_or_default()).map(|()| None)?
        }
        Some(set) => {
            let (preprocess, opened) = (preprocess.as_ref(), opened.as_ref());
            let beside = Beside { preprocess, opened, judges: validation.is_some() };
            match calibration_samples(job, &mut ready, set, beside, choose) {
                Err(error @ Error::Runtime { .. }) => {
                    unable(&job.options, error.to_string())?;
                    ready.opened.warnings.push(format!("the samples were not used: {error}"));
                    None
                }
                Err(error @ Error::Samples { .. })
                    if job.calibration.is_none() && !job.options.quantizes_activations() =>
                {
                    ready.opened.warnings.push(unfit(&error));
                    unusable = true;
                    None
                }
                samples => Some(samples?),
            }
        }
        None if asked || unasked => {
            // Other ones are generated to judge on.
            let beside = Beside { preprocess: preprocess.as_ref(), opened: opened.as_ref(), judges: true };
            made = generated_samples(job, &mut ready, asked, choose, beside)?;
            made.as_ref().map(|made| made.samples.clone())
        }
        None if job.options.quantizes_activations() => {
            return Err(Error::options(
                format!(
                    "{} needs calibration samples to find the ranges of activations",
                    job.options.precision()
                ),
                "give samples by `.calibration`, or `generated` there, or choose `.precision` w4, which needs none",
            ));
        }
        None => None,
    };
    source = source.filter(|_| !unusable);
    // A budget weighs forms by what is counted; otherwise it waits until the memory that solving takes is free again.
    if !job.options.budget.is_none() {
        count_work(job, &ready, &mut analysis, samples.as_ref())?;
        clock.add("analyse");
    }
    let mut options = job.options.clone();
    let (mut decided, budget) = match (&samples, job.options.budget.is_none()) {
        (_, true) => {
            let task = bits::Task {
                options: &options,
                ready: &ready,
                analysis: &analysis,
                samples: samples.as_ref(),
                shapes: &job.feeding.shapes,
                seed: job.seed,
            };
            let rules = lifted(&task, progress)?;
            options = with(&options, &rules);
            clock.add("bits");
            (decide(&options, &ready, &analysis, reach, samples.as_ref(), &mut clock, progress)?, None)
        }
        (Some(samples), false) if reach.is_whole() => {
            let options = &job.options;
            let task = Task { options, ready: &ready, analysis: &analysis, samples, seed: job.seed };
            let (decided, budgeted) = keep(&task, &mut clock, progress)?;
            (decided, Some(budgeted))
        }
        (_, false) if !ready.faults().is_empty() => {
            return Err(Error::options(
                format!(
                    "limits are kept by measuring, and this model cannot be run: {}",
                    ready.first_fault().unwrap_or_default()
                ),
                "leave the limits out",
            ));
        }
        (_, false) => {
            return Err(Error::options(
                "limits on size or loss are kept by measuring, which needs samples",
                "give samples by `.calibration`",
            ));
        }
    };
    if budget.is_none() {
        count_work(job, &ready, &mut analysis, samples.as_ref())?;
        for decision in &mut decided.plan.decisions {
            if let Decision::Weight(weight) = decision {
                let site = analysis.weights.iter().find(|site| site.tensor == weight.tensor);
                weight.macs = site.and_then(|site| site.macs);
            }
        }
        clock.add("analyse");
    }
    decided.plan.shapes.clone_from(&job.shapes);
    let samples = samples.filter(|_| decided.calibrated);
    decided.plan.generated = made.map(|made| made.record).filter(|_| samples.is_some());
    let made_up = decided.plan.generated.is_some();
    let digests = samples.as_ref().map(Samples::digests).transpose()?;
    decided.plan.calibrated = digests.as_deref().map(Fingerprint::of).map(|found| match made_up {
        // Nobody judges on a part of them: the seed names them all.
        true => Fingerprint { heads: String::new(), ..found },
        false => found,
    });
    let digests = digests.into_iter().flatten().collect();
    clock.add("samples");
    let source_of = |samples: &Samples| match &decided.plan.generated {
        Some(generated) => generated.source(),
        None => samples.path().display().to_string(),
    };
    let calibration = samples.as_ref().map(|samples| (source_of(samples), samples.len()));
    ready.opened.warnings.extend(decided.warnings);
    let (plan, notes) = (decided.plan, decided.notes);
    ready.opened.warnings.extend(saturating(&plan));
    ready.opened.warnings.extend(inside(&analysis, &plan).filter(|_| samples.is_some()));
    let stored = analysis.weights.iter().map(|site| (site.tensor.as_str(), site.bytes())).collect();
    ready.opened.warnings.extend(coverage(&plan, &stored, &job.options)?);
    Ok(Solved {
        ready,
        analysis,
        plan,
        options,
        budget,
        calibration,
        samples,
        digests,
        preprocess,
        validation,
        feeding: job.feeding.clone(),
        opened,
        source,
        notes,
        clock,
    })
}

/// Whether samples are generated where nobody gave any: what is measured with them must help, and running the model be no burden.
fn is_generated_unasked(job: &Job, ready: &Ready) -> bool {
    let options = &job.options;
    options.quantizes_weights()
        && !options.quantizes_activations()
        && options.compensation != Compensation::None
        && options.budget.is_none()
        && job.feeding.states.is_empty()
        && !is_large(&ready.opened.float, false)
}

/// Samples that are generated; `None` where nobody asked for them and there are none worth having.
fn generated_samples(
    job: &Job,
    ready: &mut Ready,
    asked: bool,
    choose: &mut Choose,
    beside: Beside,
) -> Result<Option<Made>> {
    let (model, expected) = (&ready.opened.model, &ready.opened.expected);
    let range = beside.preprocess.map(Range::of);
    let wish = Wish {
        model,
        expected,
        feeding: &job.feeding,
        range: range.as_ref(),
        count: job.samples,
        seed: job.seed,
    };
    let made = match generated(&wish) {
        Ok(None) if asked => numbers(&wish).map(Some),
        made => made,
    };
    let limited = made.and_then(|made| {
        let Some(mut made) = made else { return Ok(None) };
        if asked {
            made.samples = choose(model, made.samples, beside)?;
        }
        made.samples = in_proportion(model, made.samples, job.seed)?.0;
        made.record.samples = made.samples.len();
        if let Some(range) = made.record.range.as_ref().filter(|_| made.is_guessed() && job.options.quantizes_activations()) {
            ready.opened.warnings.push(format!(
                "the range of pixels ({range}) is a guess from the network's answers, and activations are clipped to what it gives; if \
                 the model takes pixels in another range, say so by `.preprocess`"
            ));
        }
        Ok(Some(made))
    });
    match limited {
        Err(error @ Error::Runtime { .. }) if asked => unable(&job.options, error.to_string()).map(|()| {
            ready.opened.warnings.push(format!("no samples were generated: {error}"));
            None
        }),
        Err(error @ (Error::Runtime { .. } | Error::Invalid { .. })) if !asked => {
            ready.opened.warnings.push(format!("no samples were generated to calibrate on: {error}"));
            Ok(None)
        }
        limited => limited,
    }
}

/// That samples which were found beside the model do not fit it, and what helps.
fn unfit(error: &Error) -> String {
    format!("{error}; so these samples, which lie beside the model, are not used")
}

/// A warning where layers lie in bodies, of whose inputs nothing is seen.
fn inside(analysis: &Analysis, plan: &Plan) -> Option<String> {
    let unseen = |tensor: &str| {
        let site = analysis.weights.iter().find(|site| site.tensor == tensor);
        // A table that is looked up in has no such input either, wherever it lies.
        site.is_some_and(|site| {
            site.inputs().next().is_none() && site.reads().all(|read| !read.within.is_empty())
        })
    };
    let done = plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some(&weight.tensor),
        Decision::Activation(_) => None,
    });
    let (all, count) =
        done.fold((0, 0), |(all, count), tensor| (all + 1, count + usize::from(unseen(tensor))));
    (count > 0).then(|| {
        format!(
            "{count} of {all} layers lie inside If, Loop or Scan: their weights are chosen by themselves, not on samples, and activations \
             there stay float"
        )
    })
}

/// A warning where weights of the plan use codes whose products may saturate.
fn saturating(plan: &Plan) -> Option<String> {
    let possible = |decision: &&Decision| matches!(decision, Decision::Weight(weight) if weight.saturation == Some(Saturation::Possible));
    let count = plan.decisions.iter().filter(possible).count();
    (count > 0).then(|| {
        format!(
            "{count} weight tensors use all 8-bit codes, as asked: on x86 without VNNI sums of their products may saturate, and the file \
             then gives other results than this report says"
        )
    })
}

/// Notes how much each layer computes and reads, where tract can run the model on a sample, or on a made-up one.
fn count_work(job: &Job, ready: &Ready, analysis: &mut Analysis, samples: Option<&Samples>) -> Result<()> {
    let too_large = samples.is_none() && is_large(&ready.opened.model, false);
    if analysis.weights.is_empty() || too_large || !ready.faults().is_empty() {
        return Ok(());
    }
    let inputs = match samples {
        Some(samples) => samples.get(0)?.inputs,
        None => match Samples::synthetic(&ready.opened.model, &job.feeding.shapes, 1, job.seed)
            .and_then(|samples| samples.get(0))
        {
            Ok(sample) => sample.inputs,
            Err(_) => return Ok(()),
        },
    };
    match count(&ready.opened.model, analysis, &inputs) {
        // Counts are told where they can be had; whether the model runs is told where it matters.
        Err(Error::Runtime { .. }) => Ok(()),
        other => other,
    }
}

//! A plan that keeps a budget: single layers get finer forms, those first that gain most for their bytes, until the outputs of
//! the whole, on samples that were held back, lose no more than is allowed. Where the plan asked for is larger than allowed, and
//! the storage has narrower codes, they start from the coarsest forms.

mod alternatives;
mod limit;

use std::collections::HashSet;

use super::bench::{Bench, Whole};
use super::decide::{Decided, decide};
use super::measure::{Clock, parameters, sizes};
use super::{MEASURED_SAMPLES, Ready};
use crate::calibrate::Reach;
use crate::error::{Error, Result};
use crate::onnx;
use crate::options::{Budget, Cause, Compensation, LayerRule, Lift, Options};
use crate::plan::{Analysis, Budgeted, Decision, Doubt, Fingerprint, Loss, Plan, Score, Trial};
use crate::progress::Progress;
use crate::rewrite;
use crate::samples::Samples;
use crate::solve::{Rung, Step, steps};
use crate::validate::{needed, needed_for_agreement};
use alternatives::{Alternative, Others, coarser, inputs, weights};
pub(super) use alternatives::{has, has_own_rule};
pub(super) use limit::{shown, undecided};
pub use limit::{unshown, unshown_agreement};

/// One of so many samples is held back to judge plans.
const HELD_BACK: usize = 3;
/// Decisions named where a budget cannot be kept.
const NAMED: usize = 5;
/// Plans tried beyond the one found where the last, made on all samples, loses too much.
const REPAIRS: usize = 4;

/// Everything that plans are made from.
pub(super) struct Task<'t> {
    pub options: &'t Options,
    pub ready: &'t Ready,
    pub analysis: &'t Analysis,
    pub samples: &'t Samples,
    pub seed: u64,
}

/// The plan of fewest bytes that keeps the budget, or the best where none does.
///
/// # Errors
/// [`Error::Options`] where the budget needs labels or more samples than there are, or tract cannot run the model.
pub(super) fn keep(task: &Task, clock: &mut Clock, progress: &dyn Progress) -> Result<(Decided, Budgeted)> {
    let budget = task.options.budget;
    if let Some(limit) = budget.max_drop.filter(|_| !task.samples.labelled()) {
        return Err(Error::options(
            "`.max_drop` counts right answers, and the calibration samples have no labels",
            format!(
                "give labelled samples, limit `.min_agreement` or `.min_sqnr_db`, which need none, or check the written file on labelled samples: \
                 `fourbit::Gate::max_drop` {limit}"
            ),
        ));
    }
    let (held, fit) = task.samples.split(task.samples.len() / HELD_BACK, task.seed.wrapping_add(1));
    let digests = task.samples.digests()?;
    let known: HashSet<u64> = fit.digests()?.into_iter().collect();
    let own = held.digests()?;
    let held = held.without(&(0..own.len()).filter(|&at| known.contains(&own[at])).collect::<Vec<_>>());
    if held.is_empty() || fit.is_empty() {
        return Err(Error::options(
            format!(
                "{} samples are too few, or too much alike, to hold some back for the budget",
                task.samples.len()
            ),
            format!("give at least {HELD_BACK}, better some hundred"),
        ));
    }
    let run = |error| match error {
        error @ Error::Runtime { .. } => Error::options(
            format!("the budget cannot be measured, since this model cannot be run: {error}"),
            "leave the limits out, or export the model without what stands in the way",
        ),
        other => other,
    };
    let bench = Bench::new(&task.ready.opened.model, &held).map_err(run)?;
    clock.add("budget");
    let mut planner = Planner {
        task,
        bench,
        held: held.len(),
        fit,
        fingerprint: Fingerprint::of(&digests),
        trials: Vec::new(),
        scores: Vec::new(),
        rows: 0,
        doubts: Vec::new(),
        clock,
        progress,
    };
    planner.run().map_err(run)
}

struct Planner<'s> {
    task: &'s Task<'s>,
    bench: Bench<'s>,
    held: usize,
    fit: Samples,
    /// Of all samples: it is a part of the file, whose size has a limit.
    fingerprint: Fingerprint,
    trials: Vec<Trial>,
    /// Right answers of each trial.
    scores: Vec<Option<Score>>,
    /// Rows of class scores held back.
    rows: usize,
    doubts: Vec<Doubt>,
    clock: &'s mut Clock,
    progress: &'s dyn Progress,
}

/// Tensors that can have finer forms, and the way through these.
#[derive(Default)]
struct Way {
    alternatives: Vec<Vec<Alternative>>,
    ladders: Vec<Vec<Rung>>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn run(&mut self) -> Result<(Decided, Budgeted)> {
        let budget = self.task.options.budget;
        let mut way = Way::default();
        let first = self.attempt(&way, 0, false)?.1;
        if first.kept && budget.limits_loss() {
            let found = self.attempt(&way, 0, true)?;
            if found.1.kept {
                return Ok(self.found(&way, found));
            }
        }
        let sized = budget.max_bytes.is_some() || budget.max_bits.is_some();
        // Too large as asked for: single layers are raised from the fewest bits that the file can hold.
        let smaller = !first.fits(&budget) && !coarser(self.task.options).is_empty();
        way = self.way(smaller)?;
        self.clock.add("budget");
        let start = if smaller { self.attempt(&way, 0, false)?.1 } else { first };
        let mut most = if sized { self.affordable(&way, &start) } else { way.steps.len() };
        let mut taken = most;
        if sized && most > 0 {
            // Sizes were estimated: back to where they are kept indeed.
            let mut last = self.attempt(&way, most, false)?.1;
            let mut back = 1;
            while most > 0 && !last.fits(&budget) {
                most = most.saturating_sub(back);
                back *= 2;
                last = self.attempt(&way, most, false)?.1;
            }
            taken = if budget.limits_loss() && last.kept { self.fewest(&way, most)? } else { most };
        } else if budget.limits_loss() && most > 0 {
            // The last plan is the float network.
            taken = self.fewest(&way, most)?;
        }
        let found = self.last(&way, taken, most)?;
        Ok(self.found(&way, found))
    }

    fn found(&mut self, way: &Way, (decided, trial): (Decided, Trial)) -> (Decided, Budgeted) {
        let budget = self.task.options.budget;
        let lost = !trial.kept && budget.limits_loss();
        let in_the_way = if lost { way.in_the_way(trial.taken) } else { Vec::new() };
        // What the float model itself does not know, no plan is shown to keep.
        let doubts: Vec<Doubt> =
            std::mem::take(&mut self.doubts).into_iter().filter(Doubt::is_fatal).collect();
        let shown = !budget.limits_loss() || doubts.is_empty();
        let mut found = Budgeted {
            asked: budget,
            met: trial.kept && shown,
            doubts,
            needed: None,
            needed_for_agreement: None,
            held_back: self.held,
            steps: way.steps.len(),
            taken: trial.taken,
            trials: std::mem::take(&mut self.trials),
            in_the_way,
        };
        let judged = found.judged();
        let of_judged = found.trials.iter().position(|other| judged.is_some_and(|judged| other == judged));
        let score = of_judged.and_then(|at| self.scores.get(at)?.as_ref());
        let same = judged.and_then(|judged| judged.loss.agreement);
        let needed = budget.max_drop.zip(score).and_then(|(limit, score)| needed(score, limit));
        let agreement = budget.min_agreement.zip(same);
        found.needed_for_agreement =
            agreement.and_then(|(limit, share)| needed_for_agreement(share, self.rows, limit));
        found.needed = needed;
        (decided, found)
    }

    /// The fewest steps that keep the budget, of which `most` do and none does not.
    fn fewest(&mut self, way: &Way, most: usize) -> Result<usize> {
        let (mut too_few, mut enough) = (0, most);
        while enough - too_few > 1 {
            let middle = (too_few + enough) / 2;
            match self.attempt(way, middle, false)?.1.kept {
                true => enough = middle,
                false => too_few = middle,
            }
        }
        Ok(enough)
    }

    /// The plan after `taken` steps made on all samples; after a few more, up to `most`, where it loses too much, or fewer where
    /// its file is too large.
    fn last(&mut self, way: &Way, taken: usize, most: usize) -> Result<(Decided, Trial)> {
        let budget = self.task.options.budget;
        let mut best = self.attempt(way, taken, true)?;
        for repair in 1..=REPAIRS {
            if best.1.kept {
                break;
            }
            let next = match best.1.fits(&budget) {
                true => taken + (most - taken).min(repair * (most - taken).div_ceil(4 * REPAIRS)),
                false => best.1.taken.saturating_sub(repair),
            };
            if next == best.1.taken {
                break;
            }
            let other = self.attempt(way, next, true)?;
            let better = other.1.kept || !best.1.fits(&budget) || other.1.fits(&budget);
            if better {
                best = other;
            }
        }
        Ok(best)
    }

    /// Makes the plan after `taken` steps of `way`, and judges it on the samples held back.
    fn attempt(&mut self, way: &Way, taken: usize, all_samples: bool) -> Result<(Decided, Trial)> {
        let Task { options, ready, analysis, samples, .. } = self.task;
        let options = way.options(options, taken);
        let samples = if all_samples { samples } else { &self.fit };
        let mut decided =
            decide(&options, ready, analysis, Reach::default(), Some(samples), self.clock, self.progress)?;
        decided.plan.calibrated = decided.calibrated.then(|| self.fingerprint.clone());
        let whole = self.bench.whole(&decided.plan)?;
        let Whole { loss, expected_drop, expected_agreement, rows, score, doubts } = whole;
        if options.budget.min_agreement.is_some() && loss.agreement.is_none() {
            return Err(limit::no_classes());
        }
        (self.doubts, self.rows) = (doubts, rows);
        let (bytes, effective_bits) = self.size(&decided.plan)?;
        let drop_bound = score.as_ref().map(|score| score.drop_bound);
        let mut trial = Trial {
            taken,
            all_samples,
            bytes,
            effective_bits,
            loss,
            expected_drop,
            drop_bound,
            expected_agreement,
            kept: false,
        };
        trial.kept = limit::kept(&options.budget, &trial);
        self.trials.push(trial.clone());
        self.scores.push(score);
        self.clock.add("budget");
        Ok((decided, trial))
    }

    /// Bytes of the file that `plan` makes, and bits a float parameter in it.
    fn size(&self, plan: &Plan) -> Result<(u64, f64)> {
        let opened = &self.task.ready.opened;
        let written = rewrite::apply(&opened.model, plan, None)?;
        let bytes = onnx::encoded_len(&written) as u64;
        Ok((bytes, sizes(opened.float.bytes_on_disk, bytes, &opened.model, &written, plan).effective_bits))
    }

    /// How many steps the file may take.
    fn affordable(&self, way: &Way, start: &Trial) -> usize {
        let budget = self.task.options.budget;
        let parameters = parameters(&self.task.ready.opened.model).max(1) as f64;
        let (mut bytes, mut bits) = (start.bytes as f64, start.effective_bits);
        let fits = |bytes: f64, bits: f64| {
            budget.max_bytes.is_none_or(|most| bytes <= most as f64)
                && budget.max_bits.is_none_or(|most| bits <= most)
        };
        let mut at = vec![0; way.ladders.len()];
        let mut count = 0;
        for (taken, step) in (1..).zip(&way.steps) {
            let alternatives = &way.alternatives[step.ladder];
            let more = alternatives[step.rung].stored - alternatives[at[step.ladder]].stored;
            at[step.ladder] = step.rung;
            (bytes, bits) = (bytes + more, bits + 8.0 * more / parameters);
            if fits(bytes, bits) {
                count = taken;
            }
        }
        count
    }

    /// Measures every decision by itself, and puts the finer forms of all tensors in order; from the coarsest forms on, where
    /// the file is to be `smaller` than as asked for.
    fn way(&mut self, smaller: bool) -> Result<Way> {
        let Task { options, ready, analysis, samples, seed } = self.task;
        // Decisions made for the float network's inputs, of which losses add up.
        let layerwise = match options.compensation {
            Compensation::Sequential => Compensation::Layerwise,
            other => other,
        };
        let alone = Options { compensation: layerwise, budget: Budget::default(), ..(*options).clone() };
        let plan =
            decide(&alone, ready, analysis, Reach::default(), Some(&self.fit), self.clock, self.progress)?
                .plan;
        let few = (*samples).clone().choose(Some(MEASURED_SAMPLES), *seed);
        let losses = Bench::new(&ready.opened.model, &few)?.alone(&plan, self.progress)?;
        let others = Others::new(options, ready, analysis, smaller, self.progress)?;
        let mut way = Way::default();
        for (decision, loss) in plan.decisions.iter().zip(losses) {
            let rungs = match decision {
                Decision::Weight(weight) => weights(weight, &others, options, analysis)?,
                Decision::Activation(activation) => inputs(activation, options, analysis)?,
            };
            if rungs.len() > 1 {
                let noise = noise(&loss);
                let planned = rungs.iter().position(|(alternative, _)| alternative.rules.is_empty());
                let planned = planned.unwrap_or_default();
                let as_planned = rungs[planned].0.words.clone();
                let (mut alternatives, mut ladder) = (Vec::new(), Vec::new());
                for (at, (alternative, rung)) in rungs.into_iter().enumerate() {
                    let rung = Rung { noise: rung.noise * noise, ..rung };
                    let why = match at < planned {
                        true => Lift {
                            from: alternative.words.clone().into(),
                            noise: rung.noise,
                            cause: Cause::Limit,
                        },
                        false => Lift { from: as_planned.clone().into(), noise, cause: Cause::Limit },
                    };
                    alternatives.push(alternative.because(&why));
                    ladder.push(rung);
                }
                way.alternatives.push(alternatives);
                way.ladders.push(ladder);
            }
        }
        way.steps = steps(&way.ladders);
        Ok(way)
    }
}

/// What counts where steps are weighed; values that are no longer finite count as if nothing were left.
fn noise(loss: &Loss) -> f64 {
    let whole = if loss.broken > 0 { 1.0 } else { 0.0 };
    if loss.noise.is_finite() { loss.noise + whole } else { 1.0 + whole }
}

impl Way {
    /// The options with the rules of the forms after the first `taken` steps. Rules that a person gave come after them, and win.
    fn options(&self, options: &Options, taken: usize) -> Options {
        let mut at = vec![0; self.ladders.len()];
        self.steps.iter().take(taken).for_each(|step| at[step.ladder] = step.rung);
        let rules = at.iter().zip(&self.alternatives).flat_map(|(&rung, forms)| &forms[rung].rules);
        // A layer whose weights are float reads float.
        let is_float = |rule: &&LayerRule| rule.weights == Some(None);
        let float: HashSet<&str> =
            rules.clone().filter(is_float).map(|rule| rule.matching.as_str()).collect();
        let stands =
            |rule: &&LayerRule| rule.activations.is_none() || !float.contains(rule.matching.as_str());
        let mut rules: Vec<LayerRule> = rules.filter(stands).cloned().collect();
        // Of two inputs of shared weights the finer form holds for both: rules that come later win.
        rules.sort_by_key(|rule| match rule.activations {
            None => 0,
            Some(Some(code_type)) => code_type.bits(),
            Some(None) => u32::MAX,
        });
        Options {
            layers: rules.into_iter().chain(options.layers.iter().cloned()).collect(),
            ..options.clone()
        }
    }

    /// The decisions that bring most of the noise after `taken` steps, and their shares in it.
    fn in_the_way(&self, taken: usize) -> Vec<(String, f64)> {
        let mut at = vec![0; self.ladders.len()];
        self.steps.iter().take(taken).for_each(|step| at[step.ladder] = step.rung);
        let noise = |(ladder, &rung): (usize, &usize)| (ladder, rung, self.ladders[ladder][rung].noise);
        let mut all: Vec<(usize, usize, f64)> = at.iter().enumerate().map(noise).collect();
        let whole: f64 = all.iter().map(|one| one.2).sum();
        all.sort_by(|one, other| other.2.total_cmp(&one.2));
        let named = all.into_iter().filter(|one| one.2 > 0.0).take(NAMED);
        let name = |(ladder, rung, noise): (usize, usize, f64)| {
            let alternative: &Alternative = &self.alternatives[ladder][rung];
            (format!("{} as {}", alternative.tensor, alternative.words), noise / whole)
        };
        named.map(name).collect()
    }
}

#[cfg(test)]
mod tests;

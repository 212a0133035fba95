//! What a solver knows of layers and plans do not hold: errors step by step, histograms of activations. Kept only where somebody asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::mmse::Histogram;
use crate::plan::{ActivationDecision, ActivationDetails, BINS, Counts, SolveStep, StepError};

/// What is noted of one model's layers, by tensor. A later decision on a tensor takes the place of an earlier one.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

/// The notes when all is decided.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// Errors of the outputs of layers, step by step.
    pub steps: BTreeMap<String, Vec<StepError>>,
    /// What was seen of activations.
    pub activations: BTreeMap<String, ActivationDetails>,
}

impl Notes {
    /// All of them.
    pub fn into_inner(self) -> Noted {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the errors of a layer, whose weights are `tensor`.
    pub(super) fn layer(&self, tensor: &str, errors: &Errors) {
        let steps = errors.steps();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).steps.insert(tensor.to_owned(), steps);
    }

    /// Notes what `histogram` shows of an activation, and which part of it `decision` covers.
    pub(super) fn activation(&self, decision: &ActivationDecision, histogram: &Histogram) {
        let Some(details) = details(decision, histogram) else { return };
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.activations.insert(decision.tensor.clone(), details);
    }
}

/// Squared errors of the output of some rows after each step, and its energy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    pub energy: f64,
    /// Of scales of least weight error and nearest codes.
    pub nearest: Option<f64>,
    /// Before scales are refitted; `None` where codes are the nearest ones.
    pub compensated: Option<f64>,
    pub refitted: f64,
    /// Where single codes were moved afterwards.
    pub moved: Option<f64>,
}

impl Errors {
    /// Those of more rows as well.
    pub fn add(&mut self, other: &Self) {
        // What some rows know and others do not is as it was before.
        let last = |errors: &Self| errors.moved.unwrap_or(errors.refitted);
        let both = |one: Option<f64>, other: Option<f64>, otherwise: [f64; 2]| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(otherwise[0]) + other.unwrap_or(otherwise[1])),
        };
        let first = self.energy == 0.0 && self.refitted == 0.0;
        self.moved = both(self.moved, other.moved, [last(self), last(other)]);
        self.nearest = match (first, self.nearest.zip(other.nearest)) {
            (true, _) => other.nearest,
            (false, both) => both.map(|(one, other)| one + other),
        };
        self.compensated = both(self.compensated, other.compensated, [self.refitted, other.refitted]);
        self.refitted += other.refitted;
        self.energy += other.energy;
    }

    fn steps(&self) -> Vec<StepError> {
        let all = [
            (SolveStep::Nearest, self.nearest),
            (SolveStep::Compensated, self.compensated),
            (SolveStep::Refitted, Some(self.refitted)),
            (SolveStep::Moved, self.moved),
        ];
        let energy = self.energy;
        let known = all.into_iter().filter_map(|(step, error)| Some((step, error?)));
        known
            .filter(|(_, error)| energy > 0.0 && error.is_finite())
            .map(|(step, error)| StepError { step, error: error / energy })
            .collect()
    }
}

fn details(decision: &ActivationDecision, histogram: &Histogram) -> Option<ActivationDetails> {
    let term = decision.terms.first()?;
    let (lowest, highest) = term.code_type.range();
    let (scale, zero) = (f64::from(term.scale), i32::from(term.zero_point));
    let end = |code: i32| f64::from(code - zero) * scale;
    let (first, last) = (end(lowest), end(highest));
    let beyond = |value: f64| value < first - scale / 2.0 || value > last + scale / 2.0;
    let clipped: u64 = histogram.bins().filter(|&(value, _)| beyond(value)).map(|(_, count)| count).sum();
    let all = histogram.count().max(1) as f64;
    Some(ActivationDetails {
        histogram: counts(histogram, (first, last))?,
        chosen: (first, last),
        clipped: clipped as f64 / all,
    })
}

/// The counts of `histogram` in few bins, which reach over the values from `first` to `last` as well; `None` where it has seen nothing.
pub fn counts(histogram: &Histogram, (first, last): (f64, f64)) -> Option<Counts> {
    let (least, most) = (f64::from(histogram.min()?), f64::from(histogram.max()?));
    let (low, high) = (least.min(first), most.max(last));
    let width = (high - low) / BINS as f64;
    if !(width > 0.0 && width.is_finite()) {
        return None;
    }
    let mut counts = vec![0u64; BINS];
    let mut add = |value: f64, count: u64| {
        let place = (((value - low) / width) as usize).min(BINS - 1);
        counts[place] = counts[place].saturating_add(count);
    };
    histogram.bins().for_each(|(value, count)| add(value, count));
    if histogram.zeros() > 0 {
        add(0.0, histogram.zeros());
    }
    Some(Counts { low, high, counts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CodeType;
    use crate::plan::{ActivationTerm, Float, Reasons};

    #[test]
    fn an_activation_is_seen_with_what_is_clipped() {
        let mut histogram = Histogram::new();
        let values: Vec<f32> = (0..1000).map(|at| at as f32 / 100.0).collect();
        histogram.add_slice(&values);
        let decision = ActivationDecision {
            tensor: "x".into(),
            float: Float::Float,
            wide_scales: false,
            reads: Vec::new(),
            returned: false,
            terms: vec![ActivationTerm { code_type: CodeType::Uint8, scale: 0.02, zero_point: 0 }],
            range: (0.0, 9.99),
            sqnr_db: None,
            reason: Reasons::default(),
        };
        let found = details(&decision, &histogram).unwrap();
        assert!((found.chosen.1 - 5.1).abs() < 1e-6 && (found.clipped - 0.489).abs() < 0.002, "{found:?}");
        assert_eq!((found.histogram.counts.len(), found.histogram.counts.iter().sum::<u64>()), (BINS, 1000));
        assert_eq!(counts(&Histogram::new(), (0.0, 1.0)), None);
    }

    #[test]
    fn errors_of_rows_add_up() {
        let one =
            Errors { energy: 4.0, nearest: Some(0.4), compensated: Some(0.2), refitted: 0.1, moved: None };
        let other =
            Errors { energy: 6.0, nearest: Some(0.6), compensated: None, refitted: 0.3, moved: Some(0.2) };
        let mut sum = Errors::default();
        [one, other].iter().for_each(|errors| sum.add(errors));
        let told: Vec<(SolveStep, f64)> = sum.steps().iter().map(|step| (step.step, step.error)).collect();
        let near = |at: usize, step, error: f64| {
            assert!(told[at].0 == step && (told[at].1 - error).abs() < 1e-12, "{told:?}")
        };
        near(0, SolveStep::Nearest, 0.1);
        near(1, SolveStep::Compensated, 0.05);
        near(2, SolveStep::Refitted, 0.04);
        near(3, SolveStep::Moved, 0.03);
    }
}

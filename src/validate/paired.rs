//! Two networks on the same samples, sample by sample: what one gains over the other, and how sure that is.

use super::compare::Differences;
use crate::error::Result;
use crate::plan::{Change, Gain, Loss};
use crate::runtime::Output;

/// Samples from which on standard errors are worth their name.
pub const FEWEST: usize = 8;

/// A network's outputs beside the float network's, each sample for itself.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    all: Differences,
    each: Vec<One>,
}

/// One sample.
#[derive(Clone, Debug)]
struct One {
    /// For each output the energy of the float network's values, and of the differences.
    outputs: Vec<[f64; 2]>,
    broken: u64,
    /// Rows with labels, and how many of them are answered right.
    labelled: [f64; 2],
    /// The share of rows that are answered as the float network does.
    agreement: Option<f64>,
}

impl Paired {
    /// Adds the outputs of the next sample, of which the first may hold class scores; `labels` may be empty.
    ///
    /// # Errors
    /// As [`Differences::add`].
    pub fn add(&mut self, float: &[Output], quantized: &[Output], labels: &[i64]) -> Result<()> {
        let mut one = Differences::default();
        one.add(float, quantized, labels)?;
        let (score, energies) = (one.score(), one.energies());
        self.each.push(One {
            outputs: energies,
            broken: one.loss().broken,
            labelled: score.map_or([0.0; 2], |score| {
                let rows = score.rows as f64;
                [rows, (score.quantized_top1 * rows).round()]
            }),
            agreement: one.agreement(),
        });
        self.all.add(float, quantized, labels)
    }

    /// What the differences of all samples amount to.
    pub fn loss(&self) -> Loss {
        self.all.loss()
    }

    /// What this network gains over `other`, which ran on the same samples.
    pub fn gain(&self, other: &Self) -> Gain {
        let samples = self.each.len().min(other.each.len());
        let broken = |paired: &Self| paired.each.iter().map(|one| one.broken as i64).sum::<i64>();
        let pairs = || self.each.iter().zip(&other.each);
        let labelled = pairs().map(|(one, other)| (one.labelled[1] - other.labelled[1], one.labelled[0]));
        let agreeing = pairs().filter_map(|(one, other)| Some((one.agreement? - other.agreement?, 1.0)));
        Gain {
            samples,
            sqnr_db: self.decibels(other),
            top1_points: points(labelled.collect()),
            agreement_points: points(agreeing.collect()),
            mended: broken(other) - broken(self),
        }
    }

    /// More SQNR than `other`. The SQNR is a logarithm of sums over samples, so each sample weighs as much as it moves that.
    fn decibels(&self, other: &Self) -> Change {
        let (own, others) = (self.loss().noise, other.loss().noise);
        match (own > 0.0, others > 0.0) {
            (false, false) => return Change { value: 0.0, error: 0.0 },
            (false, true) => return Change { value: f64::INFINITY, error: error_of(&[], self.each.len()) },
            (true, false) => return Change { value: -f64::INFINITY, error: error_of(&[], self.each.len()) },
            (true, true) => {}
        }
        let (mine, theirs) = (self.moves(own), other.moves(others));
        let parts: Vec<f64> = theirs.iter().zip(&mine).map(|(theirs, mine)| theirs - mine).collect();
        let decibels = 10.0 / std::f64::consts::LN_10;
        Change { value: decibels * (others / own).ln(), error: decibels * error_of(&parts, self.each.len()) }
    }

    /// How far each sample moves the logarithm of the noise, times the number of samples: the derivative of a mean of ratios of sums.
    fn moves(&self, noise: f64) -> Vec<f64> {
        let count = self.each.len() as f64;
        let outputs = self.each.first().map_or(0, |one| one.outputs.len());
        let mut moves = vec![0.0; self.each.len()];
        for output in 0..outputs {
            let sum = |which: usize| self.each.iter().map(|one| one.outputs[output][which]).sum::<f64>();
            let (signal, differences) = (sum(0), sum(1));
            // Of an output that is zero throughout the noise is all or nothing, whatever the sample.
            if signal <= 0.0 {
                continue;
            }
            for (total, one) in moves.iter_mut().zip(&self.each) {
                let [own_signal, own] = one.outputs[output];
                *total += count * (own - differences / signal * own_signal) / signal;
            }
        }
        moves.iter().map(|total| total / outputs.max(1) as f64 / noise).collect()
    }
}

/// The standard error of a mean of `parts`, of which there are as many as `samples`, and whose own mean is zero.
fn error_of(parts: &[f64], samples: usize) -> f64 {
    if samples < FEWEST {
        return f64::INFINITY;
    }
    let count = samples as f64;
    (parts.iter().map(|part| part * part).sum::<f64>() / (count * (count - 1.0))).sqrt()
}

/// The mean of what each sample wins, by its rows, in points; `None` without rows.
fn points(won: Vec<(f64, f64)>) -> Option<Change> {
    let rows: f64 = won.iter().map(|(_, rows)| rows).sum();
    if rows <= 0.0 {
        return None;
    }
    let mean = won.iter().map(|(won, _)| won).sum::<f64>() / rows;
    let scale = won.len() as f64 / rows;
    let parts: Vec<f64> = won.iter().map(|(won, rows)| scale * (won - mean * rows)).collect();
    Some(Change { value: 100.0 * mean, error: 100.0 * error_of(&parts, won.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(values: &[f32]) -> Vec<Output> {
        vec![Output { name: "y".into(), dims: vec![1, values.len()], values: values.to_vec() }]
    }

    /// Numbers that look like noise, from -1 to 1.
    fn random(at: usize) -> f64 {
        let mut state = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 32;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Two networks on samples `from..to`: the second makes larger errors, in part the first's.
    fn pair(from: usize, to: usize) -> (Paired, Paired) {
        let (mut good, mut bad) = (Paired::default(), Paired::default());
        for at in from..to {
            let float: Vec<f64> = (0..3).map(|place| 3.0 * random(7 * at + place)).collect();
            let error = |scale: f64, salt: usize| {
                let values = float.iter().enumerate().map(|(place, value)| {
                    let shared = 0.3 * random(11 * at + place + 1000);
                    (value + shared + scale * random(13 * at + place + salt)) as f32
                });
                output(&values.collect::<Vec<_>>())
            };
            let exact = output(&float.iter().map(|&value| value as f32).collect::<Vec<_>>());
            let label = [(at % 3) as i64];
            good.add(&exact, &error(0.1, 5000), &label).unwrap();
            bad.add(&exact, &error(0.5, 9000), &label).unwrap();
        }
        (good, bad)
    }

    #[test]
    fn standard_errors_are_the_spread_over_other_samples() {
        // Two hundred sets of samples: the gains scatter as the errors say.
        for size in [16, 64] {
            let gains: Vec<Gain> = (0..200)
                .map(|set| {
                    let (good, bad) = pair(set * size, (set + 1) * size);
                    good.gain(&bad)
                })
                .collect();
            type Figure = fn(&Gain) -> Change;
            let figures: [Figure; 3] = [
                |gain| gain.sqnr_db,
                |gain| gain.top1_points.unwrap(),
                |gain| gain.agreement_points.unwrap(),
            ];
            for figure in figures {
                let count = gains.len() as f64;
                let mean = gains.iter().map(|gain| figure(gain).value).sum::<f64>() / count;
                let spread =
                    gains.iter().map(|gain| (figure(gain).value - mean).powi(2)).sum::<f64>() / (count - 1.0);
                let told = gains.iter().map(|gain| figure(gain).error.powi(2)).sum::<f64>() / count;
                let ratio = (told / spread).sqrt();
                assert!((0.8..1.25).contains(&ratio), "{size}: {ratio}");
            }
        }
    }

    #[test]
    fn pairs_tell_apart_what_single_networks_do_not() {
        let (good, bad) = pair(0, 64);
        let gain = good.gain(&bad);
        let expected = bad.loss().sqnr_db.unwrap();
        assert!((gain.sqnr_db.value - (good.loss().sqnr_db.unwrap() - expected)).abs() < 1e-9, "{gain:?}");
        assert!(gain.is_clear() && gain.samples == 64 && gain.mended == 0, "{gain:?}");
        let (none, back) = (good.gain(&good), bad.gain(&good));
        assert_eq!((none.sqnr_db, none.is_clear()), (Change { value: 0.0, error: 0.0 }, false));
        assert!(!back.is_clear() && back.sqnr_db.value == -gain.sqnr_db.value, "{back:?}");
    }

    #[test]
    fn few_samples_tell_nothing_and_labels_count_rows() {
        let (good, bad) = pair(0, FEWEST - 1);
        assert!(!good.gain(&bad).sqnr_db.is_clear());
        let scores = |right: bool| output(if right { &[1.0, 0.0] } else { &[0.0, 1.0] });
        let (mut one, mut other) = (Paired::default(), Paired::default());
        for at in 0..20 {
            one.add(&scores(true), &scores(at != 0), &[0]).unwrap();
            other.add(&scores(true), &scores(at >= 5), &[0]).unwrap();
        }
        let points = one.gain(&other).top1_points.unwrap();
        let expected = 100.0 * (0.2 * 0.8 / 19.0f64).sqrt();
        assert!((points.value - 20.0).abs() < 1e-9 && (points.error - expected).abs() < 1e-9, "{points:?}");
    }

    #[test]
    fn what_is_broken_counts_first_and_no_noise_is_the_most() {
        let exact = output(&[1.0, 2.0]);
        let network = |values: &[f32]| {
            let mut paired = Paired::default();
            (0..10).for_each(|_| paired.add(&exact, &output(values), &[]).unwrap());
            paired
        };
        let (broken, noisy, clean) = (network(&[f32::NAN, 2.0]), network(&[1.5, 2.0]), network(&[1.0, 2.0]));
        assert_eq!(noisy.gain(&broken).mended, 10);
        assert!(noisy.gain(&broken).is_clear() && !broken.gain(&noisy).is_clear());
        let all = clean.gain(&noisy);
        assert!(all.is_clear() && all.sqnr_db.value == f64::INFINITY, "{all:?}");
        assert_eq!(all.order(&noisy.gain(&noisy)), std::cmp::Ordering::Less);
        assert_eq!(all.order(&noisy.gain(&broken)), std::cmp::Ordering::Greater);
    }
}

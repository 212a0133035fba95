//! Which range a network's pictures have: the one at which it answers as a trained network does.

use rayon::prelude::*;

use super::Wish;
use crate::error::Result;
use crate::onnx::Model;
use crate::plan::Expected;
use crate::runtime::{Output, Session};
use crate::samples::{Pictures, Range};

/// Pictures that each range is tried on, at most.
const TRIED: usize = 16;
/// Values with known statistics that are looked at: the first ones, which have seen least of what pictures show.
const VALUES: usize = 12;
/// A range that is more usual than another is preferred where it scores no less than this share of the best.
const NEAR: f64 = 0.97;
/// A range may be meant as well where it scores no less than this share of the best by answers, whose order changes with the pictures drawn:
/// the right range of a ResNet of CIFAR-10 scores between 0.83 and 1 of the best.
const PLAUSIBLE: f64 = 0.3;
/// The same by statistics, which are surer: an MNIST network with the right range scores between 0.93 and 0.98 of the best.
const TIED: f64 = 0.9;
/// Such ranges reach as far as the chosen one up to this factor. Activations whose codes hold for pixels up to 1 and up to 255 have few left
/// for the former.
const LIKE: f64 = 4.0;
/// How a range was chosen: by facts, or by a guess.
const BY_STATISTICS: &str = "the network's own normalization statistics";
pub(super) const BY_ANSWERS: &str = "how much the answers depend on the picture";
/// Standard deviation of class scores that no trained network goes far beyond: above it a softmax of a few classes is all or nothing.
const USUAL_SCORES: f64 = 10.0;

/// Ranges, and what they were chosen by; `None` where there was no choice.
pub(super) struct Choice {
    pub ranges: Vec<Range>,
    pub by: Option<&'static str>,
}

/// The range at which the model answers `pictures` best.
///
/// Where normalisations were folded, these say which mean and variance each channel had in training: the range that comes closest.
/// Otherwise the one at which answers depend most on the picture, and are not more certain than those of trained networks.
/// Other ranges of like reach that may be meant as well take turns with it, so that activations clip none of them.
pub(super) fn choose(wish: &Wish, pictures: &Pictures) -> Result<Choice> {
    let &Wish { model, expected, .. } = wish;
    let ranges = pictures.ranges();
    let [first, others @ ..] = ranges else {
        return Err(crate::error::Error::invalid("inputs", "no range of pixels is known"));
    };
    if others.is_empty() {
        return Ok(Choice { ranges: vec![first.clone()], by: None });
    }
    let taps = taps(model, expected);
    let session = Session::new(model, "float", &taps)?;
    let mut scores = Vec::new();
    for range in ranges {
        let answers = answers(&session, expected, pictures, range)?;
        scores.push((range, misfit(expected, &taps, &answers), informative(&answers)));
    }
    let by_statistics: Option<Vec<f64>> =
        scores.iter().map(|(_, misfit, _)| misfit.map(|misfit| 1.0 / misfit.max(1e-9))).collect();
    let (values, by) = match by_statistics {
        Some(values) => (values, BY_STATISTICS),
        None => (scores.iter().map(|(_, _, score)| *score).collect(), BY_ANSWERS),
    };
    let best = values.iter().copied().fold(0.0, f64::max);
    let at = values.iter().position(|&value| value >= NEAR * best).unwrap_or(0);
    let chosen = ranges.get(at).unwrap_or(first);
    let mut all = vec![chosen.clone()];
    let share = if by == BY_ANSWERS { PLAUSIBLE } else { TIED };
    let is_like = |other: &Range| (1.0 / LIKE..=LIKE).contains(&(other.reach() / chosen.reach()));
    let others =
        ranges.iter().zip(&values).filter(|(range, value)| **value >= share * best && is_like(range));
    all.extend(others.map(|(range, _)| range.clone()).filter(|range| range != chosen));
    Ok(Choice { ranges: all, by: Some(by) })
}

/// The first values of the graph whose statistics are known.
fn taps(model: &Model, expected: &Expected) -> Vec<String> {
    let made = model.graph().node.iter().flat_map(|node| &node.output);
    made.filter(|name| expected.get(*name).is_some_and(crate::plan::Channels::is_sound))
        .take(VALUES)
        .cloned()
        .collect()
}

/// What a network says to one picture.
struct Answer {
    /// The first output that is no integer.
    scores: Vec<f64>,
    /// Of each value looked at, for each channel sum and sum of squares; and how many numbers a channel.
    seen: Vec<(String, Vec<[f64; 2]>, usize)>,
}

fn answers(
    session: &Session,
    expected: &Expected,
    pictures: &Pictures,
    range: &Range,
) -> Result<Vec<Answer>> {
    let samples = pictures.samples(std::slice::from_ref(range));
    let each = (0..samples.len().min(TRIED)).into_par_iter().map(|at| {
        let mut seen = Vec::new();
        let mut look = |name: &str, dims: &[usize], values: &[f32]| {
            let channels = expected.get(name).map_or(0, |channels| channels.mean.len());
            seen.extend(sums(dims, values, channels).map(|(sums, count)| (name.to_owned(), sums, count)));
        };
        let outputs = session.run_tapped(&samples.get(at)?.inputs, &mut look)?;
        let scores = outputs.first().map(scores).unwrap_or_default();
        Ok(Answer { scores, seen })
    });
    each.collect()
}

/// Sums of each channel, which lie along the second axis.
fn sums(dims: &[usize], values: &[f32], channels: usize) -> Option<(Vec<[f64; 2]>, usize)> {
    let (&rows, &found) = (dims.first()?, dims.get(1)?);
    let inner: usize = dims.iter().skip(2).product();
    if found != channels || rows * inner == 0 || values.len() != rows * channels * inner {
        return None;
    }
    let mut sums = vec![[0.0; 2]; channels];
    for (at, part) in values.chunks_exact(inner).enumerate() {
        let sum = &mut sums[at % channels];
        for value in part.iter().map(|&value| f64::from(value)) {
            sum[0] += value;
            sum[1] += value * value;
        }
    }
    Some((sums, rows * inner))
}

/// How far the channels are from what was seen in training, on average: mean and variance together. `None` where nothing is known.
fn misfit(expected: &Expected, taps: &[String], answers: &[Answer]) -> Option<f64> {
    let mut all = Vec::new();
    for tap in taps {
        let wanted = expected.get(tap)?;
        let mut sums = vec![[0.0; 2]; wanted.mean.len()];
        let mut count = 0;
        for (_, seen, number) in
            answers.iter().flat_map(|answer| &answer.seen).filter(|(name, ..)| name == tap)
        {
            count += number;
            for (sum, seen) in sums.iter_mut().zip(seen) {
                sum[0] += seen[0];
                sum[1] += seen[1];
            }
        }
        if count == 0 {
            continue;
        }
        let each = sums
            .iter()
            .zip(wanted.mean.iter().zip(&wanted.variance))
            .filter(|(_, (_, variance))| **variance > 1e-9);
        let each = each.map(|(sum, (mean, variance))| {
            let found = sum[0] / count as f64;
            let spread = (sum[1] / count as f64 - found * found).max(1e-9 * variance);
            (spread / variance).ln().abs() / 2.0 + (1.0 + (found - mean).powi(2) / variance).ln() / 2.0
        });
        let each: Vec<f64> = each.collect();
        if !each.is_empty() {
            all.push(each.iter().sum::<f64>() / each.len() as f64);
        }
    }
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64).filter(|misfit| misfit.is_finite())
}

/// An output as scores of classes where it may be that: logits, or logarithms of probabilities.
fn scores(output: &Output) -> Vec<f64> {
    let values: Vec<f64> = output.values.iter().map(|&value| f64::from(value)).collect();
    let sum: f64 = values.iter().sum();
    match values.len() > 1 && (sum - 1.0).abs() < 1e-3 && values.iter().all(|&value| value >= 0.0) {
        true => values.iter().map(|value| value.max(1e-12).ln()).collect(),
        false => values,
    }
}

/// How much the answers say of the picture, from 0: what they have in common with it as far as classes go, less where they are more certain than
/// answers of trained networks.
fn informative(answers: &[Answer]) -> f64 {
    let length = answers.first().map_or(0, |answer| answer.scores.len());
    let sound = |answer: &Answer| {
        answer.scores.len() == length && answer.scores.iter().all(|value| value.is_finite())
    };
    if length < 2 || !answers.iter().all(sound) {
        return 0.0;
    }
    let count = answers.len() as f64;
    let (mut mean, mut own, mut spread) = (vec![0.0; length], 0.0, 0.0);
    for answer in answers {
        let most = answer.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = answer.scores.iter().map(|score| (score - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let shares: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        own += entropy(&shares) / count;
        mean.iter_mut().zip(&shares).for_each(|(mean, share)| *mean += share / count);
        let middle = answer.scores.iter().sum::<f64>() / length as f64;
        spread +=
            answer.scores.iter().map(|score| (score - middle).powi(2)).sum::<f64>() / length as f64 / count;
    }
    let usual = (USUAL_SCORES.powi(2) / spread.max(f64::MIN_POSITIVE)).min(1.0);
    (entropy(&mean) - own).max(0.0) * usual
}

fn entropy(shares: &[f64]) -> f64 {
    shares.iter().filter(|&&share| share > 0.0).map(|share| -share * share.ln()).sum()
}

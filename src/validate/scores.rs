//! Right answers and agreement, counted row by row.

use std::cmp::Ordering;

use super::bound::{drop_bound, least_share, share_bound};
use crate::error::{Error, Result};
use crate::onnx::{Model, value_shape};
use crate::plan::{Differing, Doubt, Score};
use crate::runtime::Output;
use crate::samples::Samples;

/// Counts over all rows seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    rows: usize,
    agreeing: usize,
    labelled: usize,
    float: [usize; 2],
    quantized: [usize; 2],
    lost: usize,
    won: usize,
    most_classes: usize,
    /// Sum over the labelled rows of how likely a guess is right.
    guessed: f64,
    /// The first sample whose labels fit no scores: output, dimensions, labels.
    unscored: Option<(String, Vec<usize>, usize)>,
    /// Samples seen so far.
    samples: usize,
    parted: Vec<Parted>,
}

/// What both models choose for a row of class scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub row: usize,
    pub label: Option<i64>,
    /// The classes that the float and the quantized model choose.
    pub classes: [usize; 2],
    /// How far the score of that class is above the next one, in either.
    pub margins: [f64; 2],
}

/// A row for which the models choose different classes.
#[derive(Clone, Copy, Debug)]
struct Parted {
    sample: usize,
    answer: Answer,
}

impl Parted {
    /// Lost ones first, then those that the float model was surest of.
    fn order(&self, other: &Self) -> Ordering {
        let kept = |parted: &Self| parted.answer.label != i64::try_from(parted.answer.classes[0]).ok();
        let margins = other.answer.margins[0].total_cmp(&self.answer.margins[0]);
        kept(self)
            .cmp(&kept(other))
            .then(margins)
            .then((self.sample, self.answer.row).cmp(&(other.sample, other.answer.row)))
    }
}

/// Samples that are listed.
const LISTED: usize = 24;

/// Five, as in top-5.
const FEW: usize = 5;
/// A model that is right so often is of use to somebody, however many classes there are.
const USEFUL: f64 = 0.3;

impl Tally {
    /// Counts the rows of one sample's first output; `labels` may be empty. Rows have a label each; without labels they are those of
    /// an output of two axes, or the positions of one of three that is called logits, as language models have it.
    pub fn count(&mut self, float: &Output, quantized: &Output, labels: &[i64]) {
        let Some(rows) = rows_of(float, labels.len()) else { return };
        let classes = classes(float, rows).filter(|_| float.values.len() == quantized.values.len());
        let Some(classes) = classes else {
            if !labels.is_empty() && self.unscored.is_none() {
                self.unscored = Some((float.name.clone(), float.dims.clone(), rows));
            }
            return;
        };
        self.most_classes = self.most_classes.max(classes);
        let chunks = float.values.chunks(classes).zip(quantized.values.chunks(classes));
        for (answer, (float, quantized)) in answered(float, quantized, labels, classes).zip(chunks) {
            self.rows += 1;
            match answer.classes {
                [one, other] if one == other => self.agreeing += 1,
                _ => self.part(Parted { sample: self.samples, answer }),
            }
            let Some(label) = answer.label.and_then(|label| usize::try_from(label).ok()) else {
                continue;
            };
            let right = [place(float, label), place(quantized, label)];
            self.labelled += 1;
            self.guessed += 1.0 / classes as f64;
            for (counts, place) in [(&mut self.float, right[0]), (&mut self.quantized, right[1])] {
                counts[0] += usize::from(place < 1);
                counts[1] += usize::from(place < FEW);
            }
            self.lost += usize::from(right[0] < 1 && right[1] >= 1);
            self.won += usize::from(right[0] >= 1 && right[1] < 1);
        }
    }

    /// The next sample follows.
    pub fn next(&mut self) {
        self.samples += 1;
    }

    fn part(&mut self, parted: Parted) {
        let place = self.parted.partition_point(|other| other.order(&parted).is_lt());
        if place < LISTED {
            self.parted.insert(place, parted);
            self.parted.truncate(LISTED);
        }
    }

    /// Samples for which the models choose different classes, as many as are listed; `name` gives what a person calls one.
    pub fn differing(&self, name: impl Fn(usize) -> String) -> Vec<Differing> {
        let differing = |parted: &Parted| {
            let &Parted { sample, answer: Answer { row, label, classes, margins } } = parted;
            Differing { name: name(sample), row, label, classes, margins, picture: None, at: sample }
        };
        self.parted.iter().map(differing).collect()
    }

    /// The most classes that an output had scores for.
    pub fn classes(&self) -> usize {
        self.most_classes
    }

    pub fn agreement(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.agreeing as f64 / self.rows as f64)
    }

    /// Rows of class scores.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The standard error of the agreement.
    pub fn agreement_error(&self) -> Option<f64> {
        self.agreement().map(|share| (share * (1.0 - share) / self.rows as f64).max(0.0).sqrt())
    }

    /// What the agreement is at least, at 95 % confidence.
    pub fn agreement_bound(&self) -> Option<f64> {
        (self.rows > 0).then(|| least_share(self.agreeing as f64, self.rows as f64))
    }

    pub fn score(&self) -> Option<Score> {
        let rows = self.labelled as f64;
        let share = |count: usize| count as f64 / rows;
        let few = |count: usize| (self.most_classes > FEW).then(|| share(count));
        let (lost, won) = (self.lost as f64, self.won as f64);
        (self.labelled > 0).then(|| Score {
            rows: self.labelled,
            float_top1: share(self.float[0]),
            quantized_top1: share(self.quantized[0]),
            float_top5: few(self.float[1]),
            quantized_top5: few(self.quantized[1]),
            drop_points: 100.0 * (share(self.float[0]) - share(self.quantized[0])),
            standard_error: 100.0 * (lost + won - (lost - won).powi(2) / rows).max(0.0).sqrt() / rows,
            lost: self.lost,
            won: self.won,
            drop_bound: drop_bound(lost, won, rows),
        })
    }

    /// What speaks against the labels, or against what the float model was fed.
    pub fn doubts(&self, preprocessed: bool) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if let Some((output, dims, labels)) = &self.unscored {
            doubts.push(Doubt::Unscored { output: output.clone(), dims: dims.clone(), labels: *labels });
        }
        if self.labelled > 0 {
            let rows = self.labelled as f64;
            let (chance, float_top1) = (self.guessed / rows, self.float[0] as f64 / rows);
            // Twice chance, except that of two classes nobody guesses right twice as often.
            let least = chance + chance.min((1.0 - chance) / 4.0);
            // A handful of samples may miss by accident.
            let sure = share_bound(self.float[0], self.labelled) < least.max(USEFUL);
            if float_top1 <= least && sure {
                doubts.push(Doubt::Chance { float_top1, chance, rows: self.labelled, preprocessed });
            }
        }
        doubts
    }
}

/// What both models choose for each row of a first output of class scores; nothing where it is no such.
pub(super) fn answers(float: &Output, quantized: &Output, labels: &[i64]) -> Vec<Answer> {
    let found = rows_of(float, labels.len()).and_then(|rows| classes(float, rows));
    let classes = found.filter(|_| float.values.len() == quantized.values.len());
    classes.map_or_else(Vec::new, |classes| answered(float, quantized, labels, classes).collect())
}

fn answered<'o>(
    float: &'o Output,
    quantized: &'o Output,
    labels: &'o [i64],
    classes: usize,
) -> impl Iterator<Item = Answer> + 'o {
    let rows = float.values.chunks(classes).zip(quantized.values.chunks(classes)).enumerate();
    rows.map(|(row, (float, quantized))| Answer {
        row,
        label: labels.get(row).copied(),
        classes: [best(float), best(quantized)],
        margins: [margin(float), margin(quantized)],
    })
}

/// How far the largest of `scores` is above the next one; 0 where they are no numbers.
fn margin(scores: &[f32]) -> f64 {
    let (mut first, mut next) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &score in scores.iter().filter(|score| score.is_finite()) {
        if score > first {
            (first, next) = (score, first);
        } else {
            next = next.max(score);
        }
    }
    let margin = f64::from(first) - f64::from(next);
    if margin.is_finite() { margin } else { 0.0 }
}

/// How many rows of class scores an output has where there are `labels` labels; `None` where it has none for all that is known.
fn rows_of(output: &Output, labels: usize) -> Option<usize> {
    match (labels, output.dims.as_slice()) {
        (0, [rows, classes]) if *classes > 1 => Some(*rows),
        (0, [rows, positions, classes]) if *classes > 1 && output.name.ends_with("logits") => {
            Some(rows * positions)
        }
        (0, _) => None,
        (rows, _) => Some(rows),
    }
}

/// The class that each row of a first output of class scores chooses, where there are `labels` labels; none where it is no such.
pub(super) fn choices(output: &Output, labels: usize) -> Vec<i64> {
    let classes = rows_of(output, labels).and_then(|rows| classes(output, rows));
    let of = |classes| output.values.chunks(classes).map(|scores| best(scores) as i64).collect();
    classes.map_or_else(Vec::new, of)
}

/// How many classes each of `rows` rows of an output has scores for; `None` where it holds no such rows.
fn classes(output: &Output, rows: usize) -> Option<usize> {
    let fits = rows > 0 && output.values.len().is_multiple_of(rows);
    fits.then(|| output.values.len() / rows).filter(|&classes| classes > 1)
}

/// Refuses labels beyond the classes that `output`, the float model's first on sample `at`, has scores for, and more class folders
/// than there are classes.
///
/// # Errors
/// [`Error::Samples`] naming sample, label and number of classes.
pub fn check_labels(samples: &Samples, at: usize, output: &Output, labels: &[i64]) -> Result<()> {
    match classes(output, labels.len()) {
        Some(classes) => {
            check_folders(samples, &output.name, classes)?;
            check_range(samples, at, &output.name, classes, labels)
        }
        None => Ok(()),
    }
}

/// As [`check_labels`] for all samples, by what `model` declares of its first output: nothing has to be run.
///
/// # Errors
/// [`Error::Samples`] as there.
pub fn check_declared(samples: &Samples, model: &Model) -> Result<()> {
    let Some(output) = model.graph().output.first() else { return Ok(()) };
    let classes = value_shape(output).and_then(|(_, dims)| match dims.as_slice() {
        [_, Some(classes)] => usize::try_from(*classes).ok().filter(|&classes| classes > 1),
        _ => None,
    });
    let (Some(classes), labels) = (classes, samples.labels()) else { return Ok(()) };
    check_folders(samples, output.name(), classes)?;
    let each = (labels.len() / samples.len().max(1)).max(1);
    let mut of_each = labels.chunks(each).enumerate();
    of_each.try_for_each(|(at, labels)| check_range(samples, at, output.name(), classes, labels))
}

fn check_folders(samples: &Samples, output: &str, classes: usize) -> Result<()> {
    let folders = samples.classes();
    if folders.len() <= classes {
        return Ok(());
    }
    let expected = format!("at most {classes} class folders, since output {output} has {classes} classes");
    let listed: Vec<String> =
        folders.iter().enumerate().map(|(index, folder)| format!("{index} = {folder}")).collect();
    let found = format!("{}: {}", folders.len(), listed.join(", "));
    Err(Error::samples(samples.path(), "class folders", expected, found))
}

fn check_range(samples: &Samples, at: usize, output: &str, classes: usize, labels: &[i64]) -> Result<()> {
    let beyond = |label: &&i64| usize::try_from(**label).is_ok_and(|label| label >= classes);
    let Some(label) = labels.iter().find(beyond) else { return Ok(()) };
    let expected = format!("labels from 0 to {}, since output {output} has {classes} classes", classes - 1);
    let found = format!("label {label}; are labels counted from 1, or of another model?");
    Err(Error::samples(samples.path(), samples.name(at), expected, found))
}

fn best(scores: &[f32]) -> usize {
    let better =
        |best: usize, at: usize| if scores[at] > scores[best] || scores[best].is_nan() { at } else { best };
    (1..scores.len()).fold(0, better)
}

/// How many classes are ranked before `label`; among equals the lower index goes first.
fn place(scores: &[f32], label: usize) -> usize {
    let Some(&own) = scores.get(label).filter(|own| !own.is_nan()) else { return usize::MAX };
    scores.iter().enumerate().filter(|&(at, &score)| score > own || score == own && at < label).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(values: &[f32]) -> Output {
        Output { name: "y".into(), dims: vec![values.len() / 2, 2], values: values.to_vec() }
    }

    #[test]
    fn rows_are_counted_and_differences_make_the_error() {
        let mut tally = Tally::default();
        tally.count(&output(&[1.0, 0.0, 0.0, 1.0]), &output(&[0.0, 1.0, 0.0, 1.0]), &[0, 1]);
        let score = tally.score().unwrap();
        assert_eq!((score.float_top1, score.quantized_top1, score.drop_points), (1.0, 0.5, 50.0));
        assert_eq!((tally.agreement(), tally.rows()), (Some(0.5), 2));
        assert!(tally.agreement_bound().is_some_and(|bound| bound < 0.5));
        assert!((score.standard_error - 100.0 * 0.5f64.sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(score.float_top5, None);
    }

    #[test]
    fn nan_is_never_right() {
        let mut tally = Tally::default();
        tally.count(&output(&[1.0, 0.0]), &output(&[f32::NAN, f32::NAN]), &[0]);
        assert_eq!(tally.score().unwrap().quantized_top1, 0.0);
    }
}

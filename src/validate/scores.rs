//! Right answers and agreement, counted row by row.

use crate::plan::Score;
use crate::runtime::Output;

/// Counts over all rows seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    rows: usize,
    agreeing: usize,
    labelled: usize,
    float: [usize; 2],
    quantized: [usize; 2],
    lost: usize,
    won: usize,
    most_classes: usize,
}

/// Five, as in top-5.
const FEW: usize = 5;

impl Tally {
    /// Counts the rows of one sample's first output; `labels` may be empty.
    pub fn count(&mut self, float: &Output, quantized: &Output, labels: &[i64]) {
        let rows = match (labels.len(), float.dims.as_slice()) {
            (0, [rows, classes]) if *classes > 1 => *rows,
            (0, _) => return,
            (rows, _) => rows,
        };
        if rows == 0
            || !float.values.len().is_multiple_of(rows)
            || float.values.len() != quantized.values.len()
        {
            return;
        }
        let classes = float.values.len() / rows;
        if classes < 2 {
            return;
        }
        self.most_classes = self.most_classes.max(classes);
        for (row, (float, quantized)) in
            float.values.chunks(classes).zip(quantized.values.chunks(classes)).enumerate()
        {
            self.rows += 1;
            self.agreeing += usize::from(best(float) == best(quantized));
            let Some(label) = labels.get(row).and_then(|&label| usize::try_from(label).ok()) else {
                continue;
            };
            let right = [place(float, label), place(quantized, label)];
            self.labelled += 1;
            for (counts, place) in [(&mut self.float, right[0]), (&mut self.quantized, right[1])] {
                counts[0] += usize::from(place < 1);
                counts[1] += usize::from(place < FEW);
            }
            self.lost += usize::from(right[0] < 1 && right[1] >= 1);
            self.won += usize::from(right[0] >= 1 && right[1] < 1);
        }
    }

    pub fn agreement(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.agreeing as f64 / self.rows as f64)
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
        })
    }
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
        assert_eq!(tally.agreement(), Some(0.5));
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

//! A record of what both models answer, sample by sample.

use std::cmp::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::boxes::Matches;
use super::compare::Differences;
use super::scores::answers;
use super::witness::{Seen, Witness};
use crate::plan::PerSample;

/// A witness that keeps the figures of each sample.
#[derive(Default)]
pub struct Recorder(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    rows: Vec<PerSample>,
    matches: Matches,
}

impl Recorder {
    /// What was recorded, the worst first: values that are not finite, answers that were right, other answers that differ, and then by
    /// SQNR.
    pub fn worst_first(&self) -> Vec<PerSample> {
        let mut rows = self.kept().rows.clone();
        rows.sort_by(worse);
        rows
    }

    /// How many rows were recorded.
    pub fn len(&self) -> usize {
        self.kept().rows.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn worse(one: &PerSample, other: &PerSample) -> Ordering {
    let ratio = |row: &PerSample| row.sqnr_db.unwrap_or(f64::INFINITY);
    (other.not_finite > 0)
        .cmp(&(one.not_finite > 0))
        .then(other.is_lost().cmp(&one.is_lost()))
        .then(other.differs().cmp(&one.differs()))
        .then(ratio(one).total_cmp(&ratio(other)))
}

impl Witness for Recorder {
    fn saw(&self, seen: &Seen) {
        let mut kept = self.kept();
        if seen.sample == 0 {
            *kept = Kept::default();
        }
        let rows = recorded(seen, &mut kept.matches);
        kept.rows.extend(rows);
    }
}

fn recorded(seen: &Seen, matches: &mut Matches) -> Vec<PerSample> {
    let mut differences = Differences::default();
    // Outputs of other dimensions were refused before anybody saw them.
    let is_comparable = differences.add(seen.float, seen.quantized, &[]).is_ok();
    let loss = is_comparable.then(|| differences.loss());
    let boxes = matches.add(seen.float, seen.quantized);
    let whole = PerSample {
        sample: seen.name.to_owned(),
        row: None,
        label: None,
        float_class: None,
        quantized_class: None,
        float_margin: None,
        quantized_margin: None,
        sqnr_db: loss.as_ref().and_then(|loss| loss.sqnr_db),
        not_finite: loss.as_ref().map_or(0, |loss| loss.broken),
        float_boxes: boxes.map(|boxes| boxes.float),
        quantized_boxes: boxes.map(|boxes| boxes.quantized),
        matched_boxes: boxes.map(|boxes| boxes.matched),
    };
    let answers = match (seen.float.first(), seen.quantized.first()) {
        (Some(float), Some(quantized)) => answers(float, quantized, seen.labels),
        _ => Vec::new(),
    };
    if answers.is_empty() {
        return vec![whole];
    }
    let row = |answer: super::scores::Answer| PerSample {
        row: Some(answer.row),
        label: answer.label,
        float_class: Some(answer.classes[0]),
        quantized_class: Some(answer.classes[1]),
        float_margin: Some(answer.margins[0]),
        quantized_margin: Some(answer.margins[1]),
        ..whole.clone()
    };
    answers.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Output;

    fn see(recorder: &Recorder, sample: usize, scores: [[f32; 2]; 2], labels: &[i64]) {
        let [float, quantized] =
            scores.map(|values| Output { name: "y".into(), dims: vec![1, 2], values: values.to_vec() });
        let name = sample.to_string();
        recorder.saw(&Seen { sample, name: &name, labels, float: &[float], quantized: &[quantized] });
    }

    #[test]
    fn the_worst_comes_first_and_a_new_start_forgets() {
        let recorder = Recorder::default();
        see(&recorder, 0, [[0.0, 9.0], [0.0, 9.0]], &[0]);
        see(&recorder, 0, [[2.0, 1.0], [2.0, 1.1]], &[0]);
        see(&recorder, 1, [[2.0, 1.0], [1.0, 2.0]], &[1]);
        see(&recorder, 2, [[2.0, 1.0], [1.0, 1.5]], &[0]);
        see(&recorder, 3, [[2.0, 1.0], [2.0, 1.0]], &[0]);
        see(&recorder, 4, [[2.0, 1.0], [f32::NAN, 1.0]], &[0]);
        let rows = recorder.worst_first();
        let names: Vec<&str> = rows.iter().map(|row| row.sample.as_str()).collect();
        assert_eq!(names, ["4", "2", "1", "0", "3"]);
        assert_eq!(
            (rows[1].float_class, rows[1].quantized_class, rows[1].label),
            (Some(0), Some(1), Some(0))
        );
        assert_eq!((rows[0].not_finite, rows[4].sqnr_db), (1, None));
        assert!(rows[1].float_margin == Some(1.0) && rows[1].quantized_margin == Some(0.5));
        assert_eq!(rows[0].float_boxes, None);
    }

    #[test]
    fn outputs_without_classes_have_a_row_a_sample() {
        let recorder = Recorder::default();
        let output = |value: f32| Output { name: "y".into(), dims: vec![1, 1, 2, 2], values: vec![value; 4] };
        let seen =
            Seen { sample: 0, name: "a.png", labels: &[], float: &[output(1.0)], quantized: &[output(1.1)] };
        recorder.saw(&seen);
        let rows = recorder.worst_first();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.sample.as_str(), row.row, row.float_class), ("a.png", None, None));
        assert!(row.sqnr_db.is_some_and(|ratio| (ratio - 20.0).abs() < 0.1), "{row:?}");
    }
}

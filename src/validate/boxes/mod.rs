//! Boxes that a detector finds, in both models, and how many of them are the same.
//!
//! A box is a pair with another where both have the same class and an intersection over union of at least [`Boxes::LEAST_IOU`]; pairs are
//! made from the float model's surest box on. Only boxes with a score of at least [`Boxes::LEAST_SCORE`] count. Where the model leaves it
//! to its caller, overlapping boxes of one class are first reduced to the surest (non-maximum suppression at an IoU of 0.45).

mod form;

use crate::plan::Boxes;
use crate::runtime::Output;
use form::Form;

/// Above this IoU two boxes of one model are the same thing.
const SAME: f64 = 0.45;
/// Boxes of a sample that are looked at, the surest ones.
const MOST: usize = 1000;

/// A found box: corners, class and score.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    corners: [f64; 4],
    class: usize,
    score: f64,
}

impl Found {
    fn area(&self) -> f64 {
        let [left, top, right, bottom] = self.corners;
        (right - left).max(0.0) * (bottom - top).max(0.0)
    }

    /// Intersection over union.
    fn overlap(&self, other: &Self) -> f64 {
        let [a, b] = [self.corners, other.corners];
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let both = width * height;
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
}

/// Boxes of one sample: those of the float and of the quantized model, pairs, and the sum of the pairs' IoU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub float: usize,
    pub quantized: usize,
    pub matched: usize,
    overlap: f64,
}

/// Counts over all samples seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Matches {
    /// What the outputs are read as; `None` before the first sample.
    form: Option<Form>,
    /// Whether a sample showed that the outputs are no boxes.
    refused: bool,
    all: Counted,
}

impl Matches {
    /// Counts the boxes of the next sample. `None` where the outputs hold none.
    pub fn add(&mut self, float: &[Output], quantized: &[Output]) -> Option<Counted> {
        if self.refused {
            return None;
        }
        let counted = self.counted(float, quantized);
        match counted {
            Some(counted) => {
                self.all.float += counted.float;
                self.all.quantized += counted.quantized;
                self.all.matched += counted.matched;
                self.all.overlap += counted.overlap;
            }
            None => self.refused = true,
        }
        counted
    }

    fn counted(&mut self, float: &[Output], quantized: &[Output]) -> Option<Counted> {
        if self.form.is_none() {
            self.form = Some(Form::of(float)?);
        }
        let form = self.form.as_mut()?;
        let exact = form.boxes(float, true)?;
        let other = form.boxes(quantized, false)?;
        let mut counted = Counted::default();
        for (exact, other) in exact.into_iter().zip(other) {
            let [exact, other] = [exact, other].map(|boxes| reduced(boxes, form.is_reduced()));
            counted.float += exact.len();
            counted.quantized += other.len();
            for overlap in pairs(&exact, &other) {
                counted.matched += 1;
                counted.overlap += overlap;
            }
        }
        Some(counted)
    }

    /// What all samples amount to.
    pub fn whole(&self) -> Option<Boxes> {
        let form = self.form.as_ref().filter(|_| !self.refused)?;
        let Counted { float, quantized, matched, overlap } = self.all;
        let both = (float + quantized) as f64;
        Some(Boxes {
            form: form.to_string(),
            float,
            quantized,
            matched,
            f1: (both > 0.0).then(|| 2.0 * matched as f64 / both),
            mean_iou: (matched > 0).then(|| overlap / matched as f64),
        })
    }
}

/// `boxes` with the surest first, and where that is still to be done, without those that overlap a surer one of their class.
fn reduced(mut boxes: Vec<Found>, is_reduced: bool) -> Vec<Found> {
    boxes.retain(|found| found.score >= Boxes::LEAST_SCORE);
    boxes.sort_by(|one, other| other.score.total_cmp(&one.score));
    boxes.truncate(MOST);
    if is_reduced {
        return boxes;
    }
    let mut kept: Vec<Found> = Vec::new();
    for found in boxes {
        if !kept.iter().any(|other| other.class == found.class && other.overlap(&found) > SAME) {
            kept.push(found);
        }
    }
    kept
}

/// The IoU of each pair.
fn pairs(exact: &[Found], other: &[Found]) -> Vec<f64> {
    let mut taken = vec![false; other.len()];
    let mut found = Vec::new();
    for one in exact {
        let candidates =
            other.iter().enumerate().filter(|(at, other)| !taken[*at] && other.class == one.class);
        let best = candidates
            .map(|(at, other)| (at, one.overlap(other)))
            .filter(|&(_, overlap)| overlap >= Boxes::LEAST_IOU)
            .max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)));
        if let Some((at, overlap)) = best {
            taken[at] = true;
            found.push(overlap);
        }
    }
    found
}

#[cfg(test)]
mod tests;

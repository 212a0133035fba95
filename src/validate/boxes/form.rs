//! The ways in which detectors give their boxes, told apart by dimensions and values of the float model's outputs.

use std::fmt;

use super::Found;
use crate::plan::Boxes;
use crate::runtime::Output;

/// Scores may leave 0..1 by rounding.
const SLACK: f32 = 1e-3;
/// Fewer places than this are no grid of anchors.
const FEWEST: usize = 16;
/// Coordinates in pixels are beyond 1.
const PIXELS: f32 = 1.5;

/// What the outputs are read as.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    kind: Kind,
    layout: Option<Layout>,
    /// The class of places without an object, where scores are shares of 1.
    background: Option<usize>,
    /// What a person reads.
    told: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Boxes `[n, places, 4]` in one output and scores `[n, places, classes]` in another.
    Apart { boxes: usize, scores: usize },
    /// Boxes `[n, count, 4]`, scores `[n, count]` and perhaps classes `[n, count]`, already reduced.
    Listed { boxes: usize, scores: usize, classes: Option<usize> },
    /// `[n, 4 + classes, places]`, as YOLOv8 has it.
    Columns { output: usize },
    /// `[n, places, 5 + classes]`, the fifth the chance of any object, as YOLOv5 has it.
    Rows { output: usize },
    /// `[n, count, 6]`: corners, score and class, already reduced.
    Ready { output: usize },
}

/// What the four numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Left, top, right, bottom, or with the axes the other way round.
    Corners,
    /// Centre, width and height.
    Centre,
}

impl Form {
    /// The form of these outputs of a float model; `None` where they are no boxes for all that is known.
    pub fn of(outputs: &[Output]) -> Option<Self> {
        apart(outputs).or_else(|| listed(outputs)).or_else(|| whole(outputs))
    }

    /// Whether the model reduces overlapping boxes itself.
    pub fn is_reduced(&self) -> bool {
        matches!(self.kind, Kind::Listed { .. } | Kind::Ready { .. })
    }

    /// The boxes of each sample of a batch. Where they are `exact`, the float model's, `None` says that they are none after all.
    pub fn boxes(&mut self, outputs: &[Output], exact: bool) -> Option<Vec<Vec<Found>>> {
        let mut batch = match self.kind {
            Kind::Apart { boxes, scores } => self.apart(outputs.get(boxes)?, outputs.get(scores)?, exact)?,
            Kind::Listed { boxes, scores, classes } => {
                let classes = classes.and_then(|classes| outputs.get(classes));
                listing(outputs.get(boxes)?, outputs.get(scores)?, classes, exact)?
            }
            Kind::Columns { output } => columns(outputs.get(output)?, exact)?,
            Kind::Rows { output } => rows(outputs.get(output)?, exact)?,
            Kind::Ready { output } => ready(outputs.get(output)?, exact)?,
        };
        let all = || batch.iter().flatten().filter(|found| found.score >= Boxes::LEAST_SCORE);
        if self.layout.is_none() && all().next().is_some() {
            let ordered =
                |found: &Found| found.corners[2] > found.corners[0] && found.corners[3] > found.corners[1];
            self.layout = Some(if all().all(ordered) { Layout::Corners } else { Layout::Centre });
        }
        if self.layout == Some(Layout::Centre) {
            // Offsets from anchors are no boxes.
            if exact && all().any(|found| found.corners[2] <= 0.0 || found.corners[3] <= 0.0) {
                return None;
            }
            batch.iter_mut().flatten().for_each(|found| {
                let [x, y, width, height] = found.corners;
                found.corners = [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0];
            });
        }
        Some(batch)
    }

    fn apart(&mut self, boxes: &Output, scores: &Output, exact: bool) -> Option<Vec<Vec<Found>>> {
        let [batch, places, classes] = three(&scores.dims)?;
        if exact && !are_shares(&scores.values) || boxes.values.len() != batch * places * 4 {
            return None;
        }
        let chunks: Vec<&[f32]> = scores.values.chunks(classes).collect();
        if self.background.is_none() && classes > 1 && chunks.iter().all(|scores| is_one(scores)) {
            // Nearly all places are empty.
            let mut chosen = vec![0usize; classes];
            chunks.iter().for_each(|scores| chosen[best(scores).0] += 1);
            self.background = (0..classes).max_by_key(|&class| (chosen[class], classes - class));
        }
        let mut found = vec![Vec::new(); batch];
        for (at, (corners, scores)) in boxes.values.chunks(4).zip(chunks).enumerate() {
            let (class, score) = best(scores);
            if Some(class) != self.background {
                found[at / places].push(Found { corners: four(corners), class, score });
            }
        }
        Some(found)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.told)
    }
}

fn form(kind: Kind, layout: Option<Layout>, told: String) -> Form {
    Form { kind, layout, background: None, told }
}

/// Boxes and scores of many places in two outputs.
fn apart(outputs: &[Output]) -> Option<Form> {
    let boxes = fours(outputs, FEWEST)?;
    let [batch, places, _] = three(&outputs[boxes].dims)?;
    let scores = (0..outputs.len()).find(|&at| {
        let output = &outputs[at];
        let fits = three(&output.dims)
            .is_some_and(|[one, two, classes]| (one, two) == (batch, places) && classes > 0 && at != boxes);
        fits && are_shares(&output.values)
    })?;
    let told = format!("boxes of {}, scores of {}", outputs[boxes].name, outputs[scores].name);
    Some(form(Kind::Apart { boxes, scores }, None, told))
}

/// Boxes, scores and classes of as many as were found.
fn listed(outputs: &[Output]) -> Option<Form> {
    let boxes = fours(outputs, 1)?;
    let [batch, count, _] = three(&outputs[boxes].dims)?;
    let fits = |at: &usize| *at != boxes && outputs[*at].dims == [batch, count];
    let scores = (0..outputs.len()).filter(fits).find(|&at| {
        let values = &outputs[at].values;
        are_shares(values) && values.iter().any(|value| value.fract() != 0.0)
    })?;
    let classes = (0..outputs.len())
        .filter(fits)
        .find(|&at| at != scores && outputs[at].values.iter().all(|value| value.fract() == 0.0));
    let told = format!("boxes of {}, scores of {}", outputs[boxes].name, outputs[scores].name);
    Some(form(Kind::Listed { boxes, scores, classes }, Some(Layout::Corners), told))
}

/// Boxes and scores in one output.
fn whole(outputs: &[Output]) -> Option<Form> {
    let [output] = outputs else { return None };
    let told = |how: &str| format!("{} as {how}", output.name);
    if ready(output, true).is_some() {
        let how = told("corners, score and class");
        return Some(form(Kind::Ready { output: 0 }, Some(Layout::Corners), how));
    }
    if columns(output, true).is_some() {
        let how = told("centre, size and a score a class, by columns");
        return Some(form(Kind::Columns { output: 0 }, Some(Layout::Centre), how));
    }
    rows(output, true)?;
    let how = told("centre, size, chance of an object and a score a class");
    Some(form(Kind::Rows { output: 0 }, Some(Layout::Centre), how))
}

fn listing(
    boxes: &Output,
    scores: &Output,
    classes: Option<&Output>,
    exact: bool,
) -> Option<Vec<Vec<Found>>> {
    let &[batch, count] = scores.dims.as_slice() else { return None };
    if exact && !are_shares(&scores.values) || boxes.values.len() != 4 * scores.values.len() {
        return None;
    }
    let mut found = vec![Vec::new(); batch];
    for (at, (corners, score)) in boxes.values.chunks(4).zip(&scores.values).enumerate() {
        let class =
            classes.and_then(|classes| classes.values.get(at)).map_or(0, |&class| class.max(0.0) as usize);
        found[at / count].push(Found { corners: four(corners), class, score: f64::from(*score) });
    }
    Some(found)
}

fn columns(output: &Output, exact: bool) -> Option<Vec<Vec<Found>>> {
    let [batch, numbers, places] = three(&output.dims).filter(|[_, numbers, places]| numbers < places)?;
    if numbers < 5 || places < FEWEST {
        return None;
    }
    let mut found = vec![Vec::new(); batch];
    for (values, found) in output.values.chunks(numbers * places).zip(&mut found) {
        let (sizes, scores) = values.split_at(4 * places);
        if exact
            && !(are_shares(scores) && are_pixels(sizes) && sizes[2 * places..].iter().all(|&it| it >= 0.0))
        {
            return None;
        }
        for place in 0..places {
            let corners = [0, 1, 2, 3].map(|at| f64::from(sizes[at * places + place]));
            let column: Vec<f32> = scores.iter().skip(place).step_by(places).copied().collect();
            let (class, score) = best(&column);
            found.push(Found { corners, class, score });
        }
    }
    Some(found)
}

fn rows(output: &Output, exact: bool) -> Option<Vec<Vec<Found>>> {
    let [batch, places, numbers] = three(&output.dims).filter(|[_, places, numbers]| numbers < places)?;
    if numbers < 6 || places < FEWEST {
        return None;
    }
    if exact && !are_pixels(&output.values) {
        return None;
    }
    let mut found = vec![Vec::new(); batch];
    for (at, row) in output.values.chunks(numbers).enumerate() {
        let (sizes, scores) = row.split_at(4);
        if exact && !(are_shares(scores) && sizes[2] >= 0.0 && sizes[3] >= 0.0) {
            return None;
        }
        let (class, score) = best(&scores[1..]);
        let score = score * f64::from(scores[0]);
        found[at / places].push(Found { corners: four(sizes), class, score });
    }
    Some(found)
}

fn ready(output: &Output, exact: bool) -> Option<Vec<Vec<Found>>> {
    let [batch, count, numbers] = three(&output.dims)?;
    if numbers != 6 || count == 0 {
        return None;
    }
    let mut found = vec![Vec::new(); batch];
    for (at, row) in output.values.chunks(numbers).enumerate() {
        let is_box = are_shares(&row[4..5]) && row[5] >= 0.0 && row[5].fract() == 0.0;
        let has_area = row[2] > row[0] && row[3] > row[1];
        if exact && !(is_box && (has_area || f64::from(row[4]) < Boxes::LEAST_SCORE)) {
            return None;
        }
        let class = row[5].round().max(0.0) as usize;
        found[at / count].push(Found { corners: four(row), class, score: f64::from(row[4]) });
    }
    Some(found)
}

/// Dimensions of three axes; of two, with a batch of one.
fn three(dims: &[usize]) -> Option<[usize; 3]> {
    let found = match *dims {
        [one, two, three] => [one, two, three],
        [two, three] => [1, two, three],
        _ => return None,
    };
    found.iter().all(|&dim| dim > 0).then_some(found)
}

/// The output with four numbers a place, of at least `fewest` places: where there are several, the one that is called so.
fn fours(outputs: &[Output], fewest: usize) -> Option<usize> {
    let fits = |at: &usize| {
        three(&outputs[*at].dims).is_some_and(|[_, places, numbers]| numbers == 4 && places >= fewest)
    };
    let found: Vec<usize> = (0..outputs.len()).filter(fits).collect();
    let is_called = |at: &&usize| {
        let name = outputs[**at].name.to_lowercase();
        name.contains("box") || name.contains("loc")
    };
    match found.as_slice() {
        [only] => Some(*only),
        _ => found.iter().find(is_called).copied(),
    }
}

/// Whether all values lie in 0..1.
fn are_shares(values: &[f32]) -> bool {
    values.iter().all(|value| (-SLACK..=1.0 + SLACK).contains(value))
}

/// Whether a value is too large for coordinates in parts of the picture.
fn are_pixels(values: &[f32]) -> bool {
    values.iter().any(|&value| value > PIXELS)
}

/// Whether scores are shares of one whole.
fn is_one(scores: &[f32]) -> bool {
    (scores.iter().sum::<f32>() - 1.0).abs() < 10.0 * SLACK
}

fn four(values: &[f32]) -> [f64; 4] {
    [0, 1, 2, 3].map(|at| f64::from(values.get(at).copied().unwrap_or(f32::NAN)))
}

/// The class with the highest score; what is no number is the lowest.
fn best(scores: &[f32]) -> (usize, f64) {
    let better = |best: (usize, f32), (at, &score): (usize, &f32)| {
        if score > best.1 { (at, score) } else { best }
    };
    let (class, score) = scores.iter().enumerate().fold((0, f32::NEG_INFINITY), better);
    (class, f64::from(score))
}

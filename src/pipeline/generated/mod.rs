//! Samples to calibrate and to judge on where nobody gave any.

mod choice;
mod sequences;

use super::feeding::Feeding;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::plan::{Expected, Generated, Generation};
use crate::runtime::Session;
use crate::samples::{Pictures, Range, Samples};
use choice::{BY_ANSWERS, Choice, choose};

/// Pixels of all pictures that are calibrated on, unless another number of pictures is asked for: 64 of 224x224. Smaller pictures show less, so
/// that more of them help.
const PIXELS: usize = 64 * 224 * 224;
/// Pictures that these make, at least and at most.
const COUNTS: (usize, usize) = (16, 256);
/// Other samples: more change little.
const OTHERS: usize = 64;
/// Sizes of open dimensions that are tried.
const SIZES: usize = 3;
/// Parts the pictures that are judged on from those that are calibrated on.
const JUDGED: u64 = 0x6a75_6467_6564;

/// Samples, and what they are.
pub(super) struct Made {
    pub samples: Samples,
    pub record: Generated,
}

impl Made {
    /// Whether nothing but the answers of the network tells the range of pixels.
    pub fn is_guessed(&self) -> bool {
        self.record.chosen_by.as_deref() == Some(BY_ANSWERS)
    }
}

/// What to generate for.
#[derive(Clone, Copy)]
pub(super) struct Wish<'w> {
    pub model: &'w Model,
    /// What folded normalisations say of its values.
    pub expected: &'w Expected,
    pub feeding: &'w Feeding,
    /// The range of pixels where a person says it.
    pub range: Option<&'w Range>,
    /// How many; as many as help where not given.
    pub count: Option<usize>,
    pub seed: u64,
}

/// Samples to calibrate on: pictures where an input looks like one. `None` where none but random numbers can be had.
///
/// # Errors
/// [`Error::Runtime`] where tract cannot run the model; as [`Samples::synthetic`].
pub(super) fn generated(wish: &Wish) -> Result<Option<Made>> {
    let Some(pictures) = runnable(wish)? else {
        return Ok(sequences::sequences(wish)?
            .map(|samples| Made { record: record(wish, Generation::Sequences, samples.len()), samples }));
    };
    let count = wish.count.unwrap_or((PIXELS / pictures.pixels().max(1)).clamp(COUNTS.0, COUNTS.1));
    let pictures = pictures.limited(count);
    let Choice { ranges, by } = match wish.range {
        Some(range) => Choice { ranges: vec![range.clone()], by: Some("`.preprocess`") },
        None => choose(wish, &pictures)?,
    };
    let record = Generated {
        range: Some(Range::names(&ranges)),
        chosen_by: by.map(str::to_owned),
        ..record(wish, Generation::Pictures, count)
    };
    Ok(Some(Made { samples: pictures.samples(&ranges), record }))
}

fn record(wish: &Wish, what: Generation, samples: usize) -> Generated {
    Generated { what, samples, seed: wish.seed, range: None, chosen_by: None }
}

/// Random numbers.
///
/// # Errors
/// As [`Samples::synthetic`].
pub(super) fn numbers(wish: &Wish) -> Result<Made> {
    let count = wish.count.unwrap_or(OTHERS);
    let samples = Samples::synthetic(wish.model, &wish.feeding.shapes, count, wish.seed)?;
    Ok(Made { samples, record: record(wish, Generation::Numbers, count) })
}

/// Pictures to judge on, other ones than those of the same seed that are calibrated on; in the range that is `known`, or else chosen. `None` where
/// no input looks like a picture, or the model cannot be run on them.
///
/// # Errors
/// Whatever running the model gives besides [`Error::Runtime`].
pub(super) fn judging(wish: &Wish, known: Option<&str>) -> Result<Option<Samples>> {
    let wish = Wish { seed: wish.seed ^ JUDGED, ..*wish };
    let made = runnable(&wish).and_then(|pictures| {
        let Some(pictures) = pictures else { return Ok(None) };
        let known = known.map(Range::all_named).filter(|ranges| !ranges.is_empty());
        let ranges = match (wish.range, known) {
            (Some(range), _) => vec![range.clone()],
            (None, Some(known)) => known,
            (None, None) => choose(&wish, &pictures)?.ranges,
        };
        Ok(Some(pictures.samples(&ranges)))
    });
    match made {
        Err(Error::Runtime { .. } | Error::Invalid { .. }) => Ok(None),
        made => made,
    }
}

/// Pictures of the first size that the model takes.
fn runnable(wish: &Wish) -> Result<Option<Pictures>> {
    let count = wish.count.unwrap_or(COUNTS.1);
    let drawn = |size: usize| Pictures::of(wish.model, &wish.feeding.shapes, size, count, wish.seed);
    let session = Session::new(wish.model, "float", &[])?;
    let mut problem = None;
    for size in 0..SIZES {
        let Some(pictures) = drawn(size)? else { return Ok(None) };
        let Some(range) = pictures.ranges().first() else { return Ok(None) };
        match session.run(&pictures.samples(std::slice::from_ref(range)).get(0)?.inputs) {
            Ok(_) => return Ok(Some(pictures)),
            Err(error @ Error::Runtime { .. }) => problem = problem.or(Some(error)),
            Err(error) => return Err(error),
        }
        if !pictures.is_open() {
            break;
        }
    }
    problem.map_or(Ok(None), Err)
}

//! Samples to calibrate and to judge on where nobody gave any.

mod choice;

use super::feeding::Feeding;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::plan::{Expected, Generated, Generation};
use crate::runtime::Session;
use crate::samples::{Pictures, Range, Samples};
use choice::{Choice, choose};

/// Samples that are generated to calibrate on: more change little.
pub(super) const GENERATED_SAMPLES: usize = 64;
/// Sizes of open dimensions that are tried.
const SIZES: usize = 3;
/// Parts the pictures that are judged on from those that are calibrated on.
const JUDGED: u64 = 0x6a75_6467_6564;

/// Samples, and what they are.
pub(super) struct Made {
    pub samples: Samples,
    pub record: Generated,
}

/// What to generate for.
#[derive(Clone, Copy)]
pub(super) struct Wish<'w> {
    pub model: &'w Model,
    /// What folded normalisations say of its values.
    pub expected: &'w Expected,
    pub feeding: &'w Feeding,
    pub count: usize,
    pub seed: u64,
}

/// Samples to calibrate on: pictures where an input looks like one. `None` where none but random numbers can be had.
///
/// # Errors
/// [`Error::Runtime`] where tract cannot run the model; as [`Samples::synthetic`].
pub(super) fn generated(wish: &Wish) -> Result<Option<Made>> {
    let Some(pictures) = runnable(wish)? else { return Ok(None) };
    let Choice { range, by } = choose(wish.model, wish.expected, &pictures)?;
    let record = Generated {
        what: Generation::Pictures,
        samples: wish.count,
        seed: wish.seed,
        range: Some(range.name.to_owned()),
        chosen_by: by.map(str::to_owned),
    };
    Ok(Some(Made { samples: pictures.samples(range), record }))
}

/// Random numbers.
///
/// # Errors
/// As [`Samples::synthetic`].
pub(super) fn numbers(wish: &Wish) -> Result<Made> {
    let samples = Samples::synthetic(wish.model, &wish.feeding.shapes, wish.count, wish.seed)?;
    let what = Generation::Numbers;
    let record = Generated { what, samples: wish.count, seed: wish.seed, range: None, chosen_by: None };
    Ok(Made { samples, record })
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
        let range = match known.and_then(Range::named) {
            Some(range) => range,
            None => choose(wish.model, wish.expected, &pictures)?.range,
        };
        Ok(Some(pictures.samples(range)))
    });
    match made {
        Err(Error::Runtime { .. } | Error::Invalid { .. }) => Ok(None),
        made => made,
    }
}

/// Pictures of the first size that the model takes.
fn runnable(wish: &Wish) -> Result<Option<Pictures>> {
    let drawn = |size: usize| Pictures::of(wish.model, &wish.feeding.shapes, size, wish.count, wish.seed);
    let session = Session::new(wish.model, "float", &[])?;
    let mut problem = None;
    for size in 0..SIZES {
        let Some(pictures) = drawn(size)? else { return Ok(None) };
        let Some(range) = pictures.ranges().first() else { return Ok(None) };
        match session.run(&pictures.samples(range).get(0)?.inputs) {
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

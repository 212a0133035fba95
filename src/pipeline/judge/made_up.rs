//! Samples to judge on where there are none.

use super::Pair;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::options::OPSET;
use crate::pipeline::generated::{Wish, judging};
use crate::plan::{Expected, Stamp};
use crate::prepare::with_statistics;
use crate::samples::{Preprocess, Range, Samples};

/// Random samples that stand in where there are none: enough to see that the file runs.
const SYNTHETIC_SAMPLES: usize = 4;
/// Pictures.
const PICTURES: usize = 16;

/// What is known of generated samples before any are made.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pipeline) struct Known<'k> {
    /// What folded normalizations say of the float model's values; where not given, it is found out.
    pub expected: Option<&'k Expected>,
    /// The range of pixels that was calibrated on.
    pub range: Option<&'k str>,
    /// What a person says of pixels, which tells the range before anything else.
    pub preprocess: Option<&'k Preprocess>,
}

/// Pictures where the model takes some, which is told, or else random numbers; or why there are none.
pub(super) fn made_up(pair: &Pair) -> Result<std::result::Result<(Samples, bool), String>> {
    if let Some(pictures) = pictures(pair)? {
        return Ok(Ok((pictures, true)));
    }
    let numbers = sized(pair, 0).map(|samples| (samples, false));
    Ok(numbers.map_err(|error| format!("no samples were given, and none can be made up: {error}")))
}

/// Random numbers of the size tried, from 0.
pub(super) fn sized(pair: &Pair, size: usize) -> Result<Samples> {
    Samples::synthetic_sized(pair.float, &pair.feeding.shapes, size, SYNTHETIC_SAMPLES, pair.seed)
}

fn pictures(pair: &Pair) -> Result<Option<Samples>> {
    if !pair.faults.is_empty() || !pair.feeding.states.is_empty() {
        return Ok(None);
    }
    let found;
    let expected = match (pair.known.expected, pair.known.range) {
        (Some(expected), _) => expected,
        (None, range) => {
            found = if range.is_some() || pair.known.preprocess.is_some() {
                Expected::new()
            } else {
                statistics(pair.float)
            };
            &found
        }
    };
    let range = pair.known.preprocess.map(Range::of);
    let wish = Wish {
        model: pair.float,
        expected,
        feeding: pair.feeding,
        range: range.as_ref(),
        count: Some(PICTURES),
        seed: pair.seed,
    };
    match judging(&wish, pair.known.range) {
        Err(Error::Options { .. }) => Ok(None),
        made => made,
    }
}

/// The folded normalizations keep the names of the values that they made.
fn statistics(model: &Model) -> Expected {
    with_statistics(model.clone(), OPSET).map(|(_, _, expected)| expected).unwrap_or_default()
}

/// The range that a written file says it was calibrated on.
pub(super) fn range_of(written: &Model) -> Option<String> {
    let entry = written.proto.metadata_props.iter().find(|entry| entry.key() == Stamp::RANGE)?;
    Some(entry.value().to_owned())
}

//! What is added to scores: masks and biases that are broadcast to [batch, head, query, key].

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::numbers::singles;
use super::super::places::strides;

/// A mask or bias, broadcast.
pub(super) struct Bias {
    values: Vec<f32>,
    steps: [usize; 4],
    /// Keys that it has something to say of.
    keys: usize,
}

impl Bias {
    /// `tensor` for scores of `dims`, aligned with their last axes. A mask of booleans is minus infinity where it is false. Where
    /// `is_padded`, an axis of keys that is too short ends in keys that are not seen, and is not broadcast.
    ///
    /// # Errors
    /// Where the dimensions do not fit.
    pub fn of(tensor: &Tensor, dims: [usize; 4], is_padded: bool) -> TractResult<Self> {
        let own = tensor.shape();
        let lead = 4_usize.checked_sub(own.len()).with_context(|| format!("a mask of {own:?}"))?;
        let values = match tensor.datum_type() {
            DatumType::Bool => {
                let seen = singles(tensor)?;
                seen.into_iter().map(|seen| if seen == 0.0 { f32::NEG_INFINITY } else { 0.0 }).collect()
            }
            _ => singles(tensor)?,
        };
        let mut steps = [0; 4];
        let mut keys = dims[3];
        for (axis, (&length, step)) in own.iter().zip(strides(own)).enumerate() {
            let wanted = dims[lead + axis];
            let is_short = lead + axis == 3 && is_padded && length < wanted;
            match length {
                _ if length == wanted => steps[lead + axis] = step,
                _ if is_short => (steps[3], keys) = (step, length),
                1 => {}
                _ => bail!("a mask of {own:?} for scores of {dims:?}"),
            }
        }
        Ok(Self { values, steps, keys })
    }

    /// What is added at `place`.
    pub fn at(&self, place: [usize; 4]) -> f32 {
        if place[3] >= self.keys {
            return f32::NEG_INFINITY;
        }
        self.values[place.iter().zip(&self.steps).map(|(at, step)| at * step).sum::<usize>()]
    }
}

//! What samples hold: digests by which they are known again, and values that no model was trained on.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{Sample, Samples};
use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, floats};

/// A sample that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Which one, as in "sample 3", counted from 0 in its file.
    pub sample: String,
    /// The input.
    pub input: String,
    /// What it holds, and where.
    pub holds: String,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(out, "{} holds {} in input {}", self.sample, self.holds, self.input)
    }
}

/// What values of one input are not finite.
#[derive(Clone, Debug, PartialEq)]
enum Odd {
    Nan(usize),
    /// The place of one, and whether all finite values beside it are equal, as in a mask.
    Infinite(usize, bool),
}

impl Sample {
    /// A number that depends on the inputs alone: not on labels, names or the form of the file.
    pub fn digest(&self) -> u64 {
        let mut sha = Sha256::new();
        for input in &self.inputs {
            sha.update((input.dims.len() as u64).to_le_bytes());
            input.dims.iter().for_each(|dim| sha.update(dim.to_le_bytes()));
            sha.update(input.raw_data());
        }
        let bytes = sha.finalize();
        bytes.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

impl Samples {
    /// The digests of all samples, in their order.
    ///
    /// # Errors
    /// As [`Samples::get`].
    pub fn digests(&self) -> Result<Vec<u64>> {
        (0..self.len()).into_par_iter().map(|at| Ok(self.get(at)?.digest())).collect()
    }

    /// Positions of samples with NaN, and of those with infinite values in inputs that are finite in most samples and no masks.
    ///
    /// # Errors
    /// As [`Samples::get`].
    pub fn flawed(&self) -> Result<Vec<(usize, Flaw)>> {
        if self.source.is_finite() {
            return Ok(Vec::new());
        }
        let odd: Vec<Vec<(String, Vec<i64>, Odd)>> = (0..self.len())
            .into_par_iter()
            .map(|at| {
                let inputs = self.get(at)?.inputs;
                let look = |input: &TensorProto| {
                    Ok(odd(input)?.map(|odd| (input.name().to_owned(), input.dims.clone(), odd)))
                };
                inputs.iter().filter_map(|input| look(input).transpose()).collect()
            })
            .collect::<Result<_>>()?;
        // A mask may well be infinite, and so may what is infinite as a rule.
        let infinite = |name: &str| {
            let is =
                |(other, _, odd): &(String, Vec<i64>, Odd)| other == name && matches!(odd, Odd::Infinite(..));
            odd.iter().filter(|odd| odd.iter().any(is)).count()
        };
        let flaw = |at: usize, (name, dims, odd): &(String, Vec<i64>, Odd)| {
            let (place, what) = match odd {
                Odd::Nan(place) => (*place, "NaN"),
                Odd::Infinite(_, true) => return None,
                Odd::Infinite(..) if 2 * infinite(name) > self.len() => return None,
                Odd::Infinite(place, false) => (*place, "an infinite value"),
            };
            let holds = format!("{what} at {}", index(place, dims));
            Some((at, Flaw { sample: self.name(at), input: name.clone(), holds }))
        };
        Ok(odd.iter().enumerate().filter_map(|(at, odd)| odd.iter().find_map(|odd| flaw(at, odd))).collect())
    }
}

/// The first value of a floating-point tensor that is not finite; NaN before infinite ones.
fn odd(tensor: &TensorProto) -> Result<Option<Odd>> {
    let float = [Dtype::Float, Dtype::Double, Dtype::Float16, Dtype::Bfloat16].map(|kind| kind as i32);
    if !float.contains(&tensor.data_type()) {
        return Ok(None);
    }
    if tensor.data_type() == Dtype::Double as i32 {
        let (words, _) = tensor.raw_data().as_chunks::<8>();
        return Ok(first_odd(words.iter().map(|&word| f64::from_le_bytes(word))));
    }
    if tensor.data_type() == Dtype::Float as i32 {
        let (words, _) = tensor.raw_data().as_chunks::<4>();
        return Ok(first_odd(words.iter().map(|&word| f64::from(f32::from_le_bytes(word)))));
    }
    Ok(first_odd(floats(tensor)?.iter().map(|&value| f64::from(value))))
}

fn first_odd(values: impl Iterator<Item = f64> + Clone) -> Option<Odd> {
    let (mut infinite, mut finite) = (None, None);
    let mut mask = true;
    for (at, value) in values.enumerate() {
        if value.is_nan() {
            return Some(Odd::Nan(at));
        } else if value.is_infinite() {
            infinite = infinite.or(Some(at));
        } else {
            mask &= *finite.get_or_insert(value) == value;
        }
    }
    infinite.map(|at| Odd::Infinite(at, mask && finite.is_some()))
}

/// A place in a tensor of these dimensions: `[0, 3, 1]`.
fn index(place: usize, dims: &[i64]) -> String {
    let mut rest = place;
    let mut at: Vec<usize> = Vec::with_capacity(dims.len());
    for dim in dims.iter().rev() {
        let size = usize::try_from(*dim).unwrap_or(1).max(1);
        at.push(rest % size);
        rest /= size;
    }
    at.reverse();
    super::misfit::shape_text(&at)
}

#[cfg(test)]
mod tests;

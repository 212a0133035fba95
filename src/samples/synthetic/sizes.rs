//! Sizes for dimensions that the model leaves open.

use std::collections::BTreeMap;

use super::super::input::{Dim, Input};
use crate::onnx::Dtype;

/// A batch.
const BATCH: usize = 1;
/// Words, frames and the like, from the first size tried to the last.
const LENGTHS: [usize; 3] = [16, 128, 1024];
/// Height, width and depth of pictures: stride after stride halves them.
const SIDES: [usize; 3] = [64, 224, 640];
/// A cache of what was there before.
const PAST: usize = 0;
/// Numbers of one sample as a sound.
const SOUND: usize = 4096;
/// Axes of a sound: batch, perhaps a channel, time.
const SOUNDS: [&str; 4] = ["audio", "wav", "waveform", "samples"];
const PASTS: [&str; 2] = ["past", "cache"];

/// Sizes by symbol: equal for equal symbols.
#[derive(Debug, Default)]
pub(in crate::samples) struct Sizes {
    /// Which of the sizes is tried.
    size: usize,
    known: BTreeMap<String, usize>,
}

impl Sizes {
    /// Of the symbols that `inputs` name; those along the first axis of any are batches. `shapes` are given.
    pub fn of(inputs: &[Input], shapes: &[(String, Vec<i64>)], size: usize) -> Self {
        let mut sizes = Self { size: size.min(LENGTHS.len() - 1), ..Self::default() };
        for (name, dims) in shapes {
            let input = inputs.iter().find(|input| input.name == *name);
            for (dim, &size) in input.and_then(|input| input.dims.as_deref()).unwrap_or(&[]).iter().zip(dims)
            {
                if let (Dim::Named(symbol), Ok(size)) = (dim, usize::try_from(size)) {
                    sizes.known.insert(symbol.clone(), size);
                }
            }
        }
        for input in inputs {
            if let Some([Dim::Named(symbol), ..]) = input.dims.as_deref()
                && !is_past(symbol)
                && !symbol.contains('+')
            {
                sizes.known.entry(symbol.clone()).or_insert(BATCH);
            }
        }
        for input in inputs {
            for axis in 0..input.dims.as_ref().map_or(0, Vec::len) {
                sizes.dim(input, axis);
            }
        }
        sizes
    }

    /// The size of one dimension.
    pub fn dim(&mut self, input: &Input, axis: usize) -> usize {
        let dims = input.dims.as_deref().unwrap_or(&[]);
        match dims.get(axis) {
            Some(Dim::Fixed(size)) => *size,
            Some(Dim::Named(symbol)) => {
                if let Some(&size) = self.known.get(symbol) {
                    return size;
                }
                let size =
                    self.sum(symbol).unwrap_or_else(|| open(input, symbol, axis, dims.len(), self.size));
                self.known.insert(symbol.clone(), size);
                size
            }
            // Some exporters write 0 for what they do not know.
            Some(Dim::Unknown | Dim::Zero) | None if axis == 0 => BATCH,
            Some(Dim::Zero) if is_past(&input.name) => PAST,
            Some(Dim::Unknown | Dim::Zero) | None => open(input, "", axis, dims.len(), self.size),
        }
    }

    /// A symbol that is a sum of others, as in `past + 1`.
    fn sum(&self, symbol: &str) -> Option<usize> {
        let parts: Vec<&str> = symbol.split('+').map(str::trim).collect();
        let part = |text: &&str| {
            let known = self.known.get(*text).copied().or_else(|| text.parse().ok());
            known.unwrap_or(if is_past(text) { PAST } else { LENGTHS[self.size] })
        };
        (parts.len() > 1).then(|| parts.iter().map(part).sum::<usize>().max(1))
    }
}

fn is_past(name: &str) -> bool {
    let name = name.to_lowercase();
    PASTS.iter().any(|past| name.contains(past)) && !name.contains('+')
}

fn open(input: &Input, symbol: &str, axis: usize, rank: usize, size: usize) -> usize {
    let float = [Dtype::Float, Dtype::Float16, Dtype::Bfloat16, Dtype::Double]
        .iter()
        .any(|dtype| *dtype as i32 == input.dtype);
    let name = input.name.to_lowercase();
    match rank {
        _ if is_past(symbol) || (symbol.is_empty() && is_past(&input.name)) => PAST,
        _ if axis == 0 => BATCH,
        4.. if float && axis >= 2 && !is_past(&input.name) => SIDES[size],
        2 | 3 if float && axis + 1 == rank && SOUNDS.iter().any(|sound| name.contains(sound)) => SOUND,
        _ => LENGTHS[size],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dtype: Dtype, dims: &[&str]) -> Input {
        let dim = |text: &&str| match text.parse() {
            Ok(0) => Dim::Zero,
            Ok(size) => Dim::Fixed(size),
            Err(_) if text.is_empty() => Dim::Unknown,
            Err(_) => Dim::Named((*text).into()),
        };
        let dims = Some(dims.iter().map(dim).collect());
        Input { name: name.into(), dtype: dtype as i32, dims, batch_axis: None }
    }

    fn made(inputs: &[Input], shapes: &[(String, Vec<i64>)]) -> Vec<Vec<usize>> {
        let mut sizes = Sizes::of(inputs, shapes, 0);
        let rank = |input: &Input| input.dims.as_ref().map_or(0, Vec::len);
        inputs.iter().map(|input| (0..rank(input)).map(|axis| sizes.dim(input, axis)).collect()).collect()
    }

    #[test]
    fn equal_symbols_are_of_one_size_and_a_cache_may_be_empty() {
        let inputs = [
            input("input_ids", Dtype::Int64, &["batch", "seq"]),
            input("attention_mask", Dtype::Int64, &["batch", "past_len + seq"]),
            input("past_key", Dtype::Float, &["batch", "4", "past_len", "8"]),
            input("past_value", Dtype::Float, &["", "4", "", "8"]),
            input("image", Dtype::Float, &["N", "3", "H", "W"]),
            input("audio", Dtype::Float, &["batch", "T"]),
        ];
        let expected: [&[usize]; 6] =
            [&[1, 16], &[1, 16], &[1, 4, 0, 8], &[1, 4, 0, 8], &[1, 3, 64, 64], &[1, 4096]];
        assert_eq!(made(&inputs, &[]), expected);
        let given = [("input_ids".to_owned(), vec![2, 5]), ("past_key".to_owned(), vec![2, 4, 3, 8])];
        let other = made(&inputs[..3], &given);
        assert_eq!(other, [vec![2, 5], vec![2, 8], vec![2, 4, 3, 8]]);
    }
}

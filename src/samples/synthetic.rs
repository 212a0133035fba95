//! Made-up samples, for models that come without data.

use bytes::Bytes;

use super::input::{Dim, Input};
use super::random::SplitMix64;
use super::{Sample, Source, element};
use crate::error::{Error, Result};
use crate::onnx::{Dtype, tensor};

/// Largest tensor that is made up, in elements: 1 GiB of floats.
const LARGEST: usize = 1 << 28;

/// Samples that are made when asked for: each depends on the seed and its index alone.
#[derive(Debug)]
pub(super) struct Synthetic {
    inputs: Vec<(String, Dtype, Vec<i64>)>,
    count: usize,
    seed: u64,
}

impl Synthetic {
    pub(super) fn new(inputs: &[Input], count: usize, seed: u64) -> Result<Self> {
        let inputs = inputs.iter().map(|input| shape(input, inputs)).collect::<Result<_>>()?;
        Ok(Self { inputs, count, seed })
    }
}

impl Source for Synthetic {
    fn len(&self) -> usize {
        self.count
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut random = SplitMix64::new(SplitMix64::new(self.seed).next() ^ index as u64);
        let inputs = self.inputs.iter().map(|(name, dtype, dims)| {
            let count: usize = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product();
            tensor(name.as_str(), *dtype, dims, values(*dtype, count, &mut random))
        });
        Ok(Sample { inputs: inputs.collect(), labels: Vec::new() })
    }
}

fn values(dtype: Dtype, count: usize, random: &mut SplitMix64) -> Bytes {
    let mut normal = || random.normal();
    let bytes: Vec<u8> = match dtype {
        Dtype::Float => (0..count).flat_map(|_| (normal() as f32).to_le_bytes()).collect(),
        Dtype::Double => (0..count).flat_map(|_| normal().to_le_bytes()).collect(),
        Dtype::Float16 => (0..count).flat_map(|_| half::f16::from_f64(normal()).to_le_bytes()).collect(),
        Dtype::Bfloat16 => (0..count).flat_map(|_| half::bf16::from_f64(normal()).to_le_bytes()).collect(),
        other => vec![0; count * element::size(other).unwrap_or(0)],
    };
    bytes.into()
}

/// The shape to make up: an open first dimension is a batch of one, and so is its name elsewhere.
fn shape(input: &Input, inputs: &[Input]) -> Result<(String, Dtype, Vec<i64>)> {
    let refuse = |problem: String| Err(Error::invalid(format!("input {}", input.name), problem));
    let give = "give samples of the real thing, or all dimensions with --shape";
    let is_batch = |name: &str| {
        let first =
            |input: &Input| matches!(input.dims.as_deref(), Some([Dim::Named(first), ..]) if first == name);
        inputs.iter().any(first)
    };
    let Some(dims) = &input.dims else {
        return refuse(format!("its shape is not known; {give}"));
    };
    let mut sizes = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        match dim {
            Dim::Fixed(size) => sizes.push(*size),
            Dim::Named(name) if is_batch(name) => sizes.push(1),
            Dim::Unknown | Dim::Zero if axis == 0 => sizes.push(1),
            Dim::Zero => sizes.push(0),
            dim => {
                let problem = format!("dimension {axis} ({dim}) of {} is not known; {give}", input.shape());
                return refuse(problem);
            }
        }
    }
    let count = sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if count.is_none_or(|count| count > LARGEST) {
        return refuse(format!("{} has more than {LARGEST} elements", input.shape()));
    }
    let dtype = Dtype::try_from(input.dtype).unwrap_or(Dtype::Undefined);
    match element::size(dtype) {
        Some(_) => Ok((input.name.clone(), dtype, sizes.into_iter().map(|size| size as i64).collect())),
        None => refuse(format!("{} cannot be made up; {give}", element::name(input.dtype))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dtype: Dtype, dims: &[Dim]) -> Input {
        Input { name: name.into(), dtype: dtype as i32, dims: Some(dims.to_vec()), batch_axis: None }
    }

    fn named(name: &str) -> Dim {
        Dim::Named(name.into())
    }

    #[test]
    fn open_first_dimensions_are_one_and_so_are_their_names() {
        let inputs = [
            input("x", Dtype::Float, &[named("batch"), Dim::Fixed(3)]),
            input("state", Dtype::Float16, &[Dim::Fixed(2), named("batch")]),
            input("rate", Dtype::Int64, &[]),
            input("mask", Dtype::Bool, &[Dim::Unknown, Dim::Fixed(2)]),
        ];
        let samples = Synthetic::new(&inputs, 5, 1).unwrap();
        let sample = samples.get(4).unwrap();
        let dims: Vec<&[i64]> = sample.inputs.iter().map(|input| input.dims.as_slice()).collect();
        assert_eq!(dims, [&[1, 3][..], &[2, 1], &[], &[1, 2]]);
        let lengths: Vec<usize> = sample.inputs.iter().map(|input| input.raw_data().len()).collect();
        assert_eq!(lengths, [12, 4, 8, 2]);
        assert_eq!(sample, samples.get(4).unwrap());
        assert_ne!(sample, samples.get(3).unwrap());
    }

    #[test]
    fn what_is_not_known_is_named() {
        let open = input("x", Dtype::Float, &[named("N"), named("T")]);
        let error = Synthetic::new(&[open], 1, 0).unwrap_err().to_string();
        assert!(error.contains("input x") && error.contains("(T) of [N, T]"), "{error}");
        let huge = input("x", Dtype::Float, &[Dim::Fixed(usize::MAX), Dim::Fixed(2)]);
        assert!(Synthetic::new(&[huge], 1, 0).is_err());
        assert!(Synthetic::new(&[input("x", Dtype::String, &[])], 1, 0).is_err());
    }
}

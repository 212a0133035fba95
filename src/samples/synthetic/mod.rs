//! Made-up samples, for models that come without data.

mod sizes;
mod values;

use super::input::{Dim, Input};
use super::random::SplitMix64;
use super::{Sample, Source, element};
use crate::error::{Error, Result};
use crate::onnx::{Dtype, Model, tensor};
pub(super) use sizes::Sizes;
use values::{Kind, kind, tables, values};

/// Largest tensor that is made up, in elements: 1 GiB of floats.
const LARGEST: usize = 1 << 28;

/// Samples that are made when asked for: each depends on the seed and its index alone.
#[derive(Debug)]
pub(super) struct Synthetic {
    inputs: Vec<Made>,
    count: usize,
    seed: u64,
}

/// One input.
#[derive(Debug)]
struct Made {
    name: String,
    dtype: Dtype,
    dims: Vec<i64>,
    kind: Kind,
}

impl Synthetic {
    /// For `model`, whose inputs are `inputs`; `shapes` are those that were asked for; open dimensions are the larger, the larger
    /// `size` is, from 0.
    pub(super) fn new(
        model: &Model,
        inputs: &[Input],
        shapes: &[(String, Vec<i64>)],
        size: usize,
        (count, seed): (usize, u64),
    ) -> Result<Self> {
        if let Some((name, _)) =
            shapes.iter().find(|(name, _)| inputs.iter().all(|input| input.name != *name))
        {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(Error::options(
                format!("`.sample_shape` {name}: there is no input of this name"),
                format!("the inputs are {}", names.join(", ")),
            ));
        }
        let mut sizes = Sizes::of(inputs, shapes, size);
        let tables = tables(model);
        let shaped: Vec<(Dtype, Vec<i64>)> =
            inputs.iter().map(|input| shape(input, shapes, &mut sizes)).collect::<Result<_>>()?;
        // As long as what the tables are asked for.
        let ids = inputs.iter().zip(&shaped).find(|(input, _)| tables.contains_key(&input.name));
        let length = ids.and_then(|(_, (_, dims))| dims.last().copied()).unwrap_or(1);
        let length = usize::try_from(length).unwrap_or(1);
        let made = inputs.iter().zip(shaped).map(|(input, (dtype, dims))| Made {
            kind: kind(&input.name, dtype, tables.get(&input.name).copied(), length),
            name: input.name.clone(),
            dtype,
            dims,
        });
        Ok(Self { inputs: made.collect(), count, seed })
    }

    /// The element types and dimensions of the inputs.
    pub(super) fn forms(&self) -> impl Iterator<Item = (Dtype, &[i64])> {
        self.inputs.iter().map(|made| (made.dtype, made.dims.as_slice()))
    }
}

/// The inputs that take words, by their slots, each with the number of words that there are.
pub(super) fn vocabularies(model: &Model, inputs: &[Input]) -> Vec<(usize, usize)> {
    let tables = tables(model);
    let each = inputs.iter().enumerate().filter_map(|(slot, input)| {
        let dtype = Dtype::try_from(input.dtype).unwrap_or(Dtype::Undefined);
        match kind(&input.name, dtype, tables.get(&input.name).copied(), 1) {
            Kind::Ids(rows) => Some((slot, rows)),
            _ => None,
        }
    });
    each.collect()
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
        let inputs = self.inputs.iter().map(|made| {
            let bytes = values(made.kind, made.dtype, &made.dims, &mut random);
            tensor(made.name.as_str(), made.dtype, &made.dims, bytes)
        });
        Ok(Sample { inputs: inputs.collect(), labels: Vec::new() })
    }
}

/// The type and shape to make up.
fn shape(input: &Input, shapes: &[(String, Vec<i64>)], sizes: &mut Sizes) -> Result<(Dtype, Vec<i64>)> {
    let refuse = |problem: String| Err(Error::invalid(format!("input {}", input.name), problem));
    let give = "give samples of the real thing, or all dimensions by `.sample_shape`";
    let asked = shapes.iter().find(|(name, _)| *name == input.name).map(|(_, dims)| dims.clone());
    let dims = match (asked, &input.dims) {
        (Some(asked), dims) => {
            let fits = |(dim, &size): (&Dim, &i64)| !matches!(dim, Dim::Fixed(own) if *own as i64 != size);
            let all = dims
                .as_ref()
                .is_none_or(|dims| dims.len() == asked.len() && dims.iter().zip(&asked).all(fits));
            if !all || asked.iter().any(|&size| size < 0) {
                return Err(Error::options(
                    format!("`.sample_shape` {}: {asked:?} does not fit {}", input.name, input.shape()),
                    "give a size for each dimension",
                ));
            }
            asked
        }
        (None, None) => return refuse(format!("its shape is not known; {give}")),
        (None, Some(dims)) => (0..dims.len()).map(|axis| sizes.dim(input, axis) as i64).collect(),
    };
    let count = dims.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?));
    if count.is_none_or(|count| count > LARGEST) {
        return refuse(format!("{} has more than {LARGEST} elements", input.shape()));
    }
    let dtype = Dtype::try_from(input.dtype).unwrap_or(Dtype::Undefined);
    match element::size(dtype) {
        Some(_) => Ok((dtype, dims)),
        None => refuse(format!("{} cannot be made up; {give}", element::name(input.dtype))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dtype: Dtype, dims: &[Dim]) -> Input {
        Input { name: name.into(), dtype: dtype as i32, dims: Some(dims.to_vec()), batch_axis: None }
    }

    /// A model without tables.
    fn some_model() -> Model {
        let mut graph = crate::onnx::build::GraphBuilder::new(21);
        let x = graph.input("x", &[1]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        graph.model()
    }

    fn made(inputs: &[Input], count: usize, seed: u64) -> Result<Synthetic> {
        let model = some_model();
        Synthetic::new(&model, inputs, &[], 0, (count, seed))
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
        let samples = made(&inputs, 5, 1).unwrap();
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
        let open = Input { dims: None, ..input("x", Dtype::Float, &[]) };
        let error = made(&[open], 1, 0).unwrap_err().to_string();
        assert!(error.contains("input x") && error.contains("`.sample_shape`"), "{error}");
        let huge = input("x", Dtype::Float, &[Dim::Fixed(usize::MAX), Dim::Fixed(2)]);
        assert!(made(&[huge], 1, 0).is_err());
        assert!(made(&[input("x", Dtype::String, &[])], 1, 0).is_err());
    }

    #[test]
    fn shapes_asked_for_are_made() {
        let model = some_model();
        let inputs = [
            input("ids", Dtype::Int64, &[named("batch"), named("length")]),
            input("other", Dtype::Float, &[named("length"), Dim::Fixed(3)]),
        ];
        let asked = |name: &str, dims: &[i64]| {
            Synthetic::new(&model, &inputs, &[(name.to_owned(), dims.to_vec())], 0, (1, 0))
        };
        let sample = asked("ids", &[2, 7]).unwrap().get(0).unwrap();
        let dims: Vec<&[i64]> = sample.inputs.iter().map(|input| input.dims.as_slice()).collect();
        assert_eq!(dims, [&[2, 7][..], &[7, 3]]);
        for (name, dims) in [("none", &[1][..]), ("ids", &[1]), ("other", &[1, 4]), ("ids", &[-1, 2])] {
            assert!(asked(name, dims).is_err(), "{name} {dims:?}");
        }
    }
}

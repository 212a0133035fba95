//! Samples that stand in for real ones: pictures drawn by chance, where an input looks like one.

mod canvas;
mod noise;
mod picture;
mod ranges;
mod sequences;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::input::{Dim, Input};
use super::random::SplitMix64;
use super::synthetic::Synthetic;
use super::{Sample, Samples, Source};
use crate::error::Result;
use crate::onnx::{Dtype, Model, tensor, tensor_of};
pub use ranges::Range;
pub use sequences::{Draws, Words};

/// Sides of pictures, at least.
const LEAST_SIDE: usize = 8;
/// Pixels of a picture, at most.
const MOST_PIXELS: usize = 1 << 24;

/// Draws pictures for the inputs of a model that take some; its other inputs get made-up numbers.
#[derive(Clone, Debug)]
pub struct Pictures {
    others: Arc<Synthetic>,
    frames: Vec<Frame>,
    drawn: Arc<Vec<OnceLock<Vec<Drawn>>>>,
    seed: u64,
    is_open: bool,
}

/// A stored picture.
type Drawn = Vec<u8>;

/// An input that takes pictures.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    slot: usize,
    channels: usize,
    width: usize,
    height: usize,
    /// Pictures of one sample.
    count: usize,
    /// Whether the channels of a pixel lie together.
    channels_last: bool,
    bytes: bool,
}

/// The axis of channels of an input that takes pictures.
fn channel_axis(input: &Input) -> Option<usize> {
    let dtypes = [Dtype::Float, Dtype::Float16, Dtype::Double, Dtype::Uint8];
    let name = input.name.to_lowercase();
    if !dtypes.iter().any(|&dtype| dtype as i32 == input.dtype)
        || ["mask", "past", "cache", "state"].iter().any(|other| name.contains(other))
    {
        return None;
    }
    let [_, second, .., last] = input.dims.as_deref().filter(|dims| dims.len() == 4)? else { return None };
    let colours = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3));
    match (colours(second), colours(last)) {
        (true, _) => Some(1),
        (_, true) => Some(3),
        _ => None,
    }
}

impl Pictures {
    /// For `model`, as many as `count` samples; `None` where no input looks like a picture. Open dimensions and `shapes` are as
    /// [`Samples::synthetic_sized`] has them. Each sample depends on `seed` and its index alone.
    ///
    /// # Errors
    /// As [`Samples::synthetic`].
    pub fn of(
        model: &Model,
        shapes: &[(String, Vec<i64>)],
        size: usize,
        count: usize,
        seed: u64,
    ) -> Result<Option<Self>> {
        let inputs = Input::all(model)?;
        let axes: Vec<Option<usize>> = inputs.iter().map(channel_axis).collect();
        if axes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let fixed = |dim: &Dim| matches!(dim, Dim::Fixed(_));
        let is_open = inputs.iter().any(|input| !input.dims.iter().flatten().skip(1).all(fixed));
        let others = Synthetic::new(model, &inputs, shapes, size, (count, seed))?;
        let mut frames = Vec::new();
        for (slot, (axis, (dtype, dims))) in axes.iter().zip(others.forms()).enumerate() {
            let Some(axis) = *axis else { continue };
            let at = |axis: usize| usize::try_from(dims.get(axis).copied().unwrap_or(0)).unwrap_or(0);
            let channels_last = axis == 3;
            let (height, width) = if channels_last { (at(1), at(2)) } else { (at(2), at(3)) };
            let pixels = height.saturating_mul(width);
            if height.min(width) >= LEAST_SIDE && pixels.saturating_mul(at(0)) <= MOST_PIXELS {
                let bytes = dtype == Dtype::Uint8;
                frames.push(Frame {
                    slot,
                    channels: at(axis),
                    width,
                    height,
                    count: at(0),
                    channels_last,
                    bytes,
                });
            }
        }
        let drawn = Arc::new((0..count).map(|_| OnceLock::new()).collect());
        Ok((!frames.is_empty()).then(|| Self { others: Arc::new(others), frames, drawn, seed, is_open }))
    }

    /// The first `count` of them.
    #[must_use]
    pub fn limited(mut self, count: usize) -> Self {
        if count < self.drawn.len() {
            self.drawn = Arc::new((0..count).map(|_| OnceLock::new()).collect());
        }
        self
    }

    /// Pixels of one sample.
    pub fn pixels(&self) -> usize {
        self.frames.iter().map(|frame| frame.count * frame.width * frame.height).sum()
    }

    /// The ranges that pixels may have at the input, the most usual first.
    pub fn ranges(&self) -> &'static [Range] {
        self.frames.first().map_or(&[], |frame| Range::all(frame.channels, frame.bytes))
    }

    /// Whether other sizes would give other pictures.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The samples, with pixels in `ranges`: one sample after another in the next of them, and from the first on again.
    pub fn samples(&self, ranges: &[Range]) -> Samples {
        Samples {
            path: PathBuf::from(format!("generated pictures, range {}", Range::names(ranges))),
            source: Arc::new(Ranged { pictures: self.clone(), ranges: ranges.to_vec() }),
            chosen: None,
            preprocessed: false,
        }
    }

    /// The pictures of sample `index`, for one input after another.
    fn drawn(&self, index: usize) -> Vec<Drawn> {
        let mut random = SplitMix64::new(SplitMix64::new(self.seed ^ SEED).next() ^ index as u64);
        let each = self.frames.iter().flat_map(|frame| std::iter::repeat_n(frame, frame.count));
        each.map(|frame| picture::picture(frame.width, frame.height, &mut random)).collect()
    }
}

/// Parts pictures from the other numbers of their seed.
const SEED: u64 = 0x7069_6374_7572_6573;

/// Pictures in ranges that take turns.
#[derive(Debug)]
struct Ranged {
    pictures: Pictures,
    ranges: Vec<Range>,
}

impl Source for Ranged {
    fn len(&self) -> usize {
        self.pictures.drawn.len()
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn name(&self, index: usize) -> String {
        format!("generated picture {index}")
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.pictures.others.get(index)?;
        let Some(cell) = self.pictures.drawn.get(index) else { return Ok(sample) };
        let Some(range) = self.ranges.get(index % self.ranges.len().max(1)) else { return Ok(sample) };
        let mut drawn = cell.get_or_init(|| self.pictures.drawn(index)).iter();
        for frame in &self.pictures.frames {
            let Some(input) = sample.inputs.get_mut(frame.slot) else { continue };
            let mut values = Vec::with_capacity(frame.count * frame.channels * frame.width * frame.height);
            for stored in drawn.by_ref().take(frame.count) {
                fill(frame, stored, range, &mut values);
            }
            let (name, dims) = (input.name().to_owned(), input.dims.clone());
            *input = match Dtype::try_from(input.data_type()) {
                Ok(Dtype::Uint8) => {
                    let bytes: Vec<u8> =
                        values.iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect();
                    tensor(name, Dtype::Uint8, &dims, bytes)
                }
                dtype => tensor_of(name, dtype.unwrap_or(Dtype::Float), &dims, &values),
            };
        }
        Ok(sample)
    }
}

/// Adds the values of one picture in the order that the input has them.
fn fill(frame: &Frame, stored: &[u8], range: &Range, values: &mut Vec<f32>) {
    let value = |pixel: usize, channel: usize| {
        let pixel = &stored[3 * pixel..3 * pixel + 3];
        if frame.channels == 1 {
            let grey = pixel.iter().map(|&value| f32::from(value)).sum::<f32>() / 3.0;
            return range.value(grey, 0);
        }
        let colour = range.colour(channel);
        range.value(f32::from(pixel[colour]), colour)
    };
    let pixels = frame.width * frame.height;
    if frame.channels_last {
        (0..pixels).for_each(|pixel| values.extend((0..frame.channels).map(|channel| value(pixel, channel))));
    } else {
        (0..frame.channels).for_each(|channel| values.extend((0..pixels).map(|pixel| value(pixel, channel))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::floats;

    fn model(dtype: Dtype, dims: &[i64]) -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.typed_input("x", dtype, dims);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        graph.model()
    }

    fn pictures(dtype: Dtype, dims: &[i64]) -> Option<Pictures> {
        Pictures::of(&model(dtype, dims), &[], 0, 3, 5).unwrap()
    }

    #[test]
    fn inputs_that_look_like_pictures_get_some() {
        let frame = |dims: &[i64]| {
            pictures(Dtype::Float, dims).map(|found| {
                let Frame { channels, height, width, channels_last, .. } = found.frames[0];
                (channels, height, width, channels_last)
            })
        };
        assert_eq!(frame(&[-1, 3, 32, 24]), Some((3, 32, 24, false)));
        assert_eq!(frame(&[2, 28, 28, 1]), Some((1, 28, 28, true)));
        for dims in [&[1, 4, 32, 32][..], &[1, 3, 32], &[1, 1, 4, 4], &[1, 1, 257]] {
            assert_eq!(frame(dims), None, "{dims:?}");
        }
        assert!(pictures(Dtype::Int64, &[1, 3, 32, 32]).is_none());
    }

    #[test]
    fn orders_of_channels_hold_the_same_pictures() {
        let values = |dims: &[i64], range: &str| {
            let pictures = pictures(Dtype::Float, dims).unwrap();
            let sample = pictures.samples(std::slice::from_ref(Range::named(range).unwrap())).get(1).unwrap();
            assert_eq!(sample.inputs[0].dims, dims);
            floats(&sample.inputs[0]).unwrap()
        };
        let (first, last) = (values(&[1, 3, 16, 16], "0..255"), values(&[1, 16, 16, 3], "0..255"));
        assert_eq!(first[256 + 7], last[3 * 7 + 1]);
        let unit = values(&[1, 3, 16, 16], "0..1");
        assert!(first.iter().zip(&unit).all(|(whole, part)| (whole / 255.0 - part).abs() < 1e-6));
        let blue = values(&[1, 3, 16, 16], "0..255 less the ImageNet mean, blue first");
        assert_eq!(blue[7], first[2 * 256 + 7] - 104.0);
    }

    #[test]
    fn bytes_are_pictures_as_stored() {
        let pictures = pictures(Dtype::Uint8, &[1, 16, 16, 3]).unwrap();
        let [range] = pictures.ranges() else { panic!("{:?}", pictures.ranges()) };
        let sample = pictures.samples(std::slice::from_ref(range)).get(0).unwrap();
        assert_eq!(sample.inputs[0].raw_data(), pictures.drawn(0)[0]);
    }
}

//! A contact sheet: the first pictures as the model is fed them.

use std::io::Cursor;

use image::imageops::{FilterType, resize};
use image::{ImageFormat, Rgb, RgbImage};

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, floats, integers};
use crate::samples::{Sample, Samples};

/// Pictures on a sheet.
const MOST: usize = 25;
/// Pixels between pictures.
const GAP: usize = 2;
/// Longest side of a sheet, in pixels.
const LONGEST_SIDE: usize = 1 << 14;
/// The colour between pictures.
const GROUND: Rgb<u8> = Rgb([128, 128, 128]);

/// Longest side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 96;

/// One picture: its height, width, and red, green and blue of its pixels.
struct Tile {
    height: usize,
    width: usize,
    pixels: Vec<[f32; 3]>,
}

/// A PNG file with the first pictures of the first `count` samples. All are shown on one scale, from the least value to the largest,
/// and channels in their order as red, green and blue, so that what is wrong can be seen.
///
/// # Errors
/// [`Error::Options`] where no input holds pictures; whatever reading samples gives.
pub(in crate::samples) fn sheet(samples: &Samples, count: usize) -> Result<Vec<u8>> {
    let mut tiles = Vec::new();
    for at in 0..count {
        let sample = samples.get(at)?;
        let found =
            sample.inputs.iter().map(tiles_of).find(|tiles| !matches!(tiles, Ok(tiles) if tiles.is_empty()));
        tiles.extend(found.transpose()?.unwrap_or_default());
        if tiles.len() >= MOST {
            break;
        }
    }
    tiles.truncate(MOST);
    let (height, width) = (side(&tiles, |tile| tile.height), side(&tiles, |tile| tile.width));
    let columns = (1..).find(|columns| columns * columns >= tiles.len()).unwrap_or(1);
    let rows = tiles.len().div_ceil(columns);
    let sides = [(columns, width), (rows, height)].map(|(count, side)| count * (side + GAP) + GAP);
    if tiles.is_empty() || sides.iter().any(|&side| side > LONGEST_SIDE) {
        let problem = match tiles.is_empty() {
            true => "no input holds pictures: none has an axis of 1 or 3 channels, first or last of three",
            false => "the pictures are too large for a sheet",
        };
        return Err(Error::options(problem, "leave `.png` out"));
    }
    let values =
        || tiles.iter().flat_map(|tile| tile.pixels.iter().flatten()).filter(|value| value.is_finite());
    let (least, most) =
        values().fold((f32::MAX, f32::MIN), |(least, most), &value| (least.min(value), most.max(value)));
    let scale = if most > least { 255.0 / (most - least) } else { 0.0 };
    let byte = |value: f32| ((value - least) * scale).round().clamp(0.0, 255.0) as u8;
    let [across, down] = sides.map(|side| side as u32);
    let mut sheet = RgbImage::from_pixel(across, down, GROUND);
    for (at, tile) in tiles.iter().enumerate() {
        let (left, top) = (GAP + at % columns * (width + GAP), GAP + at / columns * (height + GAP));
        for (place, pixel) in tile.pixels.iter().enumerate() {
            let (x, y) = (left + place % tile.width, top + place / tile.width);
            sheet.put_pixel(x as u32, y as u32, Rgb(pixel.map(byte)));
        }
    }
    png(&sheet)
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let written = picture.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(|error| Error::invalid("picture", error.to_string()))?;
    Ok(bytes.into_inner())
}

/// Row `row` of the first input of `sample` that holds pictures as a small PNG file, from its least value to the largest; `None` where
/// no input holds any.
///
/// # Errors
/// Those of reading the values.
pub(in crate::samples) fn thumbnail(sample: &Sample, row: usize) -> Result<Option<Vec<u8>>> {
    for input in &sample.inputs {
        let tiles = tiles_of(input)?;
        let Some(tile) = tiles.get(row).or(tiles.first()) else { continue };
        let finite = || tile.pixels.iter().flatten().copied().filter(|value| value.is_finite());
        let (least, most) = (finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max));
        let scale = if most > least { 255.0 / (most - least) } else { 0.0 };
        let byte = |value: f32| ((value - least) * scale).round().clamp(0.0, 255.0) as u8;
        let picture = RgbImage::from_fn(tile.width as u32, tile.height as u32, |x, y| {
            Rgb(tile.pixels[y as usize * tile.width + x as usize].map(byte))
        });
        let longest = picture.width().max(picture.height());
        if longest <= THUMBNAIL {
            return png(&picture).map(Some);
        }
        let side = |side: u32| (side * THUMBNAIL / longest).max(1);
        let small = resize(&picture, side(picture.width()), side(picture.height()), FilterType::Triangle);
        return png(&small).map(Some);
    }
    Ok(None)
}

fn side(tiles: &[Tile], of: impl Fn(&Tile) -> usize) -> usize {
    tiles.iter().map(of).max().unwrap_or(0)
}

/// The pictures of an input, all of its batch; none where it holds none.
fn tiles_of(input: &TensorProto) -> Result<Vec<Tile>> {
    let dims: Vec<usize> = input.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
    let sides = match dims.as_slice() {
        [_, sides @ ..] if sides.len() == 3 => sides,
        sides if sides.len() == 3 => sides,
        _ => return Ok(Vec::new()),
    };
    let &[first, middle, last] = sides else { return Ok(Vec::new()) };
    let (channels, height, width, pixel, plane) = match (first, last) {
        (1 | 3, _) => (first, middle, last, 1, middle * last),
        (_, 1 | 3) => (last, first, middle, last, 1),
        _ => return Ok(Vec::new()),
    };
    let size = channels * height * width;
    if size == 0 {
        return Ok(Vec::new());
    }
    let values: Vec<f32> = match Dtype::try_from(input.data_type()) {
        Ok(Dtype::Float | Dtype::Double | Dtype::Float16 | Dtype::Bfloat16) => floats(input)?,
        _ => integers(input)?.into_iter().map(|value| value as f32).collect(),
    };
    let tile = |values: &[f32]| {
        // Gray is the same in all three.
        let value = |at: usize, channel: usize| values[at * pixel + (channel % channels) * plane];
        let pixels = (0..height * width).map(|at| [0, 1, 2].map(|channel| value(at, channel))).collect();
        Tile { height, width, pixels }
    };
    Ok(values.chunks_exact(size).take(MOST).map(tile).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::tensor_f32;

    #[test]
    fn pictures_of_both_layouts_are_found() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let pixels = |dims: &[i64]| {
            let tiles = tiles_of(&tensor_f32("x", dims, &values)).unwrap();
            tiles.first().map(|tile| (tiles.len(), tile.height, tile.width, tile.pixels[1]))
        };
        assert_eq!(pixels(&[1, 3, 2, 2]), Some((1, 2, 2, [1.0, 5.0, 9.0])));
        assert_eq!(pixels(&[1, 2, 2, 3]), Some((1, 2, 2, [3.0, 4.0, 5.0])));
        assert_eq!(pixels(&[3, 1, 2, 2]), Some((3, 2, 2, [1.0; 3])));
        assert_eq!(pixels(&[3, 2, 2]), Some((1, 2, 2, [1.0, 5.0, 9.0])));
        assert_eq!((pixels(&[12]), pixels(&[2, 2, 3, 1]).map(|found| found.0)), (None, Some(2)));
    }
}

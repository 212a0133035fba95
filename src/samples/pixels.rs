//! What a preprocess file says, put into effect.

use super::element;
use super::geometry::{Picture, crop_check, scaled};
use super::input::{Cut, Dim, Input};
use super::misfit::{Fit, Misfit, shape_text};
use super::preprocess::{ModelLayout, Order, PixelLayout, Preprocess};
use crate::onnx::Dtype;

impl Preprocess {
    /// Refuses an input type that pixels cannot become.
    pub(super) fn check_input(&self, dtype: i32) -> Fit<Dtype> {
        let keys = &self.keys;
        let plain = keys.divide_by == 1.0
            && keys.scale.is_none()
            && keys.mean.iter().all(|&mean| mean == 0.0)
            && keys.std.iter().all(|&std| std == 1.0);
        match Dtype::try_from(dtype) {
            Ok(Dtype::Float | Dtype::Undefined) => Ok(Dtype::Float),
            Ok(Dtype::Float16) => Ok(Dtype::Float16),
            Ok(Dtype::Uint8) if plain => Ok(Dtype::Uint8),
            Ok(Dtype::Uint8) => {
                let found = format!("divide_by, scale, mean or std in {}", self.path().display());
                Err(Misfit::new("pixels as they are for a uint8 input", found))
            }
            _ => Err(Misfit::new("a float32, float16 or uint8 input", element::name(dtype))),
        }
    }

    /// Height, width and channels of one stored picture, from an array's shape.
    pub(super) fn stored(&self, shape: &[usize]) -> Fit<[usize; 3]> {
        match (self.keys.layout, shape) {
            (PixelLayout::Nhwc, &[_, height, width, channels]) => Ok([height, width, channels]),
            (PixelLayout::Nchw, &[_, channels, height, width]) => Ok([height, width, channels]),
            (PixelLayout::Nhw, &[_, height, width]) => Ok([height, width, 1]),
            (layout, _) => {
                let layout = format!("{layout:?}").to_uppercase();
                Err(Misfit::new(format!("an array with the axes of layout {layout}"), shape_text(shape)))
            }
        }
    }

    /// What one stored picture becomes: dimensions without the batch axis, in the model's layout.
    pub(super) fn becomes(&self, [height, width, channels]: [usize; 3]) -> Fit<[usize; 3]> {
        let channels = self.channels(channels)?;
        let (mut width, mut height) = (width, height);
        if let Some(side) = self.keys.shorter_side {
            (width, height) = scaled(width, height, side);
        }
        if let Some(side) = self.keys.centre_crop {
            crop_check(width, height, side)?;
            (width, height) = (side, side);
        }
        if let Some([to_height, to_width]) = self.keys.resize() {
            (width, height) = (to_width, to_height);
        }
        Ok(self.in_model_layout([height, width, channels]))
    }

    fn in_model_layout(&self, [height, width, channels]: [usize; 3]) -> [usize; 3] {
        match self.keys.model_layout {
            ModelLayout::Nchw => [channels, height, width],
            ModelLayout::Nhwc => [height, width, channels],
        }
    }

    /// Channels after `channel_order`, which `mean` and `std` must fit.
    fn channels(&self, stored: usize) -> Fit<usize> {
        let channels = match (self.keys.channel_order, stored) {
            (None, stored) => stored,
            (Some(Order::Gray), 1 | 3) => 1,
            (Some(Order::Rgb | Order::Bgr), 1 | 3) => 3,
            (Some(_), stored) => {
                return Err(Misfit::new("1 or 3 stored channels for channel_order", stored.to_string()));
            }
        };
        for (key, values) in [("mean", &self.keys.mean), ("std", &self.keys.std)] {
            if values.len() > 1 && values.len() != channels {
                let expected = format!("1 or {channels} values of {key}, as there are channels");
                return Err(Misfit::new(expected, values.len().to_string()));
            }
        }
        Ok(channels)
    }

    /// How `count` pictures that became `dims` are cut into samples of `input`.
    pub(super) fn cut(&self, input: &Input, count: usize, dims: [usize; 3]) -> Fit<Cut> {
        input.cut_pictures(count, dims).map_err(|other| self.misfit(input, dims).unwrap_or(other))
    }

    /// What of a picture does not fit `input`, and what to set.
    fn misfit(&self, input: &Input, dims: [usize; 3]) -> Option<Misfit> {
        let all = input.dims.as_deref()?;
        let wanted = match all.len() {
            3 => all,
            4 => &all[1..],
            _ => return None,
        };
        let fits =
            |wanted: &[Dim], dims: [usize; 3]| wanted.iter().zip(dims).all(|(dim, size)| dim.takes(size));
        if fits(wanted, dims) {
            return None;
        }
        let nchw = self.keys.model_layout == ModelLayout::Nchw;
        let [a, b, c] = dims;
        let (turned, channels, height, width) = match nchw {
            true => ([b, c, a], &wanted[0], &wanted[1], &wanted[2]),
            false => ([c, a, b], &wanted[2], &wanted[0], &wanted[1]),
        };
        let found_channels = if nchw { a } else { c };
        let (key, value) = match (channels, height, width) {
            _ if fits(wanted, turned) => {
                ("model_layout", if nchw { "\"NHWC\"" } else { "\"NCHW\"" }.to_owned())
            }
            (Dim::Fixed(count @ (1 | 3)), ..) if *count != found_channels => {
                ("channel_order", if *count == 1 { "\"gray\"" } else { "\"RGB\"" }.to_owned())
            }
            (_, Dim::Fixed(height), Dim::Fixed(width)) if height == width => ("resize", height.to_string()),
            (_, Dim::Fixed(height), Dim::Fixed(width)) => ("resize", format!("[{height}, {width}]")),
            _ => ("resize", "another size".to_owned()),
        };
        let remedy = match (self.is_file, key) {
            (false, "resize") => {
                format!("give `.resize` {}", value.replace(", ", "x").replace(['[', ']'], ""))
            }
            (false, _) => format!("write a file for `.preprocess` with {key} = {value}"),
            (true, _) => format!("set {key} = {value} in {}", self.path().display()),
        };
        let expected = format!("a picture of {} for input {}", by(wanted), input.name);
        Some(Misfit::new(expected, format!("{} after preprocessing; {remedy}", by(&dims))))
    }

    /// One row of a stored array as a picture.
    pub(super) fn picture(&self, row: &[u8], [height, width, channels]: [usize; 3]) -> Picture {
        let plane = height * width;
        let pixels = match self.keys.layout {
            PixelLayout::Nhwc | PixelLayout::Nhw => row.to_vec(),
            PixelLayout::Nchw => {
                let mut pixels = vec![0; row.len()];
                for (channel, values) in row.chunks_exact(plane.max(1)).enumerate() {
                    let places = pixels.iter_mut().skip(channel).step_by(channels.max(1));
                    places.zip(values).for_each(|(place, &value)| *place = value);
                }
                pixels
            }
        };
        Picture { width, height, channels, pixels }
    }

    /// All steps; appends the elements of the model's input to `out` and returns the dimensions
    /// without the batch axis.
    pub(super) fn apply(&self, picture: Picture, dtype: Dtype, out: &mut Vec<u8>) -> Fit<[usize; 3]> {
        self.channels(picture.channels)?;
        let mut picture = self.ordered(picture);
        if let Some(side) = self.keys.shorter_side {
            let (width, height) = scaled(picture.width, picture.height, side);
            picture = picture.resized(width, height)?;
        }
        if let Some(side) = self.keys.centre_crop {
            picture = picture.cropped(side)?;
        }
        if let Some([height, width]) = self.keys.resize() {
            picture = picture.resized(width, height)?;
        }
        let halves = |value: f32| half::f16::from_f32(value).to_le_bytes();
        match dtype {
            Dtype::Uint8 => self.write(&picture, out, |pixel, _, _| [pixel]),
            Dtype::Float16 => {
                self.write(&picture, out, |pixel, mean, std| halves(self.value(pixel, mean, std)));
            }
            _ => {
                self.write(&picture, out, |pixel, mean, std| self.value(pixel, mean, std).to_le_bytes());
            }
        }
        Ok(self.in_model_layout([picture.height, picture.width, picture.channels]))
    }

    pub(super) fn value(&self, pixel: u8, mean: f32, std: f32) -> f32 {
        let pixel = f32::from(pixel);
        let scaled = self.keys.scale.map_or_else(|| pixel / self.keys.divide_by, |scale| pixel * scale);
        (scaled - mean) / std
    }

    fn ordered(&self, mut picture: Picture) -> Picture {
        let pixels = match (self.keys.channel_order, picture.channels) {
            (Some(Order::Bgr), 3) => {
                picture.pixels.chunks_exact_mut(3).for_each(<[u8]>::reverse);
                return picture;
            }
            (Some(Order::Gray), 3) => gray(&picture.pixels),
            (Some(Order::Rgb | Order::Bgr), 1) => picture.pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
            _ => return picture,
        };
        let channels = if picture.channels == 3 { 1 } else { 3 };
        Picture { channels, pixels, ..picture }
    }

    /// Writes `element(pixel, mean, std)` in the model's layout.
    fn write<const N: usize>(
        &self,
        picture: &Picture,
        out: &mut Vec<u8>,
        element: impl Fn(u8, f32, f32) -> [u8; N],
    ) {
        let channels = picture.channels.max(1);
        let of = |values: &[f32], channel: usize, usual: f32| {
            values.get(channel).or(values.first()).copied().unwrap_or(usual)
        };
        let numbers: Vec<(f32, f32)> = (0..channels)
            .map(|channel| (of(&self.keys.mean, channel, 0.0), of(&self.keys.std, channel, 1.0)))
            .collect();
        let start = out.len();
        out.resize(start + picture.pixels.len() * N, 0);
        let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<N>();
        match self.keys.model_layout {
            ModelLayout::Nchw => {
                let planes = places.chunks_exact_mut((picture.width * picture.height).max(1));
                for (channel, (plane, &(mean, std))) in planes.zip(&numbers).enumerate() {
                    let pixels = picture.pixels.iter().skip(channel).step_by(channels);
                    plane.iter_mut().zip(pixels).for_each(|(place, &at)| *place = element(at, mean, std));
                }
            }
            ModelLayout::Nhwc => {
                let pixels = picture.pixels.iter().zip(numbers.iter().cycle());
                for (place, (&pixel, &(mean, std))) in places.iter_mut().zip(pixels) {
                    *place = element(pixel, mean, std);
                }
            }
        }
    }
}

/// `3x224x224`.
fn by<T: std::fmt::Display>(sizes: &[T]) -> String {
    sizes.iter().map(T::to_string).collect::<Vec<_>>().join("x")
}

/// Luma as Pillow computes it (ITU-R 601-2 in 16-bit fixed point).
pub(super) fn gray(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let luma = |pixel: &[u8; 3]| {
        let [red, green, blue] = pixel.map(u32::from);
        ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
    };
    pixels.iter().map(luma).collect()
}

#[cfg(test)]
mod tests {
    use super::super::preprocess::tests::preprocess;
    use super::*;

    fn applied(text: &str, stored: [usize; 3], row: &[u8]) -> ([usize; 3], Vec<f32>) {
        let preprocess = preprocess(text).unwrap();
        let mut out = Vec::new();
        let dims = preprocess.apply(preprocess.picture(row, stored), Dtype::Float, &mut out).unwrap();
        assert_eq!(dims, preprocess.becomes(stored).unwrap());
        (dims, out.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    #[test]
    fn numbers_are_applied_in_the_models_channel_order() {
        let text = "channel_order = \"BGR\"\ndivide_by = 2\nmean = [1, 2, 3]\nstd = [1, 2, 4]";
        let (dims, values) = applied(text, [1, 2, 3], &[10, 20, 30, 40, 50, 60]);
        assert_eq!(dims, [3, 1, 2]);
        assert_eq!(values, [14.0, 29.0, 4.0, 11.5, 0.5, 4.25]);
    }

    #[test]
    fn layouts_are_turned() {
        let (_, same) = applied("model_layout = \"NHWC\"", [1, 2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(same, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let (dims, turned) =
            applied("layout = \"NCHW\"\nmodel_layout = \"NHWC\"", [1, 2, 3], &[1, 4, 2, 5, 3, 6]);
        assert_eq!((dims, turned), ([1, 2, 3], same));
    }

    #[test]
    fn gray_is_made_and_spread() {
        assert_eq!(applied("channel_order = \"gray\"", [1, 1, 3], &[255, 0, 0]).1, [76.0]);
        assert_eq!(applied("channel_order = \"RGB\"", [1, 1, 1], &[9]).1, [9.0; 3]);
    }

    #[test]
    fn geometry_comes_before_numbers() {
        let text = "shorter_side = 2\ncentre_crop = 2\nresize = [1, 3]\nmean = [1]";
        let (dims, _) = applied(text, [4, 8, 1], &[7; 32]);
        assert_eq!(dims, [1, 1, 3]);
    }

    #[test]
    fn pictures_of_another_size_are_told_what_to_set() {
        let input = |dims: [usize; 4]| {
            let dims = dims.map(|size| if size == 0 { Dim::Named("N".into()) } else { Dim::Fixed(size) });
            Input { name: "x".into(), dtype: 1, dims: Some(dims.to_vec()), batch_axis: None }
        };
        let told = |text: &str, wanted: [usize; 4], dims: [usize; 3]| {
            format!("{:?}", preprocess(text).unwrap().cut(&input(wanted), 4, dims).unwrap_err())
        };
        let text = told("resize = 224", [0, 3, 160, 160], [3, 224, 224]);
        assert!(text.contains("3x160x160 for input x") && text.contains("3x224x224 after"), "{text}");
        assert!(text.contains("set resize = 160 in") && text.contains("preprocess.toml"), "{text}");
        assert!(told("", [0, 3, 8, 9], [3, 7, 7]).contains("resize = [8, 9]"));
        assert!(told("", [0, 7, 7, 3], [3, 7, 7]).contains("model_layout = "));
        assert!(told("", [0, 1, 7, 7], [3, 7, 7]).contains("channel_order = "));
        // Too few for a batch is another matter.
        assert!(told("", [9, 3, 7, 7], [3, 7, 7]).contains("at least 9 rows"));
    }

    #[test]
    fn a_byte_input_takes_pixels_as_they_are() {
        let dtype = |text: &str| preprocess(text).unwrap().check_input(Dtype::Uint8 as i32);
        assert_eq!(dtype("resize = 2").unwrap(), Dtype::Uint8);
        assert!(dtype("divide_by = 255").is_err());
    }
}

//! Pictures in memory, scaled and cropped exactly as Pillow does it, because that is what the
//! training pipelines behind most models used.

use super::misfit::{Fit, Misfit};

/// Largest picture that scaling may make, in bytes: a strip of 1 x 100,000 pixels scaled to a
/// shorter side of 224 would be 15 GB.
const LARGEST: usize = 1 << 28;
/// Bits of the fixed-point weights; Pillow's `PRECISION_BITS`.
const PRECISION: u32 = 32 - 8 - 2;
/// What a weighted sum starts from, so that cutting off its fraction rounds.
const HALF: i32 = 1 << (PRECISION - 1);

/// Rows of pixels of `channels` bytes each; no side is zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
}

/// Size of a picture of `width` x `height` once its shorter side is `shorter`.
pub(super) fn scaled(width: usize, height: usize, shorter: usize) -> (usize, usize) {
    let side = width.min(height).max(1);
    let scale = shorter as f64 / side as f64;
    let size = |length: usize| shorter.max((length as f64 * scale).round_ties_even() as usize);
    if side == shorter { (width, height) } else { (size(width), size(height)) }
}

/// The offset of a centred crop.
pub(super) fn crop_check(width: usize, height: usize, side: usize) -> Fit<(usize, usize)> {
    match width.checked_sub(side).zip(height.checked_sub(side)) {
        Some((width, height)) => Ok((width / 2, height / 2)),
        None => Err(Misfit::new(
            format!("at least {side} x {side} pixels for centre_crop"),
            format!("{width} x {height}; shorter_side scales pictures first"),
        )),
    }
}

impl Picture {
    /// The square of `side` pixels in the middle.
    pub(super) fn cropped(&self, side: usize) -> Fit<Self> {
        let (left, top) = crop_check(self.width, self.height, side)?;
        let stride = self.width * self.channels;
        let span = left * self.channels..(left + side) * self.channels;
        let rows = self.pixels.chunks_exact(stride.max(1)).skip(top).take(side);
        let pixels = rows.filter_map(|row| row.get(span.clone())).flatten().copied().collect();
        Ok(Self { width: side, height: side, channels: self.channels, pixels })
    }

    /// Bilinear with the support widened by the scale (antialiasing): Pillow's `Image.BILINEAR`,
    /// first across, then down, each rounded to bytes.
    pub(super) fn resized(self, width: usize, height: usize) -> Fit<Self> {
        let fits = |width: usize, height: usize| {
            let bytes = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(self.channels));
            bytes.is_some_and(|bytes| bytes <= LARGEST)
        };
        if !fits(width, height) || !fits(width, self.height) {
            return Err(Misfit::new(
                format!("a picture that scales to at most {LARGEST} bytes"),
                format!("{} x {} pixels to become {width} x {height}", self.width, self.height),
            ));
        }
        let across = if width == self.width { self } else { self.across(width) };
        Ok(if height == across.height { across } else { across.down(height) })
    }

    fn across(self, width: usize) -> Self {
        match self.channels {
            1 => self.across_of::<1>(width),
            3 => self.across_of::<3>(width),
            _ => self.across_any(width),
        }
    }

    /// [`Picture::across_any`] where the compiler knows the channels: some three times as fast.
    fn across_of<const N: usize>(self, width: usize) -> Self {
        let weights = weights(self.width, width);
        let mut pixels = Vec::with_capacity(width * self.height * N);
        let (places, _) = self.pixels.as_chunks::<N>();
        for row in places.chunks_exact(self.width.max(1)) {
            for (first, weights) in &weights {
                let mut sums = [HALF; N];
                for (place, weight) in row.get(*first..).unwrap_or(&[]).iter().zip(weights) {
                    for (sum, &value) in sums.iter_mut().zip(place) {
                        *sum = add(*sum, value, *weight);
                    }
                }
                pixels.extend(sums.map(to_byte));
            }
        }
        Self { width, pixels, ..self }
    }

    fn across_any(self, width: usize) -> Self {
        let weights = weights(self.width, width);
        let channels = self.channels;
        let mut pixels = Vec::with_capacity(width * self.height * channels);
        for row in self.pixels.chunks_exact((self.width * channels).max(1)) {
            for (first, weights) in &weights {
                let window = row.get(first * channels..).unwrap_or(&[]);
                for channel in 0..channels {
                    let values = window.iter().skip(channel).step_by(channels).zip(weights);
                    pixels.push(to_byte(values.fold(HALF, |sum, (&value, &weight)| add(sum, value, weight))));
                }
            }
        }
        Self { width, pixels, ..self }
    }

    fn down(self, height: usize) -> Self {
        let stride = self.width * self.channels;
        let mut pixels = Vec::with_capacity(stride * height);
        for (first, weights) in weights(self.height, height) {
            let mut sums = vec![HALF; stride];
            let rows = self.pixels.chunks_exact(stride.max(1)).skip(first);
            for (row, weight) in rows.zip(&weights) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum = add(*sum, value, *weight);
                }
            }
            pixels.extend(sums.into_iter().map(to_byte));
        }
        Self { height, pixels, ..self }
    }
}

fn add(sum: i32, value: u8, weight: i32) -> i32 {
    sum.wrapping_add(i32::from(value).wrapping_mul(weight))
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// For each of `to` output places the first input place and the weights from there on.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<i32>)> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    (0..to)
        .map(|place| {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let triangle = |at: usize| {
                let distance = ((at as f64 - centre + 0.5) * (1.0 / support)).abs();
                (1.0 - distance).max(0.0)
            };
            let raw: Vec<f64> = (first..end).map(triangle).collect();
            let total: f64 = raw.iter().sum();
            let fixed = |weight: f64| {
                let share = if total == 0.0 { weight } else { weight / total };
                (0.5 + share * f64::from(1u32 << PRECISION)) as i32
            };
            (first, raw.into_iter().map(fixed).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, pixels: &[u8]) -> Picture {
        Picture { width, height: pixels.len() / width, channels: 1, pixels: pixels.to_vec() }
    }

    /// Expected values are Pillow's own.
    #[test]
    fn scaling_is_pillows() {
        let picture = gray(4, &[0, 50, 100, 255, 7, 99, 3, 200, 255, 254, 1, 0]);
        let small = picture.clone().resized(2, 2).unwrap();
        assert_eq!(small.pixels, SMALL);
        let large = picture.resized(5, 4).unwrap();
        assert_eq!(large.pixels, LARGE);
    }

    const SMALL: [u8; 4] = [40, 137, 154, 61];
    const LARGE: [u8; 20] =
        [0, 35, 75, 146, 255, 4, 58, 60, 94, 221, 100, 140, 80, 39, 125, 255, 254, 128, 1, 0];

    #[test]
    fn channels_do_not_mix() {
        let pixels: Vec<u8> = (0..16).flat_map(|at| [at * 10, 255 - at * 3, 7]).collect();
        let picture = Picture { width: 4, height: 4, channels: 3, pixels };
        let small = picture.clone().resized(3, 2).unwrap();
        for channel in 0..3 {
            let plane = |picture: &Picture| -> Vec<u8> {
                picture.pixels.iter().skip(channel).step_by(3).copied().collect()
            };
            assert_eq!(plane(&small), gray(4, &plane(&picture)).resized(3, 2).unwrap().pixels);
        }
        assert_eq!(picture.clone().across_any(3), picture.across(3));
    }

    #[test]
    fn sizes_round_half_to_even_and_crops_sit_left_of_the_middle() {
        assert_eq!(scaled(200, 100, 50), (100, 50));
        assert_eq!(scaled(5, 2, 1), (2, 1));
        assert_eq!(scaled(7, 2, 1), (4, 1));
        assert_eq!(scaled(100, 300, 100), (100, 300));
        let picture = gray(3, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(picture.cropped(2).unwrap().pixels, [0, 1, 3, 4]);
        assert!(picture.cropped(3).is_err());
    }

    #[test]
    fn huge_results_are_refused() {
        assert!(gray(1, &[0; 100]).resized(1 << 20, 1 << 20).is_err());
        assert!(gray(1, &[0; 100]).resized(usize::MAX, 2).is_err());
    }
}

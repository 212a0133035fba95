//! Pictures drawn by chance: overlapping shapes of all sizes, as things in front of one another look, with shading, light and grain.

use super::super::random::SplitMix64;
use super::canvas::{Canvas, Colour};
use super::noise::noise;

/// A picture as stored: red, green and blue bytes of each pixel, in rows from the top.
pub(super) fn picture(width: usize, height: usize, random: &mut SplitMix64) -> Vec<u8> {
    let mut pixels = leaves(width, height, random);
    light(&mut pixels, [width, height], random);
    let share = between(random, 0.0, 0.6) as f32;
    let coloured = coloured_noise(width, height, random);
    let mut bytes = Vec::with_capacity(3 * pixels.len());
    for (pixel, noise) in pixels.iter().zip(coloured) {
        for (value, noise) in pixel.iter().zip(noise) {
            bytes.push((value + share * noise).round().clamp(0.0, 255.0) as u8);
        }
    }
    bytes
}

fn between(random: &mut SplitMix64, low: f64, high: f64) -> f64 {
    low + (high - low) * random.uniform()
}

/// Shapes over one another, sizes spread as those of things at any distance: as many of a size as its third power is small.
fn leaves(width: usize, height: usize, random: &mut SplitMix64) -> Vec<Colour> {
    let (across, down) = (2 * width, 2 * height);
    let base: [f64; 3] = std::array::from_fn(|_| between(random, 60.0, 190.0));
    let mut canvas = Canvas::new(across, down, base.map(|value| value as f32));
    let largest = 1.2 * width.max(height) as f64;
    // Things from nearby in every other picture: they are larger, and there are fewer.
    let zoom = 1 + random.below(2);
    for _ in 0..(150 + random.below(750)) / (zoom * zoom) {
        let radius = (zoom as f64 * 3.0 / random.uniform().sqrt().max(0.012)).min(largest);
        let centre = [between(random, 0.0, across as f64), between(random, 0.0, down as f64)];
        let light = 55.0 * random.normal();
        let colour = base.map(|value| (value + light + 25.0 * random.normal()).clamp(0.0, 255.0) as f32);
        match random.below(3) {
            0 => {
                let flat = between(random, 0.4, 1.0);
                canvas.ellipse(centre, [radius, radius * flat], colour);
            }
            1 => {
                let mut turns: Vec<f64> =
                    (0..3 + random.below(4)).map(|_| between(random, 0.0, std::f64::consts::TAU)).collect();
                turns.sort_by(f64::total_cmp);
                let corner = |turn: &f64| [centre[0] + radius * turn.cos(), centre[1] + radius * turn.sin()];
                let corners: Vec<[f64; 2]> = turns.iter().map(corner).collect();
                canvas.polygon(&corners, colour);
            }
            _ => {
                let end = [between(random, 0.0, across as f64), between(random, 0.0, down as f64)];
                canvas.line(centre, end, (radius / 6.0).max(1.0), colour);
            }
        }
    }
    canvas.halved()
}

/// Light that falls off to a side, and grain.
fn light(pixels: &mut [Colour], [width, height]: [usize; 2], random: &mut SplitMix64) {
    let (along, down) = (15.0 * random.normal(), 15.0 * random.normal());
    let side = |at: usize, all: usize| 2.0 * at as f64 / (all.max(2) - 1) as f64 - 1.0;
    for y in 0..height {
        for x in 0..width {
            let light = along * side(x, width) + down * side(y, height);
            for value in &mut pixels[y * width + x] {
                *value += (light + 3.0 * random.normal()) as f32;
            }
        }
    }
}

/// Noise around 0 that is mostly of brightness, and of colour a little.
fn coloured_noise(width: usize, height: usize, random: &mut SplitMix64) -> Vec<Colour> {
    let slope = between(random, 0.8, 1.4);
    let planes: [Vec<f32>; 3] = std::array::from_fn(|_| noise(width, height, slope, random));
    let (level, contrast) = (between(random, -40.0, 40.0) as f32, between(random, 25.0, 70.0) as f32);
    let mix = |at: usize| {
        let [grey, warm, green] = [planes[0][at], planes[1][at], planes[2][at]];
        [
            grey + 0.25 * warm + 0.1 * green,
            grey - 0.05 * warm - 0.2 * green,
            grey - 0.25 * warm + 0.15 * green,
        ]
        .map(|value| level + contrast * value)
    };
    (0..width * height).map(mix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_contrast_and_colour_and_differ() {
        let made = |seed: u64| picture(40, 30, &mut SplitMix64::new(seed));
        let pictures: Vec<Vec<u8>> = (0..20).map(made).collect();
        assert_eq!(pictures[3], made(3));
        for pair in pictures.windows(2) {
            assert!(pair[0].len() == 3 * 40 * 30 && pair[0] != pair[1]);
        }
        let all: Vec<f64> = pictures.iter().flatten().map(|&value| f64::from(value)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let deviation =
            (all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
        assert!((90.0..160.0).contains(&mean) && (40.0..80.0).contains(&deviation), "{mean} {deviation}");
    }
}

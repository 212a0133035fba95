//! Noise whose amplitude falls with the frequency, as that of pictures does.

use super::super::random::SplitMix64;

/// `width` times `height` values of standard deviation about 1, whose amplitude falls with the frequency to the power `slope`: octaves of
/// random grids, each twice as fine as the one before and interpolated.
pub(super) fn noise(width: usize, height: usize, slope: f64, random: &mut SplitMix64) -> Vec<f32> {
    let mut sum = vec![0.0f32; width * height];
    let mut cell = width.max(height) as f64;
    let (mut weight, mut power) = (1.0f64, 0.0);
    while cell >= 1.0 {
        octave(&mut sum, [width, height], cell, weight, random);
        // Interpolation takes half of the variance away.
        power += weight * weight * if cell > 1.0 { 0.55 } else { 1.0 };
        // An octave holds the frequencies of a ring: its power is that of one of them by their number, which grows with the square.
        weight *= 2.0f64.powf(1.0 - slope);
        cell /= 2.0;
    }
    let scale = (1.0 / power.max(f64::MIN_POSITIVE).sqrt()) as f32;
    sum.iter_mut().for_each(|value| *value *= scale);
    sum
}

/// Adds a grid of cells with the side `cell`, standard normal at its corners, by `weight`.
fn octave(sum: &mut [f32], [width, height]: [usize; 2], cell: f64, weight: f64, random: &mut SplitMix64) {
    // No two grids have their lines in the same places.
    let shift = [random.uniform(), random.uniform()];
    let columns = (width as f64 / cell) as usize + 3;
    let rows = (height as f64 / cell) as usize + 3;
    let corners: Vec<f32> = (0..columns * rows).map(|_| (weight * random.normal()) as f32).collect();
    let along: Vec<(usize, f32)> = (0..width).map(|x| place(x, cell, shift[0])).collect();
    for y in 0..height {
        let (row, down) = place(y, cell, shift[1]);
        let (upper, lower) = (&corners[row * columns..], &corners[(row + 1) * columns..]);
        for (value, &(column, right)) in sum[y * width..][..width].iter_mut().zip(&along) {
            let between = |line: &[f32]| line[column] + right * (line[column + 1] - line[column]);
            let (above, below) = (between(upper), between(lower));
            *value += above + down * (below - above);
        }
    }
}

/// The cell that pixel `at` lies in, and how far in it, smoothed.
fn place(at: usize, cell: f64, shift: f64) -> (usize, f32) {
    let place = at as f64 / cell + shift;
    let part = place.fract();
    (place as usize, (part * part * (3.0 - 2.0 * part)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_alike_and_more_so_the_steeper_the_slope() {
        let alike = |slope: f64| {
            let mut random = SplitMix64::new(1);
            let (mut power, mut step) = (0.0, 0.0);
            for _ in 0..20 {
                let values = noise(64, 48, slope, &mut random);
                assert_eq!(values.len(), 64 * 48);
                power +=
                    values.iter().map(|value| f64::from(value * value)).sum::<f64>() / values.len() as f64;
                let steps = values.windows(2).map(|pair| f64::from(pair[1] - pair[0]).powi(2));
                step += steps.sum::<f64>() / values.len() as f64;
            }
            assert!((0.6..1.5).contains(&(power / 20.0)), "{power}");
            step / power
        };
        let (white, pink, brown) = (alike(0.0), alike(1.0), alike(2.0));
        assert!(white > 2.0 * pink && pink > 3.0 * brown, "{white} {pink} {brown}");
    }
}

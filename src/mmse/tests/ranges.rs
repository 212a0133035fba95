//! Range fits against brute force over zero points and scales.

use super::Noise;
use crate::mmse::{Grid, Histogram, RangeFit, fit_range, fit_range_symmetric};

/// Activations of the shapes that networks show. `bell` has few bins when `count` is small.
fn shapes(count: usize) -> Vec<(&'static str, Histogram)> {
    let mut noise = Noise::new(11);
    let mut draw = |name, shape: &mut dyn FnMut(&mut Noise) -> f64| {
        let mut values: Vec<f32> = (0..count).map(|_| shape(&mut noise) as f32).collect();
        if name == "outlier" {
            values.push(2000.0);
        }
        let mut histogram = Histogram::new();
        histogram.add_slice(&values);
        (name, histogram)
    };
    vec![
        draw("gauss", &mut Noise::gauss),
        draw("shifted gauss", &mut |noise| noise.gauss() + 1.3),
        draw("laplace", &mut Noise::laplace),
        draw("relu", &mut |noise| noise.gauss().max(0.0)),
        draw("below zero", &mut |noise| -noise.gauss().abs()),
        draw("two peaks", &mut |noise| noise.gauss() * 0.02 + if noise.uniform() < 0.3 { 3.0 } else { -1.0 }),
        draw("outlier", &mut Noise::gauss),
    ]
}

fn error(bins: &[(f64, u64)], scale: f64, grid: Grid) -> f64 {
    let (lo, hi) = (f64::from(grid.lo()), f64::from(grid.hi()));
    bins.iter()
        .map(|&(x, count)| count as f64 * (x - scale * (x / scale).round().clamp(lo, hi)).powi(2))
        .sum()
}

/// Least error over zero points `step` apart and `points` scales each, from where nothing clips to a thirtieth of it.
fn brute(histogram: &Histogram, bits: u32, step: usize, points: u32) -> f64 {
    let bins: Vec<(f64, u64)> = histogram.bins().collect();
    let (down, up) = (-f64::from(histogram.min().unwrap()), f64::from(histogram.max().unwrap()));
    let mut least = f64::INFINITY;
    for zero in (0..1i32 << bits).step_by(step) {
        let grid = Grid::offset(bits, zero);
        let reach = |edge: f64, limit: i32| if limit == 0 { 0.0 } else { edge / f64::from(limit) };
        let widest = reach(up, grid.hi()).max(reach(down, -grid.lo()));
        if widest > 0.0 {
            for point in 0..=points {
                let scale = widest * 1.1 * 30f64.powf(-f64::from(point) / f64::from(points));
                least = least.min(error(&bins, scale, grid));
            }
        }
    }
    least
}

fn assert_honest(name: &str, histogram: &Histogram, fit: RangeFit, bits: u32) {
    let bins: Vec<(f64, u64)> = histogram.bins().collect();
    let seen = error(&bins, f64::from(fit.scale), Grid::offset(bits, fit.zero_point));
    assert!((seen - fit.error).abs() <= 1e-9 * seen, "{name}: {} is really {seen}", fit.error);
    assert!(fit.scale.is_normal() && (0..1 << bits).contains(&fit.zero_point), "{name}: {fit:?}");
}

#[test]
fn four_bits_match_brute_force() {
    for (name, histogram) in shapes(600) {
        let fit = fit_range(&histogram, 4);
        assert_honest(name, &histogram, fit, 4);
        let least = brute(&histogram, 4, 1, 250);
        assert!(fit.error <= least * 1.001, "{name}: {} above {least}", fit.error);
        assert!(fit.error >= least * 0.9, "{name}: brute force is coarse, {least}");
    }
}

#[test]
fn four_bits_of_few_values_are_exact() {
    for seed in 0..40 {
        let mut noise = Noise::new(seed);
        let shift = [0.0, 0.7, 5.0][seed as usize % 3];
        let mut histogram = Histogram::new();
        let values: Vec<f32> = (0..1 + seed % 17).map(|_| (noise.gauss() + shift) as f32).collect();
        histogram.add_slice(&values);
        let fit = fit_range(&histogram, 4);
        assert_honest("few", &histogram, fit, 4);
        let least = brute(&histogram, 4, 1, 1500);
        assert!(
            fit.error <= least * (1.0 + 1e-9) + 1e-13 * fit.energy,
            "{seed}: {} above {least}",
            fit.error
        );
        assert!(histogram.min() < Some(0.0) || fit.zero_point == 0, "{seed}: {fit:?}");
        assert!(histogram.max() > Some(0.0) || fit.zero_point == 15, "{seed}: {fit:?}");
    }
}

#[test]
fn eight_bits_come_within_half_a_percent_of_brute_force() {
    for (name, histogram) in shapes(3000) {
        let fit = fit_range(&histogram, 8);
        assert_honest(name, &histogram, fit, 8);
        // Every zero point near the answer, some of the others.
        let least = brute(&histogram, 8, 17, 40);
        assert!(fit.error <= least * 1.005, "{name}: {} above {least}", fit.error);
        let bins: Vec<(f64, u64)> = histogram.bins().collect();
        for near in -2i32..=2 {
            for point in -30..=30 {
                let scale = f64::from(fit.scale) * (1.0 + 0.01 * f64::from(point));
                let other = error(&bins, scale, Grid::offset(8, fit.zero_point + near));
                let pinned = histogram.min() >= Some(0.0) || histogram.max() <= Some(0.0);
                assert!(
                    fit.error <= other * 1.005 || pinned && near != 0,
                    "{name}: {} above {other}",
                    fit.error
                );
            }
        }
    }
}

#[test]
fn zero_points_are_pinned_where_a_side_is_empty() {
    for (name, histogram) in shapes(500) {
        for bits in [2, 4, 8, 12, 16] {
            let fit = fit_range(&histogram, bits);
            assert_honest(name, &histogram, fit, bits);
            match name {
                "relu" => assert_eq!(fit.zero_point, 0),
                "below zero" => assert_eq!(fit.zero_point, (1 << bits) - 1),
                "outlier" => {
                    assert!(bits > 8 || fit.zero_point == 0, "every code is needed to reach up: {fit:?}")
                }
                _ => assert!(
                    fit.zero_point > 0 && fit.zero_point < (1 << bits) - 1 || bits == 2,
                    "{name} {fit:?}"
                ),
            }
            let middle = fit_range_symmetric(&histogram, bits);
            assert_honest(name, &histogram, middle, bits);
            assert_eq!(middle.zero_point, 1 << (bits - 1));
            assert!(bits > 8 || name == "relu" || name == "below zero" || fit.error <= middle.error * 1.005);
        }
    }
}

#[test]
fn more_bits_never_cost_more() {
    for (name, histogram) in shapes(500) {
        let errors = [2, 4, 6, 8, 10].map(|bits| fit_range(&histogram, bits).error);
        assert!(errors.windows(2).all(|pair| pair[1] <= pair[0]), "{name}: {errors:?}");
    }
}

#[test]
fn histograms_of_nothing_have_an_answer() {
    let mut zeros = Histogram::new();
    zeros.add_slice(&[0.0, -0.0, f32::NAN]);
    for histogram in [Histogram::new(), zeros] {
        for bits in [0, 2, 8, 16, 40] {
            let fit = fit_range(&histogram, bits);
            assert_eq!((fit.scale, fit.zero_point, fit.error, fit.energy), (1.0, 0, 0.0, 0.0));
            let middle = fit_range_symmetric(&histogram, bits);
            assert_eq!((middle.scale, middle.zero_point), (1.0, 1 << (bits.clamp(2, 16) - 1)));
        }
    }
}

#[test]
fn extreme_values_have_an_answer() {
    for values in
        [[f32::MAX, f32::MIN, 1.0], [1e-45, -1e-45, 0.0], [f32::MAX, 0.0, 1e-45], [-1.0, -1.0, -1.0]]
    {
        let mut histogram = Histogram::new();
        histogram.add_slice(&values);
        for bits in [2, 4, 8, 9, 16] {
            let fit = fit_range(&histogram, bits);
            assert!(
                fit.scale.is_normal() && fit.error.is_finite() && fit.error <= fit.energy,
                "{values:?} {fit:?}"
            );
        }
    }
}

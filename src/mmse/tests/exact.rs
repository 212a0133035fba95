//! The search is exact: no scan finds less, no enumeration of codes finds less.

use proptest::prelude::*;

use super::{Noise, kernel};
use crate::mmse::{Grid, Search, encode, error_at, fit, fit_best, fit_min_max};

const SIDES: [Grid; 2] = [Grid::signed(4), Grid::flipped(4)];

fn any_grid() -> impl Strategy<Value = Grid> {
    let named = vec![
        Grid::signed(4),
        Grid::flipped(4),
        Grid::offset(4, 0),
        Grid::offset(4, 3),
        Grid::offset(4, 15),
        Grid::signed(2),
        Grid::signed(1),
        Grid::signed(3),
        Grid::signed(5),
        Grid::signed(6),
        Grid::signed(8),
        Grid::flipped(2),
        Grid::flipped(3),
        Grid::flipped(5),
        Grid::flipped(6),
        Grid::offset(2, 0),
        Grid::offset(3, 5),
        Grid::offset(5, 31),
        Grid::offset(6, 20),
    ];
    prop::sample::select(named)
}

fn weights(seed: u64, count: usize) -> Vec<f64> {
    let mut noise = Noise::new(seed ^ 77);
    (0..count).map(|_| if noise.uniform() < 0.1 { 0.0 } else { (3.0 * noise.gauss()).exp() }).collect()
}

/// Least error over `points` scales from the smallest sensible to the largest, evenly in the logarithm.
fn scanned(values: &[f32], weights: Option<&[f64]>, grid: Grid, points: u32) -> f64 {
    let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let finest = largest / grid.levels() as f32 / 8.0;
    let scale = |point: u32| finest * (largest * 1.1 / finest).powf(point as f32 / points as f32);
    (0..=points).map(|point| error_at(values, weights, scale(point), grid)).fold(f64::INFINITY, f64::min)
}

/// Least error over all code vectors, each with its least-squares scale above 0.
fn enumerated(values: &[f32], grid: Grid) -> f64 {
    let energy: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
    let mut codes = vec![grid.lo(); values.len()];
    let mut best = energy;
    loop {
        let dot: f64 = values.iter().zip(&codes).map(|(&x, &q)| f64::from(x) * f64::from(q)).sum();
        let norm: f64 = codes.iter().map(|&q| f64::from(q).powi(2)).sum();
        if dot > 0.0 {
            let scale = dot / norm;
            let squares =
                values.iter().zip(&codes).map(|(&x, &q)| (f64::from(x) - scale * f64::from(q)).powi(2));
            best = best.min(squares.sum());
        }
        let Some(place) = codes.iter().position(|&code| code < grid.hi()) else { return best };
        codes[..place].fill(grid.lo());
        codes[place] += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_scan_finds_less(values in kernel(40), grid in any_grid(), seed: u64, weigh: bool) {
        let weights = weigh.then(|| weights(seed, values.len()));
        let fit = fit(&values, weights.as_deref(), grid).unwrap();
        let scan = scanned(&values, weights.as_deref(), grid, 1000);
        prop_assert!(fit.error <= scan * (1.0 + 1e-9), "{} above {scan}", fit.error);
    }

    #[test]
    fn the_error_is_that_of_its_scale_and_codes(values in kernel(60), grid in any_grid(), seed: u64) {
        let weights = weights(seed, values.len());
        let fit = fit(&values, Some(&weights), grid).unwrap();
        prop_assert!(fit.scale.is_normal() && fit.scale > 0.0);
        let mut codes = Vec::new();
        encode(&values, fit.scale, grid, &mut codes);
        let mut error = 0.0;
        let mut energy = 0.0;
        for ((&x, &q), w) in values.iter().zip(&codes).zip(&weights) {
            prop_assert!((grid.lo()..=grid.hi()).contains(&q));
            error += w * (f64::from(x) - f64::from(fit.scale) * f64::from(q)).powi(2);
            energy += w * f64::from(x).powi(2);
        }
        prop_assert!((fit.error - error).abs() <= 1e-9 * error, "{} is not {error}", fit.error);
        prop_assert!((fit.error - error_at(&values, Some(&weights), fit.scale, grid)).abs() <= 1e-9 * error);
        prop_assert!((fit.energy - energy).abs() <= 1e-9 * energy);
    }

    #[test]
    fn the_best_grid_is_the_best_of_each(values in kernel(60), wide: bool) {
        let offsets: Vec<Grid> = (0..16).map(|zero| Grid::offset(4, zero)).collect();
        let grids = if wide { &offsets[..] } else { &SIDES[..] };
        let best = fit_best(&values, None, grids).unwrap();
        let each: Vec<f64> = grids.iter().map(|&grid| fit(&values, None, grid).unwrap().error).collect();
        let least = each.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert!(best.error <= least * (1.0 + 1e-9), "{} above {least}", best.error);
        let first = each.iter().position(|&error| error <= least * (1.0 + 1e-12)).unwrap();
        if least > 1e-12 * best.energy {
            prop_assert!(each[first] >= best.error * (1.0 - 1e-9));
            prop_assert_eq!(best.grid, grids[first]);
        }
    }

    #[test]
    fn min_max_is_never_better(values in kernel(60), grid in any_grid()) {
        let naive = fit_min_max(&values, grid).unwrap();
        let best = fit(&values, None, grid).unwrap();
        // Where both are exact but for the rounding of an f32 scale, either may be luckier.
        prop_assert!(best.error <= naive.error * (1.0 + 1e-9) + 1e-14 * best.energy);
    }

    #[test]
    fn a_power_of_two_scales_the_answer_exactly(values in kernel(60), grid in any_grid()) {
        let doubled: Vec<f32> = values.iter().map(|value| value * 1024.0).collect();
        let (one, other) = (fit(&values, None, grid).unwrap(), fit(&doubled, None, grid).unwrap());
        if one.error > 1e-9 * one.energy && one.error < 0.999 * one.energy {
            prop_assert_eq!(one.scale * 1024.0, other.scale);
        }
    }

    #[test]
    fn integer_weights_are_repetitions(values in kernel(12), grid in any_grid(), seed: u64) {
        let mut noise = Noise::new(seed);
        let times: Vec<usize> = values.iter().map(|_| (noise.uniform() * 4.0) as usize).collect();
        let weights: Vec<f64> = times.iter().map(|&times| times as f64).collect();
        let repeated: Vec<f32> =
            values.iter().zip(&times).flat_map(|(&value, &times)| std::iter::repeat_n(value, times)).collect();
        prop_assume!(!repeated.is_empty());
        let weighted = fit(&values, Some(&weights), grid).unwrap();
        let plain = fit(&repeated, None, grid).unwrap();
        prop_assert!((weighted.error - plain.error).abs() <= 1e-9 * plain.error + 1e-14 * plain.energy);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_enumeration_of_codes_finds_less(values in kernel(4), lo in 0i32..=3, more in 0i32..=3) {
        let (lo, hi) = (-lo, if lo == 0 { more.max(1) } else { more });
        let grid = Grid::new(lo, hi).unwrap();
        let fit = fit(&values, None, grid).unwrap();
        let least = enumerated(&values, grid);
        prop_assert!(fit.error <= least * (1.0 + 1e-9) + 1e-13 * fit.energy, "{} above {least}", fit.error);
        prop_assert!(fit.error >= least * (1.0 - 1e-9) - 1e-13 * fit.energy, "{} below {least}", fit.error);
    }
}

#[test]
fn no_fine_scan_of_real_sizes_finds_less() {
    let mut noise = Noise::new(5);
    for (size, grid, points) in [
        (9, Grid::signed(4), 20_000),
        (144, Grid::flipped(4), 20_000),
        (9, Grid::signed(2), 20_000),
        (144, Grid::flipped(2), 20_000),
        (9, Grid::flipped(3), 20_000),
        (144, Grid::signed(3), 20_000),
        (9, Grid::signed(5), 20_000),
        (144, Grid::offset(5, 14), 20_000),
        (9, Grid::flipped(6), 20_000),
        (144, Grid::signed(6), 20_000),
        (144, Grid::signed(8), 5_000),
        (2000, Grid::signed(4), 500),
    ] {
        let values: Vec<f32> = (0..size).map(|_| (noise.gauss() * noise.laplace()) as f32).collect();
        let fit = fit(&values, None, grid).unwrap();
        let scan = scanned(&values, None, grid, points);
        assert!(fit.error <= scan * (1.0 + 1e-9), "{size}: {} above {scan}", fit.error);
        assert!(fit.error >= scan * 0.9, "{size}: the scan itself is coarse");
    }
}

#[test]
fn a_used_search_answers_as_a_new_one() {
    let mut search = Search::new();
    for seed in 0..40 {
        let mut noise = Noise::new(seed);
        let values: Vec<f32> = (0..1 + seed * 7 % 100).map(|_| noise.gauss() as f32).collect();
        assert_eq!(search.fit_best(&values, None, &SIDES), fit_best(&values, None, &SIDES));
        assert_eq!(search.fit(&values, None, Grid::signed(8)), fit(&values, None, Grid::signed(8)));
    }
}

#[test]
fn values_on_a_grid_cost_nothing() {
    for scale in [0.1f32, 1.0 / 3.0, 0.25, 7e-9, 3e20] {
        let exact: Vec<f32> = [-8.0f32, 3.0, 7.0, 1.0, -2.0].iter().map(|q| q * scale).collect();
        let fit = fit(&exact, None, Grid::signed(4)).unwrap();
        assert!(fit.relative_error() < 1e-14, "{scale}: {}", fit.relative_error());
        assert!((fit.scale / scale - 1.0).abs() < 3e-7, "{scale} came back as {}", fit.scale);
    }
}

#[test]
fn the_odd_code_goes_where_the_outlier_is() {
    let up = [8.0f32, -7.0, 3.0, -1.0, 5.0];
    assert_eq!(fit_best(&up, None, &SIDES).unwrap().grid, Grid::flipped(4));
    let down = up.map(|value| -value);
    assert_eq!(fit_best(&down, None, &SIDES).unwrap().grid, Grid::signed(4));
    let even = [7.3f32, -7.3, 3.1, -3.1];
    assert_eq!(fit_best(&even, None, &SIDES).unwrap().grid, Grid::signed(4), "the first among equals");
}

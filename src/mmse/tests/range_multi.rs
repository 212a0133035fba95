//! Several terms for activations, against the single fit and against brute force.

use proptest::prelude::*;

use super::{Noise, kernel};
use crate::mmse::{Grid, Histogram, MultiRangeFit, fit_range, fit_range_multi};

fn counted(values: &[f32]) -> Histogram {
    let mut histogram = Histogram::new();
    histogram.add_slice(values);
    histogram
}

fn code(x: f64, scale: f64, grid: Grid) -> f64 {
    (x / scale).max(f64::from(grid.lo())).min(f64::from(grid.hi())).round_ties_even()
}

fn assert_honest(histogram: &Histogram, fit: &MultiRangeFit, bits: u32) {
    let (mut error, mut energy) = (0.0, 0.0);
    for (x, count) in histogram.bins() {
        let mut rest = x;
        for &(scale, zero_point) in &fit.terms {
            assert!(scale.is_normal() && scale > 0.0 && (0..1 << bits).contains(&zero_point), "{fit:?}");
            rest -= f64::from(scale) * code(rest, f64::from(scale), Grid::offset(bits, zero_point));
        }
        error += count as f64 * rest * rest;
        energy += count as f64 * x * x;
    }
    assert!((fit.error - error).abs() <= 1e-9 * error, "{} is really {error}", fit.error);
    assert!((fit.energy - energy).abs() <= 1e-9 * energy);
}

/// Least error of the second term for `rest` over all zero points and a scan of scales.
fn last(rest: &[(f64, f64)], bits: u32) -> f64 {
    let largest = rest.iter().fold(0.0f64, |most, bin| most.max(bin.0.abs()));
    let mut least = f64::INFINITY;
    let middle = 1 << (bits - 1);
    for zero in [middle - 2, middle - 1, middle, middle + 1] {
        let grid = Grid::offset(bits, zero);
        for point in 0..40 {
            let scale = largest / f64::from(middle) * 1.3 * 0.97f64.powi(point);
            let error: f64 =
                rest.iter().map(|&(x, count)| count * (x - scale * code(x, scale, grid)).powi(2)).sum();
            least = least.min(error);
        }
    }
    least
}

/// Least error of two terms over zero points and a scan of scales.
fn brute(histogram: &Histogram, bits: u32) -> f64 {
    let bins: Vec<(f64, f64)> = histogram.bins().map(|(x, count)| (x, count as f64)).collect();
    let (down, up) = (-f64::from(histogram.min().unwrap()), f64::from(histogram.max().unwrap()));
    let mut least = f64::INFINITY;
    for zero in 0..1 << bits {
        let grid = Grid::offset(bits, zero);
        let reach = |edge: f64, limit: i32| (edge / (f64::from(limit) + 0.5)).max(0.0);
        let widest = reach(up, grid.hi()).max(reach(down, -grid.lo()));
        for point in 0..60 {
            let scale = widest * 1.2 * 0.985f64.powi(point);
            let rest: Vec<(f64, f64)> =
                bins.iter().map(|&(x, count)| (x - scale * code(x, scale, grid), count)).collect();
            if scale > 0.0 && rest.iter().all(|bin| bin.0.abs() < scale * 1.5) {
                least = least.min(last(&rest, bits));
            }
        }
    }
    least
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn more_terms_never_cost_more(values in kernel(300), bits in 2u32..=8) {
        let histogram = counted(&values);
        let single = fit_range(&histogram, bits);
        let one = fit_range_multi(&histogram, bits, 1);
        prop_assert_eq!((one.terms[0], one.error), ((single.scale, single.zero_point), single.error));
        let two = fit_range_multi(&histogram, bits, 2);
        assert_honest(&histogram, &two, bits);
        prop_assert!(two.error <= single.error * (1.0 + 1e-12));
        if histogram.min().unwrap() >= 0.0 {
            prop_assert_eq!(two.terms[0].1, 0);
        } else if histogram.max().unwrap() <= 0.0 {
            prop_assert_eq!(two.terms[0].1, (1 << bits) - 1);
        }
        prop_assert_eq!(&fit_range_multi(&histogram, bits, 2), &two);
    }
}

#[test]
fn two_terms_come_near_brute_force() {
    let mut noise = Noise::new(9);
    for count in [6, 15, 40, 400] {
        for shape in 0..3 {
            let values: Vec<f32> = (0..count)
                .map(|_| match shape {
                    0 => noise.gauss() as f32,
                    1 => noise.gauss().max(0.0) as f32,
                    _ => (noise.laplace() * 0.1 + 0.4) as f32,
                })
                .collect();
            let histogram = counted(&values);
            let bits = if count > 100 { 3 } else { 4 };
            let (fit, least) = (fit_range_multi(&histogram, bits, 2), brute(&histogram, bits));
            assert_honest(&histogram, &fit, bits);
            // Few values have many narrow valleys, in all of which the error is tiny.
            let slack = if count > 30 { 1.02 } else { 1.1 };
            assert!(
                fit.error <= least * slack + 2e-6 * fit.energy,
                "{count} {shape}: {:e} above {least:e} of {:e}",
                fit.error,
                fit.energy
            );
        }
    }
}

#[test]
fn two_terms_do_the_work_of_twice_the_bits() {
    let mut noise = Noise::new(4);
    for shape in 0..3 {
        let values: Vec<f32> = (0..50_000)
            .map(|_| match shape {
                0 => noise.gauss() as f32,
                1 => noise.gauss().max(0.0) as f32,
                _ => noise.laplace().abs() as f32,
            })
            .collect();
        let histogram = counted(&values);
        let (four, eight) = (fit_range(&histogram, 4), fit_range(&histogram, 8));
        let two = fit_range_multi(&histogram, 4, 2);
        assert!(two.error < 0.02 * four.error && two.error < 1.3 * eight.error, "{shape}: {two:?} {eight:?}");
        let ratio = two.terms[0].0 / two.terms[1].0;
        assert!((13.0..19.0).contains(&ratio), "{shape}: {two:?}");
        let three = fit_range_multi(&histogram, 4, 3);
        assert_honest(&histogram, &three, 4);
        assert!(three.error < 0.02 * two.error, "{shape}: {three:?}");
    }
}

#[test]
fn histograms_of_nothing_and_of_extremes() {
    for values in [&[][..], &[0.0, -0.0, f32::NAN]] {
        let fit = fit_range_multi(&counted(values), 4, 2);
        assert_eq!((fit.error, fit.energy, fit.terms.len()), (0.0, 0.0, 2));
        assert!(fit.terms.iter().all(|term| term.0 == 1.0));
    }
    assert_eq!(fit_range_multi(&counted(&[1.0]), 4, 0).terms.len(), 1);
    for values in [[f32::MAX, f32::MIN, 1.0], [1e-45, -1e-45, 0.0], [f32::MAX, 0.0, 1e-45], [-1.0; 3]] {
        for bits in [0, 2, 4, 8, 40] {
            let fit = fit_range_multi(&counted(&values), bits, 2);
            assert_honest(&counted(&values), &fit, bits.clamp(2, 8));
            assert!(fit.error.is_finite() && fit.error <= fit.energy, "{fit:?}");
        }
    }
}

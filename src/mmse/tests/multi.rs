//! Several terms: codes against all combinations, scales against slower searches.

use proptest::prelude::*;

use super::{Noise, kernel};
use crate::mmse::{
    Grid, MultiFit, MultiSearch, NotFinite, Term, encode, encode_multi, error_at, fit, fit_best,
};

const SIDES: [Grid; 2] = [Grid::signed(4), Grid::flipped(4)];

fn fitted(values: &[f32], grids: &[Grid], terms: usize) -> MultiFit {
    MultiSearch::new().fit(values, None, grids, terms).unwrap()
}

fn sum(terms: &[(f64, Grid)], codes: &[i32]) -> f64 {
    terms.iter().zip(codes).map(|(term, &code)| term.0 * f64::from(code)).sum()
}

/// Distance from `value` to the nearest of all sums, every combination tried.
fn nearest_of_all(value: f64, terms: &[(f64, Grid)]) -> f64 {
    let Some((&(scale, grid), others)) = terms.split_first() else { return value.abs() };
    (grid.lo()..=grid.hi())
        .map(|code| nearest_of_all(value - scale * f64::from(code), others))
        .fold(f64::INFINITY, f64::min)
}

fn doubles(terms: &[Term]) -> Vec<(f64, Grid)> {
    terms.iter().map(|term| (f64::from(term.scale), term.grid)).collect()
}

/// Error of the exact best term followed by the exact best for what it leaves.
fn greedy(values: &[f32], grids: &[Grid]) -> f64 {
    let first = fit_best(values, None, grids).unwrap();
    let mut codes = Vec::new();
    encode(values, first.scale, first.grid, &mut codes);
    let rest: Vec<f32> = values
        .iter()
        .zip(&codes)
        .map(|(&x, &q)| (f64::from(x) - f64::from(first.scale) * f64::from(q)) as f32)
        .collect();
    fit_best(&rest, None, grids).unwrap().error
}

/// Least error of two terms on `grids` over a scan of both scales, the best of which are followed by alternation.
fn brute(values: &[f32], grids: [Grid; 2]) -> f64 {
    let largest = values.iter().fold(0.0f64, |most, &value| most.max(f64::from(value).abs()));
    let pairs: Vec<[f64; 2]> = (grids[0].lo()..=grids[0].hi())
        .flat_map(|q| (grids[1].lo()..=grids[1].hi()).map(move |p| [f64::from(q), f64::from(p)]))
        .collect();
    let assign = |scales: [f64; 2]| -> (f64, Vec<[f64; 2]>) {
        let mut total = 0.0;
        let codes = values.iter().map(|&value| {
            let distance =
                |pair: &[f64; 2]| (f64::from(value) - scales[0] * pair[0] - scales[1] * pair[1]).abs();
            let best = pairs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            total += distance(best).powi(2);
            *best
        });
        let codes = codes.collect();
        (total, codes)
    };
    let scale = |point: i32| largest * 0.3 * 0.9f64.powi(point);
    let mut scanned: Vec<(f64, [f64; 2])> = (0..32)
        .flat_map(|one| (0..32).map(move |other| [scale(one), scale(other)]))
        .map(|scales| (assign(scales).0, scales))
        .collect();
    scanned.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    for (_, mut scales) in scanned.into_iter().take(20) {
        for _ in 0..20 {
            let (error, codes) = assign(scales);
            least = least.min(error);
            let total = |term: &dyn Fn(f64, [f64; 2]) -> f64| -> f64 {
                values.iter().zip(&codes).map(|(&x, &q)| term(f64::from(x), q)).sum()
            };
            let (aa, ab, bb) =
                (total(&|_, q| q[0] * q[0]), total(&|_, q| q[0] * q[1]), total(&|_, q| q[1] * q[1]));
            let (xa, xb) = (total(&|x, q| x * q[0]), total(&|x, q| x * q[1]));
            let determinant = aa * bb - ab * ab;
            if determinant <= 1e-9 * aa * bb {
                break;
            }
            scales = [(xa * bb - xb * ab) / determinant, (xb * aa - xa * ab) / determinant];
            if !scales.iter().all(|&scale| scale > 0.0) {
                break;
            }
        }
    }
    least
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn codes_are_those_of_the_nearest_sum(
        values in kernel(12), scales in prop::collection::vec(0.001f32..2.0, 1..=3), offset in 0i32..=15,
    ) {
        let grids = [Grid::signed(4), Grid::flipped(4), Grid::offset(4, offset)];
        let terms: Vec<Term> = scales.iter().zip(grids).map(|(&scale, grid)| Term { scale, grid }).collect();
        let mut codes = vec![vec![7; 3]; 5];
        encode_multi(&values, &terms, &mut codes);
        prop_assert_eq!(codes.len(), terms.len());
        let terms = doubles(&terms);
        for (place, &value) in values.iter().enumerate() {
            let chosen: Vec<i32> = codes.iter().map(|row| row[place]).collect();
            prop_assert!(terms.iter().zip(&chosen).all(|(term, code)| (term.1.lo()..=term.1.hi()).contains(code)));
            let (distance, least) = (f64::from(value) - sum(&terms, &chosen), nearest_of_all(f64::from(value), &terms));
            prop_assert!(distance.abs() <= least + 1e-14 * f64::from(value).abs() + 1e-13, "{distance} above {least}");
        }
    }

    #[test]
    fn more_terms_never_cost_more(values in kernel(150), two: bool) {
        let grids = if two { &SIDES[..] } else { &SIDES[..1] };
        let single = fit_best(&values, None, grids).unwrap();
        let dual = fitted(&values, grids, 2);
        prop_assert!(dual.error <= single.error * (1.0 + 1e-12));
        prop_assert!(dual.error <= greedy(&values, grids) * (1.0 + 1e-6) + 1e-12 * dual.energy);
        prop_assert_eq!(dual.terms.len(), 2);
        prop_assert!(dual.terms.iter().all(|term| term.scale > 0.0 && term.scale.is_normal() && grids.contains(&term.grid)));
        prop_assert!((dual.energy - single.energy).abs() <= 1e-12 * single.energy);
        let one = fitted(&values, grids, 1);
        prop_assert!(one.error <= single.error * (1.0 + 1e-9) + 1e-14 * single.energy);
    }

    #[test]
    fn the_error_is_that_of_its_terms_and_codes(values in kernel(150), seed: u64, terms in 1usize..=2) {
        let mut noise = Noise::new(seed);
        let weights: Vec<f64> =
            values.iter().map(|_| if noise.uniform() < 0.1 { 0.0 } else { (3.0 * noise.gauss()).exp() }).collect();
        let fit = MultiSearch::new().fit(&values, Some(&weights), &SIDES, terms).unwrap();
        let mut codes = Vec::new();
        encode_multi(&values, &fit.terms, &mut codes);
        let doubles = doubles(&fit.terms);
        let mut error = 0.0;
        for (place, (&value, weight)) in values.iter().zip(&weights).enumerate() {
            let chosen: Vec<i32> = codes.iter().map(|row| row[place]).collect();
            error += weight * (f64::from(value) - sum(&doubles, &chosen)).powi(2);
        }
        if weights.iter().any(|&weight| weight > 0.0) {
            prop_assert!((fit.error - error).abs() <= 1e-9 * error + 1e-26 * fit.energy, "{} is not {error}", fit.error);
        }
        let single = fit_best(&values, Some(&weights), &SIDES).unwrap();
        prop_assert!(fit.error <= single.error * (1.0 + 1e-9) + 1e-14 * fit.energy);
    }

    #[test]
    fn neither_order_nor_use_shows(values in kernel(150), seed: u64) {
        let mut noise = Noise::new(seed);
        let mut shuffled = values.clone();
        for index in (1..shuffled.len()).rev() {
            shuffled.swap(index, (noise.uniform() * (index + 1) as f64) as usize);
        }
        let mut used = MultiSearch::new();
        used.fit(&[1.0, -7.0, 0.3], None, &[Grid::flipped(4), Grid::offset(4, 2)], 2).unwrap();
        let fit = fitted(&values, &SIDES, 2);
        prop_assert_eq!(&used.fit(&shuffled, None, &SIDES, 2).unwrap(), &fit);
        prop_assert_eq!(&used.fit(&values, Some(&vec![1.0; values.len()]), &SIDES, 2).unwrap(), &fit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// No more can be promised of tiny kernels, on which the error has very many narrow valleys.
    #[test]
    fn tiny_kernels_come_near_brute_force(values in kernel(4)) {
        let fit = fitted(&values, &SIDES[..1], 2);
        let least = brute(&values, [SIDES[0]; 2]);
        prop_assert!(fit.error <= least + 5e-5 * fit.energy, "{} above {least} of {}", fit.error, fit.energy);
    }
}

#[test]
fn bell_shaped_kernels_keep_the_promised_error() {
    let mut noise = Noise::new(1);
    let mut search = MultiSearch::new();
    for (grids, bound) in [(&SIDES[..], 4e-5), (&SIDES[..1], 4.5e-5)] {
        let (mut mean, mut plain) = (0.0, 0.0);
        for _ in 0..64 {
            let values: Vec<f32> = (0..576).map(|_| noise.gauss() as f32).collect();
            mean += search.fit(&values, None, grids, 2).unwrap().relative_error() / 64.0;
            plain += fit(&values, None, Grid::signed(8)).unwrap().relative_error() / 64.0;
        }
        assert!(mean < bound, "{mean}");
        assert!(mean < plain, "{mean} is above one term of eight bits, {plain}");
    }
}

#[test]
fn terms_beyond_a_group_code_what_it_leaves() {
    let mut noise = Noise::new(2);
    let values: Vec<f32> = (0..40).map(|_| noise.gauss() as f32).collect();
    let errors = [1, 2, 3, 4, 5].map(|terms| fitted(&values, &SIDES, terms).relative_error());
    assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    assert!(errors[1] < 1e-4 && errors[2] < 1e-6 && errors[3] < 1e-8, "{errors:?}");
    let eights = fitted(&values, &[Grid::signed(8)], 2);
    assert!(eights.relative_error() < 1e-8 && eights.terms.len() == 2);
    let mixed = fitted(&values, &[Grid::signed(8), Grid::signed(4)], 3);
    assert!(mixed.error <= fit(&values, None, Grid::signed(8)).unwrap().error);
}

#[test]
fn simple_values_are_exact() {
    for value in [1.0f32, -0.3, 1e-30, 3e38, f32::MAX, f32::MIN] {
        for count in [1, 2, 100, 500] {
            let fit = fitted(&vec![value; count], &SIDES, 2);
            assert!(fit.relative_error() < 1e-14, "{count} times {value}: {fit:?}");
        }
    }
    let sums: Vec<f32> = (-136i16..=119).map(|sum| f32::from(sum) * 0.25).collect();
    let fit = fitted(&sums, &SIDES[..1], 2);
    assert!(fit.relative_error() < 1e-14, "{fit:?}");
}

#[test]
fn every_input_has_an_answer() {
    for values in [&[][..], &[0.0], &[0.0, -0.0, 0.0]] {
        let fit = fitted(values, &SIDES, 2);
        assert_eq!((fit.error, fit.energy, fit.terms.len()), (0.0, 0.0, 2));
        assert!(fit.terms.iter().all(|term| term.scale == 1.0 && term.grid == SIDES[0]));
    }
    assert_eq!(fitted(&[1.0], &[], 0).terms.len(), 1);
    let tiny = fitted(&[1e-45, -1e-45, 3e-45], &SIDES, 2);
    assert!(tiny.error <= tiny.energy && tiny.terms.iter().all(|term| term.scale.is_normal()));
    let huge = fitted(&[f32::MAX, f32::MIN, f32::MAX / 3.0, 1e-45], &SIDES, 2);
    assert!(huge.error.is_finite() && huge.relative_error() < 1e-3);
    let spread: Vec<f32> =
        (0..300).map(|place| if place == 7 { f32::MAX } else { 1e-20 * place as f32 }).collect();
    assert!(fitted(&spread, &SIDES, 2).relative_error() < 1e-12);
    let lost = fitted(&[-1.0, -2.0], &[Grid::offset(4, 0)], 2);
    assert_eq!((lost.error, lost.energy), (5.0, 5.0));
    let idle = MultiSearch::new().fit(&[1.0, -2.4, 0.7], Some(&[0.0; 3]), &SIDES, 2).unwrap();
    assert_eq!((idle.error, idle.energy), (0.0, 0.0));
    let named = |values: &[f32], weights| MultiSearch::new().fit(values, weights, &SIDES, 2).unwrap_err();
    assert_eq!(named(&[1.0, f32::NAN, f32::INFINITY], None), NotFinite { index: 1 });
    assert_eq!(named(&[1.0, 2.0], Some(&[1.0, -1.0])), NotFinite { index: 1 });
    assert_eq!(named(&[1.0, 2.0], Some(&[1.0])), NotFinite { index: 1 });
}

#[test]
fn codes_of_strange_values_and_scales() {
    let grid = Grid::signed(4);
    let codes = |values: &[f32], scales: &[f32]| {
        let terms: Vec<Term> = scales.iter().map(|&scale| Term { scale, grid }).collect();
        let mut codes = Vec::new();
        encode_multi(values, &terms, &mut codes);
        codes
    };
    let strange = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45];
    let row = vec![0, 7, -8, 7, -8, 0];
    assert_eq!(codes(&strange, &[16.0, 1.0]), [row.clone(), row.clone()]);
    assert_eq!(codes(&strange, &[16.0, 1.0, 0.1, 0.01]), vec![row.clone(); 4]);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(codes(&strange, &[scale, 1.0]), [vec![0; 6], row.clone()], "{scale}");
        assert_eq!(codes(&strange, &[1.0, scale]), [row.clone(), vec![0; 6]], "{scale}");
    }
    assert_eq!(codes(&[1.0], &[]), Vec::<Vec<i32>>::new());
    assert_eq!(codes(&[20.0, -130.0], &[16.0, 1.0]), [[1, -8], [4, -2]]);
    let values = [0.4, -3.2, 77.0];
    let mut single = Vec::new();
    encode(&values, 0.5, grid, &mut single);
    assert_eq!(codes(&values, &[0.5]), [single]);
    assert_eq!(error_at(&values, None, 0.5, grid), {
        let codes = codes(&values, &[0.5]);
        values.iter().zip(&codes[0]).map(|(&x, &q)| (f64::from(x) - 0.5 * f64::from(q)).powi(2)).sum::<f64>()
    });
}

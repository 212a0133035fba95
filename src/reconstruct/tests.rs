use faer::Mat;
use rayon::ThreadPoolBuilder;

use super::statistics::{DAMPING, SHIFT_DAMPING};
use super::*;

fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..count).map(|_| uniform() + uniform() + uniform()).collect()
}

/// Inputs whose features resemble one another, `[features, positions]`.
fn inputs(seed: u64, features: usize, positions: usize) -> Vec<f64> {
    let (common, each) = (numbers(seed, positions), numbers(seed + 1, features * positions));
    (0..features * positions).map(|at| 0.3 + common[at % positions] + 0.7 * each[at]).collect()
}

fn moments(own: &[f64], float: Option<&[f64]>, features: usize) -> Moments {
    let mut moments = Moments::new(features, float.is_some());
    moments.add(own, float);
    moments
}

fn nearest(target: &[f64], term: Term) -> Vec<i32> {
    let code = |value: &f64| {
        (value / term.scale).round_ties_even().clamp(f64::from(term.lo), f64::from(term.hi)) as i32
    };
    target.iter().map(code).collect()
}

fn scaled(codes: &[i32], scale: f64) -> Vec<f64> {
    codes.iter().map(|&code| scale * f64::from(code)).collect()
}

#[test]
fn moments_are_plain_sums_whatever_the_threads() {
    let (features, positions) = (200, 30);
    let (own, float) = (inputs(1, features, positions), inputs(5, features, positions));
    let naive = |one: &[f64], other: &[f64], row: usize, column: usize| -> f64 {
        (0..positions).map(|at| one[row * positions + at] * other[column * positions + at]).sum()
    };
    let sums = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut sums = moments(&own, Some(&float), features);
            sums.merge(&moments(&float, Some(&own), features));
            sums
        })
    };
    let (found, again) = (sums(1), sums(4));
    assert!(found == again, "the sums depend on the number of threads");
    assert_eq!(found.positions, 60.0);
    for row in 0..features {
        for column in 0..features {
            let at = row * features + column;
            if column <= row {
                let sum = naive(&own, &own, row, column) + naive(&float, &float, row, column);
                assert!((found.own[at] - sum).abs() < 1e-9);
            }
            let sum = naive(&float, &own, row, column) + naive(&own, &float, row, column);
            assert!((found.cross[at] - sum).abs() < 1e-9);
        }
        let sum: f64 =
            own[row * positions..][..positions].iter().chain(&float[row * positions..][..positions]).sum();
        assert!((found.sum_own[row] - sum).abs() < 1e-9 && (found.sum_float[row] - sum).abs() < 1e-9);
    }
}

#[test]
fn inputs_that_say_nothing_have_no_statistics() {
    assert!(Statistics::new(Moments::new(3, false), true).is_none());
    assert!(Statistics::new(moments(&[0.0; 12], None, 3), false).is_none());
    for broken in [f64::NAN, f64::INFINITY] {
        assert!(Statistics::new(moments(&[1.0, 2.0, broken, 3.0], None, 2), false).is_none());
    }
    // Lengths that do not fit add nothing.
    let mut sums = Moments::new(3, true);
    sums.add(&[1.0; 4], None);
    sums.add(&[1.0; 6], Some(&[1.0; 3]));
    assert!(sums.is_empty());
}

#[test]
fn features_that_were_never_seen_keep_their_weights() {
    let mut own = inputs(3, 4, 50);
    own[50..100].fill(0.0);
    let mut float = inputs(3, 4, 50);
    float[50..100].fill(0.0);
    float.iter_mut().for_each(|value| *value *= 1.2);
    let (statistics, start) = Statistics::new(moments(&own, Some(&float), 4), true).unwrap();
    let weights = Mat::from_fn(1, 4, |_, at| at as f64 - 1.6);
    let targets = start.targets(&statistics, &weights, None);
    assert!((targets[(0, 1)] - weights[(0, 1)]).abs() < 1e-9, "{targets:?}");
    assert!(targets.row(0).iter().all(|value| value.is_finite()));
    assert!(Factor::new(&statistics, start).is_some());
}

#[test]
fn targets_are_stationary_for_the_error_of_the_output() {
    let (features, positions) = (6, 400);
    let own = inputs(11, features, positions);
    let float: Vec<f64> =
        own.iter().zip(numbers(40, own.len())).map(|(own, noise)| own + 0.3 * noise).collect();
    let (statistics, start) = Statistics::new(moments(&own, Some(&float), features), false).unwrap();
    let weights = Mat::from_fn(2, features, |row, at| (row + 1) as f64 * 0.1 * (at as f64 - 2.2));
    let targets = start.targets(&statistics, &weights, None);
    let square =
        |at: usize| own[at * positions..][..positions].iter().map(|value| value * value).sum::<f64>();
    let typical = (0..features).map(square).sum::<f64>() / (features * positions) as f64;
    let ridge = (DAMPING + SHIFT_DAMPING) * typical;
    let loss = |row: usize, v: &[f64], ridge: f64| {
        let gap = |at: usize| -> f64 {
            (0..features)
                .map(|f| weights[(row, f)] * float[f * positions + at] - v[f] * own[f * positions + at])
                .sum()
        };
        let moved: f64 = (0..features).map(|f| (v[f] - weights[(row, f)]).powi(2)).sum();
        (0..positions).map(|at| gap(at).powi(2)).sum::<f64>() / positions as f64 + ridge * moved
    };
    for row in 0..2 {
        let plain: Vec<f64> = weights.row(row).iter().copied().collect();
        let target: Vec<f64> = targets.row(row).iter().copied().collect();
        assert!(loss(row, &target, 0.0) < loss(row, &plain, 0.0));
        // The ridge is for the distance from the weights.
        let best = loss(row, &target, ridge);
        for feature in 0..features {
            for step in [-1e-3, 1e-3] {
                let mut other = target.clone();
                other[feature] += step;
                assert!(loss(row, &other, ridge) > best, "row {row}, feature {feature}");
            }
        }
    }
}

#[test]
fn compensation_and_refits_lower_the_error_of_the_output() {
    let (mut plain, mut better, mut polished) = (0.0, 0.0, 0.0);
    for seed in 0..30 {
        let features = 8 + seed as usize;
        let (statistics, start) =
            Statistics::new(moments(&inputs(seed, features, 300), None, features), false).unwrap();
        let factor = Factor::new(&statistics, start).unwrap();
        let target = numbers(seed + 100, features);
        let through = statistics.through(&target);
        let term = Term { scale: 0.2, lo: -8, hi: 7 };
        let error = |codes: &[i32], scale: f64| statistics.error(&target, &scaled(codes, scale));
        let near = nearest(&target, term);
        let mut codes = compensate(&factor, &target, &[], &[vec![Quantizer::new(&[term])]]);
        plain += error(&near, term.scale);
        let before = error(&codes, term.scale);
        better += before;
        let integers = |codes: &[i32]| scaled(codes, 1.0);
        let mut product = statistics.through(&integers(&codes));
        polish(&statistics, &through, term, &mut codes, &mut product);
        let anew = statistics.through(&integers(&codes));
        assert!(product.iter().zip(&anew).all(|(kept, anew)| (kept - anew).abs() < 1e-9));
        let after = error(&codes, term.scale);
        assert!(after <= before * (1.0 + 1e-9));
        polished += after;
        let mut moved = near.clone();
        polish(&statistics, &through, term, &mut moved, &mut statistics.through(&integers(&near)));
        assert!(error(&moved, term.scale) <= error(&near, term.scale) * (1.0 + 1e-9));
        for codes in [near, codes] {
            let mut normal = Normal::new(1);
            let rows = [integers(&codes)];
            normal.add(&target, &through, &rows, &statistics.products(&rows));
            let (scales, less) = normal.solve(&[term.scale]);
            assert!((less - error(&codes, scales[0])).abs() < 1e-9);
            assert!(less <= error(&codes, term.scale) + 1e-12);
            for other in [0.999, 1.001] {
                assert!(error(&codes, scales[0] * other) >= less - 1e-12);
            }
        }
    }
    assert!(better < 0.6 * plain && polished <= better, "{plain} {better} {polished}");
}

#[test]
fn products_are_the_same_together_and_one_by_one() {
    let (statistics, _) = Statistics::new(moments(&inputs(5, 20, 90), None, 20), true).unwrap();
    let dense: Vec<Vec<f64>> = (0..7).map(|seed| numbers(seed, 20)).collect();
    let sparse: Vec<Vec<f64>> =
        (0..7).map(|at| (0..20).map(|place| if place == at { 2.0 } else { 0.0 }).collect()).collect();
    for rows in [&dense, &sparse] {
        for (row, product) in rows.iter().zip(statistics.products(rows)) {
            let alone = statistics.through(row);
            assert!(product.iter().zip(&alone).all(|(one, other)| (one - other).abs() < 1e-9));
        }
    }
}

#[test]
fn without_resemblance_compensation_is_rounding() {
    // Each position shows one feature, so that the metric is diagonal.
    let own: Vec<f64> = (0..16).map(|at| if at % 5 == 0 { 1.0 + at as f64 } else { 0.0 }).collect();
    let (statistics, start) = Statistics::new(moments(&own, None, 4), false).unwrap();
    let (term, target) = (Term { scale: 0.1, lo: -8, hi: 7 }, [0.33, -0.52, 0.9, -2.0]);
    let several = vec![vec![Quantizer::new(&[term])], vec![Quantizer::new(&[Term { scale: 0.2, ..term }])]];
    let codes = compensate(&Factor::new(&statistics, start).unwrap(), &target, &[], &several);
    assert_eq!(codes, [3, -5, 7, -8, 2, -3, 4, -8]);
}

#[test]
fn a_refit_without_codes_or_with_a_negative_answer_keeps_its_scales() {
    let (statistics, _) = Statistics::new(moments(&inputs(2, 3, 60), None, 3), false).unwrap();
    let target = [0.5, -0.25, 1.0];
    for vector in [vec![0.0; 3], vec![-1.0, 0.5, -2.0]] {
        let mut normal = Normal::new(1);
        let products = statistics.products(std::slice::from_ref(&vector));
        normal.add(&target, &statistics.through(&target), &[vector], &products);
        assert_eq!(normal.solve(&[0.125]).0, [0.125]);
    }
}

#[test]
fn a_bias_takes_up_the_gap_between_the_means() {
    let (own, float) = (inputs(7, 3, 40), inputs(9, 3, 40));
    let (statistics, _) = Statistics::new(moments(&own, Some(&float), 3), true).unwrap();
    let (weights, quantized) = ([0.5, -1.0, 0.25], [0.4, -1.1, 0.3]);
    let gap: f64 = (0..40)
        .map(|at| {
            (0..3).map(|f| weights[f] * float[f * 40 + at] - quantized[f] * own[f * 40 + at]).sum::<f64>()
        })
        .sum();
    assert!((statistics.bias(&weights, &quantized, None) - gap / 40.0).abs() < 1e-12);
}

#[test]
fn errors_of_another_branch_are_made_up_for() {
    let (features, positions) = (4, 500);
    let own = inputs(21, features, positions);
    let float: Vec<f64> = own.iter().map(|value| 1.02 * value).collect();
    // What the other branch lacks is nearly told by the layer's input.
    let noise = numbers(22, positions);
    let errors: Vec<f64> =
        (0..positions).map(|at| 0.5 * own[at] - 0.3 * own[positions + at] + 0.05 * noise[at] + 0.2).collect();
    let (statistics, start) = Statistics::new(moments(&own, Some(&float), features), true).unwrap();
    let mut residual = Residual::new(1, features);
    residual.add(&errors, &own);
    let weights = Mat::from_fn(1, features, |_, at| 0.3 * at as f64 - 0.4);
    let row: Vec<f64> = weights.row(0).iter().copied().collect();
    let error = |target: &Mat<f64>| {
        let target: Vec<f64> = target.row(0).iter().copied().collect();
        let bias = statistics.bias(&row, &target, Some((&residual, 0)));
        let gap = |at: usize| {
            let term = |f: usize| row[f] * float[f * positions + at] - target[f] * own[f * positions + at];
            (0..features).map(term).sum::<f64>() + errors[at] - bias
        };
        let mean = (0..positions).map(gap).sum::<f64>() / positions as f64;
        assert!(mean.abs() < 1e-9, "the bias takes up the mean of both: {mean}");
        (0..positions).map(|at| gap(at).powi(2)).sum::<f64>()
    };
    let (alone, matched) =
        (start.targets(&statistics, &weights, None), start.targets(&statistics, &weights, Some(&residual)));
    assert!(error(&matched) < 0.2 * error(&alone), "{} {}", error(&matched), error(&alone));
}

#[test]
fn two_terms_find_the_nearest_sum() {
    let terms = [Term { scale: 0.5, lo: -2, hi: 1 }, Term { scale: 0.11, lo: -2, hi: 1 }];
    let quantizer = Quantizer::new(&terms);
    for value in numbers(21, 200) {
        let mut codes = [0; 2];
        let found = quantizer.nearest(value * 2.0, &mut codes);
        assert!((found - 0.5 * f64::from(codes[0]) - 0.11 * f64::from(codes[1])).abs() < 1e-12);
        let sums = (-2..=1).flat_map(|a| (-2..=1).map(move |b| 0.5 * f64::from(a) + 0.11 * f64::from(b)));
        let least = sums.map(|sum| (sum - value * 2.0).abs()).fold(f64::INFINITY, f64::min);
        assert!((found - value * 2.0).abs() <= least + 1e-12);
    }
}

//! A histogram's state depends on the values alone.

use proptest::prelude::*;

use super::Noise;
use crate::mmse::{Histogram, MAX_BINS};

/// Values that make ranges grow, widths double and every special case occur.
fn stream() -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        4 => -1.0f32..1.0,
        2 => any::<f32>(),
        1 => prop::sample::select(vec![0.0f32, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY]),
        1 => 100.0f32..101.0,
    ];
    prop::collection::vec(value, 0..60)
}

fn counted(values: &[f32]) -> Histogram {
    let mut histogram = Histogram::new();
    histogram.add_slice(values);
    histogram
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn order_and_splits_do_not_show(values in stream(), seed: u64, parts in 1usize..5) {
        let whole = counted(&values);
        let mut noise = Noise::new(seed);
        let mut shuffled = values.clone();
        for index in (1..shuffled.len()).rev() {
            shuffled.swap(index, (noise.uniform() * (index + 1) as f64) as usize);
        }
        prop_assert!(counted(&shuffled) == whole);
        let mut merged = Histogram::new();
        for part in 0..parts {
            merged.merge(&counted(&shuffled.iter().copied().skip(part).step_by(parts).collect::<Vec<_>>()));
        }
        prop_assert!(merged == whole);
        let mut single = Histogram::new();
        shuffled.iter().for_each(|&value| single.add_slice(&[value]));
        prop_assert!(single == whole);
    }

    #[test]
    fn every_value_is_counted_in_its_bin(values in stream()) {
        let histogram = counted(&values);
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).map(f64::from).collect();
        prop_assert_eq!(histogram.count(), finite.len() as u64);
        prop_assert_eq!(histogram.non_finite(), (values.len() - finite.len()) as u64);
        prop_assert_eq!(histogram.zeros(), finite.iter().filter(|&&v| v == 0.0).count() as u64);
        let width = histogram.bin_width();
        let mut expected = std::collections::BTreeMap::new();
        for value in finite.iter().filter(|&&v| v != 0.0) {
            *expected.entry((value / width).floor() as i64).or_insert(0u64) += 1;
        }
        let bins: Vec<(i64, u64)> = histogram.bins().map(|(centre, n)| ((centre / width).floor() as i64, n)).collect();
        let counts = |bins: &[(i64, u64)]| bins.iter().map(|&(_, n)| n).collect::<Vec<_>>();
        let expected: Vec<(i64, u64)> = expected.into_iter().collect();
        prop_assert_eq!(counts(&bins), counts(&expected));
        prop_assert!(bins.iter().zip(&expected).all(|(bin, wanted)| bin.0 == wanted.0));
        prop_assert!(expected.len() <= MAX_BINS);
    }
}

#[test]
fn the_width_is_the_smallest_that_fits() {
    let histogram = counted(&[0.0, 1.0]);
    assert_eq!(histogram.bin_width(), 1.0 / 2048.0, "1.0 would be bin 4096 of 0..=4095");
    let just_below = counted(&[0.0, 1.0f32.next_down()]);
    assert_eq!(just_below.bin_width(), 1.0 / 4096.0);
    let away = counted(&[1000.0, 1001.0]);
    assert_eq!(away.bin_width(), 1.0 / 2048.0);
    assert_eq!(away.bins().count(), 2);
}

#[test]
fn zeros_and_strangers_are_counted_apart() {
    let histogram = counted(&[0.0, -0.0, f32::NAN, f32::INFINITY, 2.0, -0.5]);
    assert_eq!((histogram.count(), histogram.zeros(), histogram.non_finite()), (4, 2, 2));
    assert_eq!((histogram.min(), histogram.max()), (Some(-0.5), Some(2.0)));
    let bins: Vec<(f64, u64)> = histogram.bins().collect();
    assert_eq!(bins.iter().map(|&(_, count)| count).collect::<Vec<_>>(), [1, 1]);
    assert!((bins[0].0 + 0.5).abs() < 0.001 && (bins[1].0 - 2.0).abs() < 0.001);
    let empty = counted(&[f32::NAN]);
    assert_eq!((empty.min(), empty.max(), empty.count(), empty.bins().count()), (None, None, 0, 0));
    assert_ne!(empty, Histogram::new());
}

#[test]
fn the_widest_and_the_finest_ranges() {
    let wide = counted(&[f32::MAX, f32::MIN, 1e-45, -1e-45]);
    assert_eq!(wide.count(), 4);
    assert_eq!(wide.bins().map(|(_, count)| count).sum::<u64>(), 4);
    assert_eq!(wide.bins().count(), 4, "the tiny ones on either side of 0");
    let fine = counted(&[1e-45, -1e-45]);
    assert_eq!(fine.bins().count(), 2);
    let single = counted(&[1.0; 9]);
    assert_eq!(single.bins().collect::<Vec<_>>(), [(1.0, 9)]);
}

#[test]
fn long_streams_cross_blocks() {
    let mut noise = Noise::new(3);
    let values: Vec<f32> =
        (0..20_000).map(|place| (noise.gauss() * (1.0 + place as f64 / 1e3)) as f32).collect();
    let whole = counted(&values);
    let mut backwards = values.clone();
    backwards.reverse();
    assert!(counted(&backwards) == whole);
    assert_eq!(whole.count(), 20_000);
}

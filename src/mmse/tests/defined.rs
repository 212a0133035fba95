//! Every input has a defined answer.

use crate::mmse::{Fit, Grid, NotFinite, fit, fit_best};

const GRID: Grid = Grid::signed(4);

fn assert_idle(fit: Fit) {
    assert_eq!((fit.scale, fit.error, fit.energy), (1.0, 0.0, 0.0));
}

#[test]
fn nothing_to_represent() {
    assert_idle(fit(&[], None, GRID).unwrap());
    assert_idle(fit(&[], Some(&[]), GRID).unwrap());
    assert_idle(fit(&[0.0, -0.0, 0.0], None, GRID).unwrap());
    assert_idle(fit(&[0.0; 3], Some(&[1.0; 3]), GRID).unwrap());
    assert_eq!(fit_best(&[], None, &[Grid::offset(4, 3), GRID]).unwrap().grid, Grid::offset(4, 3));
    assert_eq!(fit_best(&[1.0], None, &[]).unwrap().grid, GRID);
}

#[test]
fn one_value_or_equal_values_are_exact() {
    for value in [1.0f32, -0.3, 1e-30, 3e38, f32::MAX, f32::MIN] {
        for count in [1, 2, 100] {
            let fit = fit(&vec![value; count], None, GRID).unwrap();
            assert!(fit.relative_error() < 1e-14, "{count} times {value}: {fit:?}");
            assert!(fit.energy > 0.0 && fit.energy.is_finite());
        }
    }
}

#[test]
fn the_smallest_and_the_largest_numbers() {
    let tiny = fit(&[1e-45, -1e-45, 3e-45], None, GRID).unwrap();
    assert_eq!(tiny.scale, f32::MIN_POSITIVE);
    assert_eq!(tiny.error, tiny.energy);
    let edge = fit(&[1e-37, -3e-38, 2e-38], None, GRID).unwrap();
    assert!(edge.scale >= f32::MIN_POSITIVE && edge.error < edge.energy);
    let huge = fit(&[f32::MAX, f32::MIN, f32::MAX / 3.0, 1e-45], None, Grid::new(-1, 1).unwrap()).unwrap();
    assert!(huge.scale.is_finite() && huge.error.is_finite() && huge.relative_error() < 0.2);
    let wide = fit(&[f32::MAX, 1e-45, 1.0, -1e-20], None, Grid::signed(16)).unwrap();
    assert!(wide.error.is_finite() && wide.relative_error() < 1e-12);
}

#[test]
fn what_is_not_finite_is_named() {
    let not_finite = |index| Err(NotFinite { index });
    assert_eq!(fit(&[1.0, f32::NAN, f32::INFINITY], None, GRID), not_finite(1));
    assert_eq!(fit(&[1.0, 2.0, f32::NEG_INFINITY], Some(&[1.0; 3]), GRID), not_finite(2));
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(fit(&[1.0, 2.0, 3.0], Some(&[1.0, 0.0, bad]), GRID), not_finite(2));
    }
    assert_eq!(fit(&[1.0, 2.0, 3.0], Some(&[1.0, 1.0]), GRID), not_finite(2));
    assert!(fit(&[1.0, 2.0], Some(&[1.0, 1.0, f64::NAN]), GRID).is_ok());
    assert_eq!(NotFinite { index: 7 }.to_string().split(' ').nth(1), Some("7"));
}

#[test]
fn a_missing_side_is_lost_and_nothing_else() {
    let lost = fit(&[-1.0, -2.0], None, Grid::offset(4, 0)).unwrap();
    assert_eq!((lost.scale, lost.error, lost.energy), (1.0, 5.0, 5.0));
    let lost = fit(&[1.0, 2.0], None, Grid::offset(4, 15)).unwrap();
    assert_eq!((lost.scale, lost.error, lost.energy), (1.0, 5.0, 5.0));
    let half = fit(&[-1.0, 15.0, 4.0], None, Grid::offset(4, 0)).unwrap();
    assert_eq!((half.scale, half.error), (1.0, 1.0));
    let offsets: Vec<Grid> = (0..16).map(|zero| Grid::offset(4, zero)).collect();
    assert_eq!(fit_best(&[15.0, 1.0, 4.0], None, &offsets).unwrap().grid, Grid::offset(4, 0));
    assert_eq!(fit_best(&[-15.0, -1.0, -4.0], None, &offsets).unwrap().grid, Grid::offset(4, 15));
}

#[test]
fn weights_of_any_size() {
    let values = [1.0f32, -2.4, 0.7, 3.3];
    let plain = fit(&values, None, GRID).unwrap();
    let idle = fit(&values, Some(&[0.0; 4]), GRID).unwrap();
    assert_eq!((idle.scale, idle.error, idle.energy), (plain.scale, 0.0, 0.0));
    for weight in [1e-320, 1e-300, 1e-5, 1e9, 1e300, f64::MAX] {
        let fit = fit(&values, Some(&[weight; 4]), GRID).unwrap();
        assert_eq!(fit.scale, plain.scale, "{weight}");
        assert!(fit.error.is_finite() && fit.energy.is_finite());
    }
    let only = fit(&values, Some(&[0.0, 1.0, 0.0, 0.0]), GRID).unwrap();
    assert!(only.relative_error() < 1e-14);
}

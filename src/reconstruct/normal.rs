//! Moments of a clipped normal variable, in closed form.

use std::f64::consts::{PI, SQRT_2};

/// Mean and variance of `clamp(x, lo, hi)` for a normal `x`. The ends may be infinite.
pub fn clipped(mean: f64, variance: f64, lo: f64, hi: f64) -> (f64, f64) {
    let deviation = variance.max(0.0).sqrt();
    if deviation <= f64::MIN_POSITIVE || !deviation.is_finite() {
        return (mean.max(lo).min(hi), 0.0);
    }
    let density = |z: f64| if z.is_finite() { (-0.5 * z * z).exp() / (2.0 * PI).sqrt() } else { 0.0 };
    // From the tail on its own side, so that little mass is not lost in 1 - 1.
    let below = |z: f64| 0.5 * libm::erfc(-z / SQRT_2);
    let (a, b) = ((lo - mean) / deviation, (hi - mean) / deviation);
    let (under, over) = (below(a), below(-b));
    let inside = if a > 0.0 { below(-a) - below(-b) } else { below(b) - below(a) };
    // z phi(z) goes to 0 at infinity.
    let edge = |z: f64| if z.is_finite() { z * density(z) } else { 0.0 };
    // Moments of the standard variable, clipped at a and b.
    let end = |z: f64, mass: f64| if z.is_finite() { (z * mass, z * z * mass) } else { (0.0, 0.0) };
    let ((low, low2), (high, high2)) = (end(a, under), end(b, over));
    let first = low + density(a) - density(b) + high;
    let second = low2 + inside + edge(a) - edge(b) + high2;
    (mean + deviation * first, variance * (second - first * first).max(0.0))
}

/// Mean and variance of a normal `x` whose negative values are multiplied by `slope`.
pub fn leaky(mean: f64, variance: f64, slope: f64) -> (f64, f64) {
    // x is its positive part plus its negative part, and their product is always 0.
    let (up, up_variance) = clipped(mean, variance, 0.0, f64::INFINITY);
    let (down, down_variance) = clipped(mean, variance, f64::NEG_INFINITY, 0.0);
    let covariance = -up * down;
    (up + slope * down, up_variance + slope * slope * down_variance + 2.0 * slope * covariance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of `f(x)` by the trapezoidal rule over 12 deviations.
    fn integrated(mean: f64, variance: f64, f: impl Fn(f64) -> f64) -> (f64, f64) {
        let (deviation, steps) = (variance.sqrt(), 400_000);
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for step in 0..=steps {
            let z = -12.0 + 24.0 * f64::from(step) / f64::from(steps);
            let (weight, value) = ((-0.5 * z * z).exp(), f(mean + deviation * z));
            mass += weight;
            first += weight * value;
            second += weight * value * value;
        }
        (first / mass, second / mass - (first / mass).powi(2))
    }

    #[test]
    fn closed_forms_are_the_integrals() {
        let ends = [(0.0, f64::INFINITY), (0.0, 6.0), (-1.0, 1.0), (f64::NEG_INFINITY, 0.5), (2.0, 3.0)];
        for (mean, variance) in [(0.0, 1.0), (1.5, 0.25), (-2.0, 4.0), (5.0, 9.0), (-3.0, 0.5)] {
            for (lo, hi) in ends {
                let (one, other) =
                    (clipped(mean, variance, lo, hi), integrated(mean, variance, |x| x.max(lo).min(hi)));
                let close = (one.0 - other.0).abs() < 1e-6 && (one.1 - other.1).abs() < 1e-6;
                assert!(close, "N({mean}, {variance}) in {lo}..{hi}: {one:?}, {other:?}");
            }
            for slope in [0.0, 0.1, -0.5, 1.0] {
                let bent = |x: f64| if x < 0.0 { slope * x } else { x };
                let (one, other) = (leaky(mean, variance, slope), integrated(mean, variance, bent));
                let close = (one.0 - other.0).abs() < 1e-6 && (one.1 - other.1).abs() < 1e-6;
                assert!(close, "N({mean}, {variance}), slope {slope}: {one:?}, {other:?}");
            }
        }
        assert_eq!(clipped(7.0, 0.0, 0.0, 6.0), (6.0, 0.0));
        assert_eq!(clipped(2.0, 3.0, f64::NEG_INFINITY, f64::INFINITY), (2.0, 3.0));
    }
}

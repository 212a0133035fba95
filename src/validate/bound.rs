//! What a drop measured on some samples may really be.
//!
//! Both models answer the same samples, so that only those count on which one is right and the other is not: `lost` and
//! `won`. The bound combines Wilson's interval of either share (Newcombe, Statistics in Medicine 17, 1998: method 10, for
//! paired shares). Where nothing was lost, Wilson's is narrower than the rule of three, which is what stands then.

use crate::plan::Score;

/// One-sided, 95 %.
const Z: f64 = 1.644_853_6;
/// Upper bound, times the number of samples, of what was never seen.
const NEVER: f64 = 3.0;
/// More samples than this nobody has.
const MOST: f64 = 1e7;
/// What arithmetic may lose, in points.
const TINY: f64 = 1e-9;

/// What the drop is at most, in points, at 95 % confidence.
pub(super) fn drop_bound(lost: f64, won: f64, rows: f64) -> f64 {
    if rows <= 0.0 {
        return 100.0;
    }
    let (up, down) = (lost / rows, won / rows);
    let (_, mut highest) = wilson(up, rows);
    if lost <= 0.0 {
        highest = (NEVER / rows).min(1.0);
    }
    let (lowest, _) = wilson(down, rows);
    let (above, below) = (highest - up, down - lowest);
    // The two shares exclude one another.
    let spread = ((1.0 - up) * (1.0 - down)).max(f64::MIN_POSITIVE);
    let together = 2.0 * above * below * (up * down / spread).sqrt().min(1.0);
    (100.0 * (up - down + (above * above + below * below + together).sqrt())).min(100.0)
}

/// About how many labelled samples, on which the models differ as they did, would show that the drop is at most `limit`
/// points; `None` where these do already, or none would.
pub fn needed(score: &Score, limit: f64) -> Option<usize> {
    let rows = score.rows as f64;
    let (up, down) = (score.lost as f64 / rows, score.won as f64 / rows);
    let bound = |rows: f64| drop_bound(up * rows, down * rows, rows);
    if score.rows == 0 || score.drop_bound <= limit + TINY || bound(MOST) > limit {
        return None;
    }
    Some(least_rows(rows, |rows| bound(rows) <= limit + TINY))
}

/// What a share of `hits` among `rows` is at least, at 95 % confidence: by the rule of three where nothing was missed.
pub(super) fn least_share(hits: f64, rows: f64) -> f64 {
    match rows {
        rows if rows <= 0.0 => 0.0,
        rows if hits >= rows => (1.0 - NEVER / rows).max(0.0),
        rows => wilson(hits / rows, rows).0,
    }
}

/// About how many samples, on as large a share of which the models agree as on these `rows`, would show that this is at least
/// `limit`; `None` where these do already, or none would.
pub fn needed_for_agreement(share: f64, rows: usize, limit: f64) -> Option<usize> {
    let bound = |rows: f64| least_share(share * rows, rows);
    if rows == 0 || bound(rows as f64) >= limit - TINY || bound(MOST) < limit {
        return None;
    }
    Some(least_rows(rows as f64, |rows| bound(rows) >= limit - TINY))
}

/// The least number of rows above `too_few` of which `shows` is true, in two digits: more would claim too much.
fn least_rows(mut too_few: f64, shows: impl Fn(f64) -> bool) -> usize {
    let mut enough = MOST;
    while enough - too_few > 1.0 {
        let middle = ((too_few + enough) / 2.0).floor();
        match shows(middle) {
            true => enough = middle,
            false => too_few = middle,
        }
    }
    two_digits(enough)
}

/// `number`, rounded up to two digits.
pub(super) fn two_digits(number: f64) -> usize {
    let step = 10f64.powf(number.max(1.0).log10().floor() - 1.0).max(1.0);
    ((number / step).ceil() * step) as usize
}

/// Wilson's interval of a share.
fn wilson(share: f64, rows: f64) -> (f64, f64) {
    let square = Z * Z / rows;
    let middle = share + square / 2.0;
    let half = (share * (1.0 - share) * square + square * square / 4.0).max(0.0).sqrt();
    (((middle - half) / (1.0 + square)).max(0.0), ((middle + half) / (1.0 + square)).min(1.0))
}

/// What a share of `hits` among `rows` is at most, at 97.5 % confidence.
pub(super) fn share_bound(hits: usize, rows: usize) -> f64 {
    let rows = rows.max(1) as f64;
    let scaled = 1.96 / Z;
    wilson(hits as f64 / rows, rows / (scaled * scaled)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(lost: usize, won: usize, rows: usize) -> Score {
        let share = (lost as f64 - won as f64) / rows as f64;
        Score {
            rows,
            float_top1: 0.9,
            quantized_top1: 0.9 - share,
            float_top5: None,
            quantized_top5: None,
            drop_points: 100.0 * share,
            standard_error: 0.0,
            lost,
            won,
            drop_bound: drop_bound(lost as f64, won as f64, rows as f64),
        }
    }

    #[test]
    fn where_no_answer_differs_the_rule_of_three_holds() {
        assert!((drop_bound(0.0, 0.0, 200.0) - 1.5).abs() < 1e-9);
        assert_eq!(needed(&score(0, 0, 200), 1.0), Some(300));
        assert_eq!(needed(&score(0, 0, 300), 1.0), None);
        assert_eq!(drop_bound(0.0, 0.0, 2.0), 100.0);
    }

    #[test]
    fn bounds_hold_as_often_as_they_say() {
        // Exact: the chance that the bound lies below the true drop, over all outcomes of 100 samples.
        for (up, down) in [(0.02, 0.01), (0.05, 0.0), (0.1, 0.08)] {
            let rows = 100usize;
            let mut missed = 0.0;
            let log = |n: usize| (1..=n).map(|at| (at as f64).ln()).sum::<f64>();
            let power =
                |share: f64, n: usize| if n == 0 { 0.0 } else { n as f64 * f64::max(share, 1e-300).ln() };
            for lost in 0..=rows {
                for won in 0..=rows - lost {
                    let rest = rows - lost - won;
                    let chance = log(rows) - log(lost) - log(won) - log(rest)
                        + power(up, lost)
                        + power(down, won)
                        + power(1.0 - up - down, rest);
                    let bound = drop_bound(lost as f64, won as f64, rows as f64);
                    if bound < 100.0 * (up - down) - 1e-9 {
                        missed += chance.exp();
                    }
                }
            }
            assert!(missed < 0.07, "{up} {down}: {missed}");
        }
    }

    #[test]
    fn more_samples_bound_closer_until_the_limit_is_shown() {
        let few = score(2, 1, 250);
        assert!(few.drop_bound > 1.0 && few.drop_bound < 2.5, "{few:?}");
        let enough = needed(&few, 1.0).unwrap();
        assert!(enough > 250 && enough < 2000, "{enough}");
        let (lost, won) = (2.0 / 250.0 * enough as f64, 1.0 / 250.0 * enough as f64);
        assert!(drop_bound(lost, won, enough as f64) <= 1.0);
        // A drop that is larger than the limit is not made smaller by more samples.
        assert_eq!(needed(&score(10, 0, 250), 1.0), None);
    }

    #[test]
    fn agreement_is_bounded_from_below() {
        assert!((least_share(200.0, 200.0) - 0.985).abs() < 1e-12);
        assert_eq!((least_share(2.0, 2.0), least_share(0.0, 0.0)), (0.0, 0.0));
        let few = least_share(195.0, 200.0);
        assert!((0.945..0.955).contains(&few), "{few}");
        assert_eq!(needed_for_agreement(1.0, 200, 0.99), Some(300));
        assert_eq!(needed_for_agreement(1.0, 300, 0.99), None);
        assert_eq!(needed_for_agreement(0.97, 300, 0.98), None);
        let enough = needed_for_agreement(0.985, 200, 0.98).unwrap();
        assert!(enough > 1000 && least_share(0.985 * enough as f64, enough as f64) >= 0.98, "{enough}");
    }

    #[test]
    fn few_samples_do_not_bound_a_share() {
        assert!(share_bound(0, 4) > 0.4);
        assert!(share_bound(0, 50) < 0.1);
        assert!((share_bound(19, 200) - 0.143).abs() < 0.005);
    }
}

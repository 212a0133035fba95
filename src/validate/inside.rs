//! What the figures on calibration samples and those on others say together.
//!
//! A least-squares fit of p values to n samples lowers the noise on these by the factor 1 - p/n, and raises it on others by 1 + p/n,
//! of what a fit to samples without end would leave. So both figures give p/n and that limit, as long as p/n is well below 1; near
//! it, a fit meets its samples whatever p is, and p/n is a lower bound.

use super::bound::two_digits;
use crate::plan::{Enough, Inside, Validation};

/// How far the noise outside may be above its limit, as a factor: 1 dB.
const NEAR: f64 = 1.258_925_4;
/// The ratio p/n above which it is only a lower bound; a gap of 6 dB.
const CERTAIN: f64 = 0.6;

/// Samples on either side from which on a gap is worth a number.
const FEWEST_TOLD: usize = 16;

/// The gap between `outside`, a judgement, and `inside`, one on calibration samples, of which there were `calibrated`.
pub fn inside(outside: &Validation, inside: &Validation, calibrated: usize) -> Inside {
    let noises = [noise(inside), noise(outside)];
    let decibels = noises.map(|noise| noise.filter(|&noise| noise > 0.0).map(|noise| -10.0 * noise.log10()));
    let told = inside.samples.min(outside.samples) >= FEWEST_TOLD;
    let gap_db = decibels[0].zip(decibels[1]).map(|(inside, outside)| inside - outside);
    Inside {
        samples: inside.samples,
        calibrated,
        sqnr_db: decibels[0],
        agreement: inside.agreement,
        outside_db: decibels[1],
        gap_db,
        enough: gap_db.filter(|&gap| told && gap > Inside::WIDE_DB).map(|gap| enough(gap, calibrated)),
    }
}

/// Noise as a share of the signal, the mean over the outputs that have an SQNR or equal the float model's; `None` where an output is
/// not finite, and where there is none.
fn noise(validation: &Validation) -> Option<f64> {
    let outputs: Vec<_> =
        validation.outputs.iter().filter(|output| output.equal.is_none_or(|equal| equal >= 1.0)).collect();
    let noise = |ratio: Option<f64>| ratio.map_or(0.0, |ratio| 10f64.powf(-ratio / 10.0));
    let finite = outputs.iter().all(|output| output.broken == 0);
    (finite && !outputs.is_empty())
        .then(|| outputs.iter().map(|output| noise(output.sqnr_db)).sum::<f64>() / outputs.len() as f64)
}

/// From how many calibration samples on the noise outside is within 1 dB of its limit, by a `gap` in dB on `calibrated` ones.
fn enough(gap: f64, calibrated: usize) -> Enough {
    let ratio = 10f64.powf(-gap / 10.0);
    let fitted = (1.0 - ratio) / (1.0 + ratio);
    let samples = calibrated as f64 * fitted / (NEAR - 1.0);
    Enough { samples: two_digits(samples.max(calibrated as f64 + 1.0)), at_least: fitted > CERTAIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQNR in dB on other samples and on calibration samples, of 4-bit weights and 8-bit activations, at 128 and 512 of these.
    const MEASURED: [[f64; 4]; 2] = [[25.0, 27.7, 25.6, 26.2], [19.3, 25.1, 20.3, 21.4]];

    #[test]
    fn the_gap_foretells_what_more_samples_give() {
        for [outside, within, later, later_within] in MEASURED {
            let found = enough(within - outside, 128);
            assert!(!found.at_least && (129..512).contains(&found.samples), "{found:?}");
            // At 512 samples the gap is what it says.
            let power = |decibels: f64| 10f64.powf(-decibels / 10.0);
            let limit = (power(outside) + power(within)) / 2.0;
            let fitted = (power(outside) / limit - 1.0) * 128.0 / 512.0;
            let foretold = 10.0 * ((1.0 + fitted) / (1.0 - fitted)).log10();
            assert!((foretold - (later_within - later)).abs() < 0.5, "{foretold}");
            let reached = -10.0 * (limit * (1.0 + fitted)).log10();
            assert!((reached - later).abs() < 0.6, "{reached} and {later}");
        }
    }

    #[test]
    fn few_samples_give_a_lower_bound() {
        let found = enough(11.0, 32);
        assert_eq!(found, Enough { samples: 110, at_least: true });
        assert!(enough(6.5, 128).at_least && !enough(5.8, 128).at_least);
        assert!(enough(3.1, 100).samples > 100);
    }
}

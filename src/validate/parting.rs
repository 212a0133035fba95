//! Where two judgements of the same file differ by more than chance and rounding explain.

use crate::plan::{Figures, Measure, OutputError, Parting};

/// Figures that differ by no more than this, in dB or in points, agree.
const ALIKE: f64 = 1.0;
/// From here up an SQNR is made of the rounding of floats, in dB, and differs from runtime to runtime.
const EXACT_DB: f64 = 60.0;

/// The figures in which `one` and `other` part. Of made-up samples only the outputs count: noise has no classes.
pub fn partings(one: &Figures, other: &Figures, synthetic: bool) -> Vec<Parting> {
    let mut partings = Vec::new();
    for first in &one.outputs {
        // A judge may have seen only a part of the network.
        let Some(second) = other.outputs.iter().find(|second| second.name == first.name) else { continue };
        let values = [first.sqnr_db, second.sqnr_db];
        let capped = values.map(|ratio| ratio.unwrap_or(f64::INFINITY).min(EXACT_DB));
        let broken = |output: &OutputError| output.broken > 0;
        if broken(first) != broken(second) {
            let values = [first, second].map(|output| Some(output.broken as f64));
            partings.push(Parting { measure: Measure::Broken, output: Some(first.name.clone()), values });
        } else if (capped[0] - capped[1]).abs() > ALIKE {
            partings.push(Parting { measure: Measure::Sqnr, output: Some(first.name.clone()), values });
        }
    }
    if synthetic {
        return partings;
    }
    let shares = |measure, values: [Option<f64>; 2]| {
        let parted = match values {
            [Some(first), Some(second)] => 100.0 * (first - second).abs() > ALIKE,
            [None, None] => false,
            _ => true,
        };
        parted.then_some(Parting { measure, output: None, values })
    };
    let both = |share: fn(&Figures) -> Option<f64>| [share(one), share(other)];
    partings.extend(shares(Measure::Agreement, both(|figures| figures.agreement)));
    let top1 = both(|figures| figures.scores.map(|score| score.float_top1));
    partings.extend(shares(Measure::FloatTop1, top1));
    let top1 = both(|figures| figures.scores.map(|score| score.quantized_top1));
    partings.extend(shares(Measure::QuantizedTop1, top1));
    partings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(sqnr_db: Option<f64>, agreement: Option<f64>, broken: u64) -> Figures {
        let output = OutputError { name: "y".into(), sqnr_db, largest: 0.0, broken, equal: None };
        Figures { scores: None, agreement, outputs: vec![output] }
    }

    #[test]
    fn a_decibel_or_a_point_apart() {
        let measures = |one: &Figures, other: &Figures, synthetic| {
            partings(one, other, synthetic).into_iter().map(|it| it.measure).collect::<Vec<_>>()
        };
        let one = figures(Some(24.0), Some(0.95), 0);
        assert_eq!(measures(&one, &figures(Some(24.9), Some(0.955), 0), false), []);
        assert_eq!(measures(&one, &figures(Some(22.9), Some(0.95), 0), false), [Measure::Sqnr]);
        assert_eq!(measures(&one, &figures(Some(24.0), Some(0.93), 0), false), [Measure::Agreement]);
        assert_eq!(measures(&one, &figures(Some(24.0), Some(0.93), 0), true), []);
        assert_eq!(measures(&one, &figures(None, Some(0.95), 0), false), [Measure::Sqnr]);
        assert_eq!(measures(&one, &figures(Some(24.0), Some(0.95), 3), true), [Measure::Broken]);
        // Nothing but the rounding of floats.
        assert_eq!(measures(&figures(None, None, 0), &figures(Some(118.0), None, 0), false), []);
    }
}

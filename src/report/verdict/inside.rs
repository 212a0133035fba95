//! The file on samples that it was calibrated on, and which samples judged it, in words.

use crate::plan::{Inside, Validation};
use crate::report::words;

/// How many samples of which file judged, and whether they were held back.
pub(in crate::report) fn of_source(validation: &Validation) -> String {
    let count = words::count(validation.samples as u64);
    match validation.held_back {
        Some(of) => format!(
            "{count} of the {} calibration samples of {}, held back from calibration",
            words::count(of as u64),
            validation.source
        ),
        None => format!("{} of {}", words::things(validation.samples, "sample"), validation.source),
    }
}

/// The figures on calibration samples.
pub(super) fn beside(inside: &Inside) -> String {
    let mut text = inside.sqnr_db.map_or("no difference".into(), |ratio| format!("SQNR {ratio:.1} dB"));
    if let Some(share) = inside.agreement {
        text += &format!(", same class on {}", words::percent(share));
    }
    text += &format!(
        " of {} of its {}",
        words::count(inside.samples as u64),
        words::things(inside.calibrated, "calibration sample")
    );
    if let Some(gap) = inside.gap_db {
        let side = if gap < 0.0 { "below" } else { "above" };
        text += &format!("; {:.1} dB {side} that on others", gap.abs());
        more(inside).iter().for_each(|more| text += &format!(". {more}"));
    }
    text
}

/// A gap that is wide, and what closes it.
pub(in crate::report) fn gap(inside: &Inside) -> Option<String> {
    let (gap, more) = (inside.gap_db?, more(inside)?);
    Some(format!(
        "on its {} the SQNR is {gap:.1} dB higher than on others. {more}",
        words::things(inside.calibrated, "calibration sample")
    ))
}

fn more(inside: &Inside) -> Option<String> {
    let known = inside.enough.map(|enough| (words::count(enough.samples as u64), enough.at_least));
    inside.is_wide().then(|| match known {
        None => "More calibration samples help".into(),
        Some((count, true)) => {
            format!("More calibration samples help: {count} at least, perhaps many times that")
        }
        Some((count, false)) => {
            format!("About {count} calibration samples come within 1 dB of what any number of them gives")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Enough;

    #[test]
    fn a_wide_gap_says_what_closes_it() {
        let inside = Inside {
            samples: 64,
            calibrated: 128,
            sqnr_db: Some(27.7),
            agreement: None,
            outside_db: Some(22.7),
            gap_db: Some(5.0),
            enough: Some(Enough { samples: 260, at_least: false }),
        };
        let text = gap(&inside).unwrap();
        assert_eq!(
            text,
            "on its 128 calibration samples the SQNR is 5.0 dB higher than on others. About 260 calibration samples come within 1 dB of \
             what any number of them gives"
        );
        let few = Inside { enough: Some(Enough { samples: 110, at_least: true }), ..inside };
        assert!(
            gap(&few)
                .unwrap()
                .ends_with("More calibration samples help: 110 at least, perhaps many times that")
        );
        let unknown = Inside { enough: None, ..inside };
        assert!(gap(&unknown).unwrap().ends_with("than on others. More calibration samples help"));
        let narrow = Inside { gap_db: Some(-0.2), enough: None, ..inside };
        assert_eq!(gap(&narrow), None);
        assert_eq!(
            beside(&narrow),
            "SQNR 27.7 dB of 64 of its 128 calibration samples; 0.2 dB below that on others"
        );
    }
}

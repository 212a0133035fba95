//! Which weights become the sum of two quantized tensors.

use super::Spelling;
use crate::error::{Error, Result};

/// Relative squared error of one 4-bit tensor above which a layer counts as key. Bell-shaped (Gaussian) weights, which
/// most trained kernels resemble, lose 1.15e-2 at 16 evenly spaced levels however many they are, and somewhat less in
/// small kernels; half as much again is left to what merely has longer tails, so that only layers pass which 16 levels
/// truly fit badly. The lower the threshold, the more layers cost twice the bits.
pub const DUAL_THRESHOLD: f64 = 1.7e-2;

/// How key layers, which one 4-bit tensor approximates poorly, are found (section 3 of the paper).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Keys {
    /// There are none but those named.
    #[default]
    None,
    /// Every layer with a larger relative squared error.
    Above(f64),
    /// In falling order of that error, the layers that fit into this share of all weights, from 0 to 1.
    Share(f64),
    /// Every layer that has 4-bit weights.
    All,
}

impl Keys {
    /// Layers above `threshold`.
    ///
    /// # Errors
    /// [`Error::Options`] for NaN and what is below 0.
    pub fn above(threshold: f64) -> Result<Self> {
        match threshold >= 0.0 {
            true => Ok(Self::Above(threshold)),
            false => Err(Error::options(
                format!("{threshold} is no threshold of relative squared error"),
                format!("choose a number from 0 up; the default is {DUAL_THRESHOLD}"),
            )),
        }
    }

    /// Layers that hold `percent` of the weights, as in `5%`.
    ///
    /// # Errors
    /// [`Error::Options`] for what is no percentage.
    pub fn share(percent: &str) -> Result<Self> {
        let number = percent.strip_suffix('%').unwrap_or(percent).trim().parse::<f64>().ok();
        match number.filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => Ok(Self::Share(number / 100.0)),
            None => Err(Error::options(
                format!("{percent:?} is no share of the weights"),
                "choose a percentage from 0 to 100, as in 5%",
            )),
        }
    }
}

/// What is dual, and how it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dual {
    /// How key layers are found.
    pub keys: Keys,
    /// Globs over tensor and node names: what matches is dual in any case.
    pub layers: Vec<String>,
    /// How the two tensors are written.
    pub spelling: Spelling,
    /// Whether activations get two forms too.
    pub activations: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_and_shares_are_checked() {
        assert_eq!(Keys::above(0.0).unwrap(), Keys::Above(0.0));
        for wrong in [f64::NAN, -1e-3, f64::NEG_INFINITY] {
            assert!(Keys::above(wrong).unwrap_err().to_string().contains("threshold"));
        }
        assert_eq!(Keys::share("5%").unwrap(), Keys::Share(0.05));
        assert_eq!(Keys::share("100").unwrap(), Keys::Share(1.0));
        for wrong in ["", "%", "-1%", "101%", "NaN", "five"] {
            assert!(Keys::share(wrong).unwrap_err().to_string().contains(&format!("{wrong:?}")));
        }
    }
}

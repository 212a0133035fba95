//! What a conversion may cost.

use serde::Serialize;

use crate::error::{Error, Result};

/// Limits that a plan must keep; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Budget {
    /// Most points of top-1 that may be lost.
    pub max_drop: Option<f64>,
    /// Least SQNR of the outputs, in dB.
    pub min_sqnr_db: Option<f64>,
    /// Least share of samples on which the plan's network and the float one choose the same class, from 0 to 1.
    pub min_agreement: Option<f64>,
    /// Largest file, in bytes.
    pub max_bytes: Option<u64>,
    /// Most bits that may stand for a float parameter on average, scales and what stays float counted.
    pub max_bits: Option<f64>,
}

impl Budget {
    /// Whether there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is a limit on what may be lost.
    pub fn limits_loss(&self) -> bool {
        self.max_drop.is_some() || self.min_sqnr_db.is_some() || self.min_agreement.is_some()
    }

    /// A limit in points, dB or bits.
    ///
    /// # Errors
    /// [`Error::Options`] for what is no number from 0 up.
    pub fn number(text: &str) -> Result<f64> {
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| Error::options(format!("{text:?} is no limit"), "choose a number from 0 up"))
    }

    /// A limit in bytes, as in `300kB` or `1.5MiB`.
    ///
    /// # Errors
    /// [`Error::Options`] for what is no size.
    pub fn size(text: &str) -> Result<u64> {
        let size = text.trim().parse::<bytesize::ByteSize>();
        size.map(|size| size.as_u64()).map_err(|_| {
            Error::options(format!("{text:?} is no size"), "choose bytes, as in 300kB, 1.5MB or 120000")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked() {
        assert_eq!(Budget::number("1.5").unwrap(), 1.5);
        for wrong in ["", "NaN", "-1", "inf", "one"] {
            assert!(Budget::number(wrong).unwrap_err().to_string().contains(&format!("{wrong:?}")));
        }
        assert_eq!(Budget::size("300kB").unwrap(), 300_000);
        assert_eq!(Budget::size("1.5 MiB").unwrap(), 1_572_864);
        assert_eq!(Budget::size("1234").unwrap(), 1234);
        for wrong in ["", "kB", "-3", "3 lightyears"] {
            assert!(Budget::size(wrong).is_err(), "{wrong}");
        }
        assert!(Budget::default().is_none());
        let limit = Budget { min_agreement: Some(0.98), ..Budget::default() };
        assert!(limit.limits_loss() && !limit.is_none());
    }
}

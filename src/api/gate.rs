//! Limits that a comparison is held against.

use crate::error::{Error, Result};
use crate::pipeline::{unshown, unshown_agreement};
use crate::plan::{Limit, Validation, Verdict};

/// What a comparison must show, as a gate in continuous integration.
///
/// ```no_run
/// use fourbit::{Gate, Validate};
///
/// let verdict = Validate::new("net.onnx", "net.w4a8.onnx").samples("test.npz").run()?;
/// let gate = Gate { max_drop: Some(1.0), ..Gate::default() };
/// for missed in gate.missed(&verdict)? {
///     println!("limit not met: {missed}");
/// }
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gate {
    /// Most points of top-1 that may be lost; needs labels.
    pub max_drop: Option<f64>,
    /// Least SQNR of every output, in dB.
    pub min_sqnr_db: Option<f64>,
    /// Least share of samples on which both models choose the same class, from 0 to 1.
    pub min_agreement: Option<f64>,
}

impl Gate {
    /// Which limits `verdict` does not meet, in words with both figures; none where all are met.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Options`] where a limit cannot be judged: on made-up samples, without labels or classes, or
    /// where the float model's own outputs say nothing.
    pub fn missed(&self, verdict: &Verdict) -> Result<Vec<String>> {
        let missed = self.judged(verdict)?.into_iter().filter(|limit| !limit.met);
        Ok(missed.map(|limit| limit.text).collect())
    }

    /// All limits that are set, each with what `verdict` shows of it.
    ///
    /// # Errors
    /// As [`Gate::missed`].
    pub fn judged(&self, verdict: &Verdict) -> Result<Vec<Limit>> {
        if *self == Self::default() {
            return Ok(Vec::new());
        }
        let Verdict::Validated(validation) = verdict else {
            return Err(Error::options(
                "limits cannot be judged: the models were not compared",
                "see the report",
            ));
        };
        if validation.synthetic {
            return Err(Error::options(
                "limits cannot be judged on random samples",
                "give validation samples",
            ));
        }
        if validation.is_meaningless() {
            let problem =
                "limits cannot be judged: the float model's own outputs on these samples say nothing";
            return Err(Error::options(problem, "the report says why"));
        }
        let limits = [self.drop(validation)?, self.noise(validation), self.parting(validation)?];
        Ok(limits.into_iter().flatten().collect())
    }

    fn drop(&self, validation: &Validation) -> Result<Option<Limit>> {
        let Some(most) = self.max_drop else { return Ok(None) };
        let unlabelled = || {
            let problem = "a limit on the drop of top-1 needs labelled samples and an output of class scores";
            Error::options(problem, "give samples with labels, or limit the SQNR or the agreement")
        };
        let scores = validation.scores.as_ref().ok_or_else(unlabelled)?;
        let (drop, error) = (scores.drop_points, scores.standard_error);
        let error = if error > 0.0 { format!(" ± {error:.2}") } else { String::new() };
        let met = drop <= most;
        Ok(Some(Limit {
            name: "max_drop",
            asked: most,
            found: Some(drop),
            met,
            text: format!("top-1 drop {drop:.2}{error} points, at most {most} allowed"),
            unshown: unshown(most, scores).filter(|_| met).map(|why| format!("top-1 drop {why}")),
        }))
    }

    fn noise(&self, validation: &Validation) -> Option<Limit> {
        let least = self.min_sqnr_db?;
        let limit =
            |found, met, text| Limit { name: "min_sqnr_db", asked: least, found, met, text, unshown: None };
        if let Some(broken) = validation.outputs.iter().find(|output| output.broken > 0) {
            let text = format!("output {} has values that are not finite", broken.name);
            return Some(limit(None, false, text));
        }
        let known = validation.outputs.iter().filter_map(|output| Some((output.sqnr_db?, &output.name)));
        let worst = known.min_by(|one, other| one.0.total_cmp(&other.0));
        Some(match worst {
            Some((ratio, name)) => {
                let text = format!("output {name}: SQNR {ratio:.1} dB, at least {least} dB wanted");
                limit(Some(ratio), ratio >= least, text)
            }
            None => limit(None, true, format!("outputs equal, SQNR of at least {least} dB wanted")),
        })
    }

    fn parting(&self, validation: &Validation) -> Result<Option<Limit>> {
        let Some(least) = self.min_agreement else { return Ok(None) };
        let share = validation.agreement.ok_or_else(|| {
            let problem = "a limit on the agreement needs an output of class scores";
            Error::options(problem, "limit the SQNR instead")
        })?;
        let percent = |share: f64| 100.0 * share;
        Ok(Some(Limit {
            name: "min_agreement",
            asked: least,
            found: Some(share),
            met: share >= least,
            unshown: unshown_agreement(least, validation)
                .filter(|_| share >= least)
                .map(|why| format!("agreement {why}")),
            text: format!("agreement {:.2} %, at least {} % wanted", percent(share), percent(least)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{OutputError, Score};

    fn validation() -> Validation {
        let output = |name: &str, sqnr_db: Option<f64>, broken| OutputError {
            name: name.into(),
            sqnr_db,
            largest: 0.0,
            broken,
            equal: None,
        };
        Validation {
            source: "v.npz".into(),
            synthetic: false,
            generated: false,
            calibrated_on: false,
            overlap: None,
            samples: 100,
            judge: "tract".into(),
            view: "folded".into(),
            weights_proven: 0,
            scores: Some(Score {
                rows: 100,
                float_top1: 0.9,
                quantized_top1: 0.885,
                float_top5: None,
                quantized_top5: None,
                drop_points: 1.5,
                standard_error: 0.5,
                lost: 2,
                won: 0,
                drop_bound: 3.0,
            }),
            agreement: Some(0.97),
            agreement_bound: Some(0.93),
            agreement_rows: 100,
            held_back: None,
            inside: None,
            outputs: vec![output("a", None, 0), output("b", Some(20.0), 0)],
            classes: Vec::new(),
            second: None,
            unjudged: None,
            doubts: Vec::new(),
            differing: Vec::new(),
            boxes: None,
        }
    }

    fn missed(gate: Gate, validation: Validation) -> Result<Vec<String>> {
        gate.missed(&Verdict::Validated(Box::new(validation)))
    }

    #[test]
    fn limits_are_met_or_named_with_both_figures() {
        let gate = |drop, noise, agreement| Gate {
            max_drop: Some(drop),
            min_sqnr_db: Some(noise),
            min_agreement: Some(agreement),
        };
        assert_eq!(missed(gate(1.5, 20.0, 0.97), validation()).unwrap(), [""; 0]);
        let told = missed(gate(1.0, 21.0, 0.98), validation()).unwrap();
        assert_eq!(
            told,
            [
                "top-1 drop 1.50 ± 0.50 points, at most 1 allowed",
                "output b: SQNR 20.0 dB, at least 21 dB wanted",
                "agreement 97.00 %, at least 98 % wanted"
            ]
        );
        let mut broken = validation();
        broken.outputs[0].broken = 1;
        assert_eq!(missed(gate(2.0, 1.0, 0.5), broken).unwrap(), ["output a has values that are not finite"]);
    }

    #[test]
    fn a_pass_on_few_samples_says_that_they_are_few() {
        let judged = |drop| {
            let gate = Gate { max_drop: Some(drop), ..Gate::default() };
            gate.judged(&Verdict::Validated(Box::new(validation()))).unwrap().remove(0)
        };
        let limit = judged(2.0);
        assert!(limit.met && limit.found == Some(1.5), "{limit:?}");
        let unshown = limit.unshown.unwrap();
        assert!(unshown.contains("100 labelled samples cannot show that it is at most 2; "), "{unshown}");
        assert_eq!((judged(3.0).unshown, judged(1.0).unshown, judged(1.0).met), (None, None, false));
        let same = Gate { min_agreement: Some(0.95), ..Gate::default() };
        let limit = same.judged(&Verdict::Validated(Box::new(validation()))).unwrap().remove(0);
        let unshown = limit.unshown.unwrap();
        assert!(
            limit.met
                && unshown.contains(
                    "at least 93.00 % at 95 %: 100 samples cannot show that it is at least 95 %; about"
                ),
            "{unshown}"
        );
        let noise = Gate { min_sqnr_db: Some(19.0), ..Gate::default() };
        let limit = noise.judged(&Verdict::Validated(Box::new(validation()))).unwrap().remove(0);
        assert_eq!(
            (limit.met, limit.found, limit.text.as_str()),
            (true, Some(20.0), "output b: SQNR 20.0 dB, at least 19 dB wanted")
        );
    }

    #[test]
    fn what_cannot_be_judged_is_no_pass() {
        let gate = Gate { max_drop: Some(99.0), ..Gate::default() };
        let refused = |change: &dyn Fn(&mut Validation)| {
            let mut changed = validation();
            change(&mut changed);
            missed(gate, changed).is_err()
        };
        assert!(refused(&|validation| validation.scores = None));
        assert!(refused(&|validation| validation.synthetic = true));
        assert!(!refused(&|_| {}));
        let nothing = Verdict::NotValidated { reason: "no samples".into() };
        assert!(gate.missed(&nothing).is_err());
        assert_eq!(Gate::default().missed(&nothing).unwrap(), [""; 0]);
    }
}

//! What a finished conversion says of itself, as far as a summary and a manifest want to know.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::outbox::staged;
use super::source::manifest::Facts;
use super::store;
use crate::error::{Error, Result};
use crate::onnx;
use crate::plan::{
    AGREEMENT_UNSHOWN, DROP_UNSHOWN, DoubtKind, LITTLE_QUANTIZED, POOR_AGREEMENT, POOR_DB, Reported,
    ReportedSite, ReportedValidation, ReportedVerdict, Row, Status, Written,
};

/// Reads the report and the model that lie in `staging`.
///
/// # Errors
/// Those of reading what was written there; [`Error::Read`] names the report and the field that is not as it should be.
pub fn read(staging: &Path, model: &str, digest: &store::Digest) -> Result<(Row, Facts)> {
    let [_, _, report, .., file] = staged(model);
    let reported = reported(&staging.join(report))?;
    let written = onnx::read(&staging.join(file))?;
    Ok((row(model, &reported, digest), Facts::of(&written, code_types(&reported))))
}

fn reported(path: &Path) -> Result<Reported> {
    let text = store::get(path)?.ok_or_else(|| Error::read(path)(io::ErrorKind::NotFound.into()))?;
    serde_json::from_slice(&text).map_err(|error| Error::read(path)(error.into()))
}

/// The types of codes that weights have.
fn code_types(report: &Reported) -> BTreeSet<String> {
    let terms = report.sites.iter().flat_map(|site| match site {
        ReportedSite::Weight { terms } => terms.as_slice(),
        ReportedSite::Activation => &[],
    });
    terms.map(|term| term.code_type.name().to_owned()).collect()
}

/// The SQNR of the worst output.
fn worst(validation: &ReportedValidation) -> Option<f64> {
    validation.outputs.iter().filter_map(|output| output.sqnr_db).min_by(f64::total_cmp)
}

/// What a person should know of a judgement, and whether the outputs fall apart.
fn judged(validation: &ReportedValidation) -> (Vec<String>, bool) {
    let mut remarks = Vec::new();
    if let Some(ratio) = worst(validation).filter(|&ratio| ratio < POOR_DB) {
        remarks.push(format!("an output has an SQNR of {ratio:.1} dB"));
    }
    // A few random samples say nothing of classes.
    let agreement = validation.agreement.filter(|_| !validation.synthetic);
    if let Some(share) = agreement.filter(|&share| share < POOR_AGREEMENT) {
        remarks
            .push(format!("both models choose the same class on {:.1} % of the samples only", 100.0 * share));
    }
    if validation.outputs.iter().any(|output| output.broken > 0) {
        remarks.push("outputs have values that are no longer finite".to_owned());
    }
    let mut poor = !remarks.is_empty();
    for doubt in &validation.doubts {
        let (told, is_poor) = match doubt.kind {
            // Figures that mean nothing are not good ones.
            DoubtKind::Chance => ("the float model itself is right hardly more often than guessing is", true),
            DoubtKind::Alike => ("the float model gives the same outputs on all samples", true),
            DoubtKind::NotANumber => ("the float model gives NaN", false),
            DoubtKind::Calibrated => ("judged on samples that it was calibrated on", false),
            DoubtKind::LeftOut => ("samples with NaN or infinite values were left out", false),
            DoubtKind::Excessive => (
                "judged on some samples only, since the model computes out of all proportion to its size",
                false,
            ),
            DoubtKind::Unscored => ("the labels were not used", false),
            DoubtKind::Edge => ("the end of the model was not run", false),
            DoubtKind::FewerFolders | DoubtKind::OrderOfFolders => {
                ("the order of the class folders may not be that of the classes", false)
            }
            // A second judge's say is in the report alone.
            DoubtKind::JudgesPart
            | DoubtKind::OptimizationsPart
            | DoubtKind::NoSecond
            | DoubtKind::NotUnoptimized => continue,
        };
        poor |= is_poor;
        remarks.push(told.to_owned());
    }
    (remarks, poor)
}

/// The row of a report.
fn row(model: &str, report: &Reported, digest: &store::Digest) -> Row {
    let validation = match &report.verdict {
        ReportedVerdict::Validated(validation) => Some(validation),
        ReportedVerdict::NotValidated { .. } => None,
    };
    let (mut remarks, poor) = validation.map_or_else(Default::default, judged);
    // Little was quantized, or a limit is not shown to be kept.
    let begins = |warning: &&String| {
        let rest = |beginning| warning.strip_prefix(beginning);
        [LITTLE_QUANTIZED, DROP_UNSHOWN, AGREEMENT_UNSHOWN]
            .into_iter()
            .filter_map(rest)
            .any(|rest| rest.starts_with(' '))
    };
    for warning in report.warnings.iter().filter(begins) {
        remarks.push(warning.split(';').next().unwrap_or(warning).to_owned());
    }
    if report.budget.as_ref().is_some_and(|budget| !budget.met) {
        remarks.push("the limits could not be kept".to_owned());
    }
    if let ReportedVerdict::NotValidated { reason } = &report.verdict {
        remarks.push(format!("not validated: {reason}"));
    }
    let scores = validation.and_then(|validation| validation.scores.as_ref());
    let written = Written {
        precision: report.precision.clone(),
        bytes_after: report.sizes.after,
        effective_bits: report.sizes.effective_bits,
        sha256: digest.sha256.clone(),
        samples: validation.map_or(0, |validation| validation.samples),
        synthetic: validation.is_some_and(|validation| validation.synthetic),
        float_top1: scores.map(|scores| scores.float_top1),
        quantized_top1: scores.map(|scores| scores.quantized_top1),
        drop_points: scores.map(|scores| scores.drop_points),
        agreement: validation.and_then(|validation| validation.agreement),
        sqnr_db: validation.and_then(worst),
        inside_sqnr_db: validation
            .and_then(|validation| validation.inside.as_ref())
            .and_then(|inside| inside.sqnr_db),
        warnings: report.warnings.len() as u64,
    };
    Row {
        model: model.to_owned(),
        status: match (poor, remarks.is_empty()) {
            (true, _) => Status::Poor,
            (false, true) => Status::Converted,
            (false, false) => Status::Remarked,
        },
        reason: (!remarks.is_empty()).then(|| remarks.join("; ")),
        bytes_before: Some(report.sizes.before),
        written: Some(written),
    }
}

/// Largest memory of the process, as its own report says; `None` where it ended without one.
pub fn peak_memory(staging: &Path) -> Option<u64> {
    reported(&staging.join("stdout")).ok()?.peak_memory
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plan::{ReportedBudget, ReportedDoubt, ReportedOutput, ReportedSizes};

    fn validation(outputs: &[(Option<f64>, u64)]) -> ReportedValidation {
        ReportedValidation {
            samples: 8,
            synthetic: false,
            scores: None,
            agreement: None,
            inside: None,
            outputs: outputs.iter().map(|&(sqnr_db, broken)| ReportedOutput { sqnr_db, broken }).collect(),
            doubts: Vec::new(),
        }
    }

    fn report(verdict: ReportedVerdict) -> Reported {
        Reported {
            precision: "w4".into(),
            sites: Vec::new(),
            sizes: ReportedSizes { before: 100, after: 20, effective_bits: Some(4.5) },
            verdict,
            budget: None,
            warnings: Vec::new(),
            peak_memory: None,
        }
    }

    fn found(report: &Reported) -> Row {
        row("a/m.onnx", report, &store::Digest { sha256: "ab".into(), bytes: 5 })
    }

    fn verdict(outputs: &[(Option<f64>, u64)], agreement: f64, synthetic: bool) -> ReportedVerdict {
        let agreement = Some(agreement);
        ReportedVerdict::Validated(ReportedValidation { agreement, synthetic, ..validation(outputs) })
    }

    #[test]
    fn rows_say_what_reports_say() {
        let judged = validation(&[(Some(20.0), 0), (Some(10.5), 0), (None, 0)]);
        let over = Reported {
            budget: Some(ReportedBudget { met: false }),
            warnings: vec!["one".into()],
            ..report(ReportedVerdict::Validated(judged))
        };
        let row = found(&over);
        assert_eq!(
            (row.status, row.reason.as_deref()),
            (Status::Remarked, Some("the limits could not be kept"))
        );
        let written = row.written.unwrap();
        assert_eq!((written.bytes_after, written.sqnr_db, written.warnings), (20, Some(10.5), 1));
        for (verdict, status) in [
            (verdict(&[(Some(30.0), 0), (Some(9.9), 0)], 1.0, false), Status::Poor),
            (verdict(&[(Some(9.9), 0)], 1.0, true), Status::Poor),
            (verdict(&[(Some(12.0), 0)], 0.79, false), Status::Poor),
            (verdict(&[(None, 2)], 1.0, false), Status::Poor),
            (verdict(&[(Some(12.0), 0)], 0.5, true), Status::Converted),
            (verdict(&[(Some(10.0), 0)], 0.8, false), Status::Converted),
        ] {
            let row = found(&report(verdict.clone()));
            assert_eq!((row.status, row.reason.is_some()), (status, status == Status::Poor), "{verdict:?}");
        }
        for (kind, status) in [(DoubtKind::Chance, Status::Poor), (DoubtKind::LeftOut, Status::Remarked)] {
            let doubtful = ReportedValidation { doubts: vec![ReportedDoubt { kind }], ..validation(&[]) };
            let row = found(&report(ReportedVerdict::Validated(doubtful)));
            assert_eq!((row.status, row.reason.is_some()), (status, true), "{kind:?}");
        }
        let little = Reported {
            warnings: vec!["only 1 of 10 weight tensors was quantized; so it is".into()],
            ..report(verdict(&[], 1.0, false))
        };
        let row = found(&little);
        assert_eq!(row.reason.as_deref(), Some("only 1 of 10 weight tensors was quantized"));
        let row = found(&report(ReportedVerdict::NotValidated { reason: "no samples".into() }));
        assert_eq!(row.reason.as_deref(), Some("not validated: no samples"));
    }

    #[test]
    fn a_report_without_a_field_is_an_error_that_names_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.report.json");
        let text = serde_json::to_string(&report(verdict(&[], 1.0, false))).unwrap();
        fs::write(&path, &text).unwrap();
        assert_eq!(reported(&path).unwrap().sizes.after, 20);
        fs::write(&path, text.replace("\"after\"", "\"bytes_after\"")).unwrap();
        let digest = store::Digest { sha256: String::new(), bytes: 0 };
        let error = read(folder.path(), "a/m.onnx", &digest).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            error.to_string().ends_with("m.report.json") && why.contains("missing field `after`"),
            "{why}"
        );
    }
}

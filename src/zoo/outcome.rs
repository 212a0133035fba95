//! What a finished conversion says of itself, as far as a summary and a manifest want to know.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::manifest::Facts;
use super::out::staged;
use super::store;
use crate::error::{Error, Result};
use crate::onnx;
use crate::plan::{POOR_AGREEMENT, POOR_DB, Row, Status, Written};

/// Reads the report and the model that lie in `staging`.
///
/// # Errors
/// Those of reading what was written there.
pub fn read(staging: &Path, model: &str, digest: &store::Digest) -> Result<(Row, Facts)> {
    let [_, _, report, _, file] = staged(model);
    let path = staging.join(report);
    let text = store::get(&path)?.unwrap_or_default();
    let report: Value = serde_json::from_slice(&text).map_err(|error| Error::read(&path)(error.into()))?;
    let written = onnx::read(&staging.join(file))?;
    let weights = report["sites"].as_array().into_iter().flatten().filter(|site| site["kind"] == "weight");
    let terms = weights.filter_map(|site| site["terms"].as_array()).flatten();
    let storage: BTreeSet<String> =
        terms.filter_map(|term| term["storage"].as_str()).map(str::to_owned).collect();
    Ok((row(model, &report, digest), Facts::of(&written, storage)))
}

/// The row of a report.
fn row(model: &str, report: &Value, digest: &store::Digest) -> Row {
    let (sizes, verdict) = (&report["sizes"], &report["verdict"]);
    let scores = &verdict["scores"];
    let outputs = verdict["outputs"].as_array().into_iter().flatten();
    let worst = outputs.filter_map(|output| output["sqnr_db"].as_f64()).min_by(f64::total_cmp);
    let broken = |output: &Value| output["broken"].as_u64().unwrap_or(0) > 0;
    let broken = verdict["outputs"].as_array().is_some_and(|outputs| outputs.iter().any(broken));
    // A few random samples say nothing of classes.
    let synthetic = verdict["synthetic"].as_bool().unwrap_or(false);
    let agreement = verdict["agreement"].as_f64();
    let mut remarks = Vec::new();
    if let Some(ratio) = worst.filter(|&ratio| ratio < POOR_DB) {
        remarks.push(format!("an output has an SQNR of {ratio:.1} dB"));
    }
    if let Some(share) = agreement.filter(|&share| share < POOR_AGREEMENT && !synthetic) {
        remarks
            .push(format!("both models choose the same class on {:.1} % of the samples only", 100.0 * share));
    }
    if broken {
        remarks.push("outputs have values that are no longer finite".to_owned());
    }
    let mut poor = !remarks.is_empty();
    for doubt in verdict["doubts"].as_array().into_iter().flatten() {
        let (told, is_poor) = match doubt["kind"].as_str().unwrap_or_default() {
            // Figures that mean nothing are not good ones.
            "chance" => ("the float model itself is right hardly more often than guessing is", true),
            "alike" => ("the float model gives the same outputs on all samples", true),
            "not_a_number" => ("the float model gives NaN", false),
            "calibrated" => ("judged on samples that it was calibrated on", false),
            "left_out" => ("samples with NaN or infinite values were left out", false),
            "unscored" => ("the labels were not used", false),
            "edge" => ("the end of the model was not run", false),
            "fewer_folders" | "order_of_folders" => {
                ("the order of the class folders may not be that of the classes", false)
            }
            _ => continue,
        };
        poor |= is_poor;
        remarks.push(told.to_owned());
    }
    // Little was quantized, or a limit is not shown to be kept.
    let warnings = report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for warning in warnings.filter(|text| text.starts_with("only ") || text.starts_with("--max-drop")) {
        remarks.push(warning.split(';').next().unwrap_or(warning).to_owned());
    }
    if report["budget"]["met"] == Value::Bool(false) {
        remarks.push("the limits could not be kept".to_owned());
    }
    if verdict["state"] == "not_validated" {
        remarks.push(format!("not validated: {}", verdict["reason"].as_str().unwrap_or_default()));
    }
    let written = Written {
        precision: report["precision"].as_str().unwrap_or_default().to_owned(),
        bytes_after: sizes["after"].as_u64().unwrap_or(0),
        effective_bits: sizes["effective_bits"].as_f64(),
        sha256: digest.sha256.clone(),
        samples: verdict["samples"].as_u64().unwrap_or(0),
        synthetic,
        float_top1: scores["float_top1"].as_f64(),
        quantized_top1: scores["quantized_top1"].as_f64(),
        drop_points: scores["drop_points"].as_f64(),
        agreement,
        sqnr_db: worst,
        warnings: report["warnings"].as_array().map_or(0, |warnings| warnings.len() as u64),
    };
    Row {
        model: model.to_owned(),
        status: match (poor, remarks.is_empty()) {
            (true, _) => Status::Poor,
            (false, true) => Status::Converted,
            (false, false) => Status::Remarked,
        },
        reason: (!remarks.is_empty()).then(|| remarks.join("; ")),
        bytes_before: sizes["before"].as_u64(),
        written: Some(written),
    }
}

/// Largest memory of the process, as its own report says.
pub fn peak_memory(staging: &Path) -> Option<u64> {
    let text = store::get(&staging.join("stdout")).ok()??;
    serde_json::from_slice::<Value>(&text).ok()?["peak_memory"].as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_say_what_reports_say() {
        let digest = store::Digest { sha256: "ab".into(), bytes: 5 };
        let report = json!({
            "precision": "w4", "sizes": {"before": 100, "after": 20, "effective_bits": 4.5}, "budget": {"met": false},
            "verdict": {"state": "validated", "samples": 8, "synthetic": false, "outputs": [
                {"sqnr_db": 20.0}, {"sqnr_db": 10.5}, {"sqnr_db": null}]},
            "warnings": ["one"],
        });
        let found = row("a/m.onnx", &report, &digest);
        assert_eq!(
            (found.status, found.reason.as_deref()),
            (Status::Remarked, Some("the limits could not be kept"))
        );
        let written = found.written.unwrap();
        assert_eq!((written.bytes_after, written.sqnr_db, written.warnings), (20, Some(10.5), 1));
        let verdict = |outputs: Value, agreement: f64, synthetic: bool| json!({"verdict": {"state": "validated", "agreement": agreement, "synthetic": synthetic, "outputs": outputs}});
        for (report, status) in [
            (verdict(json!([{"sqnr_db": 30.0}, {"sqnr_db": 9.9}]), 1.0, false), Status::Poor),
            (verdict(json!([{"sqnr_db": 9.9}]), 1.0, true), Status::Poor),
            (verdict(json!([{"sqnr_db": 12.0}]), 0.79, false), Status::Poor),
            (verdict(json!([{"sqnr_db": null, "broken": 2}]), 1.0, false), Status::Poor),
            (verdict(json!([{"sqnr_db": 12.0}]), 0.5, true), Status::Converted),
            (verdict(json!([{"sqnr_db": 10.0}]), 0.8, false), Status::Converted),
        ] {
            let row = row("m.onnx", &report, &digest);
            assert_eq!((row.status, row.reason.is_some()), (status, status == Status::Poor), "{report}");
        }
        for (kind, status) in [("chance", Status::Poor), ("left_out", Status::Remarked)] {
            let doubtful =
                json!({"verdict": {"state": "validated", "doubts": [{"kind": kind}], "outputs": []}});
            let row = row("m.onnx", &doubtful, &digest);
            assert_eq!((row.status, row.reason.is_some()), (status, true), "{kind}");
        }
        let little = json!({"warnings": ["only 1 of 10 weight tensors was quantized; so it is"]});
        let found = row("m.onnx", &little, &digest);
        assert_eq!(found.reason.as_deref(), Some("only 1 of 10 weight tensors was quantized"));
        let unknown = json!({"verdict": {"state": "not_validated", "reason": "no samples"}});
        let found = row("m.onnx", &unknown, &digest);
        assert_eq!(found.reason.as_deref(), Some("not validated: no samples"));
    }
}

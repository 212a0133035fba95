//! The reports of many conversions: a table for people, JSON and CSV for programs.

use serde_json::json;

use super::table::Column;
use super::{Detail, TextStyle, json as data, words};
use crate::plan::{Event, Row, Summary, Written};

/// Columns of the table of a summary.
const COLUMNS: [Column; 9] = [
    Column::name("Model"),
    Column::whole("Result"),
    Column::figure("Before").spare(3),
    Column::figure("After"),
    Column::figure("Bits").spare(2),
    Column::text("Accuracy"),
    Column::figure("Same class").spare(1),
    Column::figure("SQNR").spare(4),
    Column::text("Remark"),
];

/// The report of a batch, for people.
pub fn summary(summary: &Summary, style: TextStyle) -> String {
    let totals = summary.totals();
    let mut text = String::new();
    if style.detail != Detail::Brief {
        let rows = summary.worst_first().into_iter().map(|row| line(row, &style)).collect();
        text += &style.table(&COLUMNS, rows);
    }
    let counted = [(summary.before, "before"), (totals.poor, "poor"), (totals.remarked, "with a remark")];
    let counted = counted.into_iter().filter(|&(count, _)| count > 0);
    let remarks: Vec<String> =
        counted.map(|(count, what)| format!("{} {what}", words::count(count as u64))).collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    let alone = match totals.unquantized {
        0 => String::new(),
        count => format!(", {} with nothing to quantize", words::count(count as u64)),
    };
    let sizes = share(Some(totals.bytes_before), totals.bytes_after).map(|share| {
        format!(": {} -> {} ({share})", words::bytes(totals.bytes_before), words::bytes(totals.bytes_after))
    });
    text += &format!(
        "{} of {} converted{remarks}{alone}, {} failed{}\n",
        words::count(totals.converted as u64),
        words::things(totals.models, "model"),
        words::count(totals.failed as u64),
        sizes.unwrap_or_default()
    );
    text
}

/// What comes after the report of a batch for people: where its page is, and how long it took.
pub fn closing(page: Option<&str>, seconds: Option<f64>, style: TextStyle) -> String {
    if style.detail == Detail::Brief {
        return String::new();
    }
    let page = page.map(|page| format!("Summary: {page}\n")).unwrap_or_default();
    let time = seconds.map(|seconds| format!("Time: {}\n", words::duration(seconds))).unwrap_or_default();
    page + &time
}

fn line(row: &Row, style: &TextStyle) -> Vec<String> {
    let written = row.written.as_ref();
    let remark = row.reason.as_deref().unwrap_or_default();
    vec![
        row.model.clone(),
        row.status.name().to_owned(),
        row.bytes_before.map_or_else(String::new, words::bytes),
        written.map_or_else(String::new, |written| words::bytes(written.bytes_after)),
        written
            .and_then(|written| written.effective_bits)
            .map_or_else(String::new, |bits| format!("{bits:.2}")),
        written.map_or_else(String::new, accuracy),
        written.and_then(agreement).unwrap_or_default(),
        written.and_then(noise).unwrap_or_default(),
        words::name(remark, if style.full() { usize::MAX } else { 120 }),
    ]
}

/// What became of a model's answers, in a few words.
pub(super) fn accuracy(written: &Written) -> String {
    let made_up = if written.synthetic { ", random inputs" } else { "" };
    match written {
        Written { float_top1: Some(float), quantized_top1: Some(quantized), .. } => {
            let drop = written.drop_points.map_or_else(String::new, |drop| format!(" (drop {drop:.2})"));
            format!("{} -> {}{drop}", words::percent(*float), words::percent(*quantized))
        }
        Written { sqnr_db: Some(ratio), .. } => format!("{ratio:.1} dB{made_up}"),
        Written { samples: 1.., .. } => format!("equal{made_up}"),
        _ => "not run".into(),
    }
}

/// On how many samples both models choose the same class; nothing of random ones.
pub(super) fn agreement(written: &Written) -> Option<String> {
    written.agreement.filter(|_| !written.synthetic).map(words::percent)
}

/// The SQNR of the worst output, where it stands beside right answers.
pub(super) fn noise(written: &Written) -> Option<String> {
    written.float_top1?;
    written.sqnr_db.map(|ratio| format!("{ratio:.1} dB"))
}

/// What is left of a size, as a percentage.
pub(super) fn share(before: Option<u64>, after: u64) -> Option<String> {
    let before = before.filter(|&before| before > 0)?;
    Some(format!("{:.1} %", 100.0 * after as f64 / before as f64))
}

/// The report of a batch, `fourbit.summary`.
pub fn whole(summary: &Summary) -> String {
    data::written(
        "fourbit.summary",
        vec![
            ("tool", json!(summary.tool)),
            ("options", json!(summary.options)),
            ("totals", json!(summary.totals())),
            ("models", json!(summary.worst_first())),
        ],
    )
}

/// The rows of a batch as comma-separated values.
///
/// # Panics
/// Never: what is written goes to memory.
pub fn csv(summary: &Summary) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "model",
        "status",
        "reason",
        "bytes_before",
        "bytes_after",
        "ratio",
        "effective_bits",
        "precision",
        "samples",
        "synthetic",
        "float_top1",
        "quantized_top1",
        "drop_points",
        "agreement",
        "sqnr_db",
        "inside_sqnr_db",
        "warnings",
        "sha256",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(summary.worst_first().into_iter().map(cells));
    for row in rows {
        // Memory takes everything.
        drop(writer.write_record(row));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cells(row: &Row) -> [String; 18] {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let failed = !row.status.is_written();
    let written = row.written.clone().unwrap_or_default();
    let known = |text: String| if failed { String::new() } else { text };
    let ratio = row.bytes_before.filter(|&before| before > 0 && !failed);
    [
        row.model.clone(),
        row.status.name().to_owned(),
        row.reason.clone().unwrap_or_default(),
        text(row.bytes_before),
        known(written.bytes_after.to_string()),
        text(ratio.map(|before| written.bytes_after as f64 / before as f64)),
        text(written.effective_bits),
        written.precision,
        known(written.samples.to_string()),
        known(written.synthetic.to_string()),
        text(written.float_top1),
        text(written.quantized_top1),
        text(written.drop_points),
        text(written.agreement),
        text(written.sqnr_db),
        text(written.inside_sqnr_db),
        known(written.warnings.to_string()),
        written.sha256,
    ]
}

/// An event in one line; nothing of what only moves a bar.
pub fn event(event: &Event) -> Option<String> {
    let name = |model: &str| words::name(model, usize::MAX);
    match event {
        Event::Note { message } => Some(name(message)),
        Event::Failed { row, .. } => {
            let reason = row.reason.as_deref().unwrap_or_default();
            Some(format!("{}: {}: {}", name(&row.model), row.status.name(), name(reason)))
        }
        Event::Postponed { model, reason } => {
            Some(format!("{}: stopped, and comes again later: {reason}", name(model)))
        }
        Event::Finished { row, bytes, seconds, .. } => {
            let written = row.written.clone().unwrap_or_default();
            let sizes = format!("{} -> {}", words::bytes(*bytes), words::bytes(written.bytes_after));
            let remark =
                row.reason.as_deref().map_or_else(String::new, |reason| format!("; {}", name(reason)));
            Some(format!(
                "{}: {sizes}, {}{}, {}{remark}",
                name(&row.model),
                accuracy(&written),
                agreement(&written).map(|share| format!(", same class on {share}")).unwrap_or_default(),
                words::seconds(*seconds)
            ))
        }
        Event::Found { .. }
        | Event::Skipped { .. }
        | Event::Started { .. }
        | Event::Memory { .. }
        | Event::Summary { .. } => None,
    }
}

/// What runs at the moment, for the line of a bar.
pub fn running(model: &str, resident: u64) -> String {
    let memory = if resident > 0 { format!("  {}", words::bytes(resident)) } else { String::new() };
    format!("{}{memory}", words::name(model, 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_end_says_where_the_page_is() {
        let style = TextStyle::default();
        assert_eq!(
            closing(Some("out/summary.html"), Some(72.0), style),
            "Summary: out/summary.html\nTime: 1 min 12 s\n"
        );
        assert_eq!(closing(None, Some(7.25), style), "Time: 7.25 s\n");
        assert_eq!(closing(Some("x"), None, TextStyle { detail: Detail::Brief, ..style }), "");
    }

    #[test]
    fn all_rows_are_told() {
        let found = example::summary();
        let text = summary(&found, TextStyle::default());
        for part in [
            "a/net.onnx",
            "91.25 % -> 90.75 % (drop 0.50)",
            "97.50 %",
            "24.1 dB",
            "1.06 MB",
            "failed",
            "no ONNX",
            "2 of 3 models converted (1 with a remark), 1 failed",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        let again = Summary { before: 2, ..found.clone() };
        assert!(summary(&again, TextStyle::default()).contains("converted (2 before, 1 with a remark)"));
        assert_eq!(whole(&again), whole(&found));
        let json: serde_json::Value = serde_json::from_str(&whole(&found)).unwrap();
        assert_eq!((&json["schema"], &json["totals"]["failed"]), (&json!("fourbit.summary"), &json!(1)));
        assert_eq!(json["models"][2]["written"]["drop_points"], json!(0.5));
        let text = csv(&found);
        let rows: Vec<_> =
            csv::Reader::from_reader(text.as_bytes()).into_records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(&rows[0][0], "b/<i>\n\u{1b}\"&.onnx");
        assert!(rows[0][4].is_empty() && &rows[2][4] == "156000");
    }
}

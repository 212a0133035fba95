//! What is inside a model, in words.

mod samples;

pub(super) use samples::fields;
pub use samples::shown;

use super::table::Column;
use super::{TextStyle, words};
use crate::plan::{Inspection, SiteRow};

/// The report of `inspect`.
pub fn inspection(inspection: &Inspection, style: TextStyle) -> String {
    let lines = |label: &str, lines: &[String]| -> Vec<(String, String)> {
        lines.iter().map(|line| (label.to_owned(), line.clone())).collect()
    };
    let mut pairs = vec![
        ("File".into(), format!("{}, {}", inspection.file, words::bytes(inspection.bytes))),
        ("Format".into(), format!("IR {}, opset {}", inspection.ir_version, inspection.opset)),
    ];
    if !inspection.producer.is_empty() {
        pairs.push(("Written by".into(), inspection.producer.clone()));
    }
    pairs.extend(lines("Input", &inspection.inputs));
    pairs.extend(lines("Output", &inspection.outputs));
    pairs.push(("Parameters".into(), words::count(inspection.parameters)));
    let operators: Vec<String> =
        inspection.operators.iter().map(|(operator, count)| format!("{operator} {count}")).collect();
    pairs.push(("Operators".into(), operators.join(", ")));
    pairs.push(("Can be quantized".into(), words::things(inspection.sites.len(), "weight tensor")));
    let mut text = format!("{}\n", style.pairs(&pairs));

    let rows = inspection.sites.iter().map(row).collect();
    text += &style.table(
        &[
            Column::name("Weights"),
            Column::text("Operator").spare(1),
            Column::whole("Shape"),
            Column::figure("Channel axis").spare(2),
            Column::figure("Readers").spare(3),
            Column::figure("Size"),
            Column::text("Stored as"),
        ],
        rows,
    );
    text += &style.kept(&inspection.skips);
    if !inspection.faults.is_empty() {
        text += &format!("{}\n", style.pairs(&lines("tract cannot run", &inspection.faults)));
    }
    text += &style.warnings(&inspection.warnings);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn row(site: &SiteRow) -> Vec<String> {
    vec![
        site.tensor.clone(),
        site.operator.clone(),
        words::shape(&site.dims),
        site.axis.map_or_else(|| "none".into(), |axis| axis.to_string()),
        words::count(site.readers as u64),
        words::bytes(site.bytes),
        site.code_type.clone().unwrap_or_else(|| "float".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn an_inspection_contains_what_matters() {
        let text = inspection(&example::inspection(), TextStyle::default());
        for part in [
            "IR 8, opset 17",
            "input float32 [N,3,32,32]",
            "Conv 21, Relu 19",
            "268,336",
            "16x3x3x3",
            "bias, kept in full precision",
            "NonMaxSuppression",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}

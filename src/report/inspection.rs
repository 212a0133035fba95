//! What is inside a model, in words.

mod samples;

pub(super) use samples::fields;
pub use samples::shown;

use std::collections::BTreeMap;

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
    pairs.extend(inspection.quantized_by.iter().map(|made| ("Quantized by".into(), made.clone())));
    pairs.extend(lines("Input", &inspection.inputs));
    pairs.extend(lines("Output", &inspection.outputs));
    let bits = inspection.effective_bits.map(|bits| format!(", {bits:.2} bits each")).unwrap_or_default();
    pairs.push(("Parameters".into(), words::count(inspection.parameters) + &bits));
    let operators: Vec<String> =
        inspection.operators.iter().map(|(operator, count)| format!("{operator} {count}")).collect();
    pairs.push(("Operators".into(), operators.join(", ")));
    let open = inspection.sites.iter().filter(|site| site.code_type.is_none()).count();
    pairs.push(("Can be quantized".into(), words::things(open, "weight tensor")));
    pairs.extend(quantized(&inspection.sites).map(|text| ("Already quantized".into(), text)));
    let mut text = format!("{}\n", style.pairs(&pairs));

    let rows = inspection.sites.iter().filter(|site| !is_bias(site)).map(row).collect();
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

/// Whether `site` is an INT32 bias, which belongs to quantized weights.
fn is_bias(site: &SiteRow) -> bool {
    site.code_type.as_deref() == Some("int32")
}

/// How many tensors are quantized, by type.
fn quantized(sites: &[SiteRow]) -> Option<String> {
    let mut types: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for site in sites {
        if let Some(code_type) = &site.code_type {
            *types.entry((is_bias(site), code_type)).or_default() += 1;
        }
    }
    let told = |((bias, code_type), count): (&(bool, &str), &usize)| {
        let what = match (bias, count) {
            (false, _) => words::things(*count, "weight tensor"),
            (true, 1) => "1 bias".into(),
            (true, _) => format!("{} biases", words::count(*count as u64)),
        };
        format!("{what} in {code_type}")
    };
    let told: Vec<String> = types.iter().map(told).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn row(site: &SiteRow) -> Vec<String> {
    vec![
        site.tensor.clone(),
        site.operator.clone(),
        words::shape(&site.dims),
        site.axis.map_or_else(|| "-".into(), |axis| axis.to_string()),
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
    fn what_is_quantized_already_is_not_offered() {
        let mut found = example::inspection();
        let site = found.sites[0].clone();
        for (tensor, code_type) in [("a", "int4"), ("b", "int4"), ("bias_codes", "int32")] {
            let code_type = Some(code_type.to_owned());
            found.sites.push(SiteRow { tensor: tensor.into(), code_type, ..site.clone() });
        }
        let text = inspection(&found, TextStyle::default());
        for part in ["Can be quantized   1 weight tensor\n", "2 weight tensors in int4, 1 bias in int32"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("bias_codes"), "{text}");
    }

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

//! What both models answer, sample by sample, as a table for spreadsheets.

use crate::plan::PerSample;

const HEADER: [&str; 12] = [
    "sample",
    "row",
    "label",
    "float_class",
    "quantized_class",
    "float_margin",
    "quantized_margin",
    "sqnr_db",
    "not_finite",
    "float_boxes",
    "quantized_boxes",
    "matched_boxes",
];

/// A line a sample, or a row of its class scores, in the order given. A cell is empty where there is no such figure.
pub fn csv(rows: &[PerSample]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let lines = std::iter::once(HEADER.map(str::to_owned)).chain(rows.iter().map(cells));
    for line in lines {
        // Memory takes everything.
        drop(writer.write_record(line));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cells(row: &PerSample) -> [String; 12] {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    [
        row.sample.clone(),
        text(row.row),
        text(row.label),
        text(row.float_class),
        text(row.quantized_class),
        text(row.float_margin),
        text(row.quantized_margin),
        text(row.sqnr_db.map(|ratio| format!("{ratio:.2}"))),
        row.not_finite.to_string(),
        text(row.float_boxes),
        text(row.quantized_boxes),
        text(row.matched_boxes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_a_figure_are_empty_and_names_are_quoted() {
        let row = PerSample {
            sample: "a,\"b\".png".into(),
            row: Some(0),
            label: None,
            float_class: Some(3),
            quantized_class: Some(4),
            float_margin: Some(0.25),
            quantized_margin: Some(1.5),
            sqnr_db: Some(12.345_6),
            not_finite: 0,
            float_boxes: None,
            quantized_boxes: None,
            matched_boxes: None,
        };
        let text = csv(&[row]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("sample,row,label,float_class,"), "{text}");
        assert_eq!(lines[1], "\"a,\"\"b\"\".png\",0,,3,4,0.25,1.5,12.35,0,,,");
    }
}

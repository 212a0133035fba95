//! Conversions side by side.

mod page;

pub(super) use page::page;

use serde_json::json;

use super::headline::figures;
use super::table::Column;
use super::{Detail, TextStyle, json as written, words};
use crate::plan::{Between, Difference, DifferenceRow, Side, SideKind, Treated, Validation, Verdict};

/// The schema of the JSON report.
pub(super) const SCHEMA: &str = "fourbit.diff";

/// What conversions are called in tables.
const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U",
    "V", "W", "X", "Y", "Z",
];
/// From this distance on in dB a tensor of the same form is listed too.
const APART_DB: f64 = 1.0;
/// Such tensors that are listed at most.
const MOST: usize = 10;

/// What differs between conversions, for people.
pub fn text(found: &Difference, style: TextStyle) -> String {
    let rows = found.sides.iter().enumerate().map(|(at, side)| of_side(at, side)).collect();
    let mut text = style.table(
        &[
            Column::whole(""),
            Column::name("Conversion"),
            Column::whole("Known from").spare(6),
            Column::whole("Form").spare(5),
            Column::figure("Size"),
            Column::figure("Bits").spare(4),
            Column::figure("Weights").spare(3),
            Column::figure("Activations").spare(2),
            Column::text("Against the float model"),
        ],
        rows,
    );
    for between in &found.between {
        text += &answers(between, &style);
    }
    if style.detail != Detail::Brief {
        text += &tensors(found, &style);
    }
    text += &style.warnings(&found.notes);
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// What differs between conversions, for programs.
pub fn data(found: &Difference) -> String {
    written::written(
        SCHEMA,
        vec![
            ("sides", json!(found.sides)),
            ("rows", json!(found.rows)),
            ("between", json!(found.between)),
            ("notes", json!(found.notes)),
        ],
    )
}

fn letter(at: usize) -> &'static str {
    LETTERS.get(at).copied().unwrap_or("+")
}

fn of_side(at: usize, side: &Side) -> Vec<String> {
    let [weights, activations, _] = side.counts;
    vec![
        letter(at).into(),
        side.file.clone(),
        kind(side).into(),
        form(side),
        side.bytes.map(words::bytes).unwrap_or_default(),
        side.bits.map(|bits| format!("{bits:.2}")).unwrap_or_default(),
        words::count(weights as u64),
        words::count(activations as u64),
        side.verdict.as_ref().map(against).unwrap_or_default(),
    ]
}

fn kind(side: &Side) -> &'static str {
    match side.kind {
        SideKind::Model => "model",
        SideKind::Report => "report",
        SideKind::Plan => "plan",
    }
}

/// The precision, or what made the file.
fn form(side: &Side) -> String {
    side.precision.clone().or_else(|| side.tool.clone()).unwrap_or_default()
}

/// The accuracy of one conversion, in a few words.
fn against(verdict: &Verdict) -> String {
    let validation = match verdict {
        Verdict::NotValidated { .. } => return "not validated".into(),
        Verdict::Validated(validation) => validation,
    };
    let mut told = Vec::new();
    if let Some(score) = &validation.scores {
        told.push(format!("drop {:.2} ± {:.2} points", score.drop_points, score.standard_error));
    }
    told.extend(validation.agreement.map(|share| format!("same class {}", words::percent(share))));
    told.extend(worst(validation));
    format!("{} ({})", told.join(", "), on(validation))
}

/// The output with the least SQNR.
fn worst(validation: &Validation) -> Option<String> {
    let ratios = validation.outputs.iter().filter_map(|output| output.sqnr_db);
    let least = ratios.fold(f64::INFINITY, f64::min);
    least.is_finite().then(|| format!("SQNR {least:.1} dB"))
}

fn on(validation: &Validation) -> String {
    let samples = words::things(validation.samples, "sample");
    match (validation.synthetic, validation.calibrated_on) {
        (true, _) => format!("{samples} made up"),
        (false, true) => format!("{samples}, calibrated on"),
        (false, false) => samples,
    }
}

/// How two models compare.
fn answers(between: &Between, style: &TextStyle) -> String {
    let [one, other] = between.sides.map(letter);
    match &between.verdict {
        Verdict::NotValidated { reason } => {
            style.line(None, &format!("{other} beside {one}: not compared: {reason}"))
        }
        Verdict::Validated(validation) => {
            let told = figures(validation).join("; ");
            let source = match validation.synthetic {
                true => "made up".to_owned(),
                false => format!("of {}", validation.source),
            };
            let samples = words::things(validation.samples, "sample");
            style.line(None, &format!("{other} beside {one}: {told} ({samples} {source})"))
        }
    }
}

/// The tensors that differ, or all.
fn tensors(found: &Difference, style: &TextStyle) -> String {
    let listed: Vec<&DifferenceRow> = match style.full() {
        true => found.rows.iter().collect(),
        false => differing(found).chain(apart(found)).collect(),
    };
    let mut columns = vec![Column::name("Tensor"), Column::text("Operator").spare(1)];
    columns.extend(found.sides.iter().enumerate().map(|(at, _)| Column::text(letter(at))));
    let line = |row: &&DifferenceRow| {
        let mut line = vec![row.tensor.clone(), row.operator.clone()];
        line.extend(row.cells.iter().map(cell));
        line
    };
    let table = style.table(&columns, listed.iter().map(line).collect());
    let none: Vec<&str> = without_activations(found).map(letter).collect();
    let mut told = if table.is_empty() { String::new() } else { format!("\n{table}") };
    if !none.is_empty() && !style.full() && none.len() < found.sides.len() {
        let others = found.rows.iter().filter(|row| row.is_activation).count();
        let verb = if none.len() == 1 { "quantizes" } else { "quantize" };
        told += &style.line(
            None,
            &format!(
                "{} {verb} no activations, of {} in the others",
                none.join(", "),
                words::count(others as u64)
            ),
        );
    }
    told + &style.line(None, &counted(found))
}

/// The sides that quantize no activations.
fn without_activations(found: &Difference) -> impl Iterator<Item = usize> {
    found.sides.iter().enumerate().filter(|(_, side)| side.counts[1] == 0).map(|(at, _)| at)
}

/// Tensors whose form differs; activations only where the sides that quantize any differ in them.
fn differing(found: &Difference) -> impl Iterator<Item = &DifferenceRow> {
    let some: Vec<usize> = (0..found.sides.len()).filter(|&at| found.sides[at].counts[1] > 0).collect();
    found.rows.iter().filter(move |row| {
        let forms =
            some.iter().map(|&at| row.cells.get(at).and_then(Option::as_ref).map(|cell| cell.form.as_str()));
        let first = forms.clone().next();
        row.differs && (!row.is_activation || forms.into_iter().any(|form| Some(form) != first))
    })
}

/// Tensors of one form whose noise differs most.
fn apart(found: &Difference) -> impl Iterator<Item = &DifferenceRow> {
    let mut apart: Vec<(f64, &DifferenceRow)> = found
        .rows
        .iter()
        .filter(|row| !row.differs)
        .filter_map(|row| Some((Difference::distance(row)?, row)))
        .filter(|(distance, _)| *distance >= APART_DB)
        .collect();
    apart.sort_by(|one, other| other.0.total_cmp(&one.0));
    apart.into_iter().take(MOST).map(|(_, row)| row)
}

fn cell(cell: &Option<Treated>) -> String {
    let Some(cell) = cell else { return "-".into() };
    match cell.added_db.or(cell.sqnr_db) {
        Some(ratio) => format!("{} ({ratio:.1} dB)", cell.form),
        None => cell.form.clone(),
    }
}

/// How many differ.
fn counted(found: &Difference) -> String {
    let count = |is_activation: bool| {
        let rows = || found.rows.iter().filter(move |row| row.is_activation == is_activation);
        (rows().filter(|row| row.differs).count() as u64, rows().count())
    };
    let ((weights, of), (activations, of_activations)) = (count(false), count(true));
    format!(
        "{} of {} and {} of {} differ in form; in brackets the SQNR by the noise that the layer adds, or else of the tensor",
        words::count(weights),
        words::things(of, "weight tensor"),
        words::count(activations),
        words::things(of_activations, "activation")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn example() -> Difference {
        let side = |file: &str, kind| Side {
            file: file.into(),
            kind,
            precision: Some("w4a8".into()),
            bytes: Some(156_000),
            bits: Some(4.5),
            counts: [2, 1, 0],
            verdict: Some(example::outcome().verdict),
            ..Side::default()
        };
        let treated =
            |form: &str, ratio| Some(Treated { form: form.into(), sqnr_db: ratio, ..Treated::default() });
        let row = |tensor: &str, cells: Vec<Option<Treated>>, differs| DifferenceRow {
            is_activation: false,
            tensor: tensor.into(),
            layer: tensor.into(),
            operator: "Conv".into(),
            cells,
            differs,
        };
        Difference {
            sides: vec![side("one/net.onnx", SideKind::Model), side("other/net.json", SideKind::Report)],
            rows: vec![
                row(
                    "conv1.weight",
                    vec![treated("int4, per-channel", None), treated("int8, per-channel", Some(40.0))],
                    true,
                ),
                row("conv2.weight", vec![treated("int4", Some(20.0)), treated("int4", Some(25.5))], false),
                row("<b>", vec![treated("int4", Some(20.0)), treated("int4", Some(20.1))], false),
                row("gone", vec![treated("int4", None), None], true),
            ],
            between: vec![Between { sides: [0, 1], verdict: example::outcome().verdict }],
            notes: vec!["these are conversions of different models, a and b".into()],
        }
    }

    #[test]
    fn what_differs_is_listed_first_and_the_rest_on_request() {
        let told = text(&example(), TextStyle::default());
        for part in [
            "one/net.onnx",
            "report",
            "drop 0.50 ± 0.35 points, same class 97.50 %, SQNR 24.1 dB (400 samples)",
            "B beside A: top-1 91.25 % -> 90.75 %",
            "int8, per-channel (40.0 dB)",
            "conv2.weight",
            "2 of 4 weight tensors and 0 of 0 activations differ in form",
            "! these are conversions",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        assert!(!told.contains("<b>"), "{told}");
        let full = text(&example(), TextStyle { width: None, detail: Detail::Full });
        assert!(full.contains("<b>"), "{full}");
        let brief = text(&example(), TextStyle { width: None, detail: Detail::Brief });
        assert!(!brief.contains("conv1") && brief.contains("B beside A"), "{brief}");
    }

    #[test]
    fn the_page_is_made_of_the_data_alone() {
        let page = crate::report::pages::report(&data(&example())).unwrap();
        for part in ["<h2 id=\"sides-title\">", "conv1.weight", "&lt;b&gt;", "int8, per-channel", "5.5 dB"] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        assert!(!page.contains("<b>"), "{page}");
    }
}

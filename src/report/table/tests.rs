use super::*;
use crate::plan::{Checked, Decision, Finding};
use crate::report::{Detail, example, plain, words};

const WIDTHS: [u16; 3] = [60, 80, 140];

fn style(width: u16) -> TextStyle {
    TextStyle { width: Some(width), detail: Detail::Normal }
}

/// Names as exporters give them, which differ in the middle.
fn long(at: usize) -> String {
    format!("/model/encoder/layers.{at}/attention/output/dense/MatMul_weight")
}

/// No line is too wide, and each name is on one line, whole or cut once.
fn holds(text: &str, width: u16, names: &[String]) {
    for line in text.lines().filter(|line| !line.starts_with("  fourbit ")) {
        assert!(line.chars().count() <= usize::from(width), "{width}: {line}\n{text}");
    }
    for name in names {
        let shown =
            |length: usize| text.lines().any(|line| line.contains(words::name(name, length).as_str()));
        assert!(lengths(name).any(shown), "{width}: {name} in\n{text}");
    }
    let cut = |name: &String| {
        lengths(name).rev().map(|length| words::name(name, length)).find(|it| text.contains(it))
    };
    let different: std::collections::BTreeSet<_> = names.iter().filter_map(cut).collect();
    assert_eq!(different.len(), names.len(), "{width}\n{text}");
}

fn lengths(name: &str) -> std::ops::RangeInclusive<usize> {
    let length = name.chars().count();
    length.min(12)..=length
}

fn styles() -> impl Iterator<Item = TextStyle> {
    let details = [Detail::Normal, Detail::Full];
    WIDTHS.into_iter().flat_map(move |width| details.map(|detail| TextStyle { width: Some(width), detail }))
}

#[test]
fn sensitivity_fits() {
    for names in
        [["stem.weight", "body.conv1.weight", "classifier.weight"].map(str::to_owned), [1, 2, 3].map(long)]
    {
        let mut found = example::sensitivity();
        for (layer, name) in found.layers.iter_mut().zip(&names) {
            layer.tensor.clone_from(name);
        }
        for style in styles() {
            let text = plain::sensitivity(&found, style);
            let shown = if style.detail == Detail::Full { 3 } else { 2 };
            holds(&text, style.width.unwrap_or_default(), &names[..shown]);
            for whole in ["+3.01 ± 0.25", "+1.50 ± 0.50", "conversion"] {
                assert!(text.contains(whole), "{whole} in\n{text}");
            }
        }
    }
}

#[test]
fn inspection_fits() {
    let names = [1, 2, 3].map(long);
    let mut found = example::inspection();
    let site = found.sites[0].clone();
    let named = |name: &String| crate::plan::SiteRow { tensor: name.clone(), ..site.clone() };
    found.sites = names.iter().map(named).collect();
    for style in styles() {
        holds(&plain::inspection(&found, style), style.width.unwrap_or_default(), &names);
    }
}

#[test]
fn targets_fit() {
    for style in styles() {
        let text = plain::targets(style);
        holds(&text, style.width.unwrap_or_default(), &[]);
        for whole in ["ConvTranspose", "tensorrt", "ort-cpu-int8"] {
            assert!(text.contains(whole), "{whole} in\n{text}");
        }
    }
}

#[test]
fn checked_fits() {
    let names = [1, 2, 3].map(long);
    let finding = |name: &String| Finding {
        node: name.clone(),
        operator: "QuantizeLinear".into(),
        tensor: "input".into(),
        problem: "uint8 activations, which tensorrt does not take".into(),
        refused: true,
        saturates: false,
    };
    let found = Checked {
        input: "m.onnx".into(),
        target: "tensorrt".into(),
        quantized: 3,
        findings: names.iter().map(finding).collect(),
    };
    for style in styles() {
        let text = plain::checked(&found, style);
        holds(
            &text,
            style.width.unwrap_or_default(),
            if style.detail == Detail::Full { &names } else { &[] },
        );
        assert!(text.contains("activations,"), "{text}");
    }
    let none = Checked { findings: Vec::new(), quantized: 0, ..found };
    holds(&plain::checked(&none, style(60)), 60, &[]);
}

#[test]
fn decisions_fit() {
    let names = [1, 2, 3].map(long);
    let mut outcome = example::outcome();
    let weight = outcome.plan.decisions[0].clone();
    outcome.plan.decisions.truncate(0);
    for name in &names {
        let mut decision = weight.clone();
        if let Decision::Weight(weight) = &mut decision {
            weight.tensor.clone_from(name);
        }
        outcome.plan.decisions.push(decision);
    }
    for style in styles() {
        let text = style.decisions(&outcome.plan);
        holds(&text, style.width.unwrap_or_default(), &names);
        assert!(text.contains("16x3x3x3"), "{text}");
        holds(&plain::outcome(&outcome, style), style.width.unwrap_or_default(), &[]);
    }
}

#[test]
fn narrow_tables_leave_columns_out_and_become_lists() {
    let columns = [
        Column::name("Name"),
        Column::text("Words"),
        Column::figure("Count").spare(1),
        Column::whole("Shape"),
    ];
    let row = || vec!["a.name".to_owned(), "a few words here".into(), "12345".into(), "16x3x3x3".into()];
    let told = |width| style(width).table(&columns, vec![row()]);
    assert!(told(60).contains("Count") && told(60).lines().count() == 4, "{}", told(60));
    let narrow = told(31);
    assert!(!narrow.contains("Count") && narrow.contains("16x3x3x3"), "{narrow}");
    let list = told(20);
    assert!(list.contains("\n a.name\n") && list.contains("   Count  12345\n"), "{list}");
    let full = TextStyle { width: Some(31), detail: Detail::Full }.table(&columns, vec![row()]);
    assert!(full.contains("12345"), "{full}");
    assert_eq!(style(60).table(&columns, Vec::new()), "");
}

#[test]
fn values_wrap_in_their_column() {
    let text =
        style(30).pairs(&[("A".into(), "one two three four five six".into()), ("Long".into(), "x".into())]);
    assert_eq!(text, " A     one two three four\n       five six\n Long  x\n");
}

#[test]
fn items_do_not_run_together() {
    let text = style(24).line(Some('!'), "one two three four five six seven");
    assert_eq!(text, "  ! one two three four\n      five six seven\n");
}

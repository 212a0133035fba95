//! What a page must hold, and what it must not.

use super::*;
use crate::plan::{Advice, Differing, Verdict};
use crate::report::{data, example};

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&\u{202e}";

fn page_of(outcome: &crate::plan::Outcome) -> String {
    report(&data::outcome(outcome)).unwrap()
}

#[test]
fn sections_come_in_their_order() {
    let mut outcome = example::outcome();
    outcome.details = Some(example::details());
    outcome.advice = vec![Advice {
        reason: "More bits help.".into(),
        settings: vec![("min_sqnr_db".into(), "20".into())],
        ranks: false,
        command: vec!["quantize".into(), "my net.onnx".into()],
    }];
    if let Verdict::Validated(validation) = &mut outcome.verdict {
        validation.differing = vec![Differing {
            name: "sample 3".into(),
            row: 0,
            label: Some(1),
            classes: [1, 2],
            margins: [0.5, 0.1],
            picture: Some("data:image/png;base64,AAAA".into()),
            at: 3,
        }];
    }
    let text = page_of(&outcome);
    let mut before = 0;
    for id in ["verdict", "layers", "noise", "each", "float", "next", "samples"] {
        let place = text.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("{id}"));
        assert!(place > before, "{id}");
        before = place;
    }
    for part in [
        "1.06 MB → 156 kB",
        "at most 1.34 at 95 % confidence",
        "at least 95.87 % at 95 % confidence",
        "400 samples of test.npz",
        "tract",
        "layer1.conv",
        "href=\"#layer-0\"",
        "int4 per-channel (16 scales)",
        "scales refitted to the codes",
        "0.100 % of the values are clipped",
        "fourbit quantize 'my net.onnx'",
        "src=\"data:image/png;base64,AAAA\"",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.starts_with("<!DOCTYPE html>") && !text.contains("http://") && !text.contains("https://"));
    // Once as a picture, not once more as data.
    assert_eq!(text.matches("base64,AAAA").count(), 1);
    assert_eq!(text, page_of(&outcome), "the same report gives the same page");
}

#[test]
fn hostile_names_do_nothing() {
    let mut outcome = example::outcome();
    for decision in &mut outcome.plan.decisions {
        match decision {
            crate::plan::Decision::Weight(weight) => {
                weight.tensor = HOSTILE.into();
                weight.reads[0].node = HOSTILE.into();
                weight.reads[0].operator = HOSTILE.into();
            }
            crate::plan::Decision::Activation(activation) => activation.tensor = HOSTILE.into(),
        }
    }
    outcome.plan.skips[0].name = HOSTILE.into();
    outcome.output = HOSTILE.into();
    outcome.warnings = vec![HOSTILE.into()];
    if let Verdict::Validated(validation) = &mut outcome.verdict {
        validation.source = HOSTILE.into();
        validation.outputs[0].name = HOSTILE.into();
        validation.classes = vec![HOSTILE.into(); 3];
        validation.differing = vec![Differing {
            name: HOSTILE.into(),
            row: 0,
            label: Some(1),
            classes: [1, 2],
            margins: [0.5, 0.1],
            picture: Some(format!("data:image/png;base64,{HOSTILE}")),
            at: 0,
        }];
    }
    let text = page_of(&outcome);
    // The page's own two, and no other.
    assert_eq!(text.matches("<script").count(), 2, "{text}");
    assert_eq!(text.matches("</script").count(), 2, "{text}");
    assert!(!text.contains("<img") && !text.contains("\u{202e}"), "{text}");
    // The data is what it was.
    let (_, data) = text.split_once("id=\"data\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let value: Value = serde_json::from_str(data).unwrap();
    assert_eq!(value["sites"][0]["tensor"], HOSTILE);
}

#[test]
fn other_reports_have_pages_as_far_as_they_go() {
    let outcome = example::outcome();
    let judged = report(&data::verdict(&outcome.verdict)).unwrap();
    assert!(judged.contains("id=\"verdict\"") && !judged.contains("id=\"layers\""));
    let planned = crate::plan::Planned {
        plan: outcome.plan.clone(),
        path: "net.plan.json".into(),
        budget: None,
        details: None,
        warnings: Vec::new(),
        seconds: Vec::new(),
    };
    let planned = report(&data::planned(&planned)).unwrap();
    assert!(planned.contains("net.plan.json") && planned.contains("id=\"layers\""));
    let wrong = report(&data::inspection(&example::inspection())).unwrap_err().to_string();
    assert!(wrong.contains("fourbit.inspection") && wrong.contains("fourbit.report"), "{wrong}");
    assert!(report("{}").is_err() && report("no JSON").is_err() && report("[1]").is_err());
}

//! What the pages of a batch must hold, and what they must not.

use super::*;
use crate::report::example;

#[test]
fn the_page_stands_alone_and_escapes_names() {
    let text = page(&example::summary());
    assert!(text.starts_with("<!DOCTYPE html>"));
    for part in [
        "2 of 3 models converted",
        "href=\"./a/net.report.html\"",
        "href=\"./a/net.report.txt\"",
        "href=\"./a/net.report.json\"",
        "href=\"./timings.html\"",
        "b/&lt;i&gt;",
        "no ONNX model",
        "data-label=\"SQNR\" data-key=\"24.1\"",
        "97.50 %",
        "24.1 dB <span class=\"more\">calibration <span class=\"whole\">25.1 dB</span></span>",
        "drop 0.50",
        "<option value=\"failed\">failed (1)</option>",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("<i>\n") && !text.contains("http:") && !text.contains('\u{1b}'), "{text}");
    assert!(!text.contains("%3Ci%3E"), "only what was written has reports");
    let places = ["<bdi>b/", "<bdi>b.onnx", "<bdi>a/net"].map(|name| text.find(name).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(report("a b/#?%\n\".onnx", "txt"), "./a%20b/%23%3F%25%0A%22.report.txt");
}

#[test]
fn remarks_have_rows_of_their_own_and_poor_figures_a_word() {
    let mut found = example::summary();
    let row = &mut found.rows[0];
    row.status = Status::Poor;
    row.reason = Some("an output has an SQNR of 7.5 dB".into());
    if let Some(written) = &mut row.written {
        (written.sqnr_db, written.agreement) = (Some(7.5), Some(0.5));
    }
    let text = page(&found);
    for part in [
        "<strong class=\"poor\"><span class=\"whole\">■ 7.5 dB</span> poor</strong>",
        "<strong class=\"poor\"><span class=\"whole\">■ 50.00 %</span> poor</strong>",
        "<td role=\"cell\" colspan=\"8\">an output has an SQNR of 7.5 dB</td>",
        "SQNR under 10 dB",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn what_no_model_has_is_no_column() {
    let mut found = example::summary();
    found.rows.remove(0);
    let text = page(&found);
    assert!(
        !text.contains(">Top-1<") && !text.contains(">Same class<") && text.contains(">Before<"),
        "{text}"
    );
    found.rows.clear();
    assert!(page(&found).contains("0 of 0 models converted") && timings(&found).contains("No times"));
}

#[test]
fn times_are_on_their_own_page_alone() {
    let found = example::summary();
    let text = timings(&found);
    for part in ["<strong>1 min 4 s</strong>", "1 min 1 s", "2.50 s", "250 MB", "href=\"./summary.html\""] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let places = ["<bdi>a/net", "<bdi>b.onnx", "<bdi>b/"].map(|name| text.find(name).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    let another = Summary { times: Vec::new(), before: 2, ..found.clone() };
    assert_eq!(page(&another), page(&found));
    assert_ne!(timings(&another), text);
}

//! The pages of a batch: of a real one, and of a made-up one with all that can become of a model.

use std::fs;
use std::path::Path;
use std::process::Command;

use fourbit::batch::{Summary, page, timings};
use fourbit::results::{Row, Status, Time, Written};
use percent_encoding::percent_decode_str;

use super::{axe_or_told, check_tags, chromium, drive, ended, root};

/// Clicks through the page of a batch.
const DRIVE: &str = include_str!("batch.js");

/// The files that `page` links.
fn links(page: &str) -> Vec<String> {
    let links = page.split("href=\"./").skip(1).filter_map(|rest| rest.split('"').next());
    links.map(|link| percent_decode_str(link).decode_utf8().expect("a name").into_owned()).collect()
}

/// Whether a page is well formed, needs no network, and links only what lies in `folder`.
fn check(page: &str, folder: &Path) {
    check_tags(page);
    assert!(["http:", "https:", "@import", "url("].iter().all(|word| !page.contains(word)));
    for link in links(page) {
        assert!(folder.join(&link).is_file(), "{link} leads nowhere");
    }
}

#[test]
fn a_batch_leaves_pages_whose_links_lead_to_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zoo = folder.path().join("zoo");
    fs::create_dir_all(zoo.join("a <b>")).expect("a folder");
    let model = root().join("models/waves_recurrent/model.onnx");
    fs::copy(&model, zoo.join("a <b>/waves & #1.onnx")).expect("a copy");
    fs::write(zoo.join("text.onnx"), "no model").expect("it can be written");
    let line = ["batch", "zoo", "out", "--precision", "w4"];
    let told = ended(folder.path(), &line, 3);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let page_at = Path::new("out").join("summary.html").display().to_string();
    assert!(told.contains("1 of 2 models converted, 1 failed"), "{told}");
    assert!(told.contains(&format!("\nSummary: {page_at}\nTime: ")), "{told}");

    let out = folder.path().join("out");
    let read = |name: &str| fs::read_to_string(out.join(name)).expect("the page");
    let (summary, times) = (read("summary.html"), read("timings.html"));
    check(&summary, &out);
    check(&times, &out);
    let own = links(&summary).into_iter().filter(|link| link.starts_with("a <b>/waves & #1.report."));
    assert_eq!(own.count(), 3, "page, text and JSON");
    assert!(times.contains("Together the conversions took"), "{times}");

    // Nothing is left to do: the page is the same, and the times are still known.
    let quiet = ended(folder.path(), &[&line[..], &["--keep-failures", "-q"]].concat(), 3);
    let told = String::from_utf8_lossy(&quiet.stdout).into_owned();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(read("summary.html") == summary && read("timings.html") == times);

    // So it is of shards that are brought together.
    for shard in ["1/2", "2/2"] {
        let line = ["batch", "zoo", "parts", "--precision", "w4", "--shard", shard, "-q"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_fourbit")).args(line).current_dir(folder.path()).output();
        assert!(matches!(output.expect("the program starts").status.code(), Some(0 | 3)));
    }
    ended(folder.path(), &["batch", "--merge", "parts"], 3);
    let parts = folder.path().join("parts");
    assert_eq!(fs::read_to_string(parts.join("summary.html")).expect("the page"), summary);
    let times = fs::read_to_string(parts.join("timings.html")).expect("the page");
    check(&times, &parts);
    assert!(times.contains("Together the conversions took"), "{times}");
}

/// A batch with every status, long names and long remarks.
fn made_up() -> Summary {
    let judged = |sqnr_db: Option<f64>, agreement: f64, top1: Option<f64>| Written {
        precision: "w4".into(),
        bytes_after: 3_100_000,
        effective_bits: Some(4.53),
        samples: 400,
        float_top1: top1.map(|_| 0.912),
        quantized_top1: top1,
        drop_points: top1.map(|top1| 91.2 - 100.0 * top1),
        agreement: Some(agreement),
        sqnr_db,
        inside_sqnr_db: sqnr_db.map(|ratio| ratio + 1.5),
        ..Written::default()
    };
    let row = |model: &str, status, reason: Option<&str>, written| Row {
        model: model.into(),
        status,
        reason: reason.map(str::to_owned),
        bytes_before: (status != Status::Failed).then_some(25_400_000),
        written,
    };
    let long = "vision/a_folder_with_a_very_long_name_that_has_no_spaces_in_it/mobilenet_v3_large_100_224_quantization_aware.onnx";
    let mut rows = vec![
        row("audio/whisper_tiny.onnx", Status::Failed, Some("cannot read the file: not an ONNX model"), None),
        row(
            long,
            Status::Poor,
            Some(
                "an output has an SQNR of 4.2 dB; both models choose the same class on 61.5 % of the samples only",
            ),
            Some(judged(Some(4.2), 0.615, Some(0.55))),
        ),
        row(
            "vision/not_finite.onnx",
            Status::Poor,
            Some("outputs have values that are no longer finite"),
            Some(judged(None, 0.9, None)),
        ),
        row("text/only_relu.onnx", Status::Unquantized, Some("no weight tensor would be quantized"), None),
        row(
            "text/<b>bert & co</b>.onnx",
            Status::Remarked,
            Some(
                "only 2 of 9 weight tensors, 11 % of the parameters, were quantized (see --include), and the others stay float; \
                 the labels were not used; judged on samples that it was calibrated on",
            ),
            Some(judged(Some(21.3), 0.97, None)),
        ),
    ];
    for at in 0..12 {
        let written = judged(Some(18.0 + f64::from(at)), 0.95, Some(0.9));
        let written = Written { bytes_after: 1_000_000 * (at as u64 + 1), ..written };
        rows.push(row(&format!("zoo/resnet{at}.onnx"), Status::Converted, None, Some(written)));
    }
    let (tool, options) = ("fourbit 0.1.0".into(), vec!["--precision=w4".into(), "--max-samples=64".into()]);
    let time = |(at, row): (usize, &Row)| Time {
        model: row.model.clone(),
        seconds: 0.75 + 13.0 * at as f64,
        peak_memory: row.written.as_ref().map(|_| 350_000_000),
    };
    let times = rows.iter().enumerate().map(time).collect();
    Summary { tool, options, rows, before: 0, times }
}

#[test]
fn a_browser_finds_and_sorts_models() {
    let found = made_up();
    let pages = [page(&found), timings(&found)];
    pages.iter().for_each(|page| check_tags(page));
    if let Some(folder) = std::env::var_os("FOURBIT_PAGES") {
        let folder = Path::new(&folder);
        pages.iter().zip(["summary.html", "timings.html"]).for_each(|(page, name)| {
            fs::write(folder.join(name), page).expect("it can be written");
        });
    }
    let Some(chromium) = chromium() else {
        eprintln!("SKIPPED: no browser: install chromium, or name one by FOURBIT_CHROMIUM");
        return;
    };
    let axe = axe_or_told();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for page in &pages {
        let sizes = ["390,844", "700,900", "900,900", "1500,900"];
        drive(&chromium, folder.path(), page, DRIVE, axe.as_deref(), &sizes);
    }
}

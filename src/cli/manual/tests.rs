use std::path::Path;

use clap::Command;

use super::*;
use crate::cli::{brief, definition};

/// Columns of a terminal.
const WIDTH: usize = 100;
/// Lines that fit on a screen.
const LINES: usize = 40;

/// The definition, built, for a terminal of a known width.
fn built() -> Command {
    let mut whole = definition().term_width(WIDTH);
    whole.build();
    whole
}

fn parts(whole: &mut Command) -> impl Iterator<Item = &mut Command> {
    whole.get_subcommands_mut().filter(|part| part.get_name() != "help")
}

#[test]
fn a_short_help_fits_on_a_screen() {
    let mut whole = brief().term_width(WIDTH);
    whole.build();
    let help = whole.render_help().to_string();
    assert!(help.lines().count() < LINES, "{help}");
    assert!(ENDING.lines().all(|line| line.len() <= 80), "{ENDING}");
    for part in parts(&mut whole) {
        let help = part.render_help().to_string();
        assert!(help.lines().count() < LINES, "{} lines\n{help}", help.lines().count());
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{help}"));
        let count = examples.lines().take_while(|line| line.starts_with("  fourbit ")).count();
        assert!((1..=2).contains(&count) && help.contains("--help"), "{help}");
        let is_about_models = !["completions", "man"].contains(&part.get_name());
        assert!(!is_about_models || help.contains("Also: -v, -q, --json; all options: "), "{help}");
        let options = help.lines().filter(|line| line.trim_start().starts_with('-')).count();
        // Help and version come on top of the ten that matter.
        assert!(options <= 12, "{options} options\n{help}");
    }
}

#[test]
fn a_long_help_has_everything() {
    let mut whole = built();
    for part in parts(&mut whole) {
        let help = part.render_long_help().to_string();
        assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
        // As they are written: a line that is broken once more is ragged.
        let ending = part.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        assert!(ending.lines().all(|line| line.chars().count() < WIDTH), "{ending}");
        for argument in part.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let name = argument.get_long().map(|long| format!("--{long}"));
            assert!(name.is_none_or(|name| help.contains(&name)), "{argument:?}\n{help}");
            assert!(argument.get_help().is_some(), "{argument:?}");
        }
    }
}

/// Renew it by `BLESS=1`.
#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = reference::page(&built());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    // Which subcommands there are depends on features.
    if cfg!(feature = "batch") {
        assert!(kept == page, "docs/cli.md is not what the command line is: BLESS=1 renews it");
    }
}

#[test]
fn every_shell_and_every_subcommand_has_its_words() {
    use clap_complete::Shell;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut definition(), "fourbit", &mut script);
        let script = String::from_utf8(script).unwrap();
        // Fish knows options without their dashes.
        assert!(script.contains("calibration") && script.contains("sensitivity"), "{shell}");
        let offered = completions::with_presets(shell, &script);
        let lines = |text: &str| {
            let offers = |line: &&str| line.contains("imagenet 0..1 -1..1 0..255");
            text.lines().filter(offers).count()
        };
        match shell {
            Shell::Bash | Shell::Fish => assert!(lines(&offered) >= 4, "{shell}"),
            _ => assert_eq!(offered, script, "{shell}"),
        }
    }
    let pages = man::pages();
    assert_eq!(pages, man::pages());
    let mut whole = built();
    for part in parts(&mut whole) {
        let name = format!("fourbit-{}.1", part.get_name());
        let (_, page) = pages.iter().find(|(file, _)| *file == name).unwrap_or_else(|| panic!("{name}"));
        let page = String::from_utf8_lossy(page).into_owned();
        assert!(page.contains("Exit status") && page.contains(".TH fourbit"), "{page}");
    }
    assert!(pages.iter().any(|(name, _)| name == "fourbit.1"));
}

#[test]
fn every_option_of_a_page_has_a_text() {
    for (name, page) in man::pages() {
        let page = String::from_utf8_lossy(&page).into_owned();
        let entries: Vec<&str> = page.split("\n.TP\n").skip(1).collect();
        assert!(!entries.is_empty(), "{name}");
        for entry in entries {
            let text = entry.lines().nth(1).unwrap_or_default();
            assert!(text.starts_with(char::is_alphanumeric), "{name}: {entry}");
        }
    }
}

#[test]
fn a_version_is_that_of_the_package() {
    let version = env!("FOURBIT_VERSION");
    let rest = version.strip_prefix(env!("CARGO_PKG_VERSION")).unwrap();
    let commit =
        rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')).map(|rest| rest.split_once(' '));
    match commit {
        None => assert_eq!(rest, ""),
        Some(found) => {
            let (commit, date) = found.unwrap();
            assert!(commit.len() == 10 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()), "{version}");
            assert!(date.len() == 10 && date.matches('-').count() == 2, "{version}");
        }
    }
}

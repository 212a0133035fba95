//! `docs/cli.md`: every subcommand with every option, as clap knows them.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// What the page begins with.
const BEGINNING: &str = "\
# Command line

All subcommands and options, as `fourbit SUBCOMMAND --help` prints them. This page is made from the program's own definition;
`BLESS=1 cargo test --release --lib reference` renews it.
";

/// The page about `whole`, which is built.
pub fn page(whole: &Command) -> String {
    let mut page = String::from(BEGINNING);
    page.push('\n');
    for part in parts(whole) {
        let about = part.get_about().map(ToString::to_string).unwrap_or_default();
        let name = part.get_name();
        let _ = writeln!(page, "* [`fourbit {name}`](#fourbit-{name}): {}", sentence(&about));
    }
    page.push_str("\n## General options\n\nEvery subcommand takes these.\n\n");
    table(
        &mut page,
        parts(whole).next().into_iter().flat_map(Command::get_arguments).filter(|one| is_general(one)),
    );
    closing(&mut page, whole);
    for part in parts(whole) {
        let _ = write!(page, "\n## fourbit {}\n\n", part.get_name());
        let about = part.get_long_about().or(part.get_about()).map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "{}", paragraphs(&about));
        let usage = part.clone().render_usage().to_string();
        let lines: Vec<&str> = usage.trim_start_matches("Usage: ").trim().lines().map(str::trim).collect();
        let _ = writeln!(page, "\n```\n{}\n```", lines.join("\n"));
        let own = || part.get_arguments().filter(|one| !one.is_hide_set() && !is_general(one));
        section(&mut page, "Arguments", own().filter(|one| one.is_positional()));
        let mut topics: Vec<&str> = Vec::new();
        for one in own().filter(|one| !one.is_positional()) {
            let topic = topic(one);
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        for name in topics {
            section(&mut page, name, own().filter(|one| !one.is_positional() && topic(one) == name));
        }
        closing(&mut page, part);
    }
    page
}

fn parts(whole: &Command) -> impl Iterator<Item = &Command> {
    whole.get_subcommands().filter(|part| part.get_name() != "help" && !part.is_hide_set())
}

fn is_general(argument: &Arg) -> bool {
    argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version")
}

fn topic(argument: &Arg) -> &str {
    argument.get_help_heading().unwrap_or("Options")
}

fn section<'a>(page: &mut String, name: &str, arguments: impl Iterator<Item = &'a Arg>) {
    let mut arguments = arguments.peekable();
    if arguments.peek().is_some() {
        let _ = write!(page, "\n### {name}\n\n");
        table(page, arguments);
    }
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| argument | meaning |\n| --- | --- |\n");
    for one in arguments {
        let _ = writeln!(page, "| {} | {} |", cell(&spelled(one)), cell(&meaning(one)));
    }
}

/// An argument as it is written: `-o`, `--output FILE`.
fn spelled(argument: &Arg) -> String {
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    if argument.is_positional() {
        return format!("`{}`", values.join(" "));
    }
    let value = match argument.get_action() {
        ArgAction::Set | ArgAction::Append if argument.is_require_equals_set() => {
            format!("[={}]", values.join(" "))
        }
        ArgAction::Set | ArgAction::Append => format!(" {}", values.join(" ")),
        _ => String::new(),
    };
    let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let long = argument.get_long().unwrap_or_default();
    format!("{short}`--{long}{value}`")
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = help.split("\n\n").map(sentence).collect::<Vec<_>>().join(" ");
    let takes_value = argument.get_action().takes_values();
    let values: Vec<_> =
        argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    let named = |value: &clap::builder::PossibleValue| match value.get_help() {
        Some(help) => format!("`{}`: {help}", value.get_name()),
        None => format!("`{}`", value.get_name()),
    };
    if takes_value && !values.is_empty() && values.iter().all(|value| value.get_help().is_none()) {
        let _ = write!(text, " One of {}.", values.iter().map(named).collect::<Vec<_>>().join(", "));
    } else if takes_value && !values.is_empty() {
        let list: Vec<String> = values.iter().map(|value| format!("<br>{}", named(value))).collect();
        text.push_str(&list.concat());
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    if takes_value && !defaults.is_empty() {
        let _ =
            write!(text, "{}Default: {}.", if values.is_empty() { " " } else { "<br>" }, defaults.join(", "));
    }
    text
}

/// Examples and exit status, each as it is printed.
fn closing(page: &mut String, command: &Command) {
    let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut blocks: Vec<String> = Vec::new();
    for block in text.split("\n\n") {
        match blocks.last_mut().filter(|_| block.starts_with(' ')) {
            Some(last) => *last += &format!("\n\n{block}"),
            None => blocks.push(block.to_owned()),
        }
    }
    for block in blocks {
        let (name, lines) = block.split_once('\n').unwrap_or((&block, ""));
        let indented: Vec<&str> = lines.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        let _ = write!(page, "\n### {}\n\n```\n{}\n```\n", name.trim_end_matches(':'), indented.join("\n"));
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim().replace('\n', " ");
    if text.is_empty() || text.ends_with(['.', ':']) { text } else { text + "." }
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(sentence).collect::<Vec<_>>().join("\n\n")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*")
}

//! Doubts about a judgement, in words.

use super::second;
use crate::plan::{Doubt, Flawed, Verdict};
use crate::report::words;

/// Samples that are named one by one.
const NAMED: usize = 5;
/// Class folders that are named as an example.
const CLASSES: usize = 3;
/// What to look at where the float model does not know what it is shown.
fn look(preprocessed: bool) -> &'static str {
    match preprocessed {
        true => "check that `.preprocess` is as in training (divide_by, mean, std, channel_order)",
        false => "check that the samples are scaled and laid out as in training",
    }
}

const NOTHING: &str = "Until then the drop below means nothing";

/// What stands against the figures of a judgement, one sentence or two each.
pub(in crate::report) fn doubts(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Validated(validation) => {
            let told = |one| doubt_of(one, &validation.classes);
            validation.doubts.iter().map(told).collect()
        }
        Verdict::NotValidated { .. } => Vec::new(),
    }
}

pub(in crate::report) fn doubt(doubt: &Doubt) -> String {
    doubt_of(doubt, &[])
}

/// How class folders become labels, where there are any.
fn numbered(classes: &[String]) -> String {
    if classes.is_empty() {
        return String::new();
    }
    let class = |(index, name): (usize, &String)| format!("{index} = {name}");
    let first: Vec<String> = classes.iter().enumerate().take(CLASSES).map(class).collect();
    let more = if classes.len() > CLASSES { " and so on" } else { "" };
    format!("; class folders are numbered in the order of their names: {}{more}", first.join(", "))
}

fn doubt_of(doubt: &Doubt, classes: &[String]) -> String {
    let count = |count: &usize| words::count(*count as u64);
    match doubt {
        Doubt::Chance { float_top1, chance, rows, preprocessed } => format!(
            "the float model itself is right on {} of {} labelled samples, and guessing is on {}: {}, and the order of the \
             labels{}. {NOTHING}",
            words::percent(*float_top1),
            count(rows),
            words::percent(*chance),
            look(*preprocessed),
            numbered(classes)
        ),
        Doubt::Alike { samples, preprocessed } => format!(
            "the float model gives the same outputs on all {} samples, and the samples differ: {}. {NOTHING}",
            count(samples),
            look(*preprocessed)
        ),
        Doubt::NotANumber { samples, of, preprocessed } => format!(
            "the float model gives NaN on {} of {} samples: these values are compared with nothing. Check the values \
             of the samples{}",
            count(samples),
            count(of),
            if *preprocessed { ", and divide_by, mean and std of `.preprocess`" } else { "" }
        ),
        Doubt::Unscored { output, dims, labels } => format!(
            "labels were not used: the first output, {output}, has the shape {dims:?}, which is no row of class scores for \
             each of {}",
            words::things(*labels, "label")
        ),
        Doubt::FewerFolders { folders, classes } => format!(
            "the samples lie in {} and the model has {} classes: the order of the folders is taken for the index of \
             the class (`fourbit::Detail::Full` lists them). If that is wrong, put a labels.csv (file,label) into the folder",
            words::things(*folders, "class folder"),
            count(classes)
        ),
        Doubt::OrderOfFolders { folders: [one, other] } => format!(
            "class folder {one} comes before {other}, by the number (`fourbit::Detail::Full` lists the indices); torchvision's ImageFolder sorts names \
             as text, {other} before {one}. If the model was trained so, put a labels.csv (file,label) into the folder"
        ),
        Doubt::Edge { values, reason } => {
            let named: Vec<&str> = values.iter().take(NAMED).map(String::as_str).collect();
            let more = if values.len() > NAMED { " and others" } else { "" };
            format!(
                "the end of the model was not run: {reason}. No layer lies there; {}{more} were judged, which it is given",
                named.join(", ")
            )
        }
        Doubt::LeftOut { samples, of } => {
            let name =
                |flaw: &Flawed| format!("{} holds {} in input {}", flaw.sample, flaw.holds, flaw.input);
            let named: Vec<String> = samples.iter().take(NAMED).map(name).collect();
            let more = match samples.len() - named.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            format!(
                "{}{more}; left out of the comparison, {} of {} samples",
                named.join(", "),
                count(&samples.len()),
                count(of)
            )
        }
        Doubt::Excessive { used, of, reason } => {
            format!("{} of {} samples are used: {reason}", count(used), count(of))
        }
        Doubt::Calibrated(overlap) => format!(
            "{} of {} samples are samples that the file was calibrated on: on others the figures are worse. Validate on \
             samples that calibration has not seen",
            if overlap.exact {
                count(&overlap.samples)
            } else {
                format!("about {}", count(&overlap.samples))
            },
            count(&overlap.of)
        ),
        Doubt::JudgesPart { judges, partings } => second::judges_part(judges, partings),
        Doubt::OptimizationsPart { judge, partings } => second::optimizations_part(judge, partings),
        Doubt::NoSecond(unjudged) => second::no_second(unjudged),
        Doubt::NotUnoptimized(unjudged) => second::not_unoptimized(unjudged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overlap;

    #[test]
    fn a_doubt_says_what_to_check() {
        let chance = doubt(&Doubt::Chance { float_top1: 0.095, chance: 0.1, rows: 200, preprocessed: true });
        for part in [
            "9.50 % of 200",
            "10.00 %",
            "divide_by, mean, std, channel_order",
            "`.preprocess`",
            "order of the labels",
            "means nothing",
        ] {
            assert!(chance.contains(part), "{part} in {chance}");
        }
        let names = ["cassette", "church", "dog", "horn"].map(str::to_owned);
        let guess = Doubt::Chance { float_top1: 0.095, chance: 0.1, rows: 200, preprocessed: true };
        let text = doubt_of(&guess, &names);
        assert!(
            text.contains("order of their names: 0 = cassette, 1 = church, 2 = dog and so on. Until"),
            "{text}"
        );
        assert!(doubt_of(&guess, &names[..2]).contains("0 = cassette, 1 = church. Until"));
        for blind in [
            Doubt::Chance { float_top1: 0.095, chance: 0.1, rows: 200, preprocessed: false },
            Doubt::Alike { samples: 8, preprocessed: false },
            Doubt::NotANumber { samples: 1, of: 8, preprocessed: false },
        ] {
            let text = doubt(&blind);
            assert!(text.to_lowercase().contains("check") && !text.contains("preprocess"), "{text}");
        }
        let flaw = |at: usize| Flawed {
            sample: format!("sample {at}"),
            input: "x".into(),
            holds: "NaN at [0]".into(),
        };
        let left = doubt(&Doubt::LeftOut { samples: (0..7).map(flaw).collect(), of: 20 });
        assert!(left.contains("sample 4 holds NaN at [0] in input x, and 2 more; left out"), "{left}");
        let order = doubt(&Doubt::OrderOfFolders { folders: ["2".into(), "10".into()] });
        assert!(
            order.contains("folder 2 comes before 10") && order.contains("as text, 10 before 2"),
            "{order}"
        );
        let seen = doubt(&Doubt::Calibrated(Overlap { samples: 12, of: 40, exact: false }));
        assert!(seen.starts_with("about 12 of 40"), "{seen}");
    }
}

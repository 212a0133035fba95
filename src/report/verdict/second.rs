//! A second runtime's figures, and where it parts from the first, in words.

use crate::plan::{Figures, Measure, Opinion, OutputError, Parting, Second, Unjudged};
use crate::report::words;

/// Figures that are told one by one.
const NAMED: usize = 5;

/// What a second runtime says, on one line.
pub(in crate::report) fn opinion(second: &Second, full: bool) -> String {
    match &second.opinion {
        Opinion::NotValidated { .. } => format!("{} could not judge; the warning says why", second.judge),
        Opinion::Validated(measured) => {
            let mut text = format!("{}: {}", second.judge, figures(&measured.figures, full));
            if let Some(plain) = measured.unoptimized.as_ref().filter(|_| full) {
                text += &format!("; without its optimizations: {}", figures(plain, full));
            }
            text
        }
    }
}

fn figures(found: &Figures, full: bool) -> String {
    let mut parts = Vec::new();
    if let Some(score) = found.scores {
        let [float, quantized] = [score.float_top1, score.quantized_top1].map(words::percent);
        parts.push(format!("top-1 {float} -> {quantized}"));
    }
    if let Some(agreement) = found.agreement {
        parts.push(format!("the same class on {}", words::percent(agreement)));
    }
    let shown = if full { found.outputs.len() } else { found.outputs.len().min(NAMED) };
    let alone = found.outputs.len() == 1;
    parts.extend(found.outputs.iter().take(shown).map(|output| {
        let name = if alone { String::new() } else { format!("output {} ", words::name(&output.name, 24)) };
        name + &difference(output)
    }));
    if found.outputs.len() > shown {
        parts.push(format!(
            "{} more outputs, which `fourbit::Detail::Full` lists",
            found.outputs.len() - shown
        ));
    }
    parts.join("; ")
}

fn difference(output: &OutputError) -> String {
    let mut text = match output.sqnr_db {
        None if output.broken == 0 => "equal to the float model's".into(),
        None => "SQNR unknown".into(),
        Some(ratio) => format!("SQNR {ratio:.1} dB"),
    };
    if output.broken > 0 {
        text += &format!(", {} values no longer finite", words::count(output.broken));
    }
    text
}

/// Two judges that part.
pub(super) fn judges_part(judges: &[String; 2], parted: &[Parting]) -> String {
    let [one, other] = judges;
    format!(
        "{one} and {other} give other figures: {}. Where the file is to run in {other}, the figures of {other} count",
        told(parted, &[format!("in {one}"), format!("in {other}")])
    )
}

/// A runtime that parts from itself.
pub(super) fn optimizations_part(judge: &str, parted: &[Parting]) -> String {
    format!(
        "{judge} computes something else from the written file with its default optimizations than without: {}. Kernels into \
         which it fuses quantized layers may round inputs to 8 bits, or saturate",
        told(parted, &["with them".into(), "without".into()])
    )
}

pub(super) fn no_second(unjudged: &Unjudged) -> String {
    format!("there is no second opinion, since {} could not judge: {}", unjudged.judge, unjudged.reason)
}

pub(super) fn not_unoptimized(unjudged: &Unjudged) -> String {
    format!(
        "{} could not run the written file without its optimizations, only with them: {}",
        unjudged.judge, unjudged.reason
    )
}

fn told(partings: &[Parting], places: &[String; 2]) -> String {
    let mut told: Vec<String> = partings.iter().take(NAMED).map(|it| parting(it, places)).collect();
    if partings.len() > NAMED {
        told.push(format!("and {} more", words::things(partings.len() - NAMED, "figure")));
    }
    told.join("; ")
}

fn parting(parting: &Parting, places: &[String; 2]) -> String {
    let output = parting.output.as_deref().map(|name| words::name(name, 24)).unwrap_or_default();
    let value = |at: usize| parting.values.get(at).copied().flatten();
    let two = |text: fn(Option<f64>) -> String| {
        format!("{} {} and {} {}", text(value(0)), places[0], text(value(1)), places[1])
    };
    let share = |share: Option<f64>| share.map_or_else(|| "an unknown share".into(), words::percent);
    match parting.measure {
        Measure::Sqnr => {
            let ratio =
                |ratio: Option<f64>| ratio.map_or("no error".into(), |ratio| format!("{ratio:.1} dB"));
            format!("the SQNR of output {output} is {}", two(ratio))
        }
        Measure::Broken => {
            let count = |count: Option<f64>| words::count(count.unwrap_or(0.0) as u64);
            format!("values of output {output} that are no longer finite are {}", two(count))
        }
        Measure::Agreement => format!("the share of samples with the same class is {}", two(share)),
        Measure::FloatTop1 => format!("top-1 of the float model is {}", two(share)),
        Measure::QuantizedTop1 => format!("top-1 of the quantized model is {}", two(share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Measured;

    #[test]
    fn both_values_are_told() {
        let sqnr = |values| Parting { measure: Measure::Sqnr, output: Some("scores".into()), values };
        let judges = ["tract".to_owned(), "onnxruntime 1.20.1".to_owned()];
        let text = judges_part(&judges, &[sqnr([Some(24.14), Some(18.26)])]);
        assert!(text.contains("scores is 24.1 dB in tract and 18.3 dB in onnxruntime 1.20.1."), "{text}");
        let text = optimizations_part("onnxruntime", &vec![sqnr([Some(18.0), None]); 7]);
        assert!(text.contains("18.0 dB with them and no error without; "), "{text}");
        assert!(text.contains("; and 2 figures more."), "{text}");
        let agreement =
            Parting { measure: Measure::Agreement, output: None, values: [Some(0.975), Some(0.8)] };
        assert!(judges_part(&judges, &[agreement]).contains("97.50 % in tract and 80.00 % in"), "{text}");
    }

    #[test]
    fn an_opinion_is_one_line() {
        let output = |name: &str| OutputError {
            name: name.into(),
            sqnr_db: Some(24.0),
            largest: 0.1,
            broken: 0,
            equal: None,
        };
        let one = Figures { scores: None, agreement: Some(0.5), outputs: vec![output("y")] };
        let plain = Some(Figures { outputs: vec![output("y"), output("z")], ..one.clone() });
        let second = Second {
            judge: "onnxruntime 1.20.1".into(),
            opinion: Opinion::Validated(Box::new(Measured { figures: one, unoptimized: plain })),
        };
        assert_eq!(opinion(&second, false), "onnxruntime 1.20.1: the same class on 50.00 %; SQNR 24.0 dB");
        assert!(opinion(&second, true).ends_with("output y SQNR 24.0 dB; output z SQNR 24.0 dB"));
    }
}

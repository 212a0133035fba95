//! The report of `sensitivity`, for people.

use super::table::Column;
use super::verdict::doubt;
use super::{Detail, TextStyle, words};
use crate::plan::{Change, Gain, LayerSensitivity, Loss, Sensitivity};

/// A table of the layers, the largest gain first, a summary, and at the end the commands that leave a layer float.
pub fn sensitivity(sensitivity: &Sensitivity, style: TextStyle) -> String {
    let mut text = String::new();
    if style.detail != Detail::Brief {
        let header = [
            Column::name("Layer"),
            Column::text("Operator").spare(3),
            Column::figure("Float").spare(2),
            Column::figure("Low-bit").spare(1),
            Column::figure("SQNR gain, dB"),
            Column::figure("Top-1 gain, points"),
            Column::text("Known by"),
        ];
        let shown = |layer: &&LayerSensitivity| style.full() || is_known(layer);
        let rows = sensitivity.layers.iter().filter(shown).map(row).collect();
        text += &style.table(&header, rows);
        text += &style.pairs(&summary(sensitivity));
        text.push('\n');
    }
    text += &style.warnings(&sensitivity.doubts.iter().map(doubt).collect::<Vec<_>>());
    text += &style.warnings(&sensitivity.warnings);
    if !(sensitivity.doubts.is_empty() && sensitivity.warnings.is_empty()) {
        text.push('\n');
    }
    let better: Vec<&LayerSensitivity> =
        sensitivity.layers.iter().filter(|layer| !layer.command.is_empty()).collect();
    if better.is_empty() {
        text += &style.paragraph(nothing(sensitivity));
    }
    for layer in better {
        text += &advice(layer, &sensitivity.whole, style);
    }
    text
}

fn is_known(layer: &LayerSensitivity) -> bool {
    layer.known().is_some() || layer.refused.is_some()
}

fn row(layer: &LayerSensitivity) -> Vec<String> {
    let known = layer.known();
    let gain = known.map(|(gain, _)| gain);
    let by = match (known, &layer.refused) {
        (_, Some(problem)) => problem.clone(),
        (Some((_, true)), None) if layer.is_contradicted() => "conversion, against the estimate".into(),
        (Some((_, true)), None) => "conversion".into(),
        (Some((_, false)), None) => "estimate".into(),
        (None, None) => "not tried".into(),
    };
    vec![
        layer.tensor.clone(),
        layer.operator.clone(),
        words::bytes(layer.bytes_float),
        words::bytes(layer.bytes_low),
        told(gain.map_or_else(|| "-".into(), noise), known),
        told(
            gain.and_then(|gain| gain.top1_points).map_or_else(|| "-".into(), |change| points(&change)),
            known,
        ),
        by,
    ]
}

/// An estimate has no error of its own: how far it is from what a conversion gives, nobody knows before.
fn told(text: String, known: Option<(&Gain, bool)>) -> String {
    match (known, text.split_once(" ±")) {
        (Some((_, false)), Some((value, _))) => format!("about {value}"),
        _ => text,
    }
}

fn noise(gain: &Gain) -> String {
    match gain.mended {
        1.. => "finite again".into(),
        0 if !gain.sqnr_db.is_clear() => "unclear".into(),
        0 if gain.sqnr_db.value == f64::INFINITY => "no noise left".into(),
        0 if gain.sqnr_db.value == -f64::INFINITY => "noise where none was".into(),
        0 => format!("{:+.2} ± {:.2}", gain.sqnr_db.value, gain.sqnr_db.error),
        _ => "not finite".into(),
    }
}

fn points(change: &Change) -> String {
    match change.is_clear() {
        true => format!("{:+.2} ± {:.2}", change.value, change.error),
        false => "unclear".into(),
    }
}

fn decibels(loss: &Loss) -> String {
    match loss.broken {
        0 => words::decibel(loss.sqnr_db),
        _ => "not finite".into(),
    }
}

/// What a conversion without `layer` gives, and its command on a line of its own, which nothing may break.
fn advice(layer: &LayerSensitivity, whole: &Loss, style: TextStyle) -> String {
    let Some(confirmed) = &layer.confirmed else { return String::new() };
    let Gain { top1_points, agreement_points, .. } = confirmed.gain;
    let mut text = format!(
        "With {} in float: output SQNR {} -> {} dB",
        words::name(&layer.tensor, usize::MAX),
        decibels(whole),
        decibels(&confirmed.without)
    );
    for (change, what) in [(top1_points, "top-1"), (agreement_points, "agreement with the float model")] {
        if let Some(change) = change.filter(Change::is_clear) {
            text += &format!(", {what} {} points", points(&change));
        }
    }
    let more = words::bytes(layer.bytes_float.saturating_sub(layer.bytes_low));
    let text = style.paragraph(&format!("{text}; {more} more"));
    format!("{text}  {}\n", words::command(&layer.command))
}

fn nothing(sensitivity: &Sensitivity) -> &'static str {
    match sensitivity.layers.iter().any(is_known) {
        false => "Nothing in this model was quantized",
        true => {
            "No single layer left float was seen to make the outputs better. Limits such as `.min_sqnr_db` of `fourbit::Quantize` give several layers \
             more bits"
        }
    }
}

fn summary(sensitivity: &Sensitivity) -> Vec<(String, String)> {
    let mut whole = format!("output SQNR {} dB", decibels(&sensitivity.whole));
    if let (Some(drop), Some(error)) = (sensitivity.whole.drop_points, sensitivity.whole.drop_error) {
        whole += &format!(", top-1 drop {drop:.2} ± {error:.2} points");
    }
    if let Some(share) = sensitivity.whole.agreement {
        whole += &format!(", same class on {}", words::percent(share));
    }
    let mut pairs = vec![("All layers".into(), format!("{}: {whole}", sensitivity.precision))];
    let gain =
        "what the outputs gain if this layer alone is left float; unclear: less than two standard errors";
    pairs.push(("Gain".into(), gain.into()));
    if let Some((source, samples)) = &sensitivity.calibration {
        pairs.push(("Calibration".into(), format!("{} from {source}", words::things(*samples, "sample"))));
    }
    let judges = &sensitivity.judges;
    let held_back = match judges.held_back {
        true => {
            "held back from calibration; the command chooses its calibration samples anew, so its figures differ a little"
        }
        false => "none of them used for calibration",
    };
    let judged = format!("{} from {}, {held_back}", words::things(judges.samples, "sample"), judges.source);
    pairs.push(("Judged on".into(), judged));
    let estimates = match sensitivity.solved_on {
        Some(count) => {
            format!(
                "each from a plan made on {}, judged on {}",
                words::things(count, "sample"),
                judges.measured
            )
        }
        None => format!(
            "later weights do not depend on a layer, so its part is taken out; judged on {}",
            judges.measured
        ),
    };
    pairs.push(("Estimates".into(), estimates));
    let untried = sensitivity.layers.iter().filter(|layer| !is_known(layer)).count();
    if untried > 0 {
        let all = sensitivity.layers.len();
        let text = format!(
            "{}, which a first look promised less of; `.layers` {all} tries all",
            words::things(untried, "layer")
        );
        pairs.push(("Not tried".into(), text));
    }
    pairs.extend(words::time(&sensitivity.seconds));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn what_conversions_show_is_told_and_the_rest_is_not_told_as_a_fact() {
        let text = sensitivity(&example::sensitivity(), TextStyle::default());
        for part in [
            "layer2.weight",
            "Gemm",
            "4.00 kB",
            "564 B",
            "+3.01 ± 0.25",
            "+1.50 ± 0.50",
            "conversion",
            "unclear",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        for part in [
            "output SQNR 11.0 dB, top-1 drop 3.50 ± 0.75 points",
            "512 samples from test.npz, none of them used for calibration",
            "1 layer, which a first look promised less of; `.layers` 3 tries all",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("layer0.weight") && !text.contains("0.10 ±"), "{text}");
        let advice = "With layer2.weight in float: output SQNR 11.0 -> 14.0 dB, top-1 +1.50 ± 0.50 points; 3.44 kB more\n  \
                      fourbit quantize net.onnx --exclude layer2.weight -o 'my net.onnx'\n";
        assert!(text.ends_with(advice), "{text}");
        let brief = sensitivity(&example::sensitivity(), TextStyle { width: None, detail: Detail::Brief });
        assert_eq!(brief, advice);
        let full = TextStyle { width: None, detail: Detail::Full };
        assert!(sensitivity(&example::sensitivity(), full).contains("not tried"));
    }

    #[test]
    fn where_nothing_gains_no_command_is_given() {
        let mut found = example::sensitivity();
        found.layers[0].command.clear();
        let text = sensitivity(&found, TextStyle::default());
        assert!(
            text.contains("No single layer left float") && !text.contains("fourbit quantize net"),
            "{text}"
        );
        found.layers.clear();
        assert!(sensitivity(&found, TextStyle::default()).ends_with("Nothing in this model was quantized\n"));
    }

    #[test]
    fn the_table_fits_a_terminal() {
        for width in [80, 120] {
            let style = TextStyle { width: Some(width), detail: Detail::Normal };
            let text = sensitivity(&example::sensitivity(), style);
            let lines = text.lines().take_while(|line| !line.starts_with("With "));
            assert!(lines.clone().count() > 5);
            assert!(lines.clone().all(|line| line.chars().count() <= usize::from(width)), "{width}\n{text}");
        }
    }
}

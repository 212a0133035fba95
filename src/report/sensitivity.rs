//! The report of `sensitivity`, for people.

use super::{Detail, Layout, words};
use crate::plan::{LayerSensitivity, Loss, Sensitivity};

/// A table of the layers, the guiltiest first, a summary, and in the last line the guiltiest.
pub fn sensitivity(sensitivity: &Sensitivity, layout: Layout) -> String {
    let mut text = String::new();
    if layout.detail != Detail::Brief {
        let header =
            ["Layer", "Operator", "Float", "Low-bit", "Alone dB", "drop", "Without dB", "drop", "Guilt"];
        let rows = sensitivity.layers.iter().map(|layer| row(layer, layout)).collect();
        text += &layout.table(&header, &[2, 3, 4, 5, 6, 7, 8], rows);
        text += &layout.pairs(&summary(sensitivity));
        text.push('\n');
    }
    text += &layout.warnings(&sensitivity.warnings);
    text += &match sensitivity.layers.first() {
        Some(layer) => format!("Guiltiest: {}\n", words::name(&layer.tensor, usize::MAX)),
        None => "Nothing in this model was quantized, so no layer is guilty\n".into(),
    };
    text
}

fn row(layer: &LayerSensitivity, layout: Layout) -> Vec<String> {
    vec![
        words::name(&layer.tensor, layout.name_limit()),
        layer.operator.clone(),
        words::bytes(layer.bytes_float),
        words::bytes(layer.bytes_low),
        decibels(&layer.alone),
        points(&layer.alone),
        decibels(&layer.without),
        points(&layer.without),
        layer.share.map_or_else(|| "none".into(), |share| format!("{:.1} %", 100.0 * share)),
    ]
}

fn decibels(loss: &Loss) -> String {
    match loss.broken {
        0 => words::decibel(loss.sqnr_db),
        _ => "not finite".into(),
    }
}

fn points(loss: &Loss) -> String {
    loss.drop_points.map_or_else(|| "-".into(), |drop| format!("{drop:.2}"))
}

fn summary(sensitivity: &Sensitivity) -> Vec<(String, String)> {
    let mut whole = format!("output SQNR {} dB", decibels(&sensitivity.whole));
    if let (Some(drop), Some(error)) = (sensitivity.whole.drop_points, sensitivity.whole.drop_error) {
        whole += &format!(", top-1 drop {drop:.2} ± {error:.2} points");
    }
    let mut pairs = vec![("All layers".into(), format!("{}: {whole}", sensitivity.precision))];
    if let Some((source, samples)) = &sensitivity.calibration {
        pairs.push(("Calibration".into(), format!("{} from {source}", words::things(*samples, "sample"))));
    }
    let mut samples = format!("{} from {}", words::count(sensitivity.samples as u64), sensitivity.source);
    if sensitivity.calibrated_on {
        samples += "; calibration used samples of the same file";
    }
    pairs.push(("Samples".into(), samples));
    pairs.extend(words::time(&sensitivity.seconds));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_table_names_the_guilty() {
        let text = sensitivity(&example::sensitivity(), Layout::default());
        for part in ["layer2.weight", "Gemm", "4.00 kB", "564 B", "12.5", "3.00", "20.0", "0.50", "81.2 %"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        for part in ["not finite", "output SQNR 11.0 dB, top-1 drop 3.50 ± 0.75 points", "64 from test.npz"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.ends_with("Guiltiest: layer2.weight\n"), "{text}");
        let brief = sensitivity(&example::sensitivity(), Layout { width: None, detail: Detail::Brief });
        assert_eq!(brief, "Guiltiest: layer2.weight\n");
    }

    #[test]
    fn the_table_fits_a_terminal() {
        for width in [80, 120] {
            let layout = Layout { width: Some(width), detail: Detail::Normal };
            let text = sensitivity(&example::sensitivity(), layout);
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}\n{text}");
        }
    }
}

//! Samples as a model is fed them, in words.

use serde_json::{Value, json};

use crate::plan::{ShownInput, ShownSamples};
use crate::report::table::Column;
use crate::report::{Detail, TextStyle, words};

/// Samples whose values are shown where no more is asked for.
const FIRST: usize = 3;

/// The report of `samples`.
pub fn shown(shown: &ShownSamples, style: TextStyle) -> String {
    let source = match shown.synthetic {
        true => "random: none were given, and none lie beside the model".to_owned(),
        false => format!("{} from {}", words::things(shown.samples, "sample"), shown.source),
    };
    let looked = match shown.looked_at {
        all if all == shown.samples => String::new(),
        some => format!("; looked at the first {}", words::count(some as u64)),
    };
    let mut pairs =
        vec![("Model".to_owned(), shown.model.clone()), ("Samples".into(), format!("{source}{looked}"))];
    pairs.extend(shown.preprocess.iter().map(|preprocess| ("Preprocess".to_owned(), preprocess.clone())));
    let labels = match &shown.labels {
        Some(labels) => format!(
            "{}, {} from {} to {}",
            words::things(labels.count, "label"),
            words::things(labels.distinct, "class").replace("classs", "classes"),
            labels.min,
            labels.max
        ),
        None => "none".to_owned(),
    };
    pairs.push(("Labels".into(), labels));
    if style.detail == Detail::Full {
        let class = |(at, class): (usize, &String)| ("Class folder".to_owned(), format!("{at} {class}"));
        pairs.extend(shown.classes.iter().enumerate().map(class));
    }
    let mut text = format!("{}\n", style.pairs(&pairs));
    let rows = shown.inputs.iter().map(row).collect();
    let header = [
        Column::name("Input"),
        Column::whole("Type"),
        Column::text("Declared").spare(1),
        Column::text("Fed"),
        Column::figure("Min"),
        Column::figure("Max"),
        Column::figure("Mean"),
        Column::figure("Std"),
    ];
    text += &style.table(&header, rows);
    if style.detail != Detail::Brief {
        let most = if style.detail == Detail::Full { usize::MAX } else { FIRST };
        let mut rows = Vec::new();
        for sample in shown.first.iter().take(most) {
            for (at, (values, input)) in sample.values.iter().zip(&shown.inputs).enumerate() {
                let own = |text: String| if at == 0 { text } else { String::new() };
                let labels: Vec<String> =
                    sample.labels.iter().map(|&label| named(label, &shown.classes)).collect();
                rows.push(vec![
                    own(sample.name.clone()),
                    own(labels.join(" ")),
                    input.name.clone(),
                    values.iter().map(|&value| words::short(value)).collect::<Vec<_>>().join("  "),
                ]);
            }
        }
        text += &style.table(
            &[
                Column::name("Sample"),
                Column::text("Label"),
                Column::name("Input"),
                Column::text("First values"),
            ],
            rows,
        );
    }
    text += &style.warnings(&shown.warnings);
    if let Some(path) = &shown.png {
        text += &format!("Wrote {}\n", path.display());
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A label with its class folder, where it is known.
fn named(label: i64, classes: &[String]) -> String {
    match usize::try_from(label).ok().and_then(|index| classes.get(index)) {
        Some(class) => format!("{label} ({class})"),
        None => label.to_string(),
    }
}

fn row(input: &ShownInput) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), words::short);
    let other = if input.varies { " and others" } else { "" };
    vec![
        input.name.clone(),
        input.dtype.clone(),
        input.declared.clone(),
        format!("{}{other}", words::shape(&input.dims)),
        number(input.min),
        number(input.max),
        number(input.mean),
        number(input.std),
    ]
}

/// The same for programs, as the fields of `fourbit.samples`.
pub(in crate::report) fn fields(shown: &ShownSamples) -> Vec<(&'static str, Value)> {
    vec![
        ("model", json!(shown.model)),
        ("source", json!(shown.source)),
        ("synthetic", json!(shown.synthetic)),
        ("samples", json!(shown.samples)),
        ("looked_at", json!(shown.looked_at)),
        ("preprocess", json!(shown.preprocess)),
        ("inputs", json!(shown.inputs)),
        ("labels", json!(shown.labels)),
        ("classes", json!(shown.classes)),
        ("first", json!(shown.first)),
        ("png", json!(shown.png.as_ref().map(|path| path.display().to_string()))),
        ("warnings", json!(shown.warnings)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ShownLabels, ShownSample};

    #[test]
    fn labels_have_the_names_of_their_folders() {
        let classes = ["cassette".to_owned(), "church".to_owned()];
        assert_eq!(
            [0, 1, 2, -1].map(|label| named(label, &classes)),
            ["0 (cassette)", "1 (church)", "2", "-1"]
        );
        assert_eq!(named(0, &[]), "0");
    }

    #[test]
    fn what_a_model_is_fed_is_told() {
        let found = ShownSamples {
            model: "net.onnx".into(),
            source: "calib.npz".into(),
            synthetic: false,
            samples: 200,
            looked_at: 64,
            preprocess: Some("preset imagenet".into()),
            inputs: vec![ShownInput {
                name: "pixels".into(),
                dtype: "float".into(),
                declared: "[N, 3, 8, 8]".into(),
                dims: vec![1, 3, 8, 8],
                varies: false,
                min: Some(-2.118),
                max: Some(2.64),
                mean: Some(0.01),
                std: None,
                not_finite: 0,
            }],
            labels: Some(ShownLabels { count: 200, distinct: 10, min: 0, max: 9 }),
            classes: Vec::new(),
            first: vec![ShownSample {
                name: "sample 0".into(),
                labels: vec![7],
                values: vec![vec![0.5, -1.0]],
            }],
            png: None,
            warnings: vec!["sample 3 holds NaN".into()],
        };
        let text = shown(&found, TextStyle::default());
        for part in [
            "200 samples from calib.npz; looked at the first 64",
            "200 labels, 10 classes from 0 to 9",
            "preset imagenet",
            "1x3x8x8",
            "-2.118",
            "sample 0",
            "-1.000",
            "sample 3 holds NaN",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}

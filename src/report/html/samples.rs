//! Samples for which the models choose different classes.

use maud::html;

use super::{Part, shown};
use crate::plan::Differing;
use crate::report::kept::Document;
use crate::report::words;

pub(super) fn section(document: &Document) -> Option<Part> {
    let validation = document.validation()?;
    let (differing, classes) = (&validation.differing, &validation.classes);
    if differing.is_empty() {
        return None;
    }
    let class = |index: usize| match classes.get(index) {
        Some(name) => format!("{index} ({})", shown(name)),
        None => index.to_string(),
    };
    let pictures = differing.iter().any(|sample| sample.picture.is_some());
    let body = html! {
        p { "Samples for which both models choose different classes: first those that the quantized model gets wrong and the float \
             model gets right. The margin is how far the score of the chosen class is above the next one." }
        div.wide tabindex="0" role="region" aria-label="Samples that differ" {
            table.differing {
                thead { tr {
                    @if pictures { th scope="col" { "Picture" } }
                    @for head in ["Sample", "Label", "Float", "Margin", "Quantized", "Margin", "Result"] { th scope="col" { (head) } }
                } }
                tbody {
                    @for sample in differing {
                        tr {
                            @if pictures { td { @if let Some(picture) = sample.picture.as_deref().filter(|picture| is_picture(picture)) {
                                img src=(picture) width="96" height="96" loading="lazy" alt=(format!("what {} shows", name(sample)));
                            } } }
                            th scope="row" { bdi { (name(sample)) } }
                            td { @if let Some(label) = sample.label { (usize::try_from(label).map_or_else(|_| label.to_string(), class)) } }
                            td { (class(sample.classes[0])) }
                            td.number { (words::short(sample.margins[0])) }
                            td { (class(sample.classes[1])) }
                            td.number { (words::short(sample.margins[1])) }
                            td { (result(sample)) }
                        }
                    }
                }
            }
        }
    };
    Some(Part { id: "samples", short: "Samples", title: "Samples that are answered differently", body })
}

fn name(sample: &Differing) -> String {
    match sample.row {
        0 => shown(&sample.name),
        row => format!("{}, row {row}", shown(&sample.name)),
    }
}

fn result(sample: &Differing) -> &'static str {
    let right = sample.classes.map(|class| i64::try_from(class).ok() == sample.label);
    match (sample.label, right) {
        (None, _) => "differs",
        (_, [true, _]) => "lost",
        (_, [_, true]) => "won",
        _ => "both wrong",
    }
}

/// Nothing but a PNG file goes into the page as a picture.
fn is_picture(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    address.strip_prefix("data:image/png;base64,").is_some_and(|data| data.bytes().all(plain))
}

//! What each target takes.

mod checked;

pub use checked::{checked, data as checked_data};

use serde_json::{Value, json};

use super::TextStyle;
use super::table::Column;
use crate::options::{Contrib, Form, HELD, Standing, TARGETS, Target, target_names};

/// Operators in a cell before they are only counted.
const SHOWN: usize = 4;

/// The targets as tables: what each takes of a layer, and what is written where nothing else is asked for.
pub fn targets(style: TextStyle) -> String {
    let mut forms = Vec::new();
    for target in TARGETS {
        for (at, form) in target.forms.iter().enumerate() {
            let name = if at == 0 { target.name } else { "" };
            let zero = |any: bool| if any { "any" } else { "0" }.to_owned();
            let float = form.activations.iter().all(Option::is_none);
            forms.push(vec![
                name.to_owned(),
                operators(form),
                target_names(form.weights),
                form.scales.to_string(),
                zero(form.zero_points),
                form.activations(),
                if float { String::new() } else { zero(form.activation_zero_points) },
            ]);
        }
    }
    let header = [
        Column::name("Target"),
        Column::text("Operators"),
        Column::text("Weights"),
        Column::text("Scales by"),
        Column::text("Zero points"),
        Column::text("Activations"),
        Column::text("Zero points"),
    ];
    let takes = style.table(&header, forms);
    let usual = TARGETS.iter().map(|target| {
        vec![
            target.name.to_owned(),
            standing(target).to_owned(),
            either(target.usual.storages.0.name(), target.usual.storages.1.name()),
            either(&target.usual.granularities.0.to_string(), &target.usual.granularities.1.to_string()),
            target.usual.activations.to_string(),
            eight_bit_codes(target),
            target.usual.placement.name().to_owned(),
            target.biases.iter().map(|bias| bias.name()).collect::<Vec<_>>().join(", "),
            list(target.dual.iter().map(|spelling| spelling.name())),
            format!("{}-{}", target.opsets.0, target.opsets.1),
            products(target).to_owned(),
        ]
    });
    let header = [
        Column::name("Target"),
        Column::whole("Known by"),
        Column::text("Storage"),
        Column::text("Scales by"),
        Column::text("Activations"),
        Column::text("8-bit codes"),
        Column::text("Placement"),
        Column::text("Bias"),
        Column::text("Dual"),
        Column::whole("Opsets"),
        Column::text("MatMulNBits"),
    ];
    let usual = style.table(&header, usual.collect());
    let runtimes: Vec<(String, String)> =
        TARGETS.iter().map(|target| (target.name.to_owned(), target.runtime.to_owned())).collect();
    let takes_head = style.paragraph("What each target accepts:");
    let usual_head = style.paragraph(
        "What fourbit writes by default; where a cell names two, the first is for float activations, the second for \
         quantized ones:",
    );
    format!("{takes_head}\n{takes}{usual_head}\n{usual}{}", style.pairs(&runtimes))
}

/// The same for programs, `fourbit.targets`.
pub fn data() -> String {
    let form = |form: &Form| {
        json!({
            "operators": form.operators,
            "weights": form.weights.iter().map(|code_type| code_type.name()).collect::<Vec<_>>(),
            "scales": {
                "tensor": form.scales.tensor,
                "channel": form.scales.channel,
                "blocks": form.scales.blocks.as_ref().map(|blocks| json!({
                    "smallest": blocks.sizes.0,
                    "largest": (blocks.sizes.1 != usize::MAX).then_some(blocks.sizes.1),
                    "powers_of_two": blocks.powers_of_two,
                    "divide_the_axis": blocks.divides,
                })),
            },
            "zero_points": form.zero_points,
            "activations": form.activations.iter().map(|code_type| code_type.map_or("float", |it| it.name())).collect::<Vec<_>>(),
            "activation_zero_points": form.activation_zero_points,
        })
    };
    let target = |target: &&Target| {
        json!({
            "name": target.name,
            "runtime": target.runtime,
            "known_by": standing(target),
            "forms": target.forms.iter().map(form).collect::<Vec<Value>>(),
            "explicit_zero_points": target.explicit_zero_points,
            "matmul_nbits": target.matmul_nbits,
            "com_microsoft": match target.contrib {
                Contrib::No => "no",
                Contrib::Linear => "QuantizeLinear, DequantizeLinear, MatMulNBits",
                Contrib::All => "all",
            },
            "integer_operators": target.integer_operators,
            "saturating": target.saturating,
            "dual": target.dual.iter().map(|spelling| spelling.name()).collect::<Vec<_>>(),
            "opsets": [target.opsets.0, target.opsets.1],
            "biases": target.biases.iter().map(|bias| bias.name()).collect::<Vec<_>>(),
            "usual": {
                "storage": [target.usual.storages.0.name(), target.usual.storages.1.name()],
                "granularity": [target.usual.granularities.0.to_string(), target.usual.granularities.1.to_string()],
                "activations": target.usual.activations.name(),
                "placement": target.usual.placement.name(),
                "matmul_nbits": target.usual.matmul_nbits,
            },
        })
    };
    let all: Vec<Value> = TARGETS.iter().map(target).collect();
    super::json::written("fourbit.targets", vec![("targets", json!(all))])
}

fn standing(target: &Target) -> &'static str {
    match target.standing {
        Standing::Tested => "tests",
        Standing::Documented => "documents",
    }
}

fn products(target: &Target) -> &'static str {
    match (target.usual.matmul_nbits, target.matmul_nbits) {
        (true, _) => "yes",
        (false, true) => "if asked",
        (false, false) => "no",
    }
}

/// The codes of 8-bit weights beside 8-bit activations.
fn eight_bit_codes(target: &Target) -> String {
    let (lowest, highest) = HELD;
    if target.saturating.is_empty() { "all".into() } else { format!("{lowest} to {highest}") }
}

fn operators(form: &Form) -> String {
    match form.operators.get(SHOWN..) {
        Some([_, ..]) => {
            let rest = form.operators.len() - SHOWN;
            format!("{} and {rest} more", form.operators[..SHOWN].join(", "))
        }
        _ => form.operators.join(", "),
    }
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let all: Vec<&str> = names.collect();
    if all.is_empty() { "no".to_owned() } else { all.join(", ") }
}

fn either(one: &str, other: &str) -> String {
    if one == other { one.to_owned() } else { format!("{one}, {other}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Detail;

    #[test]
    fn every_target_is_listed() {
        let text = targets(TextStyle { width: None, detail: Detail::Normal });
        let json = data();
        for target in TARGETS {
            assert!(text.contains(target.name) && text.contains(target.runtime), "{text}");
            assert!(json.contains(&format!("\"{}\"", target.name)));
        }
    }
}

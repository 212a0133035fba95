//! What each target takes.

use serde_json::{Value, json};

use super::{TextStyle, words};
use crate::options::{Contrib, Form, HELD, Standing, TARGETS, Target, target_names};
use crate::plan::Checked;

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
    let header = ["Target", "Operators", "Weights", "Scales by", "Zero points", "Activations", "Zero points"];
    let takes = style.table(&header, &[], forms);
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
        "Target",
        "Known by",
        "Storage",
        "Scales by",
        "Activations",
        "8-bit codes",
        "Placement",
        "Bias",
        "Dual",
        "Opsets",
        "MatMulNBits",
    ];
    let usual = style.table(&header, &[], usual.collect());
    let runtimes: Vec<(String, String)> =
        TARGETS.iter().map(|target| (target.name.to_owned(), target.runtime.to_owned())).collect();
    format!(
        "What each takes of a layer:\n\n{takes}What is written where nothing else is asked for (first with float activations, then with \
         quantized ones, where these differ):\n\n{usual}{}",
        style.pairs(&runtimes)
    )
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

/// What a target will not take of a model.
pub fn checked(checked: &Checked, style: TextStyle) -> String {
    let limit = style.name_limit();
    let rows = checked.findings.iter().map(|finding| {
        let node = if finding.node.is_empty() { "the model" } else { &finding.node };
        vec![
            words::name(node, limit),
            finding.operator.clone(),
            words::name(&finding.tensor, limit),
            match (finding.refused, finding.saturates) {
                (true, _) => "refused",
                (false, true) => "may saturate",
                (false, false) => "in float",
            }
            .to_owned(),
            finding.problem.clone(),
        ]
    });
    let table = style.table(&["Node", "Operator", "Tensor", "", "Why"], &[], rows.collect());
    let refused = checked.findings.iter().filter(|finding| finding.refused).count();
    let saturating = checked.findings.iter().filter(|finding| finding.saturates).count();
    let slow = checked.findings.len() - refused - saturating;
    let mut text = match (checked.quantized, refused) {
        (0, 0) => format!(
            "Nothing in it is quantized, and {} refuses nothing of what was looked at.",
            checked.target
        ),
        (1, 0) => format!("{} takes its one quantized tensor.", checked.target),
        (count, 0) => format!("{} takes all {count} quantized tensors.", checked.target),
        (0, refused) => format!("{} refuses {}.", checked.target, words::things(refused, "thing")),
        (count, refused) => format!(
            "{} refuses {} in {}.",
            checked.target,
            words::things(refused, "thing"),
            words::things(count, "quantized tensor")
        ),
    };
    if slow > 0 {
        let verb = if slow == 1 { "runs" } else { "run" };
        text += &format!(" {} {verb}, but in float.", words::things(slow, "layer"));
    }
    if saturating > 0 {
        text += &format!(" {} may saturate on x86 without VNNI.", words::things(saturating, "layer"));
    }
    format!("{table}{text}\n")
}

/// The same for programs, `fourbit.checked`.
pub fn checked_data(checked: &Checked) -> String {
    super::json::written(
        "fourbit.checked",
        vec![
            ("input", json!(checked.input.display().to_string())),
            ("target", json!(checked.target)),
            ("quantized", json!(checked.quantized)),
            ("findings", json!(checked.findings)),
        ],
    )
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
    use crate::plan::Finding;
    use crate::report::Detail;

    #[test]
    fn one_thing_is_not_many() {
        let finding = |refused, saturates| Finding {
            node: "n".into(),
            operator: "MatMul".into(),
            tensor: "w".into(),
            problem: "why".into(),
            refused,
            saturates,
        };
        let told = |quantized, findings| {
            let found = Checked { input: "m.onnx".into(), target: "tract".into(), quantized, findings };
            checked(&found, TextStyle::default()).lines().last().unwrap_or_default().to_owned()
        };
        let one = vec![finding(true, false), finding(false, false), finding(false, true)];
        let two = one.iter().flat_map(|finding| [finding.clone(), finding.clone()]).collect();
        assert_eq!(
            told(1, one),
            "tract refuses 1 thing in 1 quantized tensor. 1 layer runs, but in float. 1 layer may saturate on x86 without VNNI."
        );
        assert_eq!(
            told(2, two),
            "tract refuses 2 things in 2 quantized tensors. 2 layers run, but in float. 2 layers may saturate on x86 without VNNI."
        );
        assert_eq!(told(1, Vec::new()), "tract takes its one quantized tensor.");
    }

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

//! What a target does not accept of a model.

use std::collections::BTreeSet;

use serde_json::json;

use crate::plan::{Checked, Finding};
use crate::report::table::Column;
use crate::report::{TextStyle, words};

/// Nodes with the same problem that are named.
const NAMED: usize = 3;

/// What a target does not accept of a model: a row a problem, or in full a row a node.
pub fn checked(checked: &Checked, style: TextStyle) -> String {
    let table = if style.full() { each(checked, style) } else { grouped(checked, style) };
    table + &style.paragraph(&verdict(checked))
}

fn each(checked: &Checked, style: TextStyle) -> String {
    let row = |finding: &Finding| {
        vec![
            node(finding).to_owned(),
            finding.operator.clone(),
            finding.tensor.clone(),
            result(finding).to_owned(),
            finding.problem.clone(),
        ]
    };
    let columns = [
        Column::name("Node"),
        Column::text("Operator"),
        Column::name("Tensor"),
        Column::text("Result"),
        Column::text("Why"),
    ];
    style.table(&columns, checked.findings.iter().map(row).collect())
}

fn grouped(checked: &Checked, style: TextStyle) -> String {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    let alike = |one: &Finding, other: &Finding| {
        (&one.problem, &one.operator, result(one)) == (&other.problem, &other.operator, result(other))
    };
    for finding in &checked.findings {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| alike(first, finding))) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let row = |group: &Vec<&Finding>| {
        let first = group.first()?;
        let mut nodes = group.iter().take(NAMED).map(|finding| node(finding)).collect::<Vec<_>>().join(", ");
        if group.len() > NAMED {
            nodes += &format!(" and {} more", words::count((group.len() - NAMED) as u64));
        }
        let count = words::count(group.len() as u64);
        Some(vec![first.problem.clone(), result(first).to_owned(), first.operator.clone(), count, nodes])
    };
    let columns = [
        Column::text("Problem"),
        Column::text("Result"),
        Column::text("Operator"),
        Column::figure("Count"),
        Column::text("Nodes"),
    ];
    style.table(&columns, groups.iter().filter_map(row).collect())
}

fn node(finding: &Finding) -> &str {
    if finding.node.is_empty() { "the model" } else { &finding.node }
}

fn result(finding: &Finding) -> &'static str {
    match (finding.refused, finding.saturates) {
        (true, _) => "rejected",
        (false, true) => "may saturate",
        (false, false) => "in float",
    }
}

fn verdict(checked: &Checked) -> String {
    let nodes = |of: fn(&Finding) -> bool| {
        let nodes = checked.findings.iter().filter(|finding| of(finding)).map(|finding| &finding.node);
        // What is said of the model as a whole is no layer.
        nodes.filter(|node| !node.is_empty()).collect::<BTreeSet<_>>().len()
    };
    let saturating = nodes(|finding| !finding.refused && finding.saturates);
    let slow = nodes(|finding| !finding.refused && !finding.saturates);
    let refused = checked.findings.iter().filter(|finding| finding.refused).count();
    let target = &checked.target;
    let mut text = match (checked.quantized, refused) {
        (0, 0) => format!("Nothing in the file is quantized. fourbit found nothing that {target} rejects."),
        (1, 0) => format!("{target} accepts the file and its quantized tensor."),
        (count, 0) => {
            format!("{target} accepts the file and its {} quantized tensors.", words::count(count as u64))
        }
        (count, refused) => format!(
            "{target} rejects the file: {}, {} in the file.",
            words::things(refused, "problem"),
            words::things(count, "quantized tensor")
        ),
    };
    if slow > 0 {
        let verb = if slow == 1 { "runs" } else { "run" };
        text += &format!(" {} {verb} in float: no speed-up there.", words::things(slow, "layer"));
    }
    if saturating > 0 {
        text += &format!(" {} may saturate on x86 without VNNI.", words::things(saturating, "layer"));
    }
    text
}

/// The same for programs, `fourbit.checked`.
pub fn data(checked: &Checked) -> String {
    crate::report::json::written(
        "fourbit.checked",
        vec![
            ("input", json!(checked.input.display().to_string())),
            ("target", json!(checked.target)),
            ("quantized", json!(checked.quantized)),
            ("findings", json!(checked.findings)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Detail;

    fn finding(node: &str, refused: bool, saturates: bool) -> Finding {
        Finding {
            node: node.into(),
            operator: "MatMul".into(),
            tensor: "w".into(),
            problem: "why".into(),
            refused,
            saturates,
        }
    }

    fn told(quantized: usize, findings: Vec<Finding>, style: TextStyle) -> String {
        checked(&Checked { input: "m.onnx".into(), target: "tract".into(), quantized, findings }, style)
    }

    #[test]
    fn one_thing_is_not_many() {
        let last = |quantized, findings| {
            let text = told(quantized, findings, TextStyle::default());
            text.lines().last().unwrap_or_default().to_owned()
        };
        let three =
            |node: &str| [(true, false), (false, false), (false, true)].map(|(a, b)| finding(node, a, b));
        assert_eq!(
            last(1, three("n").to_vec()),
            "tract rejects the file: 1 problem, 1 quantized tensor in the file. 1 layer runs in float: no speed-up there. \
             1 layer may saturate on x86 without VNNI."
        );
        assert_eq!(
            last(2, [three("n"), three("o"), three("o")].concat()),
            "tract rejects the file: 3 problems, 2 quantized tensors in the file. 2 layers run in float: no speed-up there. \
             2 layers may saturate on x86 without VNNI."
        );
        assert_eq!(last(1, Vec::new()), "tract accepts the file and its quantized tensor.");
    }

    #[test]
    fn equal_problems_are_one_row() {
        let many: Vec<Finding> = (0..30).map(|at| finding(&format!("node{at}"), true, false)).collect();
        let text = told(30, many.clone(), TextStyle::default());
        assert!(text.contains("node0, node1, node2 and 27 more") && text.contains(" 30 "), "{text}");
        assert!(text.lines().count() < 6, "{text}");
        let text = told(30, many, TextStyle { width: None, detail: Detail::Full });
        assert!(text.lines().count() > 30 && text.contains("node29"), "{text}");
    }
}

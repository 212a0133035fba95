//! Patterns of names that a person gave, each of which must fit something.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::onnx::proto::GraphProto;
use crate::onnx::{Model, bodies, node_label};
use crate::options::{Globs, Options};

/// Names that are told as near misses.
const SHOWN: usize = 3;
/// Names that are compared with a pattern, and characters of each, at most.
const COMPARED: usize = 20_000;
const LONGEST: usize = 200;

/// What is wrong with the patterns of `options`, if one fits no tensor or node of any of `models`: the file as it was read and as it is
/// prepared.
///
/// # Errors
/// [`Error::Options`] for what is no pattern.
pub(super) fn unmatched(options: &Options, models: &[&Model]) -> Result<Option<Error>> {
    let rules =
        options.layers.iter().filter(|rule| rule.weights_why.is_none() && rule.activations_why.is_none());
    let given = options
        .include
        .iter()
        .map(|pattern| ("`.include`", pattern))
        .chain(options.exclude.iter().map(|pattern| ("`.exclude`", pattern)))
        .chain(options.dual.layers.iter().map(|pattern| ("`.dual.layers`", pattern)))
        .chain(rules.map(|rule| ("a [[layer]] rule, match =", &rule.matching)));
    let given: Vec<(&str, &String)> = given.collect();
    if given.is_empty() && options.op_types.is_empty() {
        return Ok(None);
    }
    let (mut all, mut operators) = (BTreeSet::new(), BTreeSet::new());
    models.iter().for_each(|model| names(model.graph(), &mut all, &mut operators));
    for (option, pattern) in given {
        let globs = Globs::new(std::slice::from_ref(pattern))?;
        if !all.iter().any(|name| globs.is_match(name)) {
            let remedy = match nearest(pattern, &all) {
                near if near.is_empty() => "the model has no named weights or nodes".to_owned(),
                near => format!("names like it are {}; `fourbit::inspect` lists all", near.join(", ")),
            };
            return Ok(Some(Error::options(format!("{option} {pattern:?} fits no tensor or node"), remedy)));
        }
    }
    let missing = options.op_types.iter().find(|name| !operators.contains(name.as_str()));
    Ok(missing.map(|name| {
        let known: Vec<&str> =
            crate::analyse::operators().filter(|known| operators.contains(known)).collect();
        let remedy = match known[..] {
            [] => "it has no operator whose weights could be quantized".to_owned(),
            _ => format!("of those that could be, it has {}", known.join(", ")),
        };
        Error::options(format!("`.op_types` {name}: the model has no such operator"), remedy)
    }))
}

/// The names of constants and nodes, those inside nodes too, and the operators.
fn names<'g>(graph: &'g GraphProto, all: &mut BTreeSet<&'g str>, operators: &mut BTreeSet<&'g str>) {
    all.extend(graph.initializer.iter().map(|tensor| tensor.name()));
    for node in &graph.node {
        all.insert(node_label(node));
        if node.op_type() == "Constant" {
            all.extend(node.output.iter().map(String::as_str));
        }
        operators.insert(node.op_type());
        bodies(node).for_each(|body| names(body, all, operators));
    }
}

/// The names that fit `pattern` but for a few characters, the nearest first.
fn nearest<'n>(pattern: &str, all: &BTreeSet<&'n str>) -> Vec<&'n str> {
    let core: Vec<char> = pattern.to_lowercase().chars().filter(|sign| !"*?[]{}\\".contains(*sign)).collect();
    let mut found: Vec<(usize, usize, &str)> =
        all.iter().take(COMPARED).map(|name| (changes(&core, name), name.chars().count(), *name)).collect();
    found.sort_unstable();
    found.into_iter().take(SHOWN).map(|(_, _, name)| name).collect()
}

/// How many characters of `core` are to be changed, left out or added until it is a part of `name`.
fn changes(core: &[char], name: &str) -> usize {
    let name: Vec<char> = name.to_lowercase().chars().take(LONGEST).collect();
    // It may begin anywhere in the name.
    let mut row = vec![0; name.len() + 1];
    for (at, wanted) in core.iter().take(LONGEST).enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (place, found) in name.iter().enumerate() {
            let replaced = before + usize::from(wanted != found);
            before = row[place + 1];
            row[place + 1] = replaced.min(before + 1).min(row[place] + 1);
        }
    }
    row.into_iter().min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    fn told(change: impl FnOnce(&mut Options)) -> Option<String> {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 8]);
        let w = graph.weights("conv_88.weight", &[8, 8]);
        let v = graph.weights("head.weight", &[8, 8]);
        let h = graph.node("MatMul", &[&x, &w], &[]);
        let y = graph.node("MatMul", &[&h, &v], &[]);
        graph.output(&y);
        let model = graph.model();
        let mut options = Options::default();
        change(&mut options);
        unmatched(&options, &[&model]).unwrap().map(|error| error.to_string())
    }

    #[test]
    fn patterns_that_fit_nothing_are_named_with_what_is_near() {
        assert_eq!(told(|options| options.exclude = vec!["head*".into()]), None);
        assert_eq!(told(|options| options.op_types = vec!["MatMul".into()]), None);
        let text = told(|options| options.exclude = vec!["conv_999*".into()]).unwrap();
        assert!(text.contains("`.exclude` \"conv_999*\"") && text.contains("conv_88.weight, "), "{text}");
        let text = told(|options| options.include = vec!["HEAD.weight".into()]).unwrap();
        assert!(text.contains("names like it are head.weight"), "{text}");
        let text = told(|options| options.dual.layers = vec!["c?".into()]).unwrap();
        assert!(text.contains("`.dual.layers`"), "{text}");
        let rule = crate::options::LayerRule { matching: "fc*".into(), ..Default::default() };
        let text = told(|options| options.layers = vec![rule]).unwrap();
        assert!(text.contains("[[layer]]") && text.contains("fc*"), "{text}");
        let text = told(|options| options.op_types = vec!["Conv".into()]).unwrap();
        assert!(text.contains("`.op_types` Conv") && text.contains("it has MatMul"), "{text}");
    }
}

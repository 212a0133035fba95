//! How much of a model was quantized, told where it is little, with the way out.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::plan::{Decision, Keep, LITTLE_QUANTIZED, Plan, Skip};

/// Share of the bytes of float weights below which a person should know.
const LITTLE: f64 = 0.5;

/// A warning where less than half of the float weights became codes.
///
/// # Errors
/// [`Error::NothingQuantized`] where none did, and no activation either.
pub(super) fn coverage(
    plan: &Plan,
    stored: &HashMap<&str, u64>,
    options: &Options,
) -> Result<Option<String>> {
    let done: Vec<u64> = plan
        .decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Weight(weight) => Some(stored.get(weight.tensor.as_str()).copied().unwrap_or(0)),
            Decision::Activation(_) => None,
        })
        .collect();
    let left: Vec<&Skip> = plan.skips.iter().filter(|skip| is_left(skip)).collect();
    if plan.decisions.is_empty() {
        let of = |small: bool| -> Vec<&Skip> {
            let is_small = |skip: &&Skip| matches!(skip.reason, Keep::Small { .. });
            plan.skips.iter().filter(|skip| skip.bytes > 0 && (!small || is_small(skip))).collect()
        };
        let small = of(true);
        if !options.budget.is_none() {
            return Err(Error::NothingQuantized {
                problem: "its layers keep to the limits only as floats".to_owned(),
                remedy: "loosen the limits, or start from a finer `.precision` such as w8 or w8a8".to_owned(),
            });
        }
        let reason = match (left.is_empty(), small.is_empty()) {
            (true, true) => main_reason(&of(false)),
            (true, false) => main_reason(&small),
            (false, _) => main_reason(&left),
        };
        let (problem, mut remedy) = match reason {
            Some((reason, count, skip)) => {
                (format!("{count} of its tensors: {reason}"), way_out(&skip.reason, options))
            }
            None => {
                ("it has no float weights".to_owned(), "`fourbit::inspect` lists what is in it".to_owned())
            }
        };
        if !left.is_empty()
            && let Some(skip) = small.first()
        {
            remedy += &format!(
                "; {} more have fewer than {} elements: {}",
                small.len(),
                options.min_elements,
                way_out(&skip.reason, options)
            );
        }
        return Err(Error::NothingQuantized { problem, remedy });
    }
    let (bytes, rest) = (done.iter().sum::<u64>(), left.iter().map(|skip| skip.bytes).sum::<u64>());
    let share = bytes as f64 / (bytes + rest).max(1) as f64;
    let Some((reason, count, skip)) = main_reason(&left).filter(|_| share < LITTLE && rest > 0) else {
        return Ok(None);
    };
    let of = done.len() + left.len();
    Ok(Some(format!(
        "{LITTLE_QUANTIZED} {} of {of} weight tensors ({:.1} % of the size) {} quantized; most of the rest stays float for this reason, which {count} of them \
         have: {reason}; {}",
        done.len(),
        100.0 * share,
        if done.len() == 1 { "was" } else { "were" },
        way_out(&skip.reason, options)
    )))
}

/// Whether a tensor that stays float counts among the weights: biases and what is small do not.
fn is_left(skip: &Skip) -> bool {
    skip.bytes > 0
        && !matches!(skip.reason, Keep::Bias | Keep::IntegerBias | Keep::Small { .. } | Keep::Quantized)
}

/// The reason that keeps most bytes float, in words, how many tensors have it, and the largest of these.
fn main_reason<'s>(left: &[&'s Skip]) -> Option<(String, usize, &'s Skip)> {
    let mut by_reason: HashMap<String, (u64, Vec<&Skip>)> = HashMap::new();
    for skip in left {
        // What is small is so for one reason, of however many elements.
        let key = match skip.reason {
            Keep::Small { .. } => "small".to_owned(),
            ref other => other.to_string(),
        };
        let found = by_reason.entry(key).or_default();
        found.0 += skip.bytes;
        found.1.push(skip);
    }
    let most = by_reason.into_iter().max_by(|one, other| (one.1.0, &other.0).cmp(&(other.1.0, &one.0)));
    let (_, (_, skips)) = most?;
    let largest = skips.iter().copied().max_by_key(|skip| skip.bytes)?;
    Some((
        format!("{} (the largest is {}, of {})", largest.reason, largest.name, largest.operator),
        skips.len(),
        largest,
    ))
}

/// What a person can do about `reason`.
fn way_out(reason: &Keep, options: &Options) -> String {
    let inspect = "`fourbit::inspect` lists all tensors with their reasons";
    match reason {
        Keep::Excluded => {
            let given = [
                (options.include.is_empty(), "`.include`"),
                (options.exclude.is_empty(), "`.exclude`"),
                (options.op_types.is_empty(), "`.op_types`"),
            ];
            let given: Vec<&str> =
                given.into_iter().filter(|(empty, _)| !empty).map(|(_, name)| name).collect();
            let change = if given == ["`.exclude`"] { "less" } else { "other tensors" };
            format!("that is what {} asked for; leave it out, or let it name {change}", given.join(" and "))
        }
        Keep::FloatAsked => "the precision, or a rule for single layers, asked for float weights".into(),
        Keep::Small { .. } => {
            format!(
                "set `.min_elements`, now {}, to fewer to quantize them all the same",
                options.min_elements
            )
        }
        Keep::CallersDefault => {
            "export the model without initializers among its inputs (keep_initializers_as_inputs=False)"
                .into()
        }
        Keep::NotFinite(_) => "look for what went wrong in training or export".into(),
        Keep::Quantized => "start from the float model".into(),
        Keep::FloatBecause(_) => "another `.target`, or another form for such layers, may take them".into(),
        Keep::ElementType(_) => "export the model with FLOAT weights".into(),
        _ => inspect.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(name: &str, bytes: u64, reason: Keep) -> Skip {
        Skip { name: name.into(), operator: "MatMul".into(), dims: vec![bytes as i64 / 4], bytes, reason }
    }

    fn plan(quantized: usize, skips: Vec<Skip>) -> Plan {
        let mut plan = crate::report::example::outcome().plan;
        plan.decisions.retain(|decision| matches!(decision, Decision::Weight(_)));
        plan.decisions.truncate(quantized);
        plan.skips = skips;
        plan
    }

    fn told(plan: &Plan, bytes: u64, options: &Options) -> Result<Option<String>> {
        let stored = plan.decisions.iter().map(|decision| (decision.tensor(), bytes)).collect();
        coverage(plan, &stored, options)
    }

    #[test]
    fn little_is_told_with_the_way_out() {
        let rest =
            || vec![skip("a", 900, Keep::NoRule), skip("b", 90, Keep::NoRule), skip("c", 4000, Keep::Bias)];
        let text = told(&plan(1, rest()), 10, &Options::default()).unwrap().unwrap();
        for part in
            ["only 1 of 3 weight tensors (1.0 % of the size) was", "no rule", "largest is a", "inspect"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(told(&plan(1, rest()), 1000, &Options::default()).unwrap(), None);
        let asked = Options { include: vec!["x".into()], ..Options::default() };
        let text = told(&plan(1, vec![skip("a", 900, Keep::Excluded)]), 10, &asked).unwrap().unwrap();
        assert!(text.contains("`.include` asked for"), "{text}");
    }

    #[test]
    fn nothing_at_all_is_an_error() {
        let small = Keep::Small { least: 64, saves: 3 };
        let error = told(&plan(0, vec![skip("a", 40, small.clone())]), 0, &Options::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("set `.min_elements`, now 16, to fewer"), "{error}");
        // Whatever lies beside what is small.
        for (beside, remedy) in
            [(Keep::Bias, "set `.min_elements`"), (Keep::NoRule, "1 more have fewer than 16")]
        {
            let skips = vec![skip("a", 40, small.clone()), skip("b", 4000, beside)];
            let error = told(&plan(0, skips), 0, &Options::default()).unwrap_err().to_string();
            assert!(error.contains(remedy) && error.contains("`.min_elements`"), "{error}");
        }
        let mut limited = Options::default();
        limited.budget.min_sqnr_db = Some(90.0);
        let error = told(&plan(0, Vec::new()), 0, &limited).unwrap_err().to_string();
        assert!(error.contains("loosen the limits"), "{error}");
        let error = told(&plan(0, Vec::new()), 0, &Options::default()).unwrap_err().to_string();
        assert!(error.contains("no float weights"), "{error}");
    }
}

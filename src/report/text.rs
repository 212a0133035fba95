//! The reports of `quantize`, `plan` and `apply`, for people.

use super::budget::budgeted;
use super::table::Column;
use super::{Detail, TextStyle, words};
use crate::plan::{Applied, Decision, Outcome, Plan, Planned, Saturation, Sizes};

/// The report of a whole conversion: first the file and the verdict; in full also tables and a summary.
pub fn outcome(outcome: &Outcome, style: TextStyle) -> String {
    let mut text = style.headline(outcome);
    if style.detail == Detail::Normal {
        for (label, value) in outcome.budget.iter().flat_map(budgeted) {
            text += &style.line(None, &format!("{}: {value}", words::lower_first(&label)));
        }
    }
    text += &style.warnings(&outcome.warnings);
    if !outcome.next.is_empty() {
        text += &format!("\nTo find the layers to leave float:\n  {}\n", words::command(&outcome.next));
    }
    if style.full() {
        let row = |change: &crate::plan::Prepared| {
            vec![change.pass.clone(), words::count(change.count as u64), change.detail.clone()]
        };
        let rows = outcome.prepared.iter().map(row).collect();
        text.push('\n');
        text += &style.table(
            &[Column::name("Prepared by"), Column::figure("Count"), Column::text("What it did")],
            rows,
        );
        text += &style.decisions(&outcome.plan);
        text += &style.errors(&outcome.plan);
        text += &style.kept(&outcome.plan.skips);
        text += &style.pairs(&summary(outcome, style));
    }
    text
}

fn summary(outcome: &Outcome, style: TextStyle) -> Vec<(String, String)> {
    let mut pairs =
        vec![("Precision".into(), format!("{}, {}", outcome.plan.precision, totals(&outcome.plan)))];
    pairs.extend(held(&outcome.plan));
    sizes(&outcome.sizes, &mut pairs);
    let (before, after) = outcome.opsets;
    if before != after {
        pairs.push(("Opset".into(), format!("{before} -> {after}")));
    }
    if let Some(generated) = &outcome.plan.generated {
        let source = format!("{} {}", words::count(generated.samples as u64), generated.source());
        pairs.push(("Calibration".into(), source));
    } else if let Some((source, samples)) = &outcome.calibration {
        pairs.push(("Calibration".into(), format!("{} from {source}", words::things(*samples, "sample"))));
    }
    pairs.extend(style.judgement(&outcome.verdict));
    pairs.extend(outcome.budget.iter().flat_map(budgeted));
    pairs.extend(words::time(&outcome.seconds));
    if let Some(bytes) = outcome.peak_memory {
        pairs.push(("Peak memory".into(), words::bytes(bytes)));
    }
    pairs
}

/// The report of a plan that was only made.
pub fn planned(planned: &Planned, style: TextStyle) -> String {
    let mut text = format!("✓ {}\n", planned.path.display());
    let totals = format!("{}, {}", planned.plan.precision, totals(&planned.plan));
    if style.detail == Detail::Normal {
        text += &style.line(None, &totals);
        for (label, value) in planned.budget.iter().flat_map(budgeted) {
            text += &style.line(None, &format!("{}: {value}", words::lower_first(&label)));
        }
    }
    text += &style.warnings(&planned.warnings);
    if style.full() {
        text.push('\n');
        text += &style.decisions(&planned.plan);
        text += &style.errors(&planned.plan);
        text += &style.kept(&planned.plan.skips);
        let mut pairs = vec![("Precision".into(), totals)];
        pairs.extend(held(&planned.plan));
        pairs.extend(planned.budget.iter().flat_map(budgeted));
        pairs.extend(words::time(&planned.seconds));
        text += &style.pairs(&pairs);
    }
    text
}

/// The report of a plan that was applied.
pub fn applied(applied: &Applied, style: TextStyle) -> String {
    let mut text = format!("✓ {}\n", applied.output.display());
    if style.detail != Detail::Brief {
        let count = words::count(applied.decisions as u64);
        let mut pairs =
            vec![("Applied".into(), format!("{count} of {}", words::things(applied.of, "decision")))];
        sizes(&applied.sizes, &mut pairs);
        text += &style.pairs(&pairs);
    }
    text
}

fn totals(plan: &Plan) -> String {
    let weights = plan.decisions.iter().filter(|decision| matches!(decision, Decision::Weight(_))).count();
    let activations = plan.decisions.len() - weights;
    let skips = plan.skips.len();
    format!(
        "{} and {} quantized, {skips} left",
        words::things(weights, "weight tensor"),
        words::things(activations, "activation")
    )
}

/// How many weight tensors do not use all codes, and why.
fn held(plan: &Plan) -> Option<(String, String)> {
    let weights = plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some(weight),
        Decision::Activation(_) => None,
    });
    let held: Vec<_> = weights.filter(|weight| weight.saturation == Some(Saturation::Avoided)).collect();
    let (lowest, highest) = held.first()?.code_range()?;
    let text = format!(
        "{lowest} to {highest} in {}, so that kernels of x86 without VNNI do not saturate (`.full_range` uses all codes)",
        words::things(held.len(), "tensor")
    );
    Some(("8-bit codes".into(), text))
}

fn sizes(sizes: &Sizes, pairs: &mut Vec<(String, String)>) {
    let (before, after) = (words::bytes(sizes.before), words::bytes(sizes.after));
    pairs.push(("Size".into(), format!("{before} -> {after} ({:.1} % of the input)", 100.0 * sizes.ratio)));
    let whole = format!("{:.2} over all parameters", sizes.effective_bits);
    let bits = match sizes.quantized_bits {
        Some(bits) => format!("{bits:.2} over quantized weights with their scales, {whole}"),
        None => whole,
    };
    pairs.push(("Bits a weight".into(), bits));
    if let Some(compression) = sizes.compression {
        let text = format!("{compression:.2} times, quantized weights alone, with their scales");
        pairs.push(("Compression".into(), text));
    }
    if let (Some(macs), Some(extra @ 1..)) = (sizes.macs, sizes.extra_macs) {
        let text = format!(
            "{} more than {} (+{}) where second tensors multiply by themselves",
            words::count(extra),
            words::count(macs),
            words::percent(extra as f64 / macs.max(1) as f64)
        );
        pairs.push(("MACs a run".into(), text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Verdict;
    use crate::report::example;

    const FULL: TextStyle = TextStyle { width: None, detail: Detail::Full };

    #[test]
    fn the_report_contains_what_matters() {
        let text = super::outcome(&example::outcome(), FULL);
        for part in [
            "layer1.conv.weight",
            "16x3x3x3",
            "int4 + bias",
            "channel, 16",
            "21.5",
            "0 to 6.125",
            "bias, kept in full precision",
            "1.06 MB -> 156 kB",
            "14.7 %",
            "4.22",
            "7.58 times",
            "110,592 more than 442,368 (+25.00 %)",
            "7.1e-3",
            "drop 0.50 ± 0.35 points",
            "solve 0.25",
            "240 MB",
            "narrow range",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.starts_with("✓ out/net.w4a8.onnx  1.06 MB -> 156 kB (6.8 times smaller)\n"), "{text}");
    }

    #[test]
    fn the_verdict_comes_first_and_is_short() {
        let text = super::outcome(&example::outcome(), TextStyle::default());
        assert!(text.starts_with("✓ out/net.w4a8.onnx  1.06 MB -> 156 kB (6.8 times smaller)\n"), "{text}");
        for part in [
            "  top-1 91.25 % -> 90.75 %: drop 0.50 ± 0.35 points, at most 1.34 at 95 % (400 labelled); same class on 97.50 %\n",
            "  output: SQNR 24.1 dB",
            "  judged in tract on 400 samples of test.npz\n",
            "  1 weight tensor in int4, 1 activation in uint8; ",
            "  packed 4-bit codes save space",
            "  ! input has a narrow range\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.lines().count() < 10 && !text.contains("layer1"), "{text}");
        let mut outcome = example::outcome();
        outcome.verdict = Verdict::NotValidated { reason: "no samples".into() };
        let text = super::outcome(&outcome, TextStyle::default());
        assert!(text.starts_with("! out/") && text.contains("  ! not validated: no samples\n"), "{text}");
        outcome = example::outcome();
        outcome.budget = Some(example::budgeted());
        let text = super::outcome(&outcome, TextStyle::default());
        assert!(text.starts_with("! out/") && text.contains("  limit NOT met: `.max_drop` 1"), "{text}");
    }

    #[test]
    fn held_codes_are_told() {
        let mut outcome = example::outcome();
        let Some(Decision::Weight(weight)) = outcome.plan.decisions.first_mut() else { panic!("weights") };
        weight.saturation = Some(Saturation::Avoided);
        let text = super::outcome(&outcome, FULL);
        assert!(text.contains("-64 to 64 in 1 tensor,") && text.contains("`.full_range`"), "{text}");
    }

    #[test]
    fn more_and_less_detail() {
        let text = super::outcome(&example::outcome(), FULL);
        for part in ["layer1.conv.bias", "fold_batch_norm", "least squared error"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let brief = TextStyle { width: None, detail: Detail::Brief };
        let text = super::outcome(&example::outcome(), brief);
        assert!(text.contains("narrow range") && !text.contains("weight tensor"), "{text}");
    }

    #[test]
    fn the_report_fits_a_terminal() {
        for (width, detail) in
            [60, 80, 140].into_iter().flat_map(|width| [(width, Detail::Normal), (width, Detail::Full)])
        {
            let text = super::outcome(&example::outcome(), TextStyle { width: Some(width), detail });
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}\n{text}");
        }
    }

    #[test]
    fn plans_and_applications() {
        let Outcome { plan, sizes, .. } = example::outcome();
        let made = Planned {
            plan,
            path: "p.json".into(),
            budget: None,
            details: None,
            warnings: Vec::new(),
            seconds: Vec::new(),
        };
        let text = planned(&made, FULL);
        assert!(text.contains("layer1.conv.weight") && text.starts_with("✓ p.json\n"), "{text}");
        let done = Applied { output: "o.onnx".into(), decisions: 1, of: 2, sizes };
        let text = applied(&done, TextStyle::default());
        assert!(text.contains("1 of 2 decisions") && text.starts_with("✓ o.onnx\n"), "{text}");
    }
}

//! What to try next, by rules on what the report knows. Each rule gives settings and a reason; the caller knows the rest of the command.

use crate::options::{CodeType, Globs, Options};
use crate::plan::{Advice, Decision, Details, Doubt, Plan, Validation, Verdict, WeightDecision};

/// What the rules look at.
pub(super) struct Known<'k> {
    pub options: &'k Options,
    pub plan: &'k Plan,
    pub verdict: &'k Verdict,
    pub details: Option<&'k Details>,
    /// Whether real samples were calibrated on.
    pub calibrated: bool,
}

/// An activation with a lower SQNR in dB brings noise that bits of weights do not take away.
const COARSE_DB: f64 = 20.0;
/// A layer stands out that is so many dB below the next one.
const APART_DB: f64 = 3.0;
/// SQNR in dB below which a single layer is worth leaving float.
const POOR_DB: f64 = 15.0;
/// The limits that are proposed.
const SQNR_DB: &str = "20";
const DROP: &str = "1";

/// What to try next, what costs least first; nothing where the file is as one hopes for.
pub(super) fn advice(known: &Known) -> Vec<Advice> {
    let mut all = Vec::new();
    let Verdict::Validated(validation) = known.verdict else {
        all.extend(judge("The file was not judged. Give samples to judge it on"));
        return all;
    };
    if validation.is_meaningless() {
        all.push(said(
            "The float model's answers on these samples mean nothing. Check how samples are preprocessed before anything else",
        ));
        return all;
    }
    if validation.synthetic {
        all.extend(judge(
            "The samples that judged the file are made up. Real ones with labels say what accuracy it has",
        ));
    }
    let fell = has_fallen(validation);
    let wide = validation.inside.as_ref().is_some_and(|inside| inside.is_wide());
    if fell || wide {
        all.extend(samples(known, validation));
    }
    if fell && known.options.budget.is_none() {
        all.extend(bits(known));
        all.extend(limit(known, validation));
        all.extend(activations(known));
        all.extend(layer(known));
        if known.calibrated && !validation.synthetic {
            let reason = "Rank the layers by what the outputs gain if one of them stays float. This measures, where the order of noise above only suggests";
            all.push(Advice { ranks: true, ..said(reason) });
        }
        all.extend(precision(known, validation));
    }
    all
}

/// Whether accuracy fell: an output is noisy, answers differ or are lost.
fn has_fallen(validation: &Validation) -> bool {
    let quiet = validation.noisy().is_none() && validation.parting().is_none();
    let broken = validation.outputs.iter().any(|output| output.broken > 0);
    !quiet || validation.keeps_answers() == Some(false) || broken || validation.is_broken()
}

fn said(reason: &str) -> Advice {
    Advice { reason: format!("{reason}."), settings: Vec::new(), ranks: false, command: Vec::new() }
}

fn set(reason: &str, setting: &str, value: &str) -> Advice {
    Advice { settings: vec![(setting.into(), value.into())], ..said(reason) }
}

fn judge(reason: &str) -> Option<Advice> {
    Some(set(reason, "validation", "SAMPLES"))
}

/// More samples, or real ones.
fn samples(known: &Known, validation: &Validation) -> Option<Advice> {
    if !known.calibrated {
        let reason = "No real samples were calibrated on. With a few hundred of them codes are chosen for the outputs of layers";
        return Some(set(reason, "calibration", "SAMPLES"));
    }
    let inside = validation.inside.as_ref().filter(|inside| inside.is_wide())?;
    let enough = inside.enough.map(|enough| enough.samples)?;
    let reason = format!(
        "The file is {:.1} dB nearer to the float model on its calibration samples than on others: {} were too few",
        inside.gap_db.unwrap_or_default(),
        inside.calibrated
    );
    Some(set(&reason, "max_samples", &enough.to_string()))
}

/// Bits for single tensors, where these were not allowed.
fn bits(known: &Known) -> Option<Advice> {
    let few = known.options.weights.is_some_and(|code_type| code_type.bits() < 8);
    let reason = "All weights have the bits asked for. Without this, single tensors that bring much of the noise get 8 bits, for at most 5 % of the file";
    (known.options.strict_bits && few).then(|| set(reason, "strict_bits", "off"))
}

/// A limit on the loss, for which layers get more bits.
fn limit(known: &Known, validation: &Validation) -> Option<Advice> {
    if !known.calibrated {
        return None;
    }
    // Only held-back samples are known to have the labels that a limit on the drop needs.
    Some(match validation.scores.is_some() && validation.held_back.is_some() {
        true => set("Give layers more bits until top-1 falls by at most one point", "max_drop", DROP),
        false => set("Give layers more bits until all outputs have an SQNR of 20 dB", "min_sqnr_db", SQNR_DB),
    })
}

/// Activations that 8 bits are too few for.
fn activations(known: &Known) -> Option<Advice> {
    let coarse = |decision: &&Decision| matches!(decision, Decision::Activation(activation) if activation.sqnr_db.is_some_and(|ratio| ratio < COARSE_DB));
    let worst = known.plan.decisions.iter().find(coarse)?;
    let reason = format!(
        "Activation {} has an SQNR below {COARSE_DB} dB. Leave activations float to see how much of the loss is theirs",
        worst.tensor()
    );
    Some(set(&reason, "activations", "float"))
}

/// A layer that is noisier than all others by far.
fn layer(known: &Known) -> Option<Advice> {
    let details = known.details?;
    let own = |weight: &WeightDecision| details.weights.get(&weight.tensor)?.added_db;
    let weights = known.plan.decisions.iter().filter_map(|decision| match decision {
        Decision::Weight(weight) => Some((own(weight)?, weight)),
        Decision::Activation(_) => None,
    });
    let mut weights: Vec<(f64, &WeightDecision)> = weights.collect();
    weights.sort_by(|one, other| one.0.total_cmp(&other.0));
    let &[(worst, weight), (next, _), ..] = weights.as_slice() else { return None };
    let reason = format!(
        "Layer {} adds most noise: by that alone its output has an SQNR of {worst:.1} dB, that of the next layer {next:.1} dB. Leave it float",
        weight.reads.first().map_or(&weight.tensor, |read| &read.node)
    );
    (worst < POOR_DB && next - worst >= APART_DB)
        .then(|| set(&reason, "exclude", &Globs::typed(&weight.tensor)))
}

/// More bits for all, where the file is of no use.
fn precision(known: &Known, validation: &Validation) -> Option<Advice> {
    let few = known.options.weights.filter(|code_type| code_type.bits() < 8)?;
    let next = match (few.bits(), known.options.activations.map(CodeType::bits)) {
        (..=3, Some(_)) => "w4a8",
        (..=3, None) => "w4",
        (_, Some(_)) => "w8a8",
        (_, None) => "w8",
    };
    let seen = validation.doubts.iter().any(|doubt| matches!(doubt, Doubt::Calibrated(_)));
    (validation.is_broken() && !seen).then(|| {
        set(&format!("{} bits are too few for this model as a whole", few.bits()), "precision", next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Inside, OutputError, Score};

    fn validation(ratio: f64) -> Validation {
        let output =
            OutputError { name: "y".into(), sqnr_db: Some(ratio), largest: 1.0, broken: 0, equal: None };
        let text = r#"{"source": "v.npz", "synthetic": false, "generated": false, "calibrated_on": false, "overlap": null, "samples": 64,
            "judge": "tract", "view": "folded", "weights_proven": 1, "scores": null, "agreement": null, "agreement_bound": null,
            "agreement_rows": 0, "held_back": null, "inside": null, "outputs": [], "classes": [], "second": null, "unjudged": null, "doubts": []}"#;
        Validation { outputs: vec![output], ..serde_json::from_str(text).unwrap() }
    }

    fn found(options: &Options, validation: Validation, calibrated: bool) -> Vec<String> {
        let text = r#"{"version": 2, "tool": "t", "subject": {"file": "f", "sha256": "00"}, "precision": "w4", "decisions": [], "skips": []}"#;
        let plan: Plan = serde_json::from_str(text).unwrap();
        let verdict = Verdict::Validated(Box::new(validation));
        let known = Known { options, plan: &plan, verdict: &verdict, details: None, calibrated };
        let named = |advice: Advice| match advice.settings.first() {
            Some((setting, value)) => format!("{setting} {value}"),
            None => format!("ranks {}", advice.ranks),
        };
        advice(&known).into_iter().map(named).collect()
    }

    #[test]
    fn rules_follow_from_figures() {
        let options = Options::default();
        assert_eq!(found(&options, validation(30.0), true), [""; 0]);
        assert_eq!(found(&options, validation(12.0), true), ["min_sqnr_db 20", "ranks true"]);
        assert_eq!(found(&options, validation(12.0), false), ["calibration SAMPLES"]);
        let strict = Options { strict_bits: true, ..Options::default() };
        assert_eq!(
            found(&strict, validation(12.0), true),
            ["strict_bits off", "min_sqnr_db 20", "ranks true"]
        );
        assert_eq!(
            found(&options, validation(5.0), true),
            ["min_sqnr_db 20", "ranks true", "precision w8a8"]
        );
        let labelled = Validation {
            held_back: Some(100),
            scores: Some(Score {
                rows: 64,
                float_top1: 0.9,
                quantized_top1: 0.7,
                float_top5: None,
                quantized_top5: None,
                drop_points: 20.0,
                standard_error: 2.0,
                lost: 13,
                won: 0,
                drop_bound: 25.0,
            }),
            ..validation(12.0)
        };
        assert_eq!(found(&options, labelled, true), ["max_drop 1", "ranks true"]);
        let inside = Inside {
            samples: 64,
            calibrated: 64,
            sqnr_db: Some(30.0),
            agreement: None,
            outside_db: Some(20.0),
            gap_db: Some(10.0),
            enough: Some(crate::plan::Enough { samples: 300, at_least: true }),
        };
        let few = Validation { inside: Some(inside), ..validation(20.0) };
        assert_eq!(found(&options, few, true)[0], "max_samples 300");
    }
}

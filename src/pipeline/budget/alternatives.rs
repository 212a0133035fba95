//! The forms that a tensor may have besides the planned one, and what they are worth.

use crate::error::Result;
use crate::options::{CodeType, Compensation, Globs, LayerRule, Lift, Options, Spelling};
use crate::pipeline::Ready;
use crate::pipeline::measure::weight_bits;
use crate::plan::{ActivationDecision, Analysis, Decision, Expected, Plan, WeightDecision, WeightSite};
use crate::progress::Progress;
use crate::solve::{Rung, Shared, solve};

/// Each bit halves the step of a code, and so divides the noise by four.
const NOISE_A_BIT: f64 = 0.25;

/// One form of one tensor.
#[derive(Clone)]
pub(super) struct Alternative {
    pub tensor: String,
    pub words: String,
    /// Bytes in the file.
    pub stored: f64,
    pub rules: Vec<LayerRule>,
}

impl Alternative {
    /// The same with the reason that its rules give.
    pub fn because(mut self, why: &Lift) -> Self {
        for rule in &mut self.rules {
            if rule.activations.is_some() {
                rule.activations_why = Some(why.clone());
            } else {
                rule.weights_why = Some(why.clone());
            }
        }
        self
    }
}

/// What all weights would be in other forms, each for itself.
pub(super) struct Others {
    plain: Plan,
    all: Vec<(&'static str, LayerRule, Plan)>,
}

impl Others {
    pub fn new(
        options: &Options,
        ready: &Ready,
        analysis: &Analysis,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let shared = Shared { measurements: &ready.measurements, progress };
        let solved = |rules: Vec<LayerRule>| {
            let layers = rules.into_iter().chain(options.layers.iter().cloned()).collect();
            let alone = Options { compensation: Compensation::None, layers, ..options.clone() };
            solve(
                &ready.opened.model,
                analysis,
                None,
                &alone,
                &Expected::new(),
                ready.subject.clone(),
                shared,
            )
        };
        let plain = solved(Vec::new())?;
        let wide =
            LayerRule { weights: Some(Some(CodeType::Int8)), dual: Some(false), ..LayerRule::default() };
        let dual = LayerRule { dual: Some(true), ..LayerRule::default() };
        let mut all = Vec::new();
        for (words, rule, four) in [("int8", wide, false), ("two 4-bit tensors", dual, true)] {
            // Two terms are a form of 4-bit weights only.
            let takes = |site: &&WeightSite| {
                let narrow =
                    |weight: &WeightDecision| weight.terms.iter().all(|term| term.code_type.bits() == 4);
                // Where sums are not taken it depends on the layer whether it can be dual at all.
                let taken = match four {
                    true => options.target.dual.contains(&Spelling::Sum),
                    false => has(options, site, CodeType::Int8, options.activations),
                };
                Ok(taken
                    && of(&plain, &site.tensor).is_some_and(|weight| !four || narrow(weight))
                    && !has_own_rule(options, site)?)
            };
            let mut rules = Vec::new();
            for site in &analysis.weights {
                if takes(&site)? {
                    rules.push(LayerRule { matching: Globs::literal(&site.tensor), ..rule.clone() });
                }
            }
            all.push((words, rule, solved(rules)?));
        }
        Ok(Self { plain, all })
    }
}

/// Whether the target takes all readers of `site` with such weights and activations.
fn has(options: &Options, site: &WeightSite, weights: CodeType, activation: Option<CodeType>) -> bool {
    let weights = options.storage.of_weights(weights);
    let activation = activation.map(|code_type| options.storage.of_activation(code_type));
    site.reads().all(|read| {
        let float = options.target.has(&read.operator, weights, None);
        float || options.target.has(&read.operator, weights, activation)
    })
}

/// Whether a rule that a person gave says what the weights at `site` are to be.
fn has_own_rule(options: &Options, site: &WeightSite) -> Result<bool> {
    let names: Vec<&str> =
        std::iter::once(site.tensor.as_str()).chain(site.reads().map(|read| read.node.as_str())).collect();
    ruled(options, &names, |rule| rule.weights.is_some() || rule.dual.is_some())
}

fn of<'p>(plan: &'p Plan, tensor: &str) -> Option<&'p WeightDecision> {
    plan.decisions.iter().find_map(|decision| match decision {
        Decision::Weight(weight) if weight.tensor == tensor => Some(weight),
        _ => None,
    })
}

/// Whether a rule that a person gave says something of the layer that reads `tensor`.
fn ruled(options: &Options, names: &[&str], says: impl Fn(&LayerRule) -> bool) -> Result<bool> {
    let patterns: Vec<String> =
        options.layers.iter().filter(|rule| says(rule)).map(|rule| rule.matching.clone()).collect();
    let globs = Globs::new(&patterns)?;
    Ok(names.iter().any(|name| globs.is_match(name)))
}

/// The forms of weights, from the planned one up, with noise as a share of what the first brings.
pub(super) fn weights(
    weight: &WeightDecision,
    others: &Others,
    options: &Options,
    analysis: &Analysis,
) -> Result<Vec<(Alternative, Rung)>> {
    let Some(site) = analysis.weights.iter().find(|site| site.tensor == weight.tensor) else {
        return Ok(Vec::new());
    };
    if has_own_rule(options, site)? {
        return Ok(Vec::new());
    }
    let error = |weight: &WeightDecision| weight.sqnr_db.map_or(0.0, |ratio| 10f64.powf(-ratio / 10.0));
    let matching = Globs::literal(&site.tensor);
    let rung = |words: &str, bytes: f64, noise: f64, macs: u64, rule: Option<LayerRule>| {
        let rules = rule.into_iter().map(|rule| LayerRule { matching: matching.clone(), ..rule }).collect();
        let alternative =
            Alternative { tensor: site.tensor.clone(), words: words.into(), stored: bytes, rules };
        (alternative, Rung { bytes, noise, macs })
    };
    let bytes = |weight: &WeightDecision| weight_bits(weight, options.storage) as f64 / 8.0;
    let code_type = weight.terms.first().map_or("", |term| term.code_type.name());
    let mut rungs = vec![rung(code_type, bytes(weight), 1.0, 0, None)];
    let first = of(&others.plain, &site.tensor).map_or(0.0, error);
    for (words, rule, plan) in &others.all {
        if let Some(other) = of(plan, &site.tensor).filter(|_| first > 0.0) {
            if other.terms == weight.terms || (other.terms.len(), code_type) == (weight.terms.len(), *words) {
                continue;
            }
            let extra = site.macs.unwrap_or(0) * (other.terms.len() as u64 - 1);
            rungs.push(rung(words, bytes(other), error(other) / first, extra, Some(rule.clone())));
        }
    }
    let float = LayerRule { weights: Some(None), dual: Some(false), ..LayerRule::default() };
    let elements = site.dims.iter().product::<i64>().unsigned_abs() as f64;
    rungs.push(rung("float", 4.0 * elements, 0.0, 0, Some(float)));
    Ok(rungs)
}

/// The same of an activation: 8 bits, 16 bits, float, whichever are wider than planned.
pub(super) fn inputs(
    activation: &ActivationDecision,
    options: &Options,
    analysis: &Analysis,
) -> Result<Vec<(Alternative, Rung)>> {
    let Some(term) = activation.terms.first() else { return Ok(Vec::new()) };
    let site = analysis.activations.iter().find(|site| site.tensor == activation.tensor);
    let reads = |at: usize| activation.reads.iter().any(|read| read.at == at);
    let readers: Vec<_> =
        analysis.weights.iter().filter(|site| site.reads().any(|read| reads(read.at))).collect();
    let mut names: Vec<&str> = Vec::new();
    for site in &readers {
        names.push(&site.tensor);
        names.extend(site.reads().map(|read| read.node.as_str()));
    }
    if ruled(options, &names, |rule| rule.activations.is_some() || rule.activation_terms.is_some())? {
        return Ok(Vec::new());
    }
    let elements = site.and_then(|site| site.elements).unwrap_or(1) as f64;
    let bits = term.code_type.bits() * activation.terms.len() as u32;
    let mut rungs = Vec::new();
    let mut add = |words: &str, width: u32, noise: f64, to: Option<Option<CodeType>>| {
        let rule = |code_type, site: &WeightSite| LayerRule {
            matching: Globs::literal(&site.tensor),
            activations: Some(code_type),
            activation_terms: Some(1),
            ..LayerRule::default()
        };
        let rules = to.into_iter().flat_map(|to| readers.iter().map(move |site| rule(to, site))).collect();
        let alternative =
            Alternative { tensor: activation.tensor.clone(), words: words.into(), stored: 0.0, rules };
        rungs.push((alternative, Rung { bytes: elements * f64::from(width) / 8.0, noise, macs: 0 }));
    };
    add(term.code_type.name(), bits, 1.0, None);
    // Who reads it without a layer of its own takes what layers ask for.
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    let weights = options.weights.unwrap_or(CodeType::Int8);
    let takes = |activation: Option<CodeType>| {
        let weights = options.storage.of_weights(weights);
        let activation = activation.map(|code_type| options.storage.of_activation(code_type));
        let mut reads = readers.iter().flat_map(|site| site.reads()).filter(|read| reads(read.at));
        reads.all(|read| options.target.has(&read.operator, weights, activation))
    };
    let wider = [8, 16].into_iter().filter(|&wider| wider > bits);
    for (wider, code_type) in wider.map(|wider| (wider, term.code_type.with_bits(wider))) {
        if !takes(Some(code_type)) {
            continue;
        }
        let noise = NOISE_A_BIT.powi((wider - bits) as i32);
        add(code_type.name(), wider, noise, Some(Some(code_type)));
    }
    if takes(None) {
        add("float", 32, 0.0, Some(None));
    }
    Ok(rungs)
}
